package awssim_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// Every snapshot of a copy is encrypted with the key of the copy's Region, however the key
// is named, and whatever encrypted the source. Fact: EC2-COPY-2, EC2-COPY-6.
func TestCopyEncryptsEverySnapshot(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		primary := newGoldenKey(t, w)
		replica := strings.Replace(primary, "us-east-1", "eu-west-1", 1)
		client := ec2In(w, awssim.PublishingAccount, "eu-west-1")
		for _, name := range []string{
			replica, replica[strings.LastIndexByte(replica, '/')+1:], golden, "arn:aws:kms:eu-west-1:" + awssim.PublishingAccount + ":" + golden,
		} {
			for source, snapshots := range map[string]int{plainImage: 1, managedImage: 2} {
				input := copyOf(source)
				input.KmsKeyId = &name
				copied := copyImage(t, client, input)
				if copied.State != types.ImageStateAvailable || len(copied.BlockDeviceMappings) != snapshots {
					t.Fatalf("the copy of %s under %s is %s, %+v, with %d devices", source, name, copied.State, copied.StateReason, len(copied.BlockDeviceMappings))
				}
				for _, d := range copied.BlockDeviceMappings {
					got := must(client.DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{SnapshotIds: []string{*d.Ebs.SnapshotId}}))(t).Snapshots[0]
					if !aws.ToBool(d.Ebs.Encrypted) || !aws.ToBool(got.Encrypted) || aws.ToString(got.KmsKeyId) != replica {
						t.Errorf("device %s of the copy of %s under %s: key %q, want %s", *d.DeviceName, source, name, aws.ToString(got.KmsKeyId), replica)
					}
				}
			}
		}
	})
}

// A client token stands for one copy in its Region, even if that copy failed or no
// longer exists. A new attempt needs a new token. Fact: EC2-COPY-8, EC2-COPY-12.
func TestCopyClientToken(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		key := newGoldenKey(t, w)
		client := ec2In(w, awssim.PublishingAccount, "us-east-1")
		withToken := func(client *ec2.Client, token, name string) (string, error) {
			input := copyOf(plainImage)
			input.ClientToken, input.Name = &token, &name
			made, err := client.CopyImage(t.Context(), input)
			if err != nil {
				return "", err
			}
			return *made.ImageId, nil
		}
		first := must(withToken(client, "one", "golden"))(t)
		if again := must(withToken(client, "one", "golden"))(t); again != first {
			t.Errorf("the same token made %s and %s", first, again)
		}
		_, err := withToken(client, "one", "silver")
		wantCode(t, err, "IdempotentParameterMismatch")
		if other := must(withToken(client, "two", "golden"))(t); other == first {
			t.Error("another token made no other image of the same name")
		}
		if elsewhere := must(withToken(ec2In(w, awssim.PublishingAccount, "eu-west-1"), "one", "golden"))(t); elsewhere == first {
			t.Error("the token holds in another region")
		}
		must(client.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: &first}))(t)
		if again := must(withToken(client, "one", "golden"))(t); again != first {
			t.Errorf("after deregistration the token made %s, not %s", again, first)
		}

		must(kmsClient(w, awssim.PublishingAccount, "us-east-1").DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: &key}))(t)
		failed := must(withToken(client, "three", "golden"))(t)
		if got := describe(t, client, failed); got.State != types.ImageStateFailed {
			t.Fatalf("the copy under a disabled key is %s", got.State)
		}
		must(kmsClient(w, awssim.PublishingAccount, "us-east-1").EnableKey(t.Context(), &kms.EnableKeyInput{KeyId: &key}))(t)
		if again := must(withToken(client, "three", "golden"))(t); again != failed {
			t.Errorf("the token of the failed copy %s made %s", failed, again)
		}
	})
}

