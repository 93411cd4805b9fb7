package launchcheck

import (
	"slices"
	"strings"
	"sync"

	"github.com/orgami/packer-plugin-orgami/internal/grant"
	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
)

// launch is a launch by one launcher in a Region.
type launch struct{ account, launcher string }

// missingGrants are the Region's grants that are still to be created, and those of
// roles that don't exist.
func (s Scope) missingGrants(region string, members Members) map[launch]grant.Grant {
	missing := map[launch]grant.Grant{}
	for _, g := range s.Grants {
		if g.Region != region || g.Status != grant.Planned && g.Status != grant.ToCreate && g.Status != grant.Skipped {
			continue
		}
		if _, role, _ := strings.Cut(g.Role, ":role/"); g.Status != grant.Skipped && members.lacks(g.Account, role) {
			g.Status, g.Reason = grant.Skipped, grant.MissingRole
		}
		missing[launch{g.Account, launcherName(g.Role)}] = g
	}
	return missing
}

// pending adds the verdicts on launchers that need grants. Where a grant is missing, the
// launch is evaluated as if it existed. If it then succeeds, it is pending, and the link
// says which account creates the grant. Otherwise the verdict is what else keeps it from
// succeeding.
func (s Scope) pending(to *found, input evaluate.Input, region evaluate.Region, missing map[launch]grant.Grant) {
	now, granted := input.In(region), input.In(withGrants(region, missing))
	to.look(input.Accounts, now, granted.Verdicts, func(v evaluate.Verdict, then func() evaluate.Verdict) evaluate.Verdict {
		g, found := missing[launch{v.Account, v.Launcher}]
		if !found || v.Outcome == evaluate.Launches {
			return v
		}
		if v = then(); v.Outcome == evaluate.Launches {
			return waiting(v, s.waitingFor(g))
		}
		return v
	})
	to.assume(now, granted)
}

// look adds the verdicts on the accounts, as revise returns them. then is the verdict on
// the same launch with what is missing, which is evaluated only for accounts that need it.
func (f *found) look(accounts []evaluate.Account, now *evaluate.Evaluator, with func(evaluate.Account) []evaluate.Verdict, revise func(v evaluate.Verdict, then func() evaluate.Verdict) evaluate.Verdict) {
	for _, account := range accounts {
		verdicts := now.Verdicts(account)
		then := sync.OnceValue(func() []evaluate.Verdict { return with(account) })
		for i, v := range verdicts {
			verdicts[i] = revise(v, func() evaluate.Verdict { return then()[i] })
		}
		f.cases.Add(verdicts...)
	}
}

// waiting is the verdict on a launch that waits for what the link says.
func waiting(v evaluate.Verdict, link evaluate.Link) evaluate.Verdict {
	v.Outcome, link.Outcome = evaluate.Pending, evaluate.Pending
	v.Links = append(slices.DeleteFunc(v.Links, func(l evaluate.Link) bool { return l.Name == link.Name }), link)
	return v
}

// withGrants returns the Region with the missing grants on its keys.
func withGrants(region evaluate.Region, missing map[launch]grant.Grant) evaluate.Region {
	more := map[string][]evaluate.Grant{}
	for _, g := range missing {
		more[g.KeyARN] = append(more[g.KeyARN], created(g))
	}
	keys := map[string]evaluate.Key{}
	for keyARN, key := range region.Keys {
		key.Grants = slices.Concat(key.Grants, more[keyARN])
		keys[keyARN] = key
	}
	region.Keys = keys
	return region
}

// created returns the grant as KMS will list it.
func created(g grant.Grant) evaluate.Grant {
	return evaluate.Grant{ID: g.Name, Name: g.Name, Grantee: g.Role, IssuingAccount: g.Account, Operations: g.Operations}
}

// waitingFor returns the link of a missing grant. It names no grant, because launches
// that wait for the same reason are shown together.
func (s Scope) waitingFor(g grant.Grant) evaluate.Link {
	link := evaluate.Link{Name: evaluate.LinkGrant, Outcome: evaluate.Pending, Evidence: evaluate.Seen}
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
