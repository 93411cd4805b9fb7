package ami

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/change"
	"github.com/orgami/packer-plugin-orgami/internal/fanout"
	"github.com/orgami/packer-plugin-orgami/internal/progress"
	"github.com/orgami/packer-plugin-orgami/internal/wait"
)

// DiffShared lists the missing permissions. imageID is empty for an image that doesn't
// exist yet.
func DiffShared(region, imageID string, want SharePolicy, have Shared) []change.Change {
	var changes []change.Change
	add := func(kind change.Kind, missing, wanted []string) {
		c := change.Change{Kind: kind, Action: change.NoOp, Region: region, ID: imageID}
		if len(missing) > 0 {
			c.Action, c.Detail = change.Update, "shares with "+strings.Join(missing, ", ")
		}
		if len(wanted) > 0 {
			changes = append(changes, c)
		}
	}
	accounts := Permissions{Accounts: want.snapshotAccounts()}
	add(change.SnapshotSharing, accounts.missingFrom(Permissions{Accounts: have.Snapshots}).Accounts, accounts.Accounts)
	add(change.LaunchPermission, want.Image.missingFrom(have.Image).all(), want.Image.all())
	return append(changes, leftovers(region, imageID, want, have)...)
}

// maxPermissions is how many entities an image can be shared with in a Region: an
// organization or unit counts as one. The quota is adjustable. Fact: EC2-SHARE-8.
const maxPermissions = 1000

// QuotaProblem explains why the image can't be shared with all principals in the
// policy, or returns "". An image that has more permissions already has a raised quota.
func (s SharePolicy) QuotaProblem(region string, have Shared) string {
	before, after := len(have.Image.all()), len(s.Apply(have.Image).all())
	if after <= maxPermissions || before > maxPermissions {
		return ""
	}
	return fmt.Sprintf("the image in %s would be shared with %d organizations, units and accounts, and EC2 allows %d. Share with the organization or with units instead, or ask AWS Service Quotas to raise the quota", region, after, maxPermissions)
}

func adds(c change.Change) bool { return c.Action == change.Update }

// permissionsPerCall bounds one ModifyImageAttribute or ModifySnapshotAttribute
// call, so that a long list of accounts stays a request of reasonable size.
const permissionsPerCall = 100

// Share shares the images, all Regions in parallel: every snapshot first, then the
// images. It returns the permissions that AWS reads back in the Regions in which the
// images are shared as configured, even if it fails in others. It keeps existing
// permissions and removes nothing on failure, because every image was verified in all
// Regions before the first became visible.
func Share(ctx context.Context, clients Clients, verified Verified, policy SharePolicy, reporter progress.Reporter) (map[string]Shared, error) {
	stage := reporter.Start("sharing the image", verified.Regions())
	defer stage.End()
	have, err := fanout.Collect(ctx, verified.Regions(), func(ctx context.Context, region string) (Shared, error) {
		image := verified.Image(region)
		shared, err := LookShared(ctx, clients, image, policy.Snapshots)
		if err != nil {
			return Shared{}, err
		}
		missing := Permissions{Accounts: policy.snapshotAccounts()}.missingFrom(Permissions{Accounts: shared.Snapshots})
		return shared, shareSnapshots(ctx, clients(region), image, missing.Accounts)
	})
	if err != nil {
		return nil, err
	}
	shared, err := fanout.Collect(ctx, verified.Regions(), func(ctx context.Context, region string) (Shared, error) {
		m := verified.members[region]
		changed := slices.ContainsFunc(DiffShared(region, m.image.ID, policy, have[region]), adds)
		if !changed && !m.created {
			return have[region], nil // [Verify] read it moments ago
		}
		if err := shareImage(ctx, clients(region), m.image, policy.Image.missingFrom(have[region].Image)); err != nil {
			return Shared{}, err
		}
		shared, err := readBackShared(ctx, clients, m.image, policy)
		if err == nil && changed {
			stage.Finish(region, "shared the image")
		}
		return shared, err
	})
	return shared, halfway(verified, shared, err)
}

