package publish

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/grant"
	"github.com/orgami/packer-plugin-orgami/internal/launchcheck"
	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
	"github.com/orgami/packer-plugin-orgami/internal/text"
)

// inspect reads, with grants.member_role, what launches depend on in the accounts
// that get grants.
func (r run) inspect(ctx context.Context, observed Observed, plan Plan, keyID string) (launchcheck.Members, error) {
	if r.spec.Check == CheckOff || r.spec.Grants.MemberRole == "" {
		return launchcheck.Members{}, nil
	}
	query := launchcheck.Query{
		Partition: observed.Caller.Partition, Accounts: grantAccounts(r.spec, observed), Regions: r.spec.Regions,
		Owner: observed.Caller.Account, Roles: r.spec.CheckRoles, Keys: map[string][]string{}, Images: plan.existing(), Published: r.spec.PlanOnly,
	}
	if keyID != "" {
		for _, region := range r.spec.Regions {
			query.Keys[region] = []string{policy.KeyARN(observed.Caller.Partition, region, observed.Caller.Account, keyID)}
		}
	}
	members, err := launchcheck.Inspect(ctx, r.member(observed.Caller.Partition), query)
	if err != nil {
		return members, fmt.Errorf("inspecting member accounts: %w", err)
	}
	if lines := absent(members, r.spec.CheckRoles); len(lines) > 0 {
		r.Reporter.Warn(strings.Join(lines, "\n"))
	}
	return members, nil
}

// absent reports the patterns in check_roles that match no role in some inspected
// accounts.
func absent(members launchcheck.Members, patterns []string) []string {
	var lines []string
	for _, pattern := range patterns {
		var accounts []string
		for _, account := range members.Inspected {
			if roles, known := members.Matching(account, pattern); known && len(roles) == 0 {
				accounts = append(accounts, account)
			}
		}
		if len(accounts) > 0 {
			lines = append(lines, fmt.Sprintf("No role in %[2]s (%[3]s) matches %[1]q in check_roles, so its launches aren't checked.", pattern, text.Count(len(accounts), "account"), text.Few(accounts, 3)))
		}
	}
	return lines
}

// member assumes grants.member_role in an account.
func (r run) member(partition string) launchcheck.Member {
	return func(ctx context.Context, account string) (*awsclient.Clients, error) {
		role := grant.RoleARN(partition, account, r.spec.Grants.MemberRole)
		session := r.sessions(role)
		if _, err := session.Retrieve(ctx); err != nil {
			return nil, awsclient.Wrap(err, "assuming %s", role)
		}
		return r.Clients.WithSession(session), nil
	}
}

// ofMember are the links that depend on settings of the launching account alone.
// They are read once, so checking again doesn't change them.
var ofMember = []string{evaluate.LinkRegionEnabled, evaluate.LinkAllowedAMIs, evaluate.LinkSCP, evaluate.LinkBoundary, evaluate.LinkVolumeKey}

func inMember(c evaluate.Case) bool {
	broken, _ := c.Broken()
	return broken.Evidence != evaluate.Assumed && slices.Contains(ofMember, broken.Name)
}

