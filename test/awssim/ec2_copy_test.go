package awssim_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

func snapshotsIn(t *testing.T, client *ec2.Client, image types.Image) []types.Snapshot {
	t.Helper()
	var ids []string
	for _, d := range image.BlockDeviceMappings {
		ids = append(ids, aws.ToString(d.Ebs.SnapshotId))
	}
	return must(client.DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{SnapshotIds: ids}))(t).Snapshots
}

func named(name string) []types.Filter {
	return []types.Filter{{Name: aws.String("name"), Values: []string{name}}}
}

// TestFailedCopy checks that the image becomes failed with a reason that names
// the key, that its snapshots are in the error state, and that both can be
// deleted.
func TestFailedCopy(t *testing.T) {
	inImageWorld(t, awssim.Options{CopyTime: time.Minute}, func(t *testing.T, w *awssim.World) {
		client := ec2In(w, awssim.PublishingAccount, "us-east-1")
		in := copyOf(managedImage)
		in.KmsKeyId = aws.String("alias/none")
		id := aws.ToString(must(client.CopyImage(t.Context(), in))(t).ImageId)
		if image := describe(t, client, id); image.State != types.ImageStatePending || image.StateReason != nil {
			t.Errorf("before its time the copy is %s: %v", image.State, image.StateReason)
		}
		time.Sleep(time.Minute)
		image := describe(t, client, id)
		if image.State != types.ImageStateFailed || !strings.Contains(aws.ToString(image.StateReason.Message), "alias/none") {
			t.Errorf("the copy is %s: %v", image.State, image.StateReason)
		}
		for _, s := range snapshotsIn(t, client, image) {
			if s.State != types.SnapshotStateError || !strings.Contains(aws.ToString(s.StateMessage), "alias/none") {
				t.Errorf("a snapshot is %s: %s", s.State, aws.ToString(s.StateMessage))
			}
		}
		_, err := client.RunInstances(t.Context(), runInput(id))
		wantCode(t, err, "InvalidAMIID.Unavailable")
		must(client.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: &id, DeleteAssociatedSnapshots: aws.Bool(true)}))(t)
		for _, s := range w.Snapshot().Snapshots {
			if s.State == "error" {
				t.Errorf("snapshot %s remains", s.ID)
			}
		}
	})
}

// TestFailCopy checks that FailCopy fails one copy, and no other.
func TestFailCopy(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		newGoldenKey(t, w)
		w.FailCopy("eu-west-1", "out of luck")
		here, there := ec2In(w, awssim.PublishingAccount, "us-east-1"), ec2In(w, awssim.PublishingAccount, "eu-west-1")
		var got []types.ImageState
		for _, client := range []*ec2.Client{here, there, there} {
			image := copyImage(t, client, copyOf(plainImage))
			got = append(got, image.State)
			if image.State == types.ImageStateFailed && !strings.Contains(aws.ToString(image.StateReason.Message), "out of luck") {
				t.Errorf("it failed because of %v", image.StateReason)
			}
		}
		if diff := cmp.Diff([]types.ImageState{types.ImageStateAvailable, types.ImageStateFailed, types.ImageStateAvailable}, got); diff != "" {
			t.Error(diff)
		}
	})
}

