package ami

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
)

// LookSource reads an image that is to be published and says why it cannot be,
// if so.
func LookSource(ctx context.Context, clients Clients, account, region, id string) (Image, error) {
	image, err := describeImage(ctx, clients(region), region, id)
	if awsclient.Is(err, awsclient.CodeImageNotFound) {
		return Image{}, fmt.Errorf("source image %s does not exist in %s or is not visible to account %s: check the id, the region and the credentials: %w", id, region, account, err)
	}
	if err != nil {
		return Image{}, err
	}
	var problems []error
	if image.Owner != account {
		problems = append(problems, fmt.Errorf("it belongs to account %s, not to %s: publish with the owner's credentials, or copy it into this account first, with 'aws ec2 copy-image --region %[3]s --source-region %[3]s --source-image-id %[4]s --name %[5]q', and publish the copy", image.Owner, account, region, id, image.Name))
	}
	if image.RootDevice != string(types.DeviceTypeEbs) {
		problems = append(problems, fmt.Errorf("its root device is %s: only EBS-backed images can be encrypted; build it with amazon-ebs or amazon-ebssurrogate", image.RootDevice))
	}
	if image.State != string(types.ImageStateAvailable) {
		problems = append(problems, fmt.Errorf("it is %s, not available: %s", image.State, image.StateReason))
	}
	if len(image.Snapshots) == 0 && image.RootDevice == string(types.DeviceTypeEbs) {
		problems = append(problems, errors.New("it has no snapshots"))
	}
	if len(problems) > 0 {
		return Image{}, fmt.Errorf("source image %s in %s cannot be published: %w", id, region, errors.Join(problems...))
	}
	return image, nil
}

// LookNamed reads the account's own images of these names in the region: copies
// of earlier runs, or images that have a name for another reason.
func LookNamed(ctx context.Context, clients Clients, region string, names ...string) ([]Image, error) {
	images, err := describeImages(ctx, clients(region), region, &ec2.DescribeImagesInput{
		Owners:  []string{"self"},
		Filters: []types.Filter{{Name: aws.String("name"), Values: names}},
	})
	if err != nil {
		return nil, awsclient.Wrap(err, "looking for images named %q in %s", names, region)
	}
	return images, nil
}

// RegionStatus returns the opt-in status of every region of the partition, as
// the account sees it: opt-in-not-required, opted-in or not-opted-in.
func RegionStatus(ctx context.Context, clients Clients, base string) (map[string]string, error) {
	answer, err := clients(base).DescribeRegions(ctx, &ec2.DescribeRegionsInput{AllRegions: aws.Bool(true)})
	if err != nil {
		return nil, awsclient.Wrap(err, "asking which regions are enabled (in %s)", base)
	}
	status := make(map[string]string, len(answer.Regions))
	for _, region := range answer.Regions {
		status[aws.ToString(region.RegionName)] = aws.ToString(region.OptInStatus)
	}
	return status, nil
}
