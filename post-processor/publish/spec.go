package publish

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/artifact"
	"github.com/orgami/packer-plugin-orgami/internal/config"
	"github.com/orgami/packer-plugin-orgami/internal/config/pattern"
	"github.com/orgami/packer-plugin-orgami/internal/grant"
	"github.com/orgami/packer-plugin-orgami/internal/kmskey"
	"github.com/orgami/packer-plugin-orgami/internal/organization"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
	"github.com/orgami/packer-plugin-orgami/internal/publish"
)

// spec translates a valid configuration, for the images of an artifact.
func (c Config) spec(images []artifact.Image) (publish.Spec, error) {
	spec := publish.Spec{
		Regions:      c.Regions,
		Share:        c.Share.spec(),
		Organization: c.organization(),
		WaitTimeout:  c.WaitTimeout,
		PlanOnly:     c.PlanOnly,
		FailOnDrift:  c.FailOnDrift,
		Check:        cmp.Or(publish.Check(c.Check), publish.CheckFail),
		CheckRoles:   c.CheckRoles,
		Canary:       c.Canary.spec(),
		Report:       c.Report,
		Outputs:      c.outputs(),
		NodeClass:    c.NodeClass.spec(),
		Parameter:    c.SSM.spec(),
		Image: publish.ImageSpec{
			Name: c.AMIName, Tags: c.Tags, SnapshotTags: c.SnapshotTags, CopySourceTags: orDefault(c.CopySourceTags, true),
			CopyDuration: c.SnapshotCopyDurationMinutes, Family: c.Family,
		},
		Lifecycle: c.lifecycle(),
		Retire:    c.retirement(),
	}
	for _, image := range images {
		spec.Sources = append(spec.Sources, publish.Source{Region: image.Region, ImageID: image.ID})
		if len(c.Regions) == 0 {
			spec.Regions = append(spec.Regions, image.Region)
		}
	}
	var keyErr, grantsErr error
	spec.Key, keyErr = c.Key.spec(spec.Regions[0])
	spec.Grants, grantsErr = c.Grants.spec()
	return spec, errors.Join(keyErr, grantsErr)
}

func (c KeyConfig) spec(firstRegion string) (publish.KeySpec, error) {
	statements, err := c.extraStatements()
	return publish.KeySpec{
		Alias: c.Alias, ID: c.ID,
		PrimaryRegion:    cmp.Or(c.PrimaryRegion, firstRegion),
		PrimaryRegionSet: c.PrimaryRegion != "",
		Create:           orDefault(c.Create, c.ID == ""),
		Policy:           cmp.Or(c.Policy, policy.Open),
		ExtraStatements:  statements,
		Administrators:   c.Administrators,
		KeepOwnerAccess:  c.KeepOwnerAccess,
		Rotation:         c.rotation(),
		Tags:             c.Tags,
	}, err
}

// rotation leaves an adopted key's rotation unchanged unless the user sets it.
func (c KeyConfig) rotation() kmskey.Rotation {
	switch {
	case c.Rotation == nil:
		return kmskey.RotateCreated
	case *c.Rotation:
		return kmskey.RotateAlways
	default:
		return kmskey.RotateNever
	}
}

// organization returns what the configuration contains about the organization.
// The ID is also part of the ARN, and of the ARNs of its units.
func (c Config) organization() publish.OrganizationSpec {
	var spec publish.OrganizationSpec
	if c.Organization != nil {
		spec.ID, spec.ARN = c.Organization.ID, c.Organization.ARN
	}
	if spec.ID == "" && spec.ARN != "" {
		spec.ID = spec.ARN[strings.LastIndexByte(spec.ARN, '/')+1:]
	}
	return spec
}

type namedOrganization struct{ field, id string }

// organizationIDs are the organizations that the configuration names, with the
// fields that do.
func (c Config) organizationIDs() []namedOrganization {
	var named []namedOrganization
	add := func(field, id string) {
		if pattern.Organization.Match(id) && !config.Unknown(id) {
			named = append(named, namedOrganization{field, id})
		}
	}
	if c.Organization != nil {
		add("organization.id", c.Organization.ID)
		add("organization.arn", pathElement(c.Organization.ARN, 1))
	}
	if c.Share != nil {
		for _, unit := range slices.Sorted(slices.Values(c.Share.OrganizationalUnits)) {
			add("share.organizational_units", pathElement(unit, 1))
		}
	}
	if c.Grants != nil {
		for _, unit := range slices.Sorted(slices.Values(c.Grants.OrganizationalUnits)) {
			add("grants.organizational_units", pathElement(unit, 1)) // none in an id
		}
	}
	return named
}

// pathElement is the n-th of the slash-separated elements, or "".
func pathElement(arn string, n int) string {
	if elements := strings.Split(arn, "/"); n < len(elements) {
		return elements[n]
	}
	return ""
}

func (c *ShareConfig) spec() publish.ShareSpec {
	if c == nil {
		return publish.ShareSpec{Organization: true}
	}
	return publish.ShareSpec{
		Organization:        orDefault(c.Organization, true),
		OrganizationalUnits: c.OrganizationalUnits,
		Accounts:            c.Accounts,
		Snapshots:           c.Snapshots,
		Prune:               c.Prune,
	}
}

func (c *GrantsConfig) spec() (publish.GrantsSpec, error) {
	if c == nil {
		return publish.GrantsSpec{}, nil
	}
	listed, err := c.fromFile()
	roles := c.Roles
	if len(roles) == 0 {
		roles = grant.DefaultRoles
	}
	var units []string
	for _, unit := range c.OrganizationalUnits {
		units = append(units, organization.UnitID(unit))
	}
	return publish.GrantsSpec{
		Accounts: slices.Concat(c.Accounts, listed), Roles: roles, RolesListed: len(c.Roles) > 0,
		Discover: c.Discover, DiscoverRoleARN: c.DiscoverRoleARN, Exclude: c.Exclude, OrganizationalUnits: units,
		MemberRole:  c.MemberRole,
		MissingRole: cmp.Or(c.MissingRole, missingSkip),
		Prune:       c.Prune,
	}, err
}
