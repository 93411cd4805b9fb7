package publish

import (
	"fmt"
	"maps"
	"slices"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/grant"
	"github.com/orgami/packer-plugin-orgami/internal/kmskey"
	"github.com/orgami/packer-plugin-orgami/internal/organization"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
)

func imagePlans(spec Spec, observed Observed, key kmskey.Plan) ([]ami.Plan, error) {
	name, err := imageName(spec, observed, key)
	if err != nil {
		return nil, err
	}
	publication := ami.PublicationID(slices.Collect(maps.Values(observed.Sources)))
	plans := make([]ami.Plan, 0, len(spec.Regions))
	for _, region := range slices.Sorted(slices.Values(spec.Regions)) {
		source := sourceFor(spec, observed, region)
		plans = append(plans, ami.Diff(ami.Desired{
			Region: region, Name: name, Publication: publication, KeyID: key.ID(), KeyARN: key.ARN(region),
			Source: source, Alternates: alternates(observed, publication, source),
			Tags: spec.Image.Tags, SnapshotTags: spec.Image.SnapshotTags, CopySourceTags: spec.Image.CopySourceTags,
			Family: spec.Image.Family, CopyDuration: spec.Image.CopyDuration,
		}, observed.Images[region]))
	}
	return plans, nil
}

// alternates are the available copies of the publication other than the source, in
// any Region and encrypted with any key: a missing copy can be made from them.
func alternates(observed Observed, publication string, source ami.Image) []ami.Image {
	var copies []ami.Image
	for _, region := range slices.Sorted(maps.Keys(observed.Images)) {
		for _, image := range observed.Images[region].Images {
			if image.Tags[ami.TagPublication] == publication && image.State == "available" && image.ID != source.ID {
				copies = append(copies, image)
			}
		}
	}
	return copies
}

// sourceFor returns the image to copy to the Region: the Region's own source,
// or else the first.
func sourceFor(spec Spec, observed Observed, region string) ami.Image {
	if image, ok := observed.Sources[region]; ok {
		return image
	}
	return firstSource(spec, observed)
}

// firstSource is the source in the key's primary Region if there is one, else the
// first by Region.
func firstSource(spec Spec, observed Observed) ami.Image {
	if image, ok := observed.Sources[spec.Key.PrimaryRegion]; ok {
		return image
	}
	for _, region := range slices.Sorted(maps.Keys(observed.Sources)) {
		return observed.Sources[region]
	}
	return ami.Image{}
}

// maxNameLength is EC2's limit for the name of an image. Fact: EC2-IMG-1.
const maxNameLength = 128

// imageName is the one name of the published images in all Regions.
func imageName(spec Spec, observed Observed, key kmskey.Plan) (string, error) {
	names := imageNames(spec, observed)
	name := names[len(names)-1]
	if len(names) > 1 && allUnderKey(observed.Sources, key) {
		name = names[0]
	}
	if len(name) > maxNameLength {
		return "", fmt.Errorf("the default name of the published image, %q, has %d characters, but EC2 allows %d. Set ami_name", name, len(name), maxNameLength)
	}
	return name, nil
}

// imageNames returns the names that the images may get. If all sources are
// encrypted with the key, the sources themselves are published, and their
// copies in other Regions get their names. A copy in the Region of its source
// needs another name. Fact: EC2-IMG-3.
func imageNames(spec Spec, observed Observed) []string {
	if spec.Image.Name != "" {
		return []string{spec.Image.Name}
	}
	source := firstSource(spec, observed)
	if source.IsCopy() {
		return []string{source.Name}
	}
	return []string{source.Name, source.Name + "-shared"}
}

func allUnderKey(sources map[string]ami.Image, key kmskey.Plan) bool {
	for region, source := range sources {
		if !source.UnderKey(key.ARN(region)) {
			return false
		}
	}
	return true
}

func desiredKey(spec Spec, observed Observed) kmskey.Desired {
	grants := desiredGrants(spec, observed)
	roles, operations := grants.KeyPolicyNeeds()
	admitted := slices.Clone(spec.Share.Accounts)
	if !spec.Share.Organization {
		admitted = append(admitted, creators(spec, observed, grants)...)
	}
	if spec.Canary != nil && !admittedAsMember(spec, observed, spec.Canary.Account) {
		admitted = append(admitted, spec.Canary.Account)
	}
	var organization string
	if spec.Share.Organization {
		organization = observed.Organization.ID
	}
	return kmskey.Desired{
		Account: observed.Caller.Account, Partition: observed.Caller.Partition,
		Alias: spec.Key.Alias, ID: spec.Key.ID, Create: spec.Key.Create,
		Primary: spec.Key.PrimaryRegion, PrimaryFixed: spec.Key.PrimaryRegionSet,
		Regions: spec.Regions, Rotation: spec.Key.Rotation, Tags: spec.Key.Tags,
		ExtraStatements: spec.Key.ExtraStatements,
		Policy: policy.KeyPolicy{
			Partition: observed.Caller.Partition, Owner: observed.Caller.Account, Variant: spec.Key.Policy,
			Administrators: spec.Key.Administrators, KeepOwnerAccess: spec.Key.KeepOwnerAccess,
			OrganizationID: organization, OrganizationPaths: policy.OrganizationPaths(spec.Share.OrganizationalUnits),
			Accounts: admitted, GrantRoles: roles, GrantOperations: operations,
		},
	}
}

// admittedAsMember reports whether the key policy allows the account as a member of the
// organization. If the members couldn't be listed, every account counts as a member.
func admittedAsMember(spec Spec, observed Observed, account string) bool {
	return spec.Share.Organization && (observed.Members == nil || slices.Contains(observed.Members, account))
}

// creators are the accounts that create their grants themselves, and that the
// key policy has to allow one by one. The policy already allows accounts of
// units that the image is shared with. Fact: GRANT-14.
func creators(spec Spec, observed Observed, grants grant.Desired) []string {
	shared := map[string]bool{}
	for _, unit := range spec.Share.OrganizationalUnits {
		shared[organization.UnitID(unit)] = true
	}
	within := len(spec.Grants.OrganizationalUnits) > 0
	for _, unit := range spec.Grants.OrganizationalUnits {
		within = within && shared[unit]
	}
	return slices.DeleteFunc(grants.Members(), func(account string) bool {
		return within && slices.Contains(observed.Discovered, account) && !slices.Contains(spec.Grants.Accounts, account)
	})
}

// grantAccounts returns the listed and the discovered accounts.
func grantAccounts(spec Spec, observed Observed) []string {
	all := slices.Concat(spec.Grants.Accounts, observed.Discovered)
	slices.Sort(all)
	return slices.Compact(all)
}

func desiredGrants(spec Spec, observed Observed) grant.Desired {
	return grant.Desired{
		Partition: observed.Caller.Partition, Owner: observed.Caller.Account,
		Accounts: grantAccounts(spec, observed), Roles: spec.Grants.Roles, RolesListed: spec.Grants.RolesListed,
		Regions: spec.Regions, MemberRole: spec.Grants.MemberRole,
		SkipMissing: spec.Grants.MissingRole == "skip", Prune: spec.Grants.Prune,
	}
}

func sharePolicy(spec Spec, observed Observed) ami.SharePolicy {
	want := ami.SharePolicy{
		Image:     ami.Permissions{OrganizationalUnits: spec.Share.OrganizationalUnits, Accounts: spec.Share.Accounts},
		Snapshots: spec.Share.Snapshots, Prune: spec.Share.Prune,
	}
	if spec.Share.Organization {
		want.Image.Organizations = []string{observed.Organization.ARN}
	}
	return want
}
