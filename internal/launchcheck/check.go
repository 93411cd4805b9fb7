// Package launchcheck collects what the launches of images depend on, and
// checks in which Regions the accounts can launch them. The rules are in
// package evaluate, which makes no requests.
package launchcheck

import (
	"cmp"
	"encoding/json"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/grant"
	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
)

// Scope defines whose launches to check.
type Scope struct {
	Partition string
	// Organization is the ID of the publishing account's organization; empty if it
	// isn't known.
	Organization string
	Share        ami.Permissions
	// GrantAccounts and GrantRoles, below "role/", are those that get grants.
	GrantAccounts []string
	GrantRoles    []string
	// Roles, below "role/", launch instances the way Karpenter's role does.
	Roles []string
	// KeyWildcardARN matches the key in every Region.
	KeyWildcardARN string
	// RolesListed means that the configuration lists GrantRoles. Default roles
	// may not exist.
	RolesListed bool
	// Grants are the current grants.
	Grants []grant.Grant
}

// Result contains the verdicts and their assumptions.
type Result struct {
	Matrix      evaluate.Matrix
	Assumptions []evaluate.Assumption
}

// Check evaluates the launches of every account, Region and launcher in the
// scope. A launch is pending if only a grant that is still to be created is
// missing.
func Check(facts Facts, scope Scope) Result {
	byRole := scope.byRoles(facts.members)
	granted, services := scope.members(facts.members, scope.GrantAccounts), scope.serviceLaunchers()
	var result Result
	for _, name := range slices.Sorted(maps.Keys(facts.regions)) {
		input := evaluate.Input{
			Partition: scope.Partition, Organization: scope.Organization, ManagementAccount: scope.managementAccount(), Now: facts.at,
		}
		region, found := facts.region(name), found{}
		for _, group := range byRole {
			input.Accounts, input.Launchers = group.accounts, group.launchers
			unattached(&found, input, region)
		}
		if len(granted) > 0 {
			input.Accounts, input.Launchers = granted, services
			scope.pending(&found, input, region, scope.missingGrants(name, facts.members))
		}
		result.Matrix = append(result.Matrix, found.cases.Matrix()...)
		result.Assumptions = evaluate.MergeAssumptions(result.Assumptions, found.assumptions)
	}
	result.Matrix = withAnyOther(result.Matrix)
	return result
}

// found is what is found in one Region.
type found struct {
	cases       evaluate.Collector
	assumptions []evaluate.Assumption
}

// assume adds what the evaluators' verdicts depend on.
func (f *found) assume(evaluators ...*evaluate.Evaluator) {
	for _, e := range evaluators {
		f.assumptions = append(f.assumptions, e.Assumptions()...)
	}
}

// managementAccount returns the management account in the ARNs of the
// organization and its units. It is empty if the image isn't shared with any.
func (s Scope) managementAccount() string {
	for _, permission := range slices.Concat(s.Share.Organizations, s.Share.OrganizationalUnits) {
		if parsed, err := arn.Parse(permission); err == nil {
			return parsed.AccountID
		}
	}
	return ""
}

// anyMember stands for all accounts that aren't listed.
const anyMember = "000000000000"

// withAnyOther replaces the ID of anyMember by [evaluate.AnyOther].
func withAnyOther(matrix evaluate.Matrix) evaluate.Matrix {
	for _, c := range matrix {
		if i := slices.Index(c.Accounts, anyMember); i >= 0 {
			c.Accounts[i] = evaluate.AnyOther
		}
	}
	return matrix
}

// group is a set of accounts with the same launchers.
type group struct {
	accounts  []evaluate.Account
	launchers []evaluate.Launcher
}

// byRoles groups the accounts by the roles that launch in them.
func (s Scope) byRoles(members Members) []group {
	var groups []group
	byName := map[string]int{}
	for _, account := range s.accounts(members) {
		launchers := s.roleLaunchers(members, account.ID)
		var name strings.Builder
		for _, l := range launchers {
			name.WriteString(l.Name + "\n" + l.Role + "\n")
		}
		i, found := byName[name.String()]
		if !found {
			i = len(groups)
			byName[name.String()] = i
			groups = append(groups, group{launchers: launchers})
		}
		groups[i].accounts = append(groups[i].accounts, account)
	}
	return groups
}

