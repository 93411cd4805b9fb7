// Package accounts finds the accounts of an AWS organisation, or of some of its
// organisational units. It only reads. Fact: 7.
package organization

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
)

// Want says which accounts to find.
type Want struct {
	// Units are ids of organisational units or roots (ou-…, r-…): their
	// accounts, and those of all units below. None means the whole organisation.
	Units []string
	// Exclude lists ids of accounts to leave out. One that is not there is no
	// error: it may have left.
	Exclude []string
}

// Discover returns the ids of the accounts that are active, in order: suspended
// and closing ones, and those that are still being made, cannot launch. Only the
// management account and delegated administrators may ask. Fact: 7.
func Discover(ctx context.Context, client *organizations.Client, want Want) ([]string, error) {
	found, err := list(ctx, client, want.Units)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, account := range found {
		if id := aws.ToString(account.Id); active(account) && !slices.Contains(want.Exclude, id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// active goes by State, and by Status where an older endpoint tells only that.
func active(account types.Account) bool {
	return cmp.Or(string(account.State), string(account.Status)) == string(types.AccountStateActive)
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
	return pages(func(token *string) ([]types.Account, *string, error) {
		answer, err := client.ListAccounts(ctx, &organizations.ListAccountsInput{NextToken: token})
		if err != nil {
			return nil, nil, failed(err, "listing the organisation's accounts")
		}
		return answer.Accounts, answer.NextToken, nil
	})
}

// under lists the accounts of the unit and of all units below it; seen are the
// units that were listed already.
func under(ctx context.Context, client *organizations.Client, unit string, seen map[string]bool) ([]types.Account, error) {
	if seen[unit] {
		return nil, nil
	}
	seen[unit] = true
	found, err := pages(func(token *string) ([]types.Account, *string, error) {
		answer, err := client.ListAccountsForParent(ctx, &organizations.ListAccountsForParentInput{ParentId: &unit, NextToken: token})
		if err != nil {
			return nil, nil, failed(err, "listing the accounts of the organisational unit %s", unit)
		}
		return answer.Accounts, answer.NextToken, nil
	})
	if err != nil {
		return nil, err
	}
	units, err := pages(func(token *string) ([]types.OrganizationalUnit, *string, error) {
		answer, err := client.ListOrganizationalUnitsForParent(ctx, &organizations.ListOrganizationalUnitsForParentInput{ParentId: &unit, NextToken: token})
		if err != nil {
			return nil, nil, failed(err, "listing the units below the organisational unit %s", unit)
		}
		return answer.OrganizationalUnits, answer.NextToken, nil
	})
	if err != nil {
		return nil, err
	}
	for _, child := range units {
		below, err := under(ctx, client, aws.ToString(child.Id), seen)
		if err != nil {
			return nil, err
		}
		found = append(found, below...)
	}
	return found, nil
}

// pages collects pages until there is no token: one can be empty though more
// follow. Fact: 7.
func pages[T any](page func(token *string) ([]T, *string, error)) ([]T, error) {
	var list []T
	var token *string
	for {
		part, next, err := page(token)
		if err != nil {
			return nil, err
		}
		list = append(list, part...)
		if aws.ToString(next) == "" {
			return list, nil
		}
		token = next
	}
}

func failed(err error, format string, args ...any) error {
	wrapped := awsclient.Wrap(err, format, args...)
	switch {
	case awsclient.Is(err, awsclient.CodeAccessDenied):
		return fmt.Errorf("%w; only the management account and delegated administrators may ask: run in one of these, name a role in one of these in grants.discover_role_arn, make this account one in the management account ('aws organizations register-delegated-administrator --account-id ACCOUNT --service-principal SERVICE'), or list the accounts in grants.accounts or grants.accounts_file instead of grants.discover", wrapped)
	case awsclient.Is(err, "ParentNotFoundException"):
		return fmt.Errorf("%w; check grants.organizational_units", wrapped)
	default:
		return wrapped
	}
}

// UnitID is the id in a unit's ARN; an id is returned as it is.
func UnitID(unit string) string { return unit[strings.LastIndexByte(unit, '/')+1:] }
