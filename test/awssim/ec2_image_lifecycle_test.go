package awssim_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// TestDeregistrationProtection checks that protection with a cooldown stays in force
// for a day.
func TestDeregistrationProtection(t *testing.T) {
	for _, cooldown := range []bool{false, true} {
		inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
			client, id := ec2In(w, awssim.PublishingAccount, "us-east-1"), aws.String(plainImage)
			refused := func() {
				t.Helper()
				_, err := client.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: id})
				wantCode(t, err, "OperationNotPermitted")
			}
			must(client.EnableImageDeregistrationProtection(t.Context(), &ec2.EnableImageDeregistrationProtectionInput{ImageId: id, WithCooldown: &cooldown}))(t)
			want := map[bool]string{false: "enabled-without-cooldown", true: "enabled-with-cooldown"}[cooldown]
			if got := aws.ToString(describe(t, client, plainImage).DeregistrationProtection); got != want {
				t.Errorf("protection is %q, want %q", got, want)
			}
			refused()
			must(client.DisableImageDeregistrationProtection(t.Context(), &ec2.DisableImageDeregistrationProtectionInput{ImageId: id}))(t)
			if cooldown {
				refused()
				time.Sleep(24*time.Hour - time.Second)
				refused()
				time.Sleep(time.Second)
			}
			must(client.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: id}))(t)
		})
	}
}

// TestDeregisterSkipsSharedSnapshots checks that a snapshot of two images goes with the
// last of them.
func TestDeregisterSkipsSharedSnapshots(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		client := ec2In(w, awssim.PublishingAccount, "us-east-1")
		source := describe(t, client, plainImage)
		snapshot := source.BlockDeviceMappings[0].Ebs.SnapshotId
		twin := must(client.RegisterImage(t.Context(), &ec2.RegisterImageInput{
			Name: aws.String("twin"), RootDeviceName: source.RootDeviceName, Architecture: types.ArchitectureValuesX8664,
			VirtualizationType: aws.String("hvm"), EnaSupport: aws.Bool(true), BootMode: types.BootModeValuesUefi,
			BlockDeviceMappings: []types.BlockDeviceMapping{{DeviceName: source.RootDeviceName, Ebs: &types.EbsBlockDevice{SnapshotId: snapshot}}},
			TagSpecifications:   []types.TagSpecification{{ResourceType: types.ResourceTypeImage, Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("1")}}}},
		}))(t).ImageId
		registered := describe(t, client, *twin)
		if registered.State != types.ImageStateAvailable || registered.BootMode != types.BootModeValuesUefi || len(registered.Tags) != 1 {
			t.Errorf("registered %+v", registered)
		}
		deregister := func(id string) types.DeleteSnapshotReturnCode {
			answer := must(client.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: &id, DeleteAssociatedSnapshots: aws.Bool(true)}))(t)
			if n := len(answer.DeleteSnapshotResults); n != 1 {
				t.Fatalf("%d results", n)
			}
			return answer.DeleteSnapshotResults[0]
		}
		got := []types.SnapshotReturnCodes{deregister(plainImage).ReturnCode, deregister(*twin).ReturnCode}
		if diff := cmp.Diff([]types.SnapshotReturnCodes{types.SnapshotReturnCodesWarnSkipped, types.SnapshotReturnCodesSuccess}, got); diff != "" {
			t.Error(diff)
		}
		_, err := client.DeleteSnapshot(t.Context(), &ec2.DeleteSnapshotInput{SnapshotId: snapshot})
		wantCode(t, err, "InvalidSnapshot.NotFound")
	})
}

// TestPublicImages checks that block public access is on until the account turns it
// off, and an encrypted image is never public.
func TestPublicImages(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		client := ec2In(w, awssim.PublishingAccount, "us-east-1")
		newGoldenKey(t, w)
		encrypted := aws.ToString(copyImage(t, client, copyOf(plainImage)).ImageId)
		everybody := types.LaunchPermission{Group: types.PermissionGroupAll}
		state := func() string {
			return aws.ToString(must(client.GetImageBlockPublicAccessState(t.Context(), nil))(t).ImageBlockPublicAccessState)
		}
		if got := state(); got != "block-new-sharing" {
			t.Errorf("at first it is %s", got)
		}
		_, err := client.ModifyImageAttribute(t.Context(), share(plainImage, everybody))
		wantCode(t, err, "OperationNotPermitted")
		must(client.DisableImageBlockPublicAccess(t.Context(), nil))(t)
		must(client.ModifyImageAttribute(t.Context(), share(plainImage, everybody)))(t)
		_, err = client.ModifyImageAttribute(t.Context(), share(encrypted, everybody))
		wantCode(t, err, "InvalidParameter")
		must(client.EnableImageBlockPublicAccess(t.Context(), &ec2.EnableImageBlockPublicAccessInput{
			ImageBlockPublicAccessState: types.ImageBlockPublicAccessEnabledStateBlockNewSharing,
		}))(t)
		if got := state(); got != "block-new-sharing" || !aws.ToBool(describe(t, client, plainImage).Public) {
			t.Errorf("in the end it is %s, and what was public is no more", got)
		}
	})
}

