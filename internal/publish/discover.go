package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/organization"
)

// errNobody stops a run that would revoke every grant because AWS returned an empty
// list of accounts. An empty list is more likely a mistake than intended.
var errNobody = errors.New("discovering the accounts for grants: AWS Organizations lists no active account, and grants.prune would revoke the grants of all accounts that earlier runs discovered. Check grants.organizational_units and grants.exclude, or omit grants.prune")

// discover lists the accounts for grants with AWS Organizations, if configured.
func discover(ctx context.Context, clients *awsclient.Clients, spec GrantsSpec, caller awsclient.Identity) ([]string, error) {
	if !spec.Discover {
		return nil, nil
	}
	as := caller.ARN
	if spec.DiscoverRoleARN != "" {
		clients, as = clients.WithRole(awsclient.AssumeRole{RoleARN: spec.DiscoverRoleARN}), spec.DiscoverRoleARN
	}
	found, err := organization.Discover(ctx, clients.Organizations(caller.Partition), organization.Query{
		Units: spec.OrganizationalUnits, Exclude: spec.Exclude,
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("discovering the accounts for grants as %s: %w", as, err)
	case len(found) == 0 && spec.Prune:
		return nil, errNobody
	default:
		return found, nil
	}
}

// membersPatience is how long listing the organization's accounts may take where
// the publication doesn't depend on it.
const membersPatience = 15 * time.Second

// listMembers lists all accounts of the organization, if grants.accounts has some to
// compare with them. It returns nil if the caller can't list accounts: only the
// management account and delegated administrators can. Fact: ORG-4.
func listMembers(ctx context.Context, clients *awsclient.Clients, spec Spec, observed Observed) []string {
	if len(unconfirmed(spec, observed)) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, membersPatience)
	defer cancel()
	if spec.Grants.DiscoverRoleARN != "" {
		clients = clients.WithRole(awsclient.AssumeRole{RoleARN: spec.Grants.DiscoverRoleARN})
	}
	members, err := organization.Members(ctx, clients.Organizations(observed.Caller.Partition))
	if err != nil {
		return nil
	}
	return members
}

// unconfirmed are the accounts in grants.accounts whose existence nothing else
// confirms. An account that the image is shared with by its ID may be outside the
// organization.
func unconfirmed(spec Spec, observed Observed) []string {
	return slices.DeleteFunc(slices.Clone(spec.Grants.Accounts), func(account string) bool {
		return account == observed.Caller.Account || slices.Contains(spec.Share.Accounts, account) || slices.Contains(observed.Discovered, account)
	})
}

// strangers are the problems with accounts in grants.accounts that aren't members of
// the organization.
func strangers(spec Spec, observed Observed) []string {
	if observed.Members == nil {
		return nil
	}
	var problems []string
	for _, account := range unconfirmed(spec, observed) {
		if !slices.Contains(observed.Members, account) {
			problems = append(problems, fmt.Sprintf("grants.accounts lists %s, which is not an account of the organization. Correct the ID or remove it. To grant to an account outside the organization, list it in share.accounts, too", account))
		}
	}
	return problems
}
