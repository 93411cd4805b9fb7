package grant

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/fanout"
)

// Clients returns a Region's KMS client.
type Clients func(region string) *kms.Client

// Observed are the regional keys' grants.
type Observed struct {
	// byGrantee holds, by Region and grantee, the unconstrained grants.
	byGrantee map[string]map[string][]existing
	// total counts all grants of a Region's key, also those that AWS services
	// created: they share the quota. Fact: GRANT-30.
	total map[string]int
}

type existing struct {
	id         string
	name       string // "" unless it is one of ours
	operations []string
}

// Total is how many grants the Region's key has, whoever created them.
func (o Observed) Total(region string) int { return o.total[region] }

// Listed is a grant of a regional key.
type Listed struct {
	ID         string
	Name       string // of ours only
	Grantee    string // ARN, or the ID of a role that was deleted
	Operations []string
}

// Listed are the Region's grants without constraints, in no order.
func (o Observed) Listed(region string) []Listed {
	var all []Listed
	for grantee, grants := range o.byGrantee[region] {
		for _, g := range grants {
			all = append(all, Listed{g.id, g.name, grantee, g.operations})
		}
	}
	return all
}

// Read reads the grants of the regional keys, one pass over each, in parallel.
// keys maps Regions to the ARNs of existing keys.
func Read(ctx context.Context, clients Clients, keys map[string]string) (Observed, error) {
	return fold(fanout.Collect(ctx, regionsOf(keys), func(ctx context.Context, region string) (keyGrants, error) {
		return list(ctx, clients(region), keys[region], region)
	}))
}

// ReadNew is [Read] for keys that may be so new that KMS doesn't show them
// everywhere. A key that isn't visible yet has no grants.
func ReadNew(ctx context.Context, clients Clients, keys map[string]string) (Observed, error) {
	return fold(fanout.Collect(ctx, regionsOf(keys), func(ctx context.Context, region string) (keyGrants, error) {
		found, err := list(ctx, clients(region), keys[region], region)
		if awsclient.Is(err, awsclient.CodeNotFound) {
			return keyGrants{}, nil
		}
		return found, err
	}))
}

func regionsOf(keys map[string]string) []string { return slices.Collect(maps.Keys(keys)) }

// keyGrants are the grants of one key.
type keyGrants struct {
	byGrantee map[string][]existing
	total     int
}

// list reads the grants of one key. An entry without what identifies a grant is
// an error: left out, it could be created again, or escape pruning.
func list(ctx context.Context, client *kms.Client, keyARN, region string) (keyGrants, error) {
	found := keyGrants{byGrantee: map[string][]existing{}}
	var operations []string // of the grant before: most have the same
	for pages := kms.NewListGrantsPaginator(client, &kms.ListGrantsInput{KeyId: &keyARN, Limit: aws.Int32(100)}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return keyGrants{}, awsclient.Wrap(err, "listing the grants of key %s in %s", keyARN, region)
		}
		for _, g := range page.Grants {
			found.total++
			if g.Constraints != nil {
				continue // valid only in some encryption context: AWS services' own
			}
			id, grantee := aws.ToString(g.GrantId), aws.ToString(g.GranteePrincipal)
			if id == "" || grantee == "" || len(g.Operations) == 0 {
				return keyGrants{}, fmt.Errorf("KMS ListGrants for key %s in %s returned a grant without GrantId, GranteePrincipal or Operations. Run again; if it happens again, check endpoint_url and any proxy on the way to AWS", keyARN, region)
			}
			if named := operationNames(g.Operations); !slices.Equal(named, operations) {
				operations = named
			}
			found.byGrantee[grantee] = append(found.byGrantee[grantee], existing{id, ourName(aws.ToString(g.Name), grantee), operations})
		}
	}
	return found, nil
}

func fold(all map[string]keyGrants, err error) (Observed, error) {
	observed := Observed{byGrantee: map[string]map[string][]existing{}, total: map[string]int{}}
	for region, found := range all {
		observed.byGrantee[region], observed.total[region] = found.byGrantee, found.total
	}
	return observed, err
}

// With returns what was observed, with the Regions of a later read in place of
// its own.
func (o Observed) With(later Observed) Observed {
	with := Observed{byGrantee: map[string]map[string][]existing{}, total: map[string]int{}}
	for _, each := range []Observed{o, later} {
		maps.Copy(with.byGrantee, each.byGrantee)
		maps.Copy(with.total, each.total)
	}
	return with
}

func operationNames(operations []types.GrantOperation) []string {
	names := make([]string, len(operations))
	for i, o := range operations {
		names[i] = string(o)
	}
	return names
}

// find returns the ID of a grant that covers what g needs, whoever created it.
func (o Observed) find(g Grant) (string, bool) {
	covering := slices.DeleteFunc(slices.Clone(o.byGrantee[g.Region][g.Role]), func(e existing) bool {
		return slices.ContainsFunc(g.Operations, func(o string) bool { return !slices.Contains(e.operations, o) })
	})
	if len(covering) == 0 {
		return "", false
	}
	return slices.MinFunc(covering, func(a, b existing) int { return cmp.Compare(a.id, b.id) }).id, true
}
