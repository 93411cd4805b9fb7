package awssim_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// TestBuildAnImage makes the calls of Packer's amazon-ebs, in an account with EBS
// encryption by default. The image is encrypted with aws/ebs and can't be shared. Fact:
// EC2-SHARE-2.
func TestBuildAnImage(t *testing.T) {
	inVirtualTime(t, physics, func(t *testing.T, w *awssim.World) {
		client := ec2In(w, awssim.PublishingAccount, "us-east-1")
		base := must(client.DescribeImages(t.Context(), &ec2.DescribeImagesInput{Owners: []string{"amazon"}, Filters: named("al2023-ami-*-x86_64")}))(t).Images[0]
		if aws.ToString(base.ImageId) != awssim.BaseImage("us-east-1") || aws.ToString(base.ImageOwnerAlias) != "amazon" {
			t.Errorf("the base image is %s of %s", aws.ToString(base.ImageId), aws.ToString(base.ImageOwnerAlias))
		}
		key := must(client.CreateKeyPair(t.Context(), &ec2.CreateKeyPairInput{KeyName: aws.String("build")}))(t)
		group := must(client.CreateSecurityGroup(t.Context(), &ec2.CreateSecurityGroupInput{GroupName: aws.String("build"), Description: aws.String("build")}))(t)
		must(client.AuthorizeSecurityGroupIngress(t.Context(), &ec2.AuthorizeSecurityGroupIngressInput{GroupId: group.GroupId, IpPermissions: []types.IpPermission{
			{IpProtocol: aws.String("tcp"), FromPort: aws.Int32(22), ToPort: aws.Int32(22), IpRanges: []types.IpRange{{CidrIp: aws.String("0.0.0.0/0")}}},
		}}))(t)
		input := runInput(*base.ImageId)
		input.KeyName, input.SecurityGroupIds = key.KeyName, []string{*group.GroupId}
		input.TagSpecifications = []types.TagSpecification{
			{ResourceType: types.ResourceTypeInstance, Tags: []types.Tag{{Key: aws.String("Name"), Value: aws.String("build")}}},
			{ResourceType: types.ResourceTypeVolume, Tags: []types.Tag{{Key: aws.String("of"), Value: aws.String("build")}}},
		}
		id := aws.ToString(must(client.RunInstances(t.Context(), input))(t).Instances[0].InstanceId)
		one := &ec2.DescribeInstancesInput{InstanceIds: []string{id}}
		_, err := client.CreateImage(t.Context(), &ec2.CreateImageInput{InstanceId: &id, Name: aws.String("early")})
		wantCode(t, err, "IncorrectInstanceState")

		check(t, ec2.NewInstanceRunningWaiter(client).Wait(t.Context(), one, time.Minute))
		_, err = client.DeleteSecurityGroup(t.Context(), &ec2.DeleteSecurityGroupInput{GroupId: group.GroupId})
		wantCode(t, err, "DependencyViolation")
		must(client.StopInstances(t.Context(), &ec2.StopInstancesInput{InstanceIds: []string{id}}))(t)
		check(t, ec2.NewInstanceStoppedWaiter(client).Wait(t.Context(), one, time.Minute))
		image := aws.ToString(must(client.CreateImage(t.Context(), &ec2.CreateImageInput{InstanceId: &id, Name: aws.String("golden"), Description: aws.String("built")}))(t).ImageId)
		_, err = client.CreateImage(t.Context(), &ec2.CreateImageInput{InstanceId: &id, Name: aws.String("golden")})
		wantCode(t, err, "InvalidAMIName.Duplicate")
		check(t, ec2.NewImageAvailableWaiter(client).Wait(t.Context(), &ec2.DescribeImagesInput{ImageIds: []string{image}}, time.Minute))
		must(client.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{id}}))(t)
		check(t, ec2.NewInstanceTerminatedWaiter(client).Wait(t.Context(), one, time.Minute))
		must(client.DeleteSecurityGroup(t.Context(), &ec2.DeleteSecurityGroupInput{GroupId: group.GroupId}))(t)
		must(client.DeleteKeyPair(t.Context(), &ec2.DeleteKeyPairInput{KeyPairId: key.KeyPairId}))(t)

		built := describe(t, client, image)
		facts := func(i types.Image) []string {
			return []string{string(i.Architecture), string(i.BootMode), aws.ToString(i.RootDeviceName), string(i.RootDeviceType)}
		}
		if diff := cmp.Diff(facts(base), facts(built)); diff != "" {
			t.Errorf("the image differs from its base:\n%s", diff)
		}
		if aws.ToString(built.SourceImageId) != *base.ImageId || aws.ToString(built.SourceInstanceId) != id {
			t.Errorf("the image is of %s, %s", aws.ToString(built.SourceImageId), aws.ToString(built.SourceInstanceId))
		}
		_, err = client.ModifyImageAttribute(t.Context(), share(image, types.LaunchPermission{UserId: aws.String(factMember)}))
		wantCode(t, err, "InvalidParameter")
		if instances := w.Snapshot().Instances; len(instances) > 0 {
			t.Errorf("remaining instances: %v", instances)
		}
	})
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestCreateImageKeepsKeys checks that snapshots have the keys of the volumes, and the
// request may leave out and add devices.
func TestCreateImageKeepsKeys(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		arn := newGoldenKey(t, w)
		client := ec2In(w, awssim.PublishingAccount, "us-east-1")
		source := copyImage(t, client, copyOf(managedImage))
		instance := must(run(t, client, *source.ImageId))(t)
		create := func(name string, devices ...types.BlockDeviceMapping) map[string]string {
			image := must(client.CreateImage(t.Context(), &ec2.CreateImageInput{InstanceId: instance.InstanceId, Name: &name, BlockDeviceMappings: devices}))(t).ImageId
			keys := map[string]string{}
			for _, d := range describe(t, client, *image).BlockDeviceMappings {
				s := must(client.DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{SnapshotIds: []string{*d.Ebs.SnapshotId}}))(t).Snapshots[0]
				keys[*d.DeviceName] = strings.Replace(aws.ToString(s.KmsKeyId), arn, golden, 1)
			}
			return keys
		}
		got := map[string]map[string]string{
			"as it is": create("as it is"),
			"changed": create("changed",
				types.BlockDeviceMapping{DeviceName: aws.String("/dev/xvdb"), NoDevice: aws.String("")},
				types.BlockDeviceMapping{DeviceName: aws.String("/dev/xvdc"), Ebs: &types.EbsBlockDevice{VolumeSize: aws.Int32(5)}}),
		}
		want := map[string]map[string]string{"as it is": {"/dev/xvda": golden, "/dev/xvdb": golden}, "changed": {"/dev/xvda": golden, "/dev/xvdc": ""}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

// TestInstancesRefuse checks that impossible requests are rejected.
func TestInstancesRefuse(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		client := ec2In(w, awssim.PublishingAccount, "us-east-1")
		for name, test := range map[string]struct {
			change func(*ec2.RunInstancesInput)
			code   string
		}{
			"type":         {func(i *ec2.RunInstancesInput) { i.InstanceType = "z9.huge" }, "InvalidParameterValue"},
			"architecture": {func(i *ec2.RunInstancesInput) { i.InstanceType = types.InstanceTypeT4gMicro }, "InvalidParameterValue"},
			"counts":       {func(i *ec2.RunInstancesInput) { i.MinCount = aws.Int32(2) }, "InvalidParameterValue"},
			"key pair":     {func(i *ec2.RunInstancesInput) { i.KeyName = aws.String("none") }, "InvalidKeyPair.NotFound"},
			"group":        {func(i *ec2.RunInstancesInput) { i.SecurityGroupIds = []string{"sg-00000000"} }, "InvalidGroup.NotFound"},
			"subnet":       {func(i *ec2.RunInstancesInput) { i.SubnetId = aws.String("subnet-00000000") }, "InvalidSubnetID.NotFound"},
			"zone": {func(i *ec2.RunInstancesInput) {
				i.Placement = &types.Placement{AvailabilityZone: aws.String("us-east-1z")}
			}, "InvalidParameterValue"},
			"smaller volume": {func(i *ec2.RunInstancesInput) {
				i.BlockDeviceMappings = []types.BlockDeviceMapping{{DeviceName: aws.String("/dev/xvda"), Ebs: &types.EbsBlockDevice{VolumeSize: aws.Int32(1)}}}
			}, "InvalidBlockDeviceMapping"},
			"tags of what": {func(i *ec2.RunInstancesInput) {
				i.TagSpecifications = []types.TagSpecification{{ResourceType: types.ResourceTypeImage}}
			}, "InvalidParameterValue"},
		} {
			input := runInput(plainImage)
			test.change(input)
			if _, err := client.RunInstances(t.Context(), input); err == nil {
				t.Errorf("no error about the %s", name)
			} else {
				wantCode(t, err, test.code)
			}
		}
		instance := must(run(t, client, plainImage))(t)
		id := []string{*instance.InstanceId}
		_, err := client.ModifyInstanceAttribute(t.Context(), &ec2.ModifyInstanceAttributeInput{InstanceId: &id[0], EnaSupport: &types.AttributeBooleanValue{Value: aws.Bool(false)}})
		wantCode(t, err, "IncorrectInstanceState")
		must(client.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: id}))(t)
		must(client.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: id}))(t) // twice isn't an error
		_, err = client.StopInstances(t.Context(), &ec2.StopInstancesInput{InstanceIds: id})
		wantCode(t, err, "IncorrectInstanceState")
		_, err = ec2In(w, factMember, "us-east-1").TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: id})
		wantCode(t, err, "InvalidInstanceID.NotFound")
	})
}

// TestRunInstancesClientToken launches once.
func TestRunInstancesClientToken(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		client := ec2In(w, awssim.PublishingAccount, "us-east-1")
		ids := func() []string {
			input := runInput(plainImage)
			input.ClientToken, input.MinCount, input.MaxCount = aws.String("one"), aws.Int32(2), aws.Int32(2)
			var ids []string
			for _, i := range must(client.RunInstances(t.Context(), input))(t).Instances {
				ids = append(ids, *i.InstanceId)
			}
			return ids
		}
		first := ids()
		if diff := cmp.Diff(first, ids()); len(first) != 2 || diff != "" {
			t.Errorf("the second call launched others:\n%s", diff)
		}
		if n := len(w.Snapshot().Instances); n != 2 {
			t.Errorf("%d instances", n)
		}
	})
}
