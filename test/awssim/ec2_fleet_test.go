package awssim_test

import (
	"encoding/base64"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// nodeTemplate is a launch template as Karpenter creates it.
func nodeTemplate(t *testing.T, client *ec2.Client, name, image string) *types.LaunchTemplate {
	t.Helper()
	tags := []types.Tag{{Key: aws.String("node"), Value: aws.String("yes")}}
	return must(client.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: &name,
		LaunchTemplateData: &types.RequestLaunchTemplateData{
			ImageId: &image, InstanceType: types.InstanceTypeT3Micro, UserData: aws.String(base64.StdEncoding.EncodeToString([]byte("#!/bin/sh"))),
			IamInstanceProfile:  &types.LaunchTemplateIamInstanceProfileSpecificationRequest{Name: aws.String("node")},
			Monitoring:          &types.LaunchTemplatesMonitoringRequest{Enabled: aws.Bool(false)},
			MetadataOptions:     &types.LaunchTemplateInstanceMetadataOptionsRequest{HttpEndpoint: "enabled", HttpTokens: "required", HttpPutResponseHopLimit: aws.Int32(1), HttpProtocolIpv6: "disabled"},
			BlockDeviceMappings: []types.LaunchTemplateBlockDeviceMappingRequest{{DeviceName: aws.String("/dev/xvda"), Ebs: &types.LaunchTemplateEbsBlockDeviceRequest{Encrypted: aws.Bool(true), VolumeSize: aws.Int32(20), VolumeType: "gp3", DeleteOnTermination: aws.Bool(true)}}},
			NetworkInterfaces:   []types.LaunchTemplateInstanceNetworkInterfaceSpecificationRequest{{DeviceIndex: aws.Int32(0), AssociatePublicIpAddress: aws.Bool(false)}},
			TagSpecifications:   []types.LaunchTemplateTagSpecificationRequest{{ResourceType: "instance", Tags: tags}, {ResourceType: "volume", Tags: tags}},
		},
		TagSpecifications: []types.TagSpecification{{ResourceType: "launch-template", Tags: tags}},
	}))(t).LaunchTemplate
}

// TestLaunchTemplatesReturnWhatTheyGot checks that templates return their parameters,
// and that a version takes missing ones from its source.
func TestLaunchTemplatesReturnWhatTheyGot(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		client := ec2In(w, awssim.PublishingAccount, "us-east-1")
		nodeTemplate(t, client, "node", plainImage)
		must(client.CreateLaunchTemplateVersion(t.Context(), &ec2.CreateLaunchTemplateVersionInput{
			LaunchTemplateName: aws.String("node"), SourceVersion: aws.String("1"),
			LaunchTemplateData: &types.RequestLaunchTemplateData{InstanceType: types.InstanceTypeT3Nano},
		}))(t)
		got := must(client.DescribeLaunchTemplateVersions(t.Context(), &ec2.DescribeLaunchTemplateVersionsInput{
			LaunchTemplateName: aws.String("node"), Versions: []string{"$Latest"},
		}))(t).LaunchTemplateVersions[0].LaunchTemplateData
		tags := []types.Tag{{Key: aws.String("node"), Value: aws.String("yes")}}
		want := &types.ResponseLaunchTemplateData{
			ImageId: aws.String(plainImage), InstanceType: types.InstanceTypeT3Nano, UserData: aws.String("IyEvYmluL3No"),
			IamInstanceProfile:  &types.LaunchTemplateIamInstanceProfileSpecification{Name: aws.String("node")},
			Monitoring:          &types.LaunchTemplatesMonitoring{Enabled: aws.Bool(false)},
			MetadataOptions:     &types.LaunchTemplateInstanceMetadataOptions{HttpEndpoint: "enabled", HttpTokens: "required", HttpPutResponseHopLimit: aws.Int32(1), HttpProtocolIpv6: "disabled"},
			BlockDeviceMappings: []types.LaunchTemplateBlockDeviceMapping{{DeviceName: aws.String("/dev/xvda"), Ebs: &types.LaunchTemplateEbsBlockDevice{Encrypted: aws.Bool(true), VolumeSize: aws.Int32(20), VolumeType: "gp3", DeleteOnTermination: aws.Bool(true)}}},
			NetworkInterfaces:   []types.LaunchTemplateInstanceNetworkInterfaceSpecification{{DeviceIndex: aws.Int32(0), AssociatePublicIpAddress: aws.Bool(false)}},
			TagSpecifications:   []types.LaunchTemplateTagSpecification{{ResourceType: "instance", Tags: tags}, {ResourceType: "volume", Tags: tags}},
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(
			types.ResponseLaunchTemplateData{}, types.LaunchTemplateIamInstanceProfileSpecification{}, types.LaunchTemplatesMonitoring{}, types.LaunchTemplateInstanceMetadataOptions{},
			types.LaunchTemplateBlockDeviceMapping{}, types.LaunchTemplateEbsBlockDevice{}, types.LaunchTemplateInstanceNetworkInterfaceSpecification{}, types.LaunchTemplateTagSpecification{}, types.Tag{},
		)); diff != "" {
			t.Errorf("the template has (-want +got):\n%s", diff)
		}
	})
}

