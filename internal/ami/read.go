package ami

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
)

type describeImagesFunc func(context.Context, *ec2.DescribeImagesInput, ...func(*ec2.Options)) (*ec2.DescribeImagesOutput, error)

// DescribeImages implements ec2.DescribeImagesAPIClient.
func (f describeImagesFunc) DescribeImages(ctx context.Context, input *ec2.DescribeImagesInput, options ...func(*ec2.Options)) (*ec2.DescribeImagesOutput, error) {
	return f(ctx, input, options...)
}

type describeSnapshotsFunc func(context.Context, *ec2.DescribeSnapshotsInput, ...func(*ec2.Options)) (*ec2.DescribeSnapshotsOutput, error)

// DescribeSnapshots implements ec2.DescribeSnapshotsAPIClient.
func (f describeSnapshotsFunc) DescribeSnapshots(ctx context.Context, input *ec2.DescribeSnapshotsInput, options ...func(*ec2.Options)) (*ec2.DescribeSnapshotsOutput, error) {
	return f(ctx, input, options...)
}

// Read reads an image, the keys of its snapshots, and with whom it is shared, as
// AWS has them now.
func Read(ctx context.Context, clients Clients, region, id string) (Image, Shared, error) {
	image, err := describeImage(ctx, clients(region), region, id)
	if err != nil {
		return Image{}, Shared{}, err
	}
	shared, err := LookShared(ctx, clients, image, false)
	return image, shared, err
}

// describeImages returns the images, oldest first, with their snapshots' keys.
func describeImages(ctx context.Context, client *ec2.Client, region string, input *ec2.DescribeImagesInput) ([]Image, error) {
	var images []Image
	for pages := ec2.NewDescribeImagesPaginator(describeImagesFunc(client.DescribeImages), input); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, described := range page.Images {
			images = append(images, newImage(region, described))
		}
	}
	slices.SortFunc(images, func(a, b Image) int {
		return strings.Compare(a.CreationDate+a.ID, b.CreationDate+b.ID)
	})
	return images, readSnapshots(ctx, client, region, images)
}

// readSnapshots fills in the keys and the progress, which only
// DescribeSnapshots returns. Snapshots of other owners are invisible unless
// they are shared. They stay as they are.
func readSnapshots(ctx context.Context, client *ec2.Client, region string, images []Image) error {
	at := map[string][]*Snapshot{}
	for i := range images {
		snapshots := images[i].Snapshots
		for n := range snapshots {
			s := &snapshots[n]
			at[s.ID] = append(at[s.ID], s)
		}
	}
	if len(at) == 0 {
		return nil
	}
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(at)), 200) {
		// A filter, unlike SnapshotIds, tolerates a snapshot that is gone or
		// not visible yet.
		input := &ec2.DescribeSnapshotsInput{Filters: []types.Filter{{Name: aws.String("snapshot-id"), Values: ids}}}
		for pages := ec2.NewDescribeSnapshotsPaginator(describeSnapshotsFunc(client.DescribeSnapshots), input); pages.HasMorePages(); {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return awsclient.Wrap(err, "describing the snapshots %s in %s", strings.Join(ids, ", "), region)
			}
			for _, described := range page.Snapshots {
				for _, s := range at[aws.ToString(described.SnapshotId)] {
					s.Read, s.State = true, string(described.State)
					s.Encrypted = aws.ToBool(described.Encrypted)
					s.KeyARN = aws.ToString(described.KmsKeyId)
					s.Progress = aws.ToString(described.Progress)
				}
			}
		}
	}
	return nil
}

func describeImage(ctx context.Context, client *ec2.Client, region, id string) (Image, error) {
	image, err := describeImageAlone(ctx, client, region, id)
	if err != nil {
		return Image{}, err
	}
	if err := readSnapshots(ctx, client, region, []Image{image}); err != nil {
		return Image{}, awsclient.Wrap(err, "describing image %s in %s", id, region)
	}
	return image, nil
}

// errNotVisible says that EC2's response doesn't contain the image.
var errNotVisible = errors.New("EC2 returned no image")

// describeImageAlone is [describeImage] without the fields that only DescribeSnapshots
// returns, for frequent calls. It returns disabled images, too.
func describeImageAlone(ctx context.Context, client *ec2.Client, region, id string) (Image, error) {
	answer, err := client.DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{id}, IncludeDisabled: aws.Bool(true), IncludeDeprecated: aws.Bool(true)})
	if err != nil {
		return Image{}, awsclient.Wrap(err, "describing image %s in %s", id, region)
	}
	for _, described := range answer.Images {
		if aws.ToString(described.ImageId) == id {
			return newImage(region, described), nil
		}
	}
	return Image{}, fmt.Errorf("describing image %s in %s: %w", id, region, errNotVisible)
}

// notVisible reports whether EC2 doesn't know the image, or doesn't know it yet.
func notVisible(err error) bool {
	return awsclient.Is(err, awsclient.CodeImageNotFound) || errors.Is(err, errNotVisible)
}
