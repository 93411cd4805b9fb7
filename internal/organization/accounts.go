// Package organization finds the accounts of an AWS organization, or of some of
// its organizational units. It only reads. Fact: ORG-2, ORG-3.
package organization

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
)

// Query defines which accounts to find.
type Query struct {
	// Units are IDs of organizational units or roots (ou-…, r-…): their accounts,
	// and those of all units below. Defaults to the whole organization.
	Units []string
	// Exclude lists IDs of accounts to leave out. An account that isn't found isn't an
	// error, because it may have left.
	Exclude []string
}

// Discover returns the IDs of the active accounts, in order. Suspended and closing
// accounts, and those that are still being created, can't launch. Only the management
// account and delegated administrators can call it. An account without an ID or a state
// is an error. If it were ignored, it would lose its grants. Fact: ORG-6, ORG-8.
func Discover(ctx context.Context, client *organizations.Client, query Query) ([]string, error) {
	found, err := list(ctx, client, query.Units)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, account := range found {
		id, state := aws.ToString(account.Id), stateOf(account)
		if id == "" || state == "" {
			return nil, incomplete("ListAccounts", fmt.Sprintf("an account without Id or State (Id %q)", id))
		}
		if state == types.AccountStateActive && !slices.Contains(query.Exclude, id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// Members returns the IDs of all accounts of the organization, whatever their
// state.
func Members(ctx context.Context, client *organizations.Client) ([]string, error) {
	found, err := all(ctx, client)
	if err != nil {
		return nil, err
	}
	ids := make([]string, 0, len(found))
	for _, account := range found {
		ids = append(ids, aws.ToString(account.Id))
	}
	return ids, nil
}

// stateOf is the account's State, or its Status if an older endpoint returns only
// that.
func stateOf(account types.Account) types.AccountState {
	return cmp.Or(account.State, types.AccountState(account.Status))
}

func list(ctx context.Context, client *organizations.Client, units []string) ([]types.Account, error) {
	if len(units) == 0 {
		return all(ctx, client)
	}
	var found []types.Account
	seen := map[string]bool{}
	for _, unit := range units {
		below, err := under(ctx, client, unit, seen)
		if err != nil {
			return nil, err
		}
		found = append(found, below...)
	}
	return found, nil
}

func all(ctx context.Context, client *organizations.Client) ([]types.Account, error) {
	var found []types.Account
	for pages := organizations.NewListAccountsPaginator(client, &organizations.ListAccountsInput{}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, failed(err, "listing the organization's accounts")
		}
		found = append(found, page.Accounts...)
	}
	return found, nil
}

// under lists the accounts of the unit and of all units below it; seen are the
// units that were listed already.
func under(ctx context.Context, client *organizations.Client, unit string, seen map[string]bool) ([]types.Account, error) {
	if seen[unit] {
		return nil, nil
	}
	seen[unit] = true
	var found []types.Account
	for pages := organizations.NewListAccountsForParentPaginator(client, &organizations.ListAccountsForParentInput{ParentId: &unit}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, failed(err, "listing the accounts of the organizational unit %s", unit)
		}
		found = append(found, page.Accounts...)
	}
	units, err := children(ctx, client, unit)
	if err != nil {
		return nil, err
	}
	for _, child := range units {
		below, err := under(ctx, client, child, seen)
		if err != nil {
			return nil, err
		}
		found = append(found, below...)
	}
	return found, nil
}

// children lists the IDs of the units right below the unit.
func children(ctx context.Context, client *organizations.Client, unit string) ([]string, error) {
	var ids []string
	for pages := organizations.NewListOrganizationalUnitsForParentPaginator(client, &organizations.ListOrganizationalUnitsForParentInput{ParentId: &unit}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, failed(err, "listing the units below the organizational unit %s", unit)
		}
		for _, child := range page.OrganizationalUnits {
			if aws.ToString(child.Id) == "" {
				return nil, incomplete("ListOrganizationalUnitsForParent", "a unit below "+unit+" without Id")
			}
			ids = append(ids, *child.Id)
		}
	}
	return ids, nil
}

// incomplete is the error for a response without required values.
func incomplete(operation, what string) error {
	return fmt.Errorf("AWS Organizations %s returned %s. Run again; if it happens again, check endpoint_url and any proxy on the way to AWS", operation, what)
}

func failed(err error, format string, args ...any) error {
	wrapped := awsclient.Wrap(err, format, args...)
	switch {
	case awsclient.Is(err, awsclient.CodeAccessDenied):
		return fmt.Errorf("%w; only the management account and delegated administrators may list accounts. Run in one of these, name a role in one of these in grants.discover_role_arn, register this account in the management account ('aws organizations register-delegated-administrator --account-id ACCOUNT --service-principal SERVICE'), or list the accounts in grants.accounts or grants.accounts_file instead of grants.discover", wrapped)
	case awsclient.Is(err, "ParentNotFoundException"):
		return fmt.Errorf("%w. Check grants.organizational_units", wrapped)
	default:
		return wrapped
	}
}

// UnitID is the ID in a unit's ARN. Anything else is returned as it is.
func UnitID(unit string) string {
	parsed, err := arn.Parse(unit)
	if err != nil {
		return unit
	}
	return path.Base(parsed.Resource)
}