// A copy is invisible at first, then pending with progress, and then available or
// failed. A Region can have its own copy time.
func TestCopyTakesTime(t *testing.T) {
	options := awssim.Options{
		ImageLag: physics.ImageLag, CopyTime: physics.CopyTime, CopyTimes: map[string]time.Duration{"ap-southeast-2": 4 * physics.CopyTime},
	}
	inImageWorld(t, options, func(t *testing.T, w *awssim.World) {
		client, slow := ec2In(w, awssim.PublishingAccount, "eu-west-1"), ec2In(w, awssim.PublishingAccount, "ap-southeast-2")
		start := time.Now()
		newCopy := func(client *ec2.Client, key string) string {
			input := &ec2.CopyImageInput{SourceRegion: aws.String("us-east-1"), SourceImageId: aws.String(plainImage), Name: aws.String("golden")}
			if key != "" {
				input.Encrypted, input.KmsKeyId = aws.Bool(true), &key
			}
			return *must(client.CopyImage(t.Context(), input))(t).ImageId
		}
		good, bad, late := newCopy(client, ""), newCopy(client, "alias/none"), newCopy(slow, "")
		_, err := client.DescribeImages(t.Context(), &ec2.DescribeImagesInput{ImageIds: []string{good}})
		wantCode(t, err, "InvalidAMIID.NotFound")

		check := func(at time.Duration, client *ec2.Client, image string, state types.ImageState, reason bool, snapshot types.SnapshotState, progress string) {
			t.Helper()
			time.Sleep(time.Until(start.Add(at)))
			i := describe(t, client, image)
			s := must(client.DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{SnapshotIds: []string{*i.BlockDeviceMappings[0].Ebs.SnapshotId}}))(t).Snapshots[0]
			if i.State != state || (i.StateReason != nil) != reason || s.State != snapshot || aws.ToString(s.Progress) != progress {
				t.Errorf("after %s: image %s, reason %+v, snapshot %s, %s", at, i.State, i.StateReason, s.State, aws.ToString(s.Progress))
			}
		}
		check(physics.CopyTime/2, client, good, types.ImageStatePending, false, types.SnapshotStatePending, "50%")
		check(physics.CopyTime/2, client, bad, types.ImageStatePending, false, types.SnapshotStatePending, "50%")
		check(physics.CopyTime-time.Nanosecond, client, good, types.ImageStatePending, false, types.SnapshotStatePending, "99%")
		check(physics.CopyTime, client, good, types.ImageStateAvailable, false, types.SnapshotStateCompleted, "100%")
		check(physics.CopyTime, client, bad, types.ImageStateFailed, true, types.SnapshotStateError, "")
		check(physics.CopyTime, slow, late, types.ImageStatePending, false, types.SnapshotStatePending, "25%")
	})
}

// The snapshots of an image can be deleted with it and after it, not before it,
// and not while another image uses them. Fact: EC2-IMG-18 to EC2-IMG-20.
func TestDeregisterImage(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		client := ec2In(w, awssim.PublishingAccount, "us-east-1")
		snapshots := func() []string {
			var ids []string
			for _, s := range w.Snapshot().Snapshots {
				if s.Owner == awssim.PublishingAccount {
					ids = append(ids, s.ID)
				}
			}
			return ids
		}
		device := describe(t, client, managedImage).BlockDeviceMappings
		root, data := device[0].Ebs.SnapshotId, device[1].Ebs.SnapshotId
		_, err := client.DeleteSnapshot(t.Context(), &ec2.DeleteSnapshotInput{SnapshotId: root})
		wantCode(t, err, "InvalidSnapshot.InUse")
		must(client.RegisterImage(t.Context(), &ec2.RegisterImageInput{
			Name: aws.String("second"), RootDeviceName: aws.String("/dev/xvda"), Architecture: types.ArchitectureValuesX8664,
			BlockDeviceMappings: []types.BlockDeviceMapping{{DeviceName: aws.String("/dev/xvda"), Ebs: &types.EbsBlockDevice{SnapshotId: root}}},
		}))(t)

		deregistered := must(client.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{
			ImageId: aws.String(managedImage), DeleteAssociatedSnapshots: aws.Bool(true),
		}))(t)
		results := map[string]types.SnapshotReturnCodes{}
		for _, r := range deregistered.DeleteSnapshotResults {
			results[*r.SnapshotId] = r.ReturnCode
		}
		if results[*root] != types.SnapshotReturnCodesWarnSkipped || results[*data] != types.SnapshotReturnCodesSuccess {
			t.Errorf("deleted snapshots: %v", results)
		}
		if left := snapshots(); slices.Contains(left, *data) || !slices.Contains(left, *root) {
			t.Errorf("the snapshots %v are left", left)
		}

		plain := describe(t, client, plainImage).BlockDeviceMappings[0].Ebs.SnapshotId
		must(client.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: aws.String(plainImage)}))(t)
		if !slices.Contains(snapshots(), *plain) {
			t.Error("the snapshot went with its image, though nobody asked")
		}
		must(client.DeleteSnapshot(t.Context(), &ec2.DeleteSnapshotInput{SnapshotId: plain}))(t)
		if slices.Contains(snapshots(), *plain) {
			t.Error("the snapshot is still there")
		}
	})
}
