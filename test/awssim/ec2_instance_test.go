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

// TestInstanceStates checks the states of an instance, each of which takes time.
func TestInstanceStates(t *testing.T) {
	inImageWorld(t, awssim.Options{BuildTime: physics.BuildTime}, func(t *testing.T, w *awssim.World) {
		client := ec2In(w, awssim.PublishingAccount, "us-east-1")
		id := *must(run(t, client, plainImage))(t).InstanceId
		ids := []string{id}
		state := func() types.InstanceStateName { return describeInstance(t, client, id).State.Name }
		var got []types.InstanceStateName
		observe := func() {
			got = append(got, state())
			time.Sleep(physics.BuildTime)
			got = append(got, state())
		}
		observe()
		running := must(client.DescribeInstanceStatus(t.Context(), nil))(t).InstanceStatuses
		if len(running) != 1 || running[0].InstanceStatus.Status != types.SummaryStatusOk {
			t.Errorf("status of the running instance: %v", running)
		}
		must(client.StopInstances(t.Context(), &ec2.StopInstancesInput{InstanceIds: ids}))(t)
		observe()
		if n := len(must(client.DescribeInstanceStatus(t.Context(), nil))(t).InstanceStatuses); n != 0 {
			t.Errorf("%d statuses while it is stopped", n)
		}
		must(client.ModifyInstanceAttribute(t.Context(), &ec2.ModifyInstanceAttributeInput{InstanceId: &id, EnaSupport: &types.AttributeBooleanValue{Value: aws.Bool(false)}}))(t)
		if aws.ToBool(describeInstance(t, client, id).EnaSupport) {
			t.Error("ENA support cannot be changed")
		}
		must(client.StartInstances(t.Context(), &ec2.StartInstancesInput{InstanceIds: ids}))(t)
		observe()
		must(client.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: ids}))(t)
		observe()
		want := []types.InstanceStateName{"pending", "running", "stopping", "stopped", "pending", "running", "shutting-down", "terminated"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("states (-want +got):\n%s", diff)
		}
		if reason := describeInstance(t, client, id).StateReason; aws.ToString(reason.Code) != "Client.UserInitiatedShutdown" {
			t.Errorf("the reason is %v", reason)
		}
	})
}

// TestVolumesOutliveInstances checks that volumes without DeleteOnTermination outlive
// their instances.
func TestVolumesOutliveInstances(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		client := ec2In(w, awssim.PublishingAccount, "us-east-1")
		input := runInput(plainImage)
		input.BlockDeviceMappings = []types.BlockDeviceMapping{
			{DeviceName: aws.String("/dev/xvdb"), Ebs: &types.EbsBlockDevice{VolumeSize: aws.Int32(4), DeleteOnTermination: aws.Bool(false)}},
		}
		instance := describeInstance(t, client, *must(client.RunInstances(t.Context(), input))(t).Instances[0].InstanceId)
		var kept *string
		for _, d := range instance.BlockDeviceMappings {
			if *d.DeviceName == "/dev/xvdb" {
				kept = d.Ebs.VolumeId
			}
		}
		_, err := client.DeleteVolume(t.Context(), &ec2.DeleteVolumeInput{VolumeId: kept})
		wantCode(t, err, "VolumeInUse")
		must(client.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{*instance.InstanceId}}))(t)
		left := must(client.DescribeVolumes(t.Context(), nil))(t).Volumes
		if len(left) != 1 || *left[0].VolumeId != *kept || left[0].State != types.VolumeStateAvailable {
			t.Errorf("left are %v", left)
		}
		snapshot := must(client.CreateSnapshot(t.Context(), &ec2.CreateSnapshotInput{VolumeId: kept, Description: aws.String("kept")}))(t)
		if aws.ToInt32(snapshot.VolumeSize) != 4 || aws.ToBool(snapshot.Encrypted) {
			t.Errorf("its snapshot is %v", snapshot)
		}
		must(client.DeleteVolume(t.Context(), &ec2.DeleteVolumeInput{VolumeId: kept}))(t)
	})
}
