// Package launchcheck collects what the launches of images depend on, and checks
// who can launch them where. The rules are in package evaluate, which asks AWS
// nothing.
package launchcheck

import (
	"encoding/json"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/grant"
	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
)

// Scope says whose launches are checked.
type Scope struct {
	Partition string
	// Organization is the ID of the publishing account's organization; empty if it
	// isn't known.
	Organization string
	Share        ami.Permissions
	// GrantAccounts and GrantRoles, below "role/", are those that get grants.
	GrantAccounts []string
	GrantRoles    []string
	// Roles, below "role/", launch instances as Karpenter's role does.
	Roles []string
	// KeyWildcardARN matches the key in every Region.
	KeyWildcardARN string
	// Grants are the grants as they stand. A role that was skipped doesn't exist.
	Grants []grant.Grant
}

// Check evaluates the launches of every account, Region and launcher in the scope,
// without those of service-linked roles that don't exist.
func Check(facts Facts, scope Scope) evaluate.Matrix {
	absent := map[[3]string]bool{}
	for _, g := range scope.Grants {
		if g.Status == grant.Skipped {
			absent[[3]string{g.Account, g.Region, launcherName(g.Role)}] = true
		}
	}
	accounts, launchers := scope.accounts(), scope.roleLaunchers()
	granted, services := scope.members(scope.GrantAccounts), scope.serviceLaunchers()
	var matrix evaluate.Matrix
	for _, name := range slices.Sorted(maps.Keys(facts.regions)) {
		input := evaluate.Input{Partition: scope.Partition, Organization: scope.Organization, Regions: []evaluate.Region{facts.regions[name]}}
		input.Accounts, input.Launchers = accounts, launchers
		verdicts := evaluate.Evaluate(input)
		if len(granted) > 0 {
			input.Accounts, input.Launchers = granted, services
			verdicts = append(verdicts, evaluate.Evaluate(input)...)
		}
		verdicts = slices.DeleteFunc(verdicts, func(v evaluate.Verdict) bool { return absent[[3]string{v.Account, v.Region, v.Launcher}] })
		matrix = append(matrix, evaluate.Collect(verdicts)...)
	}
	return withAnyOther(matrix)
}

// anyMember stands for all accounts that aren't listed.
const anyMember = "000000000000"

// withAnyOther names the stand-in.
func withAnyOther(matrix evaluate.Matrix) evaluate.Matrix {
	for _, c := range matrix {
		if i := slices.Index(c.Accounts, anyMember); i >= 0 {
			c.Accounts[i] = evaluate.AnyOther
		}
	}
	return matrix
}

// accounts are those that are known to launch the image, and one that stands for
// the others that it is shared with.
func (s Scope) accounts() []evaluate.Account {
	ids := slices.Concat(s.Share.Accounts, s.GrantAccounts)
	if len(s.Share.Organizations)+len(s.Share.OrganizationalUnits) > 0 {
		ids = append(ids, anyMember)
	}
	slices.Sort(ids)
	return s.members(slices.Compact(ids))
}

// members are accounts with their place in the organization. An account that gets
// grants and isn't shared with by itself is assumed to be in the organization, or
// in the first of the units that the image is shared with.
func (s Scope) members(ids []string) []evaluate.Account {
	accounts := make([]evaluate.Account, len(ids))
	for i, id := range ids {
		accounts[i].ID = id
		if slices.Contains(s.Share.Accounts, id) {
			continue
		}
		switch units := policy.OrganizationPaths(s.Share.OrganizationalUnits); {
		case len(s.Share.Organizations) > 0:
			accounts[i].Organization = s.Organization
		case len(units) > 0:
			accounts[i].Organization, accounts[i].Path = pathWithin(units[0])
		}
	}
	return accounts
}

// pathWithin is a place in the organization that the pattern of a unit,
// o-…/*/ou-…/*, matches.
func pathWithin(unit string) (organization, path string) {
	organization, _, _ = strings.Cut(unit, "/")
	return organization, strings.TrimSuffix(strings.Replace(unit, "*", "r-0000", 1), "*")
}

// karpenterRole is the role's name in Karpenter's guide, without the cluster's.
const karpenterRole = "KarpenterControllerRole"

// roleLaunchers are Karpenter's role with the policy that is emitted for it, and
// the roles that are assumed to have the same policy.
func (s Scope) roleLaunchers() []evaluate.Launcher {
	document, err := json.Marshal(policy.Karpenter(s.Partition, s.KeyWildcardARN))
	if err != nil {
		return nil // it consists of strings
	}
	launchers := []evaluate.Launcher{{Name: "Karpenter", Role: karpenterRole, Policy: document}}
	for _, role := range s.Roles {
		launchers = append(launchers, evaluate.Launcher{Name: path.Base(role), Role: role, Policy: document})
	}
	return launchers
}

func (s Scope) serviceLaunchers() []evaluate.Launcher {
	launchers := make([]evaluate.Launcher, len(s.GrantRoles))
	for i, role := range s.GrantRoles {
		launchers[i] = evaluate.Launcher{Name: launcherName(role), Role: role, ServiceLinked: true}
	}
	return launchers
}

// WithoutGrantRoles leaves out the launches of the roles that get grants.
func WithoutGrantRoles(matrix evaluate.Matrix, roles []string) evaluate.Matrix {
	names := map[string]bool{}
	for _, role := range roles {
		names[launcherName(role)] = true
	}
	return slices.DeleteFunc(slices.Clone(matrix), func(c evaluate.Case) bool { return names[c.Launcher] })
}

// launcherName is the name of the service that has the role.
func launcherName(role string) string {
	switch path.Base(role) {
	case "AWSServiceRoleForAutoScaling":
		return "EC2 Auto Scaling"
	case "AWSServiceRoleForApplicationAutoScaling_ECSService":
		return "ECS auto scaling"
	default:
		return path.Base(role)
	}
}