// halfway names the Regions that sharing reached before it failed.
func halfway(verified Verified, shared map[string]Shared, err error) error {
	if err == nil || len(shared) == 0 {
		return err
	}
	missing := slices.DeleteFunc(verified.Regions(), func(region string) bool { _, ok := shared[region]; return ok })
	return fmt.Errorf("%w\nThe images are shared in %s. They aren't shared, or may not be, in %s. Run again to finish", err, strings.Join(slices.Sorted(maps.Keys(shared)), ", "), strings.Join(missing, ", "))
}

func shareSnapshots(ctx context.Context, client *ec2.Client, image Image, accounts []string) error {
	for _, id := range image.SnapshotIDs() {
		for batch := range slices.Chunk(accounts, permissionsPerCall) {
			var add []types.CreateVolumePermission
			for _, account := range batch {
				add = append(add, types.CreateVolumePermission{UserId: aws.String(account)})
			}
			_, err := client.ModifySnapshotAttribute(ctx, &ec2.ModifySnapshotAttributeInput{
				SnapshotId: &id, Attribute: types.SnapshotAttributeNameCreateVolumePermission,
				CreateVolumePermission: &types.CreateVolumePermissionModifications{Add: add},
			})
			if err != nil {
				return awsclient.Wrap(err, "sharing snapshot %s of %s in %s with %s", id, image.ID, image.Region, strings.Join(batch, ", "))
			}
		}
	}
	return nil
}

func shareImage(ctx context.Context, client *ec2.Client, image Image, missing Permissions) error {
	err := modifyImage(ctx, client, image.ID, missing, func(batch []types.LaunchPermission) types.LaunchPermissionModifications {
		return types.LaunchPermissionModifications{Add: batch}
	})
	return awsclient.Wrap(err, "sharing %s in %s with %s", image.ID, image.Region, strings.Join(missing.all(), ", "))
}

// modifyImage changes launch permissions, in batches.
func modifyImage(ctx context.Context, client *ec2.Client, id string, permissions Permissions, modification func([]types.LaunchPermission) types.LaunchPermissionModifications) error {
	for batch := range slices.Chunk(permissions.list(), permissionsPerCall) {
		modification := modification(batch)
		_, err := client.ModifyImageAttribute(ctx, &ec2.ModifyImageAttributeInput{
			ImageId:          &id,
			Attribute:        aws.String(string(types.ImageAttributeNameLaunchPermission)),
			LaunchPermission: &modification,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (p Permissions) list() []types.LaunchPermission {
	var list []types.LaunchPermission
	for _, arn := range p.Organizations {
		list = append(list, types.LaunchPermission{OrganizationArn: aws.String(arn)})
	}
	for _, arn := range p.OrganizationalUnits {
		list = append(list, types.LaunchPermission{OrganizationalUnitArn: aws.String(arn)})
	}
	for _, account := range p.Accounts {
		list = append(list, types.LaunchPermission{UserId: aws.String(account)})
	}
	if p.Public {
		list = append(list, types.LaunchPermission{Group: types.PermissionGroupAll})
	}
	return list
}

// readBackShared waits until the permissions are visible on an available image. Fact:
// EC2-API-1.
func readBackShared(ctx context.Context, clients Clients, image Image, policy SharePolicy) (Shared, error) {
	var shared Shared
	start := time.Now()
	err := wait.Until(ctx, wait.Policy{Timeout: 5 * time.Minute}, func(ctx context.Context) (string, error) {
		found, err := describeImageAlone(ctx, clients(image.Region), image.Region, image.ID)
		switch {
		case notVisible(err) && time.Since(start) < visibility:
			return "the image is not visible", nil
		case err != nil:
			return "", err
		case !found.available() && time.Since(start) < visibility:
			return "it is " + found.State, nil // an endpoint may be behind
		case !found.available():
			return "", fmt.Errorf("image %s in %s is %s after it was shared: another principal changed it. Run again", image.ID, image.Region, found.State)
		}
		if shared, err = LookShared(ctx, clients, image, policy.Snapshots); err != nil {
			return "", err
		}
		if slices.ContainsFunc(DiffShared(image.Region, image.ID, policy, shared), adds) {
			return "the permissions aren't listed yet", nil
		}
		return "", nil
	})
	if _, ok := errors.AsType[*wait.TimeoutError](err); ok {
		return shared, fmt.Errorf("reading the permissions of %s in %s back: %w. Someone else may be removing them. Run again", image.ID, image.Region, err)
	}
	return shared, err
}
