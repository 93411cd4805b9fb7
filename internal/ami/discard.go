package ami

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/fanout"
	"github.com/orgami/packer-plugin-orgami/internal/wait"
)

// Discard deregisters the images that this run made and deletes their
// snapshots, also those of a copy that never got as far as an image id. It
// returns the ids of the images deregistered.
func (i Images) Discard(ctx context.Context, clients Clients) ([]string, error) {
	discarded, err := fanout.Collect(ctx, slices.Collect(maps.Keys(i.attempts)), func(ctx context.Context, region string) ([]string, error) {
		return discard(ctx, clients(region), region, i.attempts[region])
	})
	var ids []string
	for _, region := range slices.Sorted(maps.Keys(discarded)) {
		ids = append(ids, discarded[region]...)
	}
	return ids, err
}

// Withdraw takes the launch permissions of the images that this run made back in
// every region, before [Images.Discard] takes the first image away: a set that
// others see stays complete. An image that it fails for is deregistered all the
// same, so it reports nothing.
func (i Images) Withdraw(ctx context.Context, clients Clients, sharing SharePolicy) {
	_ = fanout.Each(ctx, slices.Collect(maps.Keys(i.Made())), func(ctx context.Context, region string) error {
		return modifyImage(ctx, clients(region), i.byRegion[region].ID, sharing.Image, func(batch []types.LaunchPermission) types.LaunchPermissionModifications {
			return types.LaunchPermissionModifications{Remove: batch}
		})
	})
}

func discard(ctx context.Context, client *ec2.Client, region string, made attempt) ([]string, error) {
	if len(made.tokens) == 0 {
		return nil, nil
	}
	mine := []types.Filter{{Name: aws.String("tag:" + TagCopy), Values: made.tokens}}
	ids, err := made.find(ctx, client, region, mine)
	if err != nil {
		return nil, err
	}
	var gone []string
	var problems []error
	for _, id := range ids {
		if err := deregister(ctx, client, id); err != nil {
			problems = append(problems, awsclient.Wrap(err, "deregistering %s in %s", id, region))
			continue
		}
		gone = append(gone, id)
	}
	return gone, errors.Join(append(problems, deleteSnapshots(ctx, client, region, mine))...)
}

// find returns the ids of the images that the attempts made. A copy whose answer
// was lost has no id yet, and its image may be too new to be visible: it is
// looked for by its tag for a while.
func (a attempt) find(ctx context.Context, client *ec2.Client, region string, mine []types.Filter) ([]string, error) {
	var ids []string
	start := time.Now()
	err := wait.Until(ctx, wait.Policy{Interval: 2 * time.Second}, func(ctx context.Context) (string, error) {
		images, err := describeImages(ctx, client, region, &ec2.DescribeImagesInput{Owners: []string{"self"}, Filters: mine})
		if err != nil {
			return "", awsclient.Wrap(err, "looking for this run's copies in %s", region)
		}
		ids = slices.Clone(a.ids)
		for _, image := range images {
			ids = append(ids, image.ID)
		}
		slices.Sort(ids)
		ids = slices.Compact(ids)
		if len(ids) < len(a.tokens) && time.Since(start) < goneAfter {
			return "a copy whose answer was lost is not visible", nil
		}
		return "", nil
	})
	return ids, err
}

// deregister takes the image away with its snapshots. One that is unknown may be
// too new to be visible, or gone already. Fact: 8.
func deregister(ctx context.Context, client *ec2.Client, id string) error {
	start := time.Now()
	return wait.Until(ctx, wait.Policy{Interval: 2 * time.Second}, func(ctx context.Context) (string, error) {
		_, err := client.DeregisterImage(ctx, &ec2.DeregisterImageInput{ImageId: &id, DeleteAssociatedSnapshots: aws.Bool(true)})
		if awsclient.Is(err, awsclient.CodeImageNotFound) {
			if time.Since(start) > goneAfter {
				return "", nil
			}
			return "the image is not visible", nil
		}
		return "", err
	})
}

// goneAfter is how long an unknown image is taken for a new one when cleaning
// up.
const goneAfter = 90 * time.Second

// deleteSnapshots deletes what the copies left beside their images.
func deleteSnapshots(ctx context.Context, client *ec2.Client, region string, mine []types.Filter) error {
	var problems []error
	for pages := ec2.NewDescribeSnapshotsPaginator(describeSnapshotsFunc(client.DescribeSnapshots), &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, Filters: mine}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return errors.Join(append(problems, awsclient.Wrap(err, "looking for this run's snapshots in %s", region))...)
		}
		for _, snapshot := range page.Snapshots {
			_, err := client.DeleteSnapshot(ctx, &ec2.DeleteSnapshotInput{SnapshotId: snapshot.SnapshotId})
			if err != nil && !awsclient.Is(err, awsclient.CodeSnapshotNotFound, awsclient.CodeSnapshotInUse) {
				problems = append(problems, awsclient.Wrap(err, "deleting snapshot %s in %s", aws.ToString(snapshot.SnapshotId), region))
			}
		}
	}
	return errors.Join(problems...)
}
