package canary

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/wait"
)

// runInstance launches with RunInstances, in one zone after the other until one has
// capacity.
func (a *attempt) runInstance(ctx context.Context) (ending, error) {
	var end ending
	for _, in := range a.subnets {
		var err error
		start := time.Now()
		if end, err = a.runIn(ctx, in); err == nil && end.Outcome == "" {
			end, err = a.watch(ctx, end, start)
		}
		if err != nil || !end.elsewhere {
			return end, err
		}
	}
	return end, nil
}

// runIn starts an instance. The outcome is empty if it was started.
func (a *attempt) runIn(ctx context.Context, in subnet) (ending, error) {
	end := ending{Launch: a.result(ByRunInstances, "", "")}
	end.InstanceType, end.Zone = string(a.instanceType), in.zone
	starting, done := lingering(ctx, answerGrace)
	defer done()
	input := &ec2.RunInstancesInput{
		ImageId: &a.image.ID, InstanceType: a.instanceType, MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
		ClientToken: aws.String(a.name(a.number) + "-" + in.zone), InstanceInitiatedShutdownBehavior: types.ShutdownBehaviorTerminate,
		NetworkInterfaces: []types.InstanceNetworkInterfaceSpecification{{
			DeviceIndex: aws.Int32(0), SubnetId: &in.id, Groups: []string{a.group}, AssociatePublicIpAddress: aws.Bool(false), DeleteOnTermination: aws.Bool(true),
		}},
		MetadataOptions:   &types.InstanceMetadataOptionsRequest{HttpTokens: types.HttpTokensStateRequired, HttpEndpoint: types.InstanceMetadataEndpointStateEnabled},
		TagSpecifications: specify(a.tags(a.number), types.ResourceTypeInstance, types.ResourceTypeVolume, types.ResourceTypeNetworkInterface),
	}
	for _, device := range a.devices() {
		input.BlockDeviceMappings = append(input.BlockDeviceMappings, types.BlockDeviceMapping{DeviceName: &device, Ebs: &types.EbsBlockDevice{DeleteOnTermination: aws.Bool(true)}})
	}
	var answer *ec2.RunInstancesOutput
	err := wait.Until(starting, wait.Policy{Interval: 5 * time.Second, Timeout: visibility}, func(inner context.Context) (string, error) {
		if ctx.Err() != nil {
			return "", context.Cause(ctx) // start no more
		}
		var err error
		answer, err = a.client.RunInstances(inner, input)
		if awsclient.Is(err, awsclient.CodeImageNotFound, awsclient.CodeImageUnavailable, "InvalidGroup.NotFound") {
			return refusal(err), nil // the permission or the group may be too new
		}
		return "", err
	})
	timeout, late := errors.AsType[*wait.TimeoutError](err)
	switch {
	case late:
		end.Outcome, end.Reason = Failed, timeout.Pending
		return end, nil
	case awsclient.IsClientError(err), awsclient.Is(err, capacityCodes...):
		end.Outcome, end.Reason = Failed, refusal(err)
		if awsclient.Is(err, unsupported) || isCapacity(end.Reason) {
			end.Outcome, end.elsewhere = Inconclusive, true
		}
		return end, nil
	case err != nil:
		a.unsure()
		return end, awsclient.Wrap(err, "launching the canary of %s in %s in account %s", a.image.ID, in.zone, a.Account)
	case len(answer.Instances) != 1 || aws.ToString(answer.Instances[0].InstanceId) == "":
		return end, awsclient.Incomplete("EC2 RunInstances", a.region, "the instance's ID")
	}
	end.InstanceID = *answer.Instances[0].InstanceId
	a.creates(resources{instances: []string{end.InstanceID}})
	return end, nil
}