// TestRunInstancesFromATemplate checks that the request's parameters replace the
// template's.
func TestRunInstancesFromATemplate(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		client := ec2In(w, awssim.PublishingAccount, "us-east-1")
		template := nodeTemplate(t, client, "node", plainImage)
		must(client.CreateLaunchTemplateVersion(t.Context(), &ec2.CreateLaunchTemplateVersionInput{
			LaunchTemplateName: aws.String("node"), LaunchTemplateData: &types.RequestLaunchTemplateData{ImageId: aws.String(managedImage), InstanceType: types.InstanceTypeT3Small},
		}))(t)
		launch := func(input ec2.RunInstancesInput) (string, error) {
			input.MinCount, input.MaxCount = aws.Int32(1), aws.Int32(1)
			answer, err := client.RunInstances(t.Context(), &input)
			if err != nil {
				return "", err
			}
			i := describeInstance(t, client, *answer.Instances[0].InstanceId)
			return *i.ImageId + " " + string(i.InstanceType), nil
		}
		for reference, want := range map[types.LaunchTemplateSpecification]string{
			{LaunchTemplateId: template.LaunchTemplateId}:                                      plainImage + " t3.micro",
			{LaunchTemplateName: aws.String("node"), Version: aws.String("$Latest")}:           managedImage + " t3.small",
			{LaunchTemplateName: template.LaunchTemplateName, Version: aws.String("$Default")}: plainImage + " t3.micro",
		} {
			if got := must(launch(ec2.RunInstancesInput{LaunchTemplate: &reference}))(t); got != want {
				t.Errorf("the template launches %s, want %s", got, want)
			}
		}
		reference := &types.LaunchTemplateSpecification{LaunchTemplateName: aws.String("node")}
		if got := must(launch(ec2.RunInstancesInput{LaunchTemplate: reference, InstanceType: types.InstanceTypeT3Nano}))(t); got != plainImage+" t3.nano" {
			t.Errorf("with another type the template launches %s", got)
		}
		for _, i := range w.Snapshot().Instances {
			if i.ImageID == plainImage && (i.UserData == "" || i.MetadataTokens != "required" || i.PublicAddress || i.Tags["node"] != "yes") {
				t.Errorf("an instance of the template is %+v", i)
			}
		}
		_, err := launch(ec2.RunInstancesInput{LaunchTemplate: &types.LaunchTemplateSpecification{LaunchTemplateName: aws.String("node"), Version: aws.String("3")}})
		wantCode(t, err, "InvalidLaunchTemplateId.VersionNotFound")
		_, err = launch(ec2.RunInstancesInput{LaunchTemplate: reference, SecurityGroupIds: []string{"sg-1"}})
		wantCode(t, err, "InvalidParameterCombination")
		_, err = launch(ec2.RunInstancesInput{InstanceType: types.InstanceTypeT3Nano})
		wantCode(t, err, "MissingParameter")
	})
}

