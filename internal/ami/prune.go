package ami

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
	"github.com/orgami/packer-plugin-orgami/internal/change"
	"github.com/orgami/packer-plugin-orgami/internal/fanout"
	"github.com/orgami/packer-plugin-orgami/internal/wait"
)

// extra are the permissions that aren't in the policy.
func (s SharePolicy) extra(have Shared) (image Permissions, snapshots []string) {
	image = have.Image.missingFrom(s.Image)
	image.Public = have.Image.Public
	if s.Snapshots {
		snapshots = Permissions{Accounts: have.anySnapshot}.missingFrom(Permissions{Accounts: s.Image.Accounts}).Accounts
	}
	return image, snapshots
}

// principals lists all principals, the public last.
func (p Permissions) principals() []string {
	if p.Public {
		return append(p.all(), "everyone (the image is public)")
	}
	return p.all()
}

// leftovers lists the permissions that aren't configured. Each kind of
// permission is one change, which either removes the permissions or reports
// them.
func leftovers(region, imageID string, want SharePolicy, have Shared) []change.Change {
	var changes []change.Change
	image, snapshots := want.extra(have)
	add := func(kind change.Kind, who []string) {
		c := change.Change{Kind: kind, Action: change.Unmanaged, Region: region, ID: imageID, Detail: "also shared with " + strings.Join(who, ", ")}
		if want.Prune {
			c.Action, c.Detail = change.Delete, "sharing will be removed with "+strings.Join(who, ", ")
		}
		if len(who) > 0 {
			changes = append(changes, c)
		}
	}
	add(change.SnapshotSharing, snapshots)
	add(change.LaunchPermission, image.principals())
	return changes
}

// Prune removes permissions that aren't configured, if the policy asks for
// that. It removes those of the images first, then those of their snapshots. It
// returns the images that it changed, as AWS reads them back.
func Prune(ctx context.Context, clients Clients, verified Verified, want SharePolicy, have map[string]Shared) (map[string]Shared, error) {
	if !want.Prune {
		return nil, nil
	}
	var regions []string
	for _, region := range verified.Regions() {
		if image, snapshots := want.extra(have[region]); len(image.principals())+len(snapshots) > 0 {
			regions = append(regions, region)
		}
	}
	return fanout.Collect(ctx, regions, func(ctx context.Context, region string) (Shared, error) {
		return prune(ctx, clients, verified.Image(region), want, have[region])
	})
}

func prune(ctx context.Context, clients Clients, image Image, want SharePolicy, have Shared) (Shared, error) {
	client := clients(image.Region)
	permissions, accounts := want.extra(have)
	err := modifyImage(ctx, client, image.ID, permissions, func(batch []types.LaunchPermission) types.LaunchPermissionModifications {
		return types.LaunchPermissionModifications{Remove: batch}
	})
	if err != nil {
		return have, awsclient.Wrap(err, "removing the sharing of %s in %s with %s", image.ID, image.Region, strings.Join(permissions.principals(), ", "))
	}
	for _, id := range image.SnapshotIDs() {
		if err := unshareSnapshot(ctx, client, id, accounts); err != nil {
			return have, awsclient.Wrap(err, "removing the sharing of snapshot %s of %s in %s with %s", id, image.ID, image.Region, strings.Join(accounts, ", "))
		}
	}
	shared := have
	err = wait.Until(ctx, wait.Policy{Timeout: 5 * time.Minute}, func(ctx context.Context) (string, error) {
		var err error
		if shared, err = LookShared(ctx, clients, image, want.Snapshots); err != nil {
			return "", err
		}
		if image, snapshots := want.extra(shared); len(image.principals())+len(snapshots) > 0 {
			return "removed permissions are still listed", nil
		}
		return "", nil
	})
	if _, ok := errors.AsType[*wait.TimeoutError](err); ok {
		return shared, fmt.Errorf("reading back the permissions of %s in %s: %w. Someone else may be adding them. Run again", image.ID, image.Region, err)
	}
	return shared, err
}

// Unshare removes the account's own launch permission from the images that have it.
// An account that has access as a member of an organization or unit keeps it. It
// returns the images that it changed, as AWS reads them back.
func Unshare(ctx context.Context, clients Clients, verified Verified, account string, have map[string]Shared) (map[string]Shared, error) {
	regions := slices.DeleteFunc(verified.Regions(), func(region string) bool { return !slices.Contains(have[region].Image.Accounts, account) })
	return fanout.Collect(ctx, regions, func(ctx context.Context, region string) (Shared, error) {
		image, shared := verified.Image(region), have[region]
		err := modifyImage(ctx, clients(region), image.ID, Permissions{Accounts: []string{account}}, func(batch []types.LaunchPermission) types.LaunchPermissionModifications {
			return types.LaunchPermissionModifications{Remove: batch}
		})
		if err != nil {
			return shared, awsclient.Wrap(err, "removing the sharing of %s in %s with account %s", image.ID, region, account)
		}
		err = wait.Until(ctx, wait.Policy{Timeout: 5 * time.Minute}, func(ctx context.Context) (string, error) {
			now, err := LookShared(ctx, clients, image, false)
			if err != nil {
				return "", err
			}
			if shared.Image = now.Image; slices.Contains(now.Image.Accounts, account) {
				return "the removed permission is still listed", nil
			}
			return "", nil
		})
		if _, ok := errors.AsType[*wait.TimeoutError](err); ok {
			return shared, fmt.Errorf("reading back the permissions of %s in %s: %w. Someone else may be adding them. Run again", image.ID, region, err)
		}
		return shared, err
	})
}

func unshareSnapshot(ctx context.Context, client *ec2.Client, id string, accounts []string) error {
	for batch := range slices.Chunk(accounts, permissionsPerCall) {
		var remove []types.CreateVolumePermission
		for _, account := range batch {
			remove = append(remove, types.CreateVolumePermission{UserId: aws.String(account)})
		}
		_, err := client.ModifySnapshotAttribute(ctx, &ec2.ModifySnapshotAttributeInput{
			SnapshotId: &id, Attribute: types.SnapshotAttributeNameCreateVolumePermission,
			CreateVolumePermission: &types.CreateVolumePermissionModifications{Remove: remove},
		})
		if err != nil {
			return err
		}
	}
	return nil
}
