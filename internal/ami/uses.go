package ami

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
)

// imagesPerFilter bounds the values of one filter: EC2 allows 200.
const imagesPerFilter = 200

// LookUses tells which instances of the account, those that are stopped too, and
// which versions of its launch templates use the images. What other accounts do
// with them cannot be seen.
func LookUses(ctx context.Context, client *ec2.Client, region string, images []Image) (map[string][]string, error) {
	uses := map[string][]string{}
	if len(images) == 0 {
		return uses, nil
	}
	ids := make([]string, len(images))
	for n, image := range images {
		ids[n] = image.ID
	}
	slices.Sort(ids)
	for some := range slices.Chunk(ids, imagesPerFilter) {
		if err := usedByInstances(ctx, client, some, uses); err != nil {
			return nil, awsclient.Wrap(err, "asking which instances in %s use the images %s", region, few(ids))
		}
	}
	if err := usedByTemplates(ctx, client, ids, uses); err != nil {
		return nil, awsclient.Wrap(err, "asking which launch templates in %s use the images %s", region, few(ids))
	}
	return uses, nil
}

type describeInstancesFunc func(context.Context, *ec2.DescribeInstancesInput, ...func(*ec2.Options)) (*ec2.DescribeInstancesOutput, error)

// DescribeInstances implements ec2.DescribeInstancesAPIClient.
func (f describeInstancesFunc) DescribeInstances(ctx context.Context, input *ec2.DescribeInstancesInput, options ...func(*ec2.Options)) (*ec2.DescribeInstancesOutput, error) {
	return f(ctx, input, options...)
}

func usedByInstances(ctx context.Context, client *ec2.Client, ids []string, uses map[string][]string) error {
	input := &ec2.DescribeInstancesInput{Filters: []types.Filter{
		{Name: aws.String("image-id"), Values: ids},
		{Name: aws.String("instance-state-name"), Values: []string{"pending", "running", "shutting-down", "stopping", "stopped"}},
	}}
	for pages := ec2.NewDescribeInstancesPaginator(describeInstancesFunc(client.DescribeInstances), input); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, reservation := range page.Reservations {
			for _, instance := range reservation.Instances {
				id := aws.ToString(instance.ImageId)
				uses[id] = append(uses[id], "instance "+aws.ToString(instance.InstanceId))
			}
		}
	}
	return nil
}

type describeTemplatesFunc func(context.Context, *ec2.DescribeLaunchTemplatesInput, ...func(*ec2.Options)) (*ec2.DescribeLaunchTemplatesOutput, error)

// DescribeLaunchTemplates implements ec2.DescribeLaunchTemplatesAPIClient.
func (f describeTemplatesFunc) DescribeLaunchTemplates(ctx context.Context, input *ec2.DescribeLaunchTemplatesInput, options ...func(*ec2.Options)) (*ec2.DescribeLaunchTemplatesOutput, error) {
	return f(ctx, input, options...)
}

type describeVersionsFunc func(context.Context, *ec2.DescribeLaunchTemplateVersionsInput, ...func(*ec2.Options)) (*ec2.DescribeLaunchTemplateVersionsOutput, error)

// DescribeLaunchTemplateVersions implements
// ec2.DescribeLaunchTemplateVersionsAPIClient.
func (f describeVersionsFunc) DescribeLaunchTemplateVersions(ctx context.Context, input *ec2.DescribeLaunchTemplateVersionsInput, options ...func(*ec2.Options)) (*ec2.DescribeLaunchTemplateVersionsOutput, error) {
	return f(ctx, input, options...)
}

// usedByTemplates reads all versions of all launch templates: an auto scaling
// group can be bound to any version.
func usedByTemplates(ctx context.Context, client *ec2.Client, ids []string, uses map[string][]string) error {
	for pages := ec2.NewDescribeLaunchTemplatesPaginator(describeTemplatesFunc(client.DescribeLaunchTemplates), &ec2.DescribeLaunchTemplatesInput{}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, template := range page.LaunchTemplates {
			if err := usedByVersions(ctx, client, template, ids, uses); err != nil {
				return err
			}
		}
	}
	return nil
}

func usedByVersions(ctx context.Context, client *ec2.Client, template types.LaunchTemplate, ids []string, uses map[string][]string) error {
	input := &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: template.LaunchTemplateId}
	for pages := ec2.NewDescribeLaunchTemplateVersionsPaginator(describeVersionsFunc(client.DescribeLaunchTemplateVersions), input); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, version := range page.LaunchTemplateVersions {
			if version.LaunchTemplateData == nil {
				continue
			}
			id := aws.ToString(version.LaunchTemplateData.ImageId)
			if slices.Contains(ids, strings.TrimSpace(id)) {
				uses[id] = append(uses[id], fmt.Sprintf("version %d of launch template %s (%s)", aws.ToInt64(version.VersionNumber), aws.ToString(template.LaunchTemplateId), aws.ToString(template.LaunchTemplateName)))
			}
		}
	}
	return nil
}