// TestInstantFleets checks that fleets launch as their caller, and that a zone without
// capacity is an error of its override.
func TestInstantFleets(t *testing.T) {
	inImageWorld(t, awssim.Options{BuildTime: time.Minute}, func(t *testing.T, w *awssim.World) {
		l := newLaunch(t, w)
		client := l.member(t)
		nodeTemplate(t, client, "node", l.image)
		fleet := func(capacity types.DefaultTargetCapacityType) (*ec2.CreateFleetOutput, error) {
			subnets := must(client.DescribeSubnets(t.Context(), nil))(t).Subnets
			config := types.FleetLaunchTemplateConfigRequest{
				LaunchTemplateSpecification: &types.FleetLaunchTemplateSpecificationRequest{LaunchTemplateName: aws.String("node"), Version: aws.String("$Latest")},
			}
			for _, s := range subnets {
				config.Overrides = append(config.Overrides, types.FleetLaunchTemplateOverridesRequest{
					InstanceType: types.InstanceTypeT3Small, SubnetId: s.SubnetId, AvailabilityZone: s.AvailabilityZone, Priority: aws.Float64(1),
				})
			}
			return client.CreateFleet(t.Context(), &ec2.CreateFleetInput{
				Type: types.FleetTypeInstant, LaunchTemplateConfigs: []types.FleetLaunchTemplateConfigRequest{config},
				OnDemandOptions:             &types.OnDemandOptionsRequest{AllocationStrategy: "lowest-price"},
				TargetCapacitySpecification: &types.TargetCapacitySpecificationRequest{DefaultTargetCapacityType: capacity, TotalTargetCapacity: aws.Int32(1)},
				TagSpecifications:           []types.TagSpecification{{ResourceType: "instance", Tags: []types.Tag{{Key: aws.String("claim"), Value: aws.String("1")}}}},
			})
		}
		w.WithoutCapacity(awssim.CapacityFile{Zone: "us-east-1a"})
		answer := must(fleet(types.DefaultTargetCapacityTypeOnDemand))(t)
		if len(answer.Errors) != 1 || aws.ToString(answer.Errors[0].ErrorCode) != "InsufficientInstanceCapacity" || aws.ToString(answer.Errors[0].LaunchTemplateAndOverrides.Overrides.AvailabilityZone) != "us-east-1a" {
			t.Errorf("the errors are %+v", answer.Errors)
		}
		if len(answer.Instances) != 1 || answer.Instances[0].Lifecycle != types.InstanceLifecycleOnDemand || len(answer.Instances[0].InstanceIds) != 1 {
			t.Fatalf("the instances are %+v", answer.Instances)
		}
		id := answer.Instances[0].InstanceIds[0]
		time.Sleep(time.Minute)
		if got := describeInstance(t, client, id); got.State.Name != types.InstanceStateNameRunning || *got.Placement.AvailabilityZone != "us-east-1b" || got.InstanceType != types.InstanceTypeT3Small {
			t.Errorf("the fleet's instance is %s, %s in %s: %s", got.State.Name, got.InstanceType, *got.Placement.AvailabilityZone, w.Diagnosis(id))
		}
		// For Spot, the role must exist, and needs a grant. Fact: FLEET-5, LAUNCH-18.
		answer = must(fleet(types.DefaultTargetCapacityTypeSpot))(t)
		if len(answer.Instances) != 0 || len(answer.Errors) != 3 || aws.ToString(answer.Errors[1].ErrorCode) != "AuthFailure.ServiceLinkedRoleCreationNotPermitted" {
			t.Errorf("without the Spot role: %+v, %+v", answer.Instances, answer.Errors)
		}
		must(iam.NewFromConfig(config(w, factMember, "us-east-1")).CreateServiceLinkedRole(t.Context(), &iam.CreateServiceLinkedRoleInput{AWSServiceName: aws.String("spot.amazonaws.com")}))(t)
		spot := must(fleet(types.DefaultTargetCapacityTypeSpot))(t).Instances[0].InstanceIds[0]
		time.Sleep(time.Minute)
		if got := describeInstance(t, client, spot); got.State.Name != types.InstanceStateNameTerminated || got.InstanceLifecycle != types.InstanceLifecycleTypeSpot {
			t.Errorf("without the Spot role's grant the instance is %s %s", got.InstanceLifecycle, got.State.Name)
		}
		l.role = "arn:aws:iam::" + factMember + ":role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot"
		l.grant(t, l.key, launchGrantOperations)
		spot = must(fleet(types.DefaultTargetCapacityTypeSpot))(t).Instances[0].InstanceIds[0]
		time.Sleep(time.Minute)
		if got := describeInstance(t, client, spot); got.State.Name != types.InstanceStateNameRunning {
			t.Errorf("with its grant the instance is %s: %s", got.State.Name, w.Diagnosis(spot))
		}
	})
}
