package publish

import (
	"context"
	"errors"
	"fmt"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/organization"
)

// errNobody stops a run that would revoke every grant because a list of accounts
// came back empty: that is likelier a mistake than a wish.
var errNobody = errors.New("discovering the accounts for grants: AWS Organizations lists no active account, and grants.prune would revoke the grants of all accounts discovered before: check grants.organizational_units and grants.exclude, or leave out grants.prune")

// discover asks AWS for the accounts that are to have grants, if it is to.
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
