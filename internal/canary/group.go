package canary

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	asgtypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/wait"
)

// runGroup launches through an Auto Scaling group of one instance.
func (a *attempt) runGroup(ctx context.Context) (ending, error) {
	end := ending{Launch: a.result(ByAutoScaling, "", "")}
	end.InstanceType = string(a.instanceType)
	template, err := a.createTemplate(ctx)
	if err != nil {
		return end, err
	}
	start := time.Now()
	if err := a.createGroup(ctx, &end, template); err != nil || end.Outcome != "" {
		return end, err
	}
	if err := a.awaitActivity(ctx, &end); err != nil || end.Outcome != "" {
		return end, err
	}
	return a.watch(ctx, end, start)
}

// createTemplate creates the launch template of the group. It has the parameters that
// [attempt.runIn] sends.
func (a *attempt) createTemplate(ctx context.Context) (string, error) {
	creating, done := lingering(ctx, answerGrace)
	defer done()
	name, tags := a.name(a.number), a.tags(a.number)
	data := &types.RequestLaunchTemplateData{
		ImageId: &a.image.ID, InstanceType: a.instanceType, InstanceInitiatedShutdownBehavior: types.ShutdownBehaviorTerminate,
		NetworkInterfaces: []types.LaunchTemplateInstanceNetworkInterfaceSpecificationRequest{{
			DeviceIndex: aws.Int32(0), Groups: []string{a.group}, AssociatePublicIpAddress: aws.Bool(false), DeleteOnTermination: aws.Bool(true),
		}},
		MetadataOptions: &types.LaunchTemplateInstanceMetadataOptionsRequest{
			HttpTokens: types.LaunchTemplateHttpTokensStateRequired, HttpEndpoint: types.LaunchTemplateInstanceMetadataEndpointStateEnabled,
		},
	}
	for _, kind := range []types.ResourceType{types.ResourceTypeInstance, types.ResourceTypeVolume, types.ResourceTypeNetworkInterface} {
		data.TagSpecifications = append(data.TagSpecifications, types.LaunchTemplateTagSpecificationRequest{ResourceType: kind, Tags: ec2Tags(tags)})
	}
	for _, device := range a.devices() {
		data.BlockDeviceMappings = append(data.BlockDeviceMappings, types.LaunchTemplateBlockDeviceMappingRequest{
			DeviceName: &device, Ebs: &types.LaunchTemplateEbsBlockDeviceRequest{DeleteOnTermination: aws.Bool(true)},
		})
	}
	answer, err := a.client.CreateLaunchTemplate(creating, &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: &name, ClientToken: &name, LaunchTemplateData: data, TagSpecifications: specify(tags, types.ResourceTypeLaunchTemplate),
	})
	if err != nil {
		a.unsure()
		return "", awsclient.Wrap(err, "creating a launch template for the canary in %s in account %s", a.region, a.Account)
	}
	if answer.LaunchTemplate == nil || aws.ToString(answer.LaunchTemplate.LaunchTemplateId) == "" {
		return "", awsclient.Incomplete("EC2 CreateLaunchTemplate", a.region, "LaunchTemplateId")
	}
	id := *answer.LaunchTemplate.LaunchTemplateId
	a.creates(resources{templates: []string{id}})
	return id, nil
}