// accounts returns the accounts that are known to launch the image, and one
// that stands for all others that the image is shared with.
func (s Scope) accounts(members Members) []evaluate.Account {
	ids := slices.Concat(s.Share.Accounts, s.GrantAccounts)
	if len(s.Share.Organizations)+len(s.Share.OrganizationalUnits) > 0 {
		ids = append(ids, anyMember)
	}
	slices.Sort(ids)
	return s.members(members, slices.Compact(ids))
}

// members are accounts with their place in the organization. An account that gets
// grants, but isn't itself in the image's permissions, is assumed to be in the
// organization or in the first of the units that the image is shared with, unless its
// role reads something else.
func (s Scope) members(members Members, ids []string) []evaluate.Account {
	accounts := make([]evaluate.Account, len(ids))
	for i, id := range ids {
		a := evaluate.Account{ID: id}
		if !slices.Contains(s.Share.Accounts, id) {
			switch units := policy.OrganizationPaths(s.Share.OrganizationalUnits); {
			case len(s.Share.Organizations) > 0:
				a.Organization = s.Organization
			case len(units) > 0:
				a.Organization, a.Path = pathWithin(units[0])
			}
			a.MembershipAssumed = a.Organization != ""
		}
		accounts[i] = members.With(a)
	}
	return accounts
}

// pathWithin returns a path in the organization that the pattern of a unit,
// o-…/*/ou-…/*, matches.
func pathWithin(unit string) (organization, path string) {
	organization, _, _ = strings.Cut(unit, "/")
	return organization, strings.TrimSuffix(strings.Replace(unit, "*", "r-0000", 1), "*")
}

// karpenterRole is the role's name in Karpenter's guide, where the cluster's name
// follows.
const (
	karpenterRole  = "KarpenterControllerRole"
	karpenterRoles = karpenterRole + "*"
)

// roleLaunchers are Karpenter's role with the policy that is emitted for it, and
// the roles that are assumed to have the same policy. Where the account's roles were
// read, they are those that exist.
func (s Scope) roleLaunchers(members Members, account string) []evaluate.Launcher {
	document, err := json.Marshal(policy.Karpenter(s.Partition, s.KeyWildcardARN))
	if err != nil {
		return nil // it consists of strings
	}
	var launchers []evaluate.Launcher
	add := func(name, role string, fleet bool) {
		if !slices.ContainsFunc(launchers, func(l evaluate.Launcher) bool { return l.Role == role || l.Name == name }) {
			launchers = append(launchers, evaluate.Launcher{Name: name, Role: role, Policy: document, Assumed: true, Fleet: fleet})
		}
	}
	for i, pattern := range append([]string{karpenterRoles}, s.Roles...) {
		roles, known := members.Matching(account, pattern)
		switch {
		case !known && i == 0:
			add("Karpenter", karpenterRole, true)
		case !known:
			add(path.Base(pattern), standIn(pattern), false)
		}
		for _, role := range roles {
			if role == karpenterRole {
				add("Karpenter", role, true)
			} else {
				add(path.Base(role), role, i == 0)
			}
		}
	}
	return launchers
}

// standIn returns a role that the pattern matches.
func standIn(pattern string) string {
	return cmp.Or(strings.NewReplacer("*", "", "?", "x").Replace(pattern), "Launcher")
}

func (s Scope) serviceLaunchers() []evaluate.Launcher {
	launchers := make([]evaluate.Launcher, len(s.GrantRoles))
	for i, role := range s.GrantRoles {
		launchers[i] = evaluate.Launcher{Name: launcherName(role), Role: role, ServiceLinked: true}
	}
	return launchers
}

// launcherName is the name of the service that has the role.
func launcherName(role string) string {
	switch path.Base(role) {
	case "AWSServiceRoleForEC2Spot":
		return "EC2 Spot"
	case "AWSServiceRoleForAutoScaling":
		return "EC2 Auto Scaling"
	case "AWSServiceRoleForApplicationAutoScaling_ECSService":
		return "ECS auto scaling"
	default:
		return path.Base(role)
	}
}