// TestCopySnapshot checks that the rules for copies of images apply. Fact: EC2-COPY-29,
// EC2-COPY-39.
func TestCopySnapshot(t *testing.T) {
	inImageWorld(t, awssim.Options{CopyTime: time.Minute}, func(t *testing.T, w *awssim.World) {
		arn := newGoldenKey(t, w)
		home, away := ec2In(w, awssim.PublishingAccount, "us-east-1"), ec2In(w, awssim.PublishingAccount, "eu-west-1")
		plain := snapshotsIn(t, home, describe(t, home, plainImage))[0]
		managed := snapshotsIn(t, home, describe(t, home, managedImage))[0]
		input := func(source types.Snapshot, key string) *ec2.CopySnapshotInput {
			in := &ec2.CopySnapshotInput{SourceRegion: aws.String("us-east-1"), SourceSnapshotId: source.SnapshotId}
			if key != "" {
				in.Encrypted, in.KmsKeyId = aws.Bool(true), &key
			}
			return in
		}
		got := map[string]string{}
		for name, in := range map[string]*ec2.CopySnapshotInput{
			"plain": input(plain, ""), "encrypted": input(plain, golden), "re-encrypted": input(managed, golden),
			"by default": input(managed, ""), "no key": input(plain, "alias/none"),
		} {
			id := must(away.CopySnapshot(t.Context(), in))(t).SnapshotId
			time.Sleep(time.Minute)
			s := must(away.DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{SnapshotIds: []string{aws.ToString(id)}}))(t).Snapshots[0]
			got[name] = string(s.State) + " " + aws.ToString(s.KmsKeyId)
		}
		managedKey := strings.TrimPrefix(got["by default"], "completed ")
		if !strings.HasPrefix(managedKey, "arn:aws:kms:eu-west-1:"+awssim.PublishingAccount) {
			t.Errorf("an encrypted copy without a key is %s", got["by default"])
		}
		regional := strings.Replace(arn, "us-east-1", "eu-west-1", 1)
		want := map[string]string{
			"plain": "completed ", "encrypted": "completed " + regional, "re-encrypted": "completed " + regional,
			"by default": "completed " + managedKey, "no key": "error ",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		decrypt := input(managed, "")
		decrypt.Encrypted = aws.Bool(false)
		_, err := away.CopySnapshot(t.Context(), decrypt)
		wantCode(t, err, "InvalidRequest")
	})
}

// TestCopyNeedsTheStorage checks that an image that is shared can be launched, and
// copied only if its snapshots are shared as well. Fact: EC2-COPY-37.
func TestCopyNeedsTheStorage(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		owner, other := ec2In(w, factMember, "us-east-1"), ec2In(w, awssim.PublishingAccount, "us-east-1")
		in := copyOf(theirImage)
		in.Encrypted, in.KmsKeyId = nil, nil
		_, err := other.CopyImage(t.Context(), in)
		wantCode(t, err, "InvalidRequest")
		for _, s := range snapshotsIn(t, owner, describe(t, owner, theirImage)) {
			must(owner.ModifySnapshotAttribute(t.Context(), &ec2.ModifySnapshotAttributeInput{
				SnapshotId: s.SnapshotId, Attribute: types.SnapshotAttributeNameCreateVolumePermission,
				CreateVolumePermission: &types.CreateVolumePermissionModifications{Add: []types.CreateVolumePermission{{UserId: aws.String(awssim.PublishingAccount)}}},
			}))(t)
		}
		if image := copyImage(t, other, in); image.State != types.ImageStateAvailable {
			t.Errorf("the copy is %s", image.State)
		}
		// Every account can copy Amazon's images.
		in.SourceImageId, in.ClientToken = aws.String(awssim.BaseImage("us-east-1")), nil // the SDK filled in a token
		if image := copyImage(t, other, in); image.State != types.ImageStateAvailable {
			t.Errorf("the copy of the base image is %s", image.State)
		}
	})
}

// TestCopiesOfOneName checks that CopyImage does not enforce unique names, others do.
// Fact: EC2-IMG-3.
func TestCopiesOfOneName(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		newGoldenKey(t, w)
		client := ec2In(w, awssim.PublishingAccount, "us-east-1")
		ids := map[string]bool{}
		for range 3 {
			ids[aws.ToString(copyImage(t, client, copyOf(plainImage)).ImageId)] = true
		}
		if len(ids) != 3 {
			t.Errorf("the copies are %v", slices.Sorted(maps.Keys(ids)))
		}
		_, err := client.RegisterImage(t.Context(), &ec2.RegisterImageInput{
			Name: aws.String("golden"), RootDeviceName: aws.String("/dev/xvda"),
			BlockDeviceMappings: []types.BlockDeviceMapping{{DeviceName: aws.String("/dev/xvda"), Ebs: &types.EbsBlockDevice{VolumeSize: aws.Int32(1)}}},
		})
		wantCode(t, err, "InvalidAMIName.Duplicate")
	})
}
