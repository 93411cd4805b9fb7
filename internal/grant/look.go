package grant

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/change"
	"github.com/orgami/packer-plugin-orgami/internal/fanout"
)

// Clients returns a region's KMS client.
type Clients func(region string) *kms.Client

// State is what the regional keys' grants are.
type State struct {
	// byGrantee holds, by region and grantee, the unconstrained grants.
	byGrantee map[string]map[string][]existing
	// total counts all grants of a region's key, also those that AWS services
	// made: a key holds 50,000 at most. Fact: 3.
	total map[string]int
}

type existing struct {
	id         string
	name       string // "" unless it is one of ours
	operations []string
}

// Total is how many grants the region's key has, of anybody.
func (s State) Total(region string) int { return s.total[region] }

// Listed is a grant of a regional key.
type Listed struct {
	ID         string
	Name       string // of ours only
	Grantee    string // ARN, or the id of a role that was deleted
	Operations []string
}

// Listed are the region's grants without constraints, in no order.
func (s State) Listed(region string) []Listed {
	var all []Listed
	for grantee, grants := range s.byGrantee[region] {
		for _, g := range grants {
			all = append(all, Listed{g.id, g.name, grantee, g.operations})
		}
	}
	return all
}

// Look reads the grants of the regional keys, one pass over each, all side by
// side. keys maps the regions to the ARNs of keys that exist.
func Look(ctx context.Context, clients Clients, keys map[string]string) (State, error) {
	return fold(fanout.Collect(ctx, regionsOf(keys), func(ctx context.Context, region string) (keyGrants, error) {
		return list(ctx, clients(region), keys[region], region)
	}))
}

func regionsOf(keys map[string]string) []string { return slices.Collect(maps.Keys(keys)) }

// keyGrants are the grants of one key.
type keyGrants struct {
	byGrantee map[string][]existing
	total     int
}

func list(ctx context.Context, client *kms.Client, arn, region string) (keyGrants, error) {
	found := keyGrants{byGrantee: map[string][]existing{}}
	var operations []string // of the grant before: most have the same
	for pages := kms.NewListGrantsPaginator(client, &kms.ListGrantsInput{KeyId: &arn, Limit: aws.Int32(100)}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return keyGrants{}, awsclient.Wrap(err, "listing the grants of key %s in %s", arn, region)
		}
		for _, g := range page.Grants {
			found.total++
			if g.Constraints != nil {
				continue // holds only in some encryption context: AWS services' own
			}
			grantee := aws.ToString(g.GranteePrincipal)
			if named := operationNames(g.Operations); !slices.Equal(named, operations) {
				operations = named
			}
			found.byGrantee[grantee] = append(found.byGrantee[grantee], existing{aws.ToString(g.GrantId), ourName(aws.ToString(g.Name), grantee), operations})
		}
	}
	return found, nil
}

// LookNew is [Look] for keys that may be so new that KMS does not show them
// everywhere: those have no grants yet.
func LookNew(ctx context.Context, clients Clients, keys map[string]string) (State, error) {
	return fold(fanout.Collect(ctx, regionsOf(keys), func(ctx context.Context, region string) (keyGrants, error) {
		found, err := list(ctx, clients(region), keys[region], region)
		if awsclient.Is(err, awsclient.CodeNotFound) {
			return keyGrants{}, nil
		}
		return found, err
	}))
}

func fold(all map[string]keyGrants, err error) (State, error) {
	state := State{byGrantee: map[string]map[string][]existing{}, total: map[string]int{}}
	for region, found := range all {
		state.byGrantee[region], state.total[region] = found.byGrantee, found.total
	}
	return state, err
}

// With returns the state with the regions of a later look in place of its own.
func (s State) With(later State) State {
	with := State{byGrantee: maps.Clone(s.byGrantee), total: maps.Clone(s.total)}
	maps.Copy(with.byGrantee, later.byGrantee)
	maps.Copy(with.total, later.total)
	return with
}

func operationNames(operations []types.GrantOperation) []string {
	names := make([]string, len(operations))
	for i, o := range operations {
		names[i] = string(o)
	}
	return names
}

// find returns the id of a grant that covers what g needs, whoever made it.
func (s State) find(g Grant) (string, bool) {
	covering := slices.DeleteFunc(slices.Clone(s.byGrantee[g.Region][g.Role]), func(e existing) bool {
		return slices.ContainsFunc(g.Operations, func(o string) bool { return !slices.Contains(e.operations, o) })
	})
	if len(covering) == 0 {
		return "", false
	}
	return slices.MinFunc(covering, func(a, b existing) int { return cmp.Compare(a.id, b.id) }).id, true
}

// Plan is the wanted grants, each Exists or Planned, and those of ours that are
// not wanted any more.
type Plan struct {
	want      Want
	grants    []Grant
	leftovers []Leftover
}

// Diff compares.
func Diff(want Want, state State, keyARN func(region string) string) Plan {
	plan := Plan{want: want, grants: want.Wanted(keyARN)}
	for i := range plan.grants {
		g := &plan.grants[i]
		if id, ok := state.find(*g); ok {
			g.Status, g.GrantID = Exists, id
		}
	}
	plan.leftovers = state.leftovers(want, keyARN)
	return plan
}

// Missing maps the regions in which applying the plan makes grants to the ARNs
// of their keys.
func (p Plan) Missing() map[string]string {
	missing := map[string]string{}
	for _, g := range p.grants {
		if g.Status == Planned && p.want.Via != None {
			missing[g.Region] = g.KeyARN
		}
	}
	return missing
}

// Grants are the wanted grants as they stand, for a plan that is not applied.
func (p Plan) Grants() []Grant { return p.grants }

// Changes says what applying the plan does. Grants that are made by hand (Via
// None) change nothing.
func (p Plan) Changes() []change.Change {
	var changes []change.Change
	for _, g := range p.grants {
		c := change.Change{Kind: change.Grant, Region: g.Region, ID: g.Role, Action: change.NoOp}
		switch {
		case g.Status != Planned:
		case p.want.Via == None:
			c.Action, c.Detail = change.Skip, `grants.via is "none": make it with the command in the grants file`
		default:
			c.Action = change.Create
		}
		changes = append(changes, c)
	}
	for _, l := range p.leftovers {
		changes = append(changes, l.change(p.want.Prune))
	}
	change.Sort(changes)
	return changes
}
