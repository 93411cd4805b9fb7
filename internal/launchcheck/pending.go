package launchcheck

import (
	"maps"
	"slices"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/grant"
	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
)

// linkGrant is the name of the link that a missing grant breaks.
const linkGrant = "grant"

// launch is a launch by one launcher.
type launch struct{ account, region, launcher string }

// missingGrants are the grants that are still to be created, and those of roles that
// don't exist.
func (s Scope) missingGrants(members Members) map[launch]grant.Grant {
	missing := map[launch]grant.Grant{}
	for _, g := range s.Grants {
		if g.Status == grant.Planned || g.Status == grant.ToCreate || g.Status == grant.Skipped {
			if _, role, _ := strings.Cut(g.Role, ":role/"); g.Status != grant.Skipped {
				if members.lacks(g.Account, role) {
					g.Status, g.Reason = grant.Skipped, grant.MissingRole
				}
			}
			missing[launch{g.Account, g.Region, launcherName(g.Role)}] = g
		}
	}
	return missing
}

// withPending is the result for one Region. Where a grant is missing, the launch is
// evaluated as if it existed. If it then succeeds, it is pending, and the link says which
// account creates the grant. Otherwise the verdict is what else keeps it from succeeding.
func (s Scope) withPending(result evaluate.Result, input evaluate.Input, missing map[launch]grant.Grant) evaluate.Result {
	input.Regions = []evaluate.Region{withGrants(input.Regions[0], missing)}
	var granted []evaluate.Verdict // of the same accounts and launchers
	for i, v := range result.Verdicts {
		g, found := missing[launch{v.Account, v.Region, v.Launcher}]
		if !found || v.Outcome == evaluate.Launches {
			continue
		}
		if granted == nil {
			evaluated := evaluate.Evaluate(input)
			granted = evaluated.Verdicts
			result.Assumptions = append(slices.Clip(result.Assumptions), evaluated.Assumptions...)
		}
		v = granted[i]
		if v.Outcome == evaluate.Launches {
			v.Outcome = evaluate.Pending
			v.Links = slices.DeleteFunc(slices.Clone(v.Links), func(l evaluate.Link) bool { return l.Name == linkGrant })
			v.Links = append(v.Links, s.waitingFor(g))
		}
		result.Verdicts[i] = v
	}
	return result
}

// withGrants returns the Region with the missing grants on its key.
func withGrants(region evaluate.Region, missing map[launch]grant.Grant) evaluate.Region {
	region.Keys = maps.Clone(region.Keys)
	for l, g := range missing {
		key, found := region.Keys[g.KeyARN]
		if l.region != region.Name || !found {
			continue
		}
		key.Grants = append(slices.Clip(key.Grants), created(g))
		region.Keys[g.KeyARN] = key
	}
	return region
}

// created returns the grant as KMS will list it.
func created(g grant.Grant) evaluate.Grant {
	return evaluate.Grant{ID: g.Name, Name: g.Name, Grantee: g.Role, IssuingAccount: g.Account, Operations: g.Operations}
}

// waitingFor returns the link of a missing grant. It names no grant, because launches
// that wait for the same reason are shown together.
func (s Scope) waitingFor(g grant.Grant) evaluate.Link {
	link := evaluate.Link{Name: linkGrant, Outcome: evaluate.Pending, Evidence: evaluate.Seen}
	switch g.Status {
	case grant.Skipped:
		link.Because = g.Reason
	case grant.ToCreate:
		link.Because = "the grant hasn't been created yet: create it with credentials of account " + g.Account
		if !s.RolesListed {
			link.Because += "; the role may not exist"
		}
		link.Remedy, link.Note = g.Command(), evaluate.CredentialsOf(g.Account)
	default:
		link.Because = "the grant hasn't been created yet: publishing creates it with credentials of account " + g.Account
	}
	if g.Status != grant.Skipped && g.Reason != "" {
		link.Because += ". The role's existing grants don't count: another account created them, or they lack operations"
	}
	return link
}