// uninspected returns one line about what couldn't be read in member accounts, and how
// to fix it, or "".
func uninspected(unread []launchcheck.Unread, memberRole string) string {
	var parts []string
	for i, u := range unread {
		accounts := fmt.Sprintf("%s (%s)", text.Count(len(u.Accounts), "account"), text.Few(u.Accounts, 3))
		same := func(o launchcheck.Unread) bool {
			return o.Denied && o.Action != launchcheck.AssumeRole && slices.Equal(o.Accounts, u.Accounts)
		}
		switch {
		case u.Action == launchcheck.AssumeRole:
			parts = append(parts, fmt.Sprintf("%s can't be assumed in %s", memberRole, accounts))
		case !u.Denied:
			parts = append(parts, fmt.Sprintf("%s failed in %s: %s", u.Action, accounts, text.Printable(u.Err.Error())))
		case !slices.ContainsFunc(unread[:i], same): // the first action with these accounts
			var actions []string
			for _, o := range unread {
				if same(o) {
					actions = append(actions, o.Action)
				}
			}
			parts = append(parts, fmt.Sprintf("%s lacks %s in %s", memberRole, strings.Join(actions, ", "), accounts))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "Some launch checks are assumed, because member accounts couldn't be inspected: " + strings.Join(parts, "; ") +
		`. Deploy the role with the permissions that docs/permissions.md lists, for example with the template of outputs = ["cloudformation"].`
}

// notSeen are the checks of named accounts that didn't pass, or passed only on an
// assumption. Accounts that aren't named can't be inspected.
func notSeen(matrix evaluate.Matrix) evaluate.Matrix {
	var found evaluate.Matrix
	for _, c := range matrix {
		seen := c.Outcome == evaluate.Launches && c.Evidence != evaluate.Assumed
		c.Accounts = slices.DeleteFunc(slices.Clone(c.Accounts), func(account string) bool { return account == evaluate.AnyOther })
		if c.Outcome != evaluate.Fails && !seen && len(c.Accounts) > 0 { // failing checks are reported anyway
			found = append(found, c)
		}
	}
	return found
}

// unseen is the error of check = "seen".
func unseen(matrix evaluate.Matrix) error {
	found := notSeen(matrix)
	if len(found) == 0 {
		return nil
	}
	assumed := found.Only(evaluate.Launches)
	return fmt.Errorf("check = \"seen\" requires that every launch check passes without an assumption: %s pending, %s inconclusive, %s on an assumption: %s",
		are(found.Count(evaluate.Pending), "launch check"), are(found.Count(evaluate.Inconclusive), "launch check"), rest(assumed.Total()), assumptionsOf(assumed))
}

// rest is "1 launch check rests" or "2 launch checks rest".
func rest(n int) string {
	if n == 1 {
		return text.Count(n, "launch check") + " rests"
	}
	return text.Count(n, "launch check") + " rest"
}

// assumptionsOf names the links that are assumed, with their accounts.
func assumptionsOf(matrix evaluate.Matrix) string {
	accounts := map[string][]string{}
	for _, c := range matrix {
		for _, l := range c.Links {
			if l.Evidence == evaluate.Assumed {
				accounts[l.Name] = append(accounts[l.Name], c.Accounts...)
			}
		}
	}
	var parts []string
	for _, link := range slices.Sorted(maps.Keys(accounts)) {
		of := slices.Compact(slices.Sorted(slices.Values(accounts[link])))
		parts = append(parts, fmt.Sprintf("%s in %s", link, text.Few(of, 3)))
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, "; ")
}

// expectedGrants is how many grants are missing that should exist: of roles that the
// configuration lists or that are seen to exist, and of accounts whose member role
// can't be assumed. Such an account may be new, without the role's StackSet.
func expectedGrants(plan Plan, members launchcheck.Members) int {
	if n := plan.Grants.Expected(); n > 0 {
		return n
	}
	missing := 0
	for _, g := range plan.Grants.Grants() {
		_, role, _ := strings.Cut(g.Role, ":role/")
		if has, known := members.HasRole(g.Account, role); g.Status != grant.Exists && (known && has || members.Closed(g.Account)) {
			missing++
		}
	}
	return missing
}

// driftInMembers describes launches that, according to the inspection, may fail.
func driftInMembers(matrix evaluate.Matrix) []string {
	var policies, denied int
	for _, c := range matrix {
		switch broken, _ := c.Broken(); {
		case c.Outcome == evaluate.Pending && broken.Name == evaluate.LinkIdentityPolicy:
			policies += len(c.Accounts)
		case c.Outcome == evaluate.Inconclusive && broken.Name == evaluate.LinkSCP:
			denied += len(c.Accounts)
		}
	}
	var drift []string
	if policies > 0 {
		drift = append(drift, text.Count(policies, "launch")+" without the IAM policy in karpenter-kms-policy.json")
	}
	if denied > 0 {
		drift = append(drift, text.Count(denied, "launch")+" that the organization may deny")
	}
	return drift
}
