package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/orgami/packer-plugin-orgami/internal/record/manifest"
)

// launcher launches an instance and returns why that failed, or "" if the instance
// runs.
type launcher struct {
	name   string
	launch func(ctx context.Context, s *simulator, account, region, image string) (failure string, err error)
}

var launchers = []launcher{
	{"Karpenter", launchAsKarpenter},
	{"EC2 Auto Scaling", serviceLinked("AWSServiceRoleForAutoScaling")},
	{"ECS auto scaling", serviceLinked("AWSServiceRoleForApplicationAutoScaling_ECSService")},
}

// karpenterRole is the role that Karpenter launches as, in every account.
const karpenterRole = "KarpenterControllerRole"

// attachKarpenterPolicy puts the emitted policy into the account's Karpenter
// role, as a deploy downstream would.
func attachKarpenterPolicy(ctx context.Context, s *simulator, account, policy string) error {
	_, err := iam.NewFromConfig(s.config(account, "us-east-1")).PutRolePolicy(ctx, &iam.PutRolePolicyInput{
		RoleName: aws.String(karpenterRole), PolicyName: aws.String("orgami-kms"), PolicyDocument: &policy,
	})
	if err != nil {
		return fmt.Errorf("attaching the policy to %s in account %s: %w", karpenterRole, account, err)
	}
	return nil
}

// propagation is longer than the demo's world takes to let policies count.
const propagation = 2 * time.Second

// settled waits until the attached policies count.
func settled(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(propagation):
		return nil
	}
}

// tryToShare shares an image that cannot be shared, and prints what AWS responds.
func tryToShare(ctx context.Context, s *simulator, image manifest.Source, organization string) error {
	_, err := ec2.NewFromConfig(s.config(publisher, image.Region)).ModifyImageAttribute(ctx, &ec2.ModifyImageAttributeInput{
		ImageId: &image.ImageID, Attribute: aws.String("launchPermission"),
		LaunchPermission: &types.LaunchPermissionModifications{Add: []types.LaunchPermission{{OrganizationArn: &organization}}},
	})
	var refused smithy.APIError
	if !errors.As(err, &refused) {
		return fmt.Errorf("sharing %s, which is under aws/ebs, was not refused: %w", image.ImageID, err)
	}
	fmt.Printf("  Sharing it with the organization is refused: %s: %s\n  So no other account can launch it:\n\n", refused.ErrorCode(), refused.ErrorMessage())
	return nil
}

// launchAsKarpenter assumes Karpenter's role and calls RunInstances, with the
// AWS SDK, as Karpenter does.
func launchAsKarpenter(ctx context.Context, s *simulator, account, region, image string) (string, error) {
	config := s.config(account, region)
	role := fmt.Sprintf("arn:aws:iam::%s:role/%s", account, karpenterRole)
	config.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(sts.NewFromConfig(config), role))
	client := ec2.NewFromConfig(config)
	run, err := client.RunInstances(ctx, &ec2.RunInstancesInput{
		ImageId: &image, InstanceType: types.InstanceTypeT3Micro, MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
	})
	if refused, ok := errors.AsType[smithy.APIError](err); ok {
		return refused.ErrorCode(), nil
	}
	if err != nil {
		return "", err
	}
	return settle(ctx, client, aws.ToString(run.Instances[0].InstanceId))
}

// settle waits until the instance runs or is gone, and takes it down.
func settle(ctx context.Context, client *ec2.Client, id string) (string, error) {
	for {
		answer, err := client.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{id}})
		if err != nil {
			return "", err
		}
		instance := answer.Reservations[0].Instances[0]
		switch instance.State.Name {
		case types.InstanceStateNameRunning:
			_, err := client.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{id}})
			return "", err
		case types.InstanceStateNameTerminated:
			return aws.ToString(instance.StateReason.Code), nil
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// serviceLinked launches as a service-linked role, which no one can assume: the
// simulator plays the service.
func serviceLinked(role string) func(context.Context, *simulator, string, string, string) (string, error) {
	return func(ctx context.Context, s *simulator, account, region, image string) (string, error) {
		var result launchResult
		err := s.control(ctx, http.MethodPost, "launch", map[string]string{
			"account": account, "region": region, "image_id": image, "role": role,
		}, &result)
		if err != nil || result.State == "running" {
			return "", err
		}
		return result.Reason + ": " + result.Diagnosis, nil
	}
}
