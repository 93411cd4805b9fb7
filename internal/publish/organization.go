package publish

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/kmskey"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
)

// readOrganization returns the organization to share with, and the one that the
// caller's account belongs to. Where the publication doesn't depend on the caller's,
// it may stay unread.
func readOrganization(ctx context.Context, clients *awsclient.Clients, spec Spec, partition string) (shared, callers awsclient.Organization, err error) {
	given := awsclient.Organization{ID: spec.Organization.ID, ARN: spec.Organization.ARN}
	complete := given.ID != "" && given.ARN != ""
	switch {
	case !spec.Share.Organization && len(spec.Share.OrganizationalUnits) == 0:
		return given, callers, nil
	case !spec.Share.Organization || complete:
		ctx, cancel := context.WithTimeout(ctx, membersPatience)
		defer cancel()
		callers, _ = clients.Organization(ctx, partition)
		return given, callers, nil
	}
	callers, err = clients.Organization(ctx, partition)
	switch {
	case awsclient.Is(err, awsclient.CodeNotInOrganization):
		return given, callers, err
	case err != nil:
		return given, callers, fmt.Errorf("%w. Or set organization.id and organization.arn", err)
	}
	if given.ID != "" && given.ID != callers.ID || given.ARN != "" && given.ARN != callers.ARN {
		return given, callers, fmt.Errorf("the caller's account belongs to organization %s (%s), but the configuration names %s%s. Correct or omit the organization block. To share with another organization, set both organization.id and organization.arn", callers.ID, callers.ARN, given.ID, given.ARN)
	}
	return callers, callers, nil
}

// foreign warns of organizations and units that don't belong to the organization of
// the caller's account. AWS shares images with them too, so they may be intended.
// Fact: EC2-SHARE-6.
func foreign(spec Spec, observed Observed) []string {
	own := observed.CallersOrganization
	if own.ID == "" {
		return nil
	}
	var warnings []string
	if shared := observed.Organization; spec.Share.Organization && (shared.ID != own.ID || shared.ARN != own.ARN) {
		warnings = append(warnings, fmt.Sprintf("the organization block names %s (%s), but the caller's account belongs to %s (%s). The key policies and the images will be shared with the former only. If that isn't intended, correct or omit the block", shared.ID, shared.ARN, own.ID, own.ARN))
	}
	strangers := slices.DeleteFunc(slices.Clone(spec.Share.OrganizationalUnits), func(unit string) bool { return strings.Contains(unit, ":ou/"+own.ID+"/") })
	if len(strangers) > 0 {
		warnings = append(warnings, fmt.Sprintf("share.organizational_units: %s aren't units of organization %s, which the caller's account belongs to. The key policies and the images will be shared with them. If that isn't intended, correct the list", strings.Join(strangers, ", "), own.ID))
	}
	return warnings
}

// evicts is the problem of a key policy that would no longer allow the caller's
// organization, because the configuration names another one. Images that were
// published with the key would stop launching.
func evicts(observed Observed, key kmskey.Plan, foreign []string) []string {
	if len(foreign) == 0 {
		return nil
	}
	own := observed.CallersOrganization.ID
	names := func(policy policy.Document) bool {
		text := policy.String()
		return strings.Contains(text, `"`+own+`"`) || strings.Contains(text, `"`+own+`/`)
	}
	regions := slices.DeleteFunc(slices.Sorted(maps.Keys(observed.Key.Regional)), func(region string) bool {
		return !names(observed.Key.Regional[region].Policy) || names(key.Policy(region))
	})
	if len(regions) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("the policy of key %s would no longer allow organization %s, which the caller's account belongs to (%s), so images that were published with the key would stop launching there. Correct or omit the organization block and share.organizational_units. To share with another organization, use another key", key.ID(), own, strings.Join(regions, ", "))}
}