// devices are the names of the image's volumes.
func (a *attempt) devices() []string {
	var names []string
	for _, s := range a.image.Snapshots {
		names = append(names, s.Device)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// refusal is the error that AWS returned.
func refusal(err error) string {
	return strings.TrimPrefix(awsclient.Wrap(err, "launch").Error(), "launch: ")
}

// watch waits until the instance runs and its system status is ok, or it won't.
func (a *attempt) watch(ctx context.Context, end ending, start time.Time) (ending, error) {
	err := wait.Until(ctx, wait.Policy{Interval: 5 * time.Second}, func(ctx context.Context) (string, error) {
		instance, err := a.describe(ctx, end.InstanceID)
		if err != nil {
			return "", err
		}
		if instance == nil {
			return "the instance isn't visible", nil
		}
		switch instance.State.Name {
		case types.InstanceStateNameRunning:
			if end.Running == 0 {
				end.Running = time.Since(start)
			}
			return a.systemStatus(ctx, &end)
		case types.InstanceStateNameShuttingDown, types.InstanceStateNameTerminated, types.InstanceStateNameStopping, types.InstanceStateNameStopped:
			end.died(instance)
			return "", nil
		default:
			return "the instance is " + string(instance.State.Name), nil
		}
	})
	return end, err
}

// describe reads the instance; nil if it isn't visible.
func (a *attempt) describe(ctx context.Context, id string) (*types.Instance, error) {
	answer, err := a.client.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{id}})
	if awsclient.Is(err, "InvalidInstanceID.NotFound") {
		return nil, nil
	}
	if err != nil {
		return nil, awsclient.Wrap(err, "reading the canary %s in %s in account %s", id, a.region, a.Account)
	}
	for _, reservation := range answer.Reservations {
		for _, instance := range reservation.Instances {
			if aws.ToString(instance.InstanceId) == id && instance.State != nil {
				return &instance, nil
			}
		}
	}
	return nil, nil
}

// systemStatus returns what is pending in the system status check. Fact: EC2-INST-1.
func (a *attempt) systemStatus(ctx context.Context, end *ending) (pending string, err error) {
	answer, err := a.client.DescribeInstanceStatus(ctx, &ec2.DescribeInstanceStatusInput{InstanceIds: []string{end.InstanceID}})
	if err != nil && !awsclient.Is(err, "InvalidInstanceID.NotFound") {
		return "", awsclient.Wrap(err, "reading the status of the canary %s in %s in account %s", end.InstanceID, a.region, a.Account)
	}
	status := types.SummaryStatusInitializing
	if err == nil && len(answer.InstanceStatuses) == 1 && answer.InstanceStatuses[0].SystemStatus != nil {
		status = answer.InstanceStatuses[0].SystemStatus.Status
	}
	switch status {
	case types.SummaryStatusOk:
		end.Outcome = Launched
		return "", nil
	case types.SummaryStatusImpaired: // of AWS's host
		end.Outcome, end.Reason, end.elsewhere = Inconclusive, "the instance is running, but its system status is impaired", true
		return "", nil
	default:
		return "its system status is " + string(status), nil
	}
}

// died returns why the instance isn't running.
func (e *ending) died(instance *types.Instance) {
	code, message := "", ""
	if reason := instance.StateReason; reason != nil {
		code, message = aws.ToString(reason.Code), aws.ToString(reason.Message)
	}
	e.Outcome, e.Reason = Failed, message
	if !strings.HasPrefix(message, code) || message == "" {
		e.Reason = strings.Trim(code+": "+message, ": ")
	}
	switch {
	case code == "Client.UserInitiatedShutdown":
		e.Outcome, e.interrupted = Inconclusive, true
		e.Reason = "another principal terminated the instance: " + e.Reason
	case strings.HasPrefix(code, "Server."), isCapacity(e.Reason):
		e.Outcome, e.elsewhere = Inconclusive, true
	case e.Reason == "":
		e.Outcome, e.Reason = Inconclusive, fmt.Sprintf("the instance is %s, and EC2 returns no reason", instance.State.Name)
	}
}