// createGroup creates the group. Auto Scaling rejects a template that couldn't
// launch, for example because the image isn't visible yet. Fact: ASG-2.
func (a *attempt) createGroup(ctx context.Context, end *ending, template string) error {
	creating, done := lingering(ctx, answerGrace)
	defer done()
	name, tags := a.name(a.number), a.tags(a.number)
	input := &autoscaling.CreateAutoScalingGroupInput{
		AutoScalingGroupName: &name, MinSize: aws.Int32(1), MaxSize: aws.Int32(1), DesiredCapacity: aws.Int32(1),
		LaunchTemplate:    &asgtypes.LaunchTemplateSpecification{LaunchTemplateId: &template, Version: aws.String("1")},
		VPCZoneIdentifier: aws.String(strings.Join(a.subnetIDs(), ",")),
	}
	for _, t := range ec2Tags(tags) {
		input.Tags = append(input.Tags, asgtypes.Tag{Key: t.Key, Value: t.Value, PropagateAtLaunch: aws.Bool(false)})
	}
	err := wait.Until(creating, wait.Policy{Interval: 5 * time.Second, Timeout: visibility}, func(inner context.Context) (string, error) {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		_, err := a.groups.CreateAutoScalingGroup(inner, input)
		switch {
		case awsclient.Is(err, "ValidationError"):
			return refusal(err), nil
		case awsclient.Is(err, "AlreadyExists"), awsclient.Is(err, "AlreadyExistsFault"):
			return "", nil // a response was lost: the name is the attempt's own
		default:
			return "", awsclient.Wrap(err, "creating an Auto Scaling group for the canary in %s in account %s", a.region, a.Account)
		}
	})
	timeout, late := errors.AsType[*wait.TimeoutError](err)
	switch {
	case late:
		end.Outcome, end.Reason = Failed, timeout.Pending
		return nil
	case err == nil:
		a.creates(resources{scalingGroups: []string{name}})
	case !awsclient.IsClientError(err):
		a.unsure()
	}
	return err
}

// awaitActivity waits until the group has launched an instance or can't. A failure
// caused by a key doesn't count while the grant is new, because the group tries again.
// Fact: ASG-4 to ASG-6, GRANT-24.
func (a *attempt) awaitActivity(ctx context.Context, end *ending) error {
	name := a.name(a.number)
	err := wait.Until(ctx, wait.Policy{Interval: 5 * time.Second}, func(ctx context.Context) (string, error) {
		answer, err := a.groups.DescribeScalingActivities(ctx, &autoscaling.DescribeScalingActivitiesInput{AutoScalingGroupName: &name})
		switch {
		case awsclient.Is(err, "ValidationError"):
			return "the Auto Scaling group isn't visible", nil
		case err != nil:
			return "", awsclient.Wrap(err, "reading the activities of the Auto Scaling group %s in %s in account %s", name, a.region, a.Account)
		case len(answer.Activities) == 0:
			return "the Auto Scaling group hasn't launched an instance", nil
		}
		newest := answer.Activities[0]
		switch newest.StatusCode {
		case asgtypes.ScalingActivityStatusCodeSuccessful:
			return a.findScaled(ctx, end)
		case asgtypes.ScalingActivityStatusCodeFailed, asgtypes.ScalingActivityStatusCodeCancelled:
			end.InstanceID, end.Reason = instanceIn(aws.ToString(newest.Description)), aws.ToString(newest.StatusMessage)
			switch {
			case isKeyError(end.Reason) && time.Since(a.GrantedAt[a.region]) < keyPatience:
				return "the grant is new: " + end.Reason, nil
			case strings.Contains(end.Reason, "Client.UserInitiatedShutdown"):
				end.Outcome, end.interrupted = Inconclusive, true
			case isCapacity(end.Reason), strings.Contains(end.Reason, "Server."), end.Reason == "":
				end.Outcome = Inconclusive
			default:
				end.Outcome = Failed
			}
			return "", nil
		default:
			return fmt.Sprintf("the launch of the Auto Scaling group is %s", newest.StatusCode), nil
		}
	})
	return err
}

// findScaled finds the group's instance.
func (a *attempt) findScaled(ctx context.Context, end *ending) (pending string, err error) {
	answer, err := a.groups.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{a.name(a.number)}})
	if err != nil {
		return "", awsclient.Wrap(err, "reading the Auto Scaling group %s in %s in account %s", a.name(a.number), a.region, a.Account)
	}
	for _, group := range answer.AutoScalingGroups {
		for _, instance := range group.Instances {
			if id := aws.ToString(instance.InstanceId); id != "" && instance.LifecycleState == asgtypes.LifecycleStateInService {
				end.InstanceID, end.Zone, end.Reason = id, aws.ToString(instance.AvailabilityZone), ""
				return "", nil
			}
		}
	}
	return "the Auto Scaling group doesn't show its instance", nil
}

// instanceIn returns the instance that an activity's description names, or "".
func instanceIn(description string) string {
	for _, word := range strings.FieldsFunc(description, func(r rune) bool { return strings.ContainsRune(" .,:;\"", r) }) {
		if strings.HasPrefix(word, "i-") {
			return word
		}
	}
	return ""
}
