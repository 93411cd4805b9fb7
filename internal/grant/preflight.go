package grant

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/fanout"
)

const (
	// AssumedAhead is how many member roles are assumed before anything is written. It
	// takes up to 6 s at the rate that the plugin keeps to. The sessions of more accounts
	// would delay the copies. Fact: STS-3.
	AssumedAhead = 600
	// assumedAtOnce bounds the roles that are assumed at the same time.
	assumedAtOnce = 64
)

// Preflight checks what can be checked before the first grant is created, and writes
// nothing. For the owner's roles, it checks with a dry run in each Region whether the
// owner can create the first of the planned grants, where the key already exists; it
// reports only missing permissions. It assumes the member roles of the accounts that
// need grants, 600 of them at most. Fact: GRANT-29.
func (p Plan) Preflight(ctx context.Context, owner Clients, members Members) error {
	return fanout.Together(ctx,
		fanout.Task{Name: "member roles", Run: func(ctx context.Context) error { return p.assume(ctx, members) }},
		fanout.Task{Name: "dry runs", Run: func(ctx context.Context) error { return p.dryRun(ctx, owner) }},
	)
}

// assume fails for the accounts whose member role can't be assumed.
func (p Plan) assume(ctx context.Context, members Members) error {
	var accounts []string
	for _, g := range p.grants {
		if g.Status == Planned && g.Account != p.desired.Owner {
			accounts = append(accounts, g.Account)
		}
	}
	slices.Sort(accounts)
	accounts = slices.Compact(accounts)
	accounts = accounts[:min(len(accounts), AssumedAhead)]
	var mu sync.Mutex
	var failures []failure
	stopped := fanout.Limit(ctx, assumedAtOnce, "member roles", accounts, func(ctx context.Context, account string) error {
		if _, err := p.desired.session(ctx, members, account); err != nil {
			mu.Lock()
			defer mu.Unlock()
			failures = append(failures, failure{account: account, err: err})
		}
		return nil
	})
	if ctx.Err() != nil { // reported once, not for each account
		return fmt.Errorf("assuming grants.member_role: %w", context.Cause(ctx))
	}
	return joined(append(stopped, joinFailures(failures)))
}

func (p Plan) dryRun(ctx context.Context, owner Clients) error {
	first := map[string]Grant{}
	var regions []string
	for _, g := range p.grants {
		if _, known := first[g.Region]; !known && g.Status == Planned && g.KeyARN != "" && g.Account == p.desired.Owner {
			first[g.Region] = g
			regions = append(regions, g.Region)
		}
	}
	return fanout.Each(ctx, regions, func(ctx context.Context, region string) error {
		g := first[region]
		_, err := owner(region).CreateGrant(ctx, &kms.CreateGrantInput{
			DryRun: aws.Bool(true), KeyId: &g.KeyARN, GranteePrincipal: &g.Role, Name: &g.Name, Operations: grantOperations(g.Operations),
		})
		if !awsclient.Is(err, awsclient.CodeAccessDenied) {
			return nil
		}
		return awsclient.Wrap(err, "checking with a dry run whether a grant on key %s in %s can be created for %s", g.KeyARN, region, g.Role)
	})
}
