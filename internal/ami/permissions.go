package ami

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
)

// Permissions are the principals that an image, or its snapshots, are shared with.
type Permissions struct {
	Organizations       []string // ARNs
	OrganizationalUnits []string // ARNs
	Accounts            []string // IDs
	Public              bool
}

// missingFrom returns the permissions in p that have lacks.
func (p Permissions) missingFrom(have Permissions) Permissions {
	minus := func(a, b []string) []string {
		var rest []string
		for _, v := range a {
			if !slices.Contains(b, v) {
				rest = append(rest, v)
			}
		}
		slices.Sort(rest)
		return slices.Compact(rest)
	}
	return Permissions{
		Organizations:       minus(p.Organizations, have.Organizations),
		OrganizationalUnits: minus(p.OrganizationalUnits, have.OrganizationalUnits),
		Accounts:            minus(p.Accounts, have.Accounts),
	}
}

// all lists the principals, organizations first.
func (p Permissions) all() []string {
	return slices.Concat(p.Organizations, p.OrganizationalUnits, p.Accounts)
}

// Any reports whether there is any permission.
func (p Permissions) Any() bool { return p.Public || len(p.all()) > 0 }

// with returns the permissions together with others.
func (p Permissions) with(others Permissions) Permissions {
	missing := others.missingFrom(p)
	return Permissions{
		Organizations:       slices.Concat(p.Organizations, missing.Organizations),
		OrganizationalUnits: slices.Concat(p.OrganizationalUnits, missing.OrganizationalUnits),
		Accounts:            slices.Concat(p.Accounts, missing.Accounts),
		Public:              p.Public || others.Public,
	}
}

// Shared is how an image is shared, as read back from AWS.
type Shared struct {
	Image Permissions
	// Snapshots are the accounts that may use every snapshot of the image; read
	// only when sharing the snapshots was asked for.
	Snapshots []string
	// anySnapshot are the accounts that may use at least one snapshot.
	anySnapshot []string
}

// SharePolicy defines with whom to share images.
type SharePolicy struct {
	Image Permissions
	// Snapshots also shares the snapshots with Image.Accounts. Accounts need it to copy
	// the image, not to launch it. Fact: EC2-COPY-37, EC2-SHARE-13.
	Snapshots bool
	// Prune removes all permissions that aren't configured.
	Prune bool
}

// Apply returns the permissions of an image that has these, once it is shared as
// configured.
func (s SharePolicy) Apply(have Permissions) Permissions {
	if s.Prune {
		return s.Image
	}
	return have.with(s.Image)
}

func (s SharePolicy) snapshotAccounts() []string {
	if !s.Snapshots {
		return nil
	}
	return s.Image.Accounts
}

// LookShared reads the permissions of an image.
func LookShared(ctx context.Context, clients Clients, image Image, snapshotsToo bool) (Shared, error) {
	client := clients(image.Region)
	answer, err := client.DescribeImageAttribute(ctx, &ec2.DescribeImageAttributeInput{
		ImageId: &image.ID, Attribute: types.ImageAttributeNameLaunchPermission,
	})
	if err != nil {
		return Shared{}, awsclient.Wrap(err, "reading the launch permissions of %s in %s", image.ID, image.Region)
	}
	var shared Shared
	for _, permission := range answer.LaunchPermissions {
		switch {
		case permission.OrganizationArn != nil:
			shared.Image.Organizations = append(shared.Image.Organizations, *permission.OrganizationArn)
		case permission.OrganizationalUnitArn != nil:
			shared.Image.OrganizationalUnits = append(shared.Image.OrganizationalUnits, *permission.OrganizationalUnitArn)
		case permission.UserId != nil:
			shared.Image.Accounts = append(shared.Image.Accounts, *permission.UserId)
		case permission.Group != "":
			shared.Image.Public = true
		}
	}
	for _, list := range [][]string{shared.Image.Organizations, shared.Image.OrganizationalUnits, shared.Image.Accounts} {
		slices.Sort(list)
	}
	if !snapshotsToo {
		return shared, nil
	}
	for n, id := range image.SnapshotIDs() {
		accounts, err := snapshotAccounts(ctx, client, image.Region, id)
		if err != nil {
			return Shared{}, err
		}
		if n == 0 {
			shared.Snapshots = slices.Clone(accounts)
		}
		shared.anySnapshot = append(shared.anySnapshot, accounts...)
		shared.Snapshots = slices.DeleteFunc(shared.Snapshots, func(a string) bool { return !slices.Contains(accounts, a) })
	}
	return shared, nil
}

func snapshotAccounts(ctx context.Context, client *ec2.Client, region, id string) ([]string, error) {
	answer, err := client.DescribeSnapshotAttribute(ctx, &ec2.DescribeSnapshotAttributeInput{
		SnapshotId: &id, Attribute: types.SnapshotAttributeNameCreateVolumePermission,
	})
	if err != nil {
		return nil, awsclient.Wrap(err, "reading the permissions of snapshot %s in %s", id, region)
	}
	var accounts []string
	for _, permission := range answer.CreateVolumePermissions {
		if permission.UserId != nil {
			accounts = append(accounts, *permission.UserId)
		}
	}
	slices.Sort(accounts)
	return accounts, nil
}