// TestImageAttributes changes the attributes that amazon-ebs changes, with the same
// requests.
func TestImageAttributes(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		client, id := ec2In(w, awssim.PublishingAccount, "us-east-1"), aws.String(plainImage)
		must(client.ModifyImageAttribute(t.Context(), &ec2.ModifyImageAttributeInput{ImageId: id, Description: &types.AttributeValue{Value: aws.String("new")}}))(t)
		must(client.ModifyImageAttribute(t.Context(), &ec2.ModifyImageAttributeInput{ImageId: id, ImdsSupport: &types.AttributeValue{Value: aws.String("v2.0")}}))(t)
		both := share(plainImage, types.LaunchPermission{UserId: aws.String(factMember)})
		both.UserIds = []string{factMember}
		must(client.ModifyImageAttribute(t.Context(), both))(t)
		must(client.ModifyImageAttribute(t.Context(), &ec2.ModifyImageAttributeInput{
			ImageId: id, OperationType: types.OperationTypeAdd, UserIds: []string{awssim.OutsideAccount}, OrganizationArns: []string{awssim.OrganizationARN},
		}))(t)
		must(client.ModifyImageAttribute(t.Context(), &ec2.ModifyImageAttributeInput{
			ImageId: id, OperationType: types.OperationTypeRemove, UserIds: []string{factMember},
		}))(t)
		attribute := func(name types.ImageAttributeName) *ec2.DescribeImageAttributeOutput {
			return must(client.DescribeImageAttribute(t.Context(), &ec2.DescribeImageAttributeInput{ImageId: id, Attribute: name}))(t)
		}
		if got := aws.ToString(attribute(types.ImageAttributeNameDescription).Description.Value); got != "new" {
			t.Errorf("description is %q", got)
		}
		if got := aws.ToString(attribute(types.ImageAttributeNameImdsSupport).ImdsSupport.Value); got != "v2.0" {
			t.Errorf("IMDS support is %q", got)
		}
		var got []string
		for _, p := range attribute(types.ImageAttributeNameLaunchPermission).LaunchPermissions {
			got = append(got, aws.ToString(p.UserId)+aws.ToString(p.OrganizationArn))
		}
		if diff := cmp.Diff([]string{awssim.OutsideAccount, awssim.OrganizationARN}, got); diff != "" {
			t.Errorf("launch permissions (-want +got):\n%s", diff)
		}
		for name, input := range map[string]*ec2.ModifyImageAttributeInput{
			"a list without an operation": {ImageId: id, UserIds: []string{factMember}},
			"another operation":           {ImageId: id, UserIds: []string{factMember}, OperationType: "move"},
			"another attribute":           {ImageId: id, Attribute: aws.String("colour"), Value: aws.String("red")},
		} {
			if _, err := client.ModifyImageAttribute(t.Context(), input); err == nil {
				t.Errorf("no error about %s", name)
			}
		}
	})
}

// TestSnapshotsAreSharedWithAccounts checks that snapshots can't be shared with
// organizations, or at all if aws/ebs encrypts them. Fact: EC2-SHARE-2, EC2-SHARE-13.
func TestSnapshotsAreSharedWithAccounts(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		owner, other := ec2In(w, awssim.PublishingAccount, "us-east-1"), ec2In(w, factMember, "us-east-1")
		plain := snapshotsIn(t, owner, describe(t, owner, plainImage))[0].SnapshotId
		managed := snapshotsIn(t, owner, describe(t, owner, managedImage))[0].SnapshotId
		input := func(id *string, with ...types.CreateVolumePermission) *ec2.ModifySnapshotAttributeInput {
			return &ec2.ModifySnapshotAttributeInput{SnapshotId: id, CreateVolumePermission: &types.CreateVolumePermissionModifications{Add: with}}
		}
		member := types.CreateVolumePermission{UserId: aws.String(factMember)}
		seen := func() int {
			return len(must(other.DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{OwnerIds: []string{awssim.PublishingAccount}}))(t).Snapshots)
		}
		_, err := owner.ModifySnapshotAttribute(t.Context(), input(managed, member))
		wantCode(t, err, "InvalidParameter")
		_, err = owner.ModifySnapshotAttribute(t.Context(), input(plain, types.CreateVolumePermission{UserId: aws.String(awssim.OrganizationID)}))
		wantCode(t, err, "InvalidAMIAttributeItemValue")
		_, err = other.ModifySnapshotAttribute(t.Context(), input(plain, member))
		wantCode(t, err, "InvalidSnapshot.NotFound")
		if n := seen(); n != 0 {
			t.Errorf("the member sees %d snapshots before", n)
		}
		must(owner.ModifySnapshotAttribute(t.Context(), input(plain, member)))(t)
		must(owner.ModifySnapshotAttribute(t.Context(), input(plain, member)))(t) // twice isn't an error
		if n := seen(); n != 1 {
			t.Errorf("the member sees %d snapshots", n)
		}
		_, err = other.DeleteSnapshot(t.Context(), &ec2.DeleteSnapshotInput{SnapshotId: plain})
		wantCode(t, err, "AuthFailure")
		attribute := &ec2.DescribeSnapshotAttributeInput{SnapshotId: plain, Attribute: types.SnapshotAttributeNameCreateVolumePermission}
		got := must(owner.DescribeSnapshotAttribute(t.Context(), attribute))(t).CreateVolumePermissions
		if len(got) != 1 || aws.ToString(got[0].UserId) != factMember {
			t.Errorf("volume permissions are %v", got)
		}
		must(owner.ResetSnapshotAttribute(t.Context(), &ec2.ResetSnapshotAttributeInput{SnapshotId: plain, Attribute: types.SnapshotAttributeNameCreateVolumePermission}))(t)
		if n := seen(); n != 0 {
			t.Errorf("the member sees %d snapshots after", n)
		}
	})
}
