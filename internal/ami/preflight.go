package ami

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/fanout"
)

// Preflight checks with dry runs whether the caller can copy to the planned Regions and
// share there. It reports only missing permissions.
func Preflight(ctx context.Context, clients Clients, plans []Plan) error {
	byRegion := map[string]Plan{}
	var regions []string
	for _, plan := range plans {
		if plan.existing == nil {
			byRegion[plan.Region()] = plan
			regions = append(regions, plan.Region())
		}
	}
	return fanout.Each(ctx, regions, func(ctx context.Context, region string) error {
		desired := byRegion[region].desired
		source := desired.Source
		_, err := clients(region).CopyImage(ctx, &ec2.CopyImageInput{
			DryRun: aws.Bool(true), SourceRegion: &source.Region, SourceImageId: &source.ID, Name: &desired.Name,
			TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeImage, Tags: tagList(desired.imageTags())}},
		})
		problem := denied(err, "checking with a dry run whether %s may be copied from %s to %s", source.ID, source.Region, region)
		if region != source.Region {
			return problem
		}
		// The owner may launch it anyway: a permission that changes nothing.
		_, err = clients(region).ModifyImageAttribute(ctx, &ec2.ModifyImageAttributeInput{
			DryRun: aws.Bool(true), ImageId: &source.ID, Attribute: aws.String(string(types.ImageAttributeNameLaunchPermission)),
			LaunchPermission: &types.LaunchPermissionModifications{Add: []types.LaunchPermission{{UserId: &source.Owner}}},
		})
		return errors.Join(problem, denied(err, "checking with a dry run whether images may be shared in %s", region))
	})
}

// denied keeps only the result of a dry run that denies the call.
func denied(err error, format string, args ...any) error {
	if !awsclient.Is(err, awsclient.CodeUnauthorized) {
		return nil
	}
	return awsclient.Wrap(err, format, args...)
}
