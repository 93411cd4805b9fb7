package grant

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/change"
	"github.com/orgami/packer-plugin-orgami/internal/fanout"
	"github.com/orgami/packer-plugin-orgami/internal/progress"
	"github.com/orgami/packer-plugin-orgami/internal/text"
	"github.com/orgami/packer-plugin-orgami/internal/wait"
)

// Members returns the credentials of a role in a member account: the same session
// each time.
type Members func(roleARN string) aws.CredentialsProvider

// Result means that every desired grant exists, was skipped for a stated reason, or is
// left for its account to create. Only [Plan.Apply] creates it.
type Result struct {
	grants []Grant
}

// Grants are the grants as they stand, in the order of Region, account, role.
func (r Result) Grants() []Grant { return r.grants }

const (
	// missingRoleGrace is how long a grantee that KMS doesn't know is retried
	// before it is an error: a new role may not be visible yet. Fact: GRANT-8.
	missingRoleGrace = 20 * time.Second
	// visibility is how long a new key or grant may take to become visible: several
	// times what KMS usually needs. Fact: GRANT-24.
	visibility = 10 * time.Minute
	// accountsAtOnce bounds the accounts whose grants are created at the same time. KMS
	// counts CreateGrant for each account, so only STS and this machine are limits.
	// Fact: QUOTA-6, STS-3.
	accountsAtOnce = 16
)

// Apply creates the planned grants and waits until they read back. The accounts work in
// parallel, each in all Regions. The failure of an account doesn't stop the others. The
// error names each account that failed. On failure, it returns the grants with their
// status, too. Apply writes nothing if a finding blocks. The result has the plan's own
// grants, so the plan can't be used again.
func (p Plan) Apply(ctx context.Context, owner Clients, members Members, reporter progress.Reporter) (Result, error) {
	if err := change.Blocking(p.findings); err != nil || !p.creates() {
		return Result{p.grants}, err
	}
	result := Result{p.grants} // not a copy, because there can be hundreds of thousands
	c := creator{desired: p.desired, owner: owner, members: members, regions: map[string]*regional{}}
	byAccount := map[string][]*Grant{}
	for i := range result.grants {
		g := &result.grants[i]
		if g.Status != Planned {
			continue
		}
		byAccount[g.Account] = append(byAccount[g.Account], g)
		if c.regions[g.Region] == nil {
			c.regions[g.Region] = &regional{}
		}
		c.regions[g.Region].grants = append(c.regions[g.Region].grants, g)
	}
	c.stage = reporter.Start("creating grants", slices.Collect(maps.Keys(c.regions)))
	defer c.stage.End()
	accounts := slices.Sorted(maps.Keys(byAccount))
	failed := fanout.Limit(ctx, accountsAtOnce, "grants", accounts, func(ctx context.Context, account string) error {
		c.account(ctx, account, byAccount[account])
		return nil
	})
	if ctx.Err() != nil { // reported once, not for each grant
		return result, fmt.Errorf("creating grants: %w", context.Cause(ctx))
	}
	for _, region := range slices.Sorted(maps.Keys(c.regions)) {
		failed = append(failed, c.regions[region].full)
	}
	failed = append(failed, joinFailures(c.failures), c.readBack(ctx))
	return result, joined(failed)
}

// creator creates the grants of one run.
type creator struct {
	desired Desired
	owner   Clients
	members Members
	regions map[string]*regional
	stage   *progress.Stage

	mu       sync.Mutex
	failures []failure
}

// regional is the work in a Region.
type regional struct {
	grants []*Grant

	mu   sync.Mutex
	full error // set once the key has reached its quota of grants
}

// account creates the account's grants, all Regions in parallel, with one session.
func (c *creator) account(ctx context.Context, account string, grants []*Grant) {
	options := []func(*kms.Options){failAtQuota}
	if account != c.desired.Owner {
		session, err := c.desired.session(ctx, c.members, account)
		if err != nil {
			c.failed(ctx, account, "", err)
			return
		}
		options = append(options, awsclient.WithCredentials(session))
	}
	byRegion := map[string][]*Grant{}
	for _, g := range grants {
		byRegion[g.Region] = append(byRegion[g.Region], g)
	}
	err := fanout.Each(ctx, slices.Collect(maps.Keys(byRegion)), func(ctx context.Context, region string) error {
		for _, g := range byRegion[region] {
			c.create(ctx, g, options)
		}
		return nil
	})
	if err != nil {
		c.failed(ctx, account, "", err)
	}
}

// session assumes the account's member role, unless that was done before.
func (d Desired) session(ctx context.Context, members Members, account string) (aws.CredentialsProvider, error) {
	role := RoleARN(d.Partition, account, d.MemberRole)
	session := members(role)
	if _, err := session.Retrieve(ctx); err != nil {
		return nil, fmt.Errorf("creating the grants of account %s: can't assume %s (grants.member_role): %w", account, role, awsclient.Wrap(err, "assuming the role"))
	}
	return session, nil
}

// failed records a failure in the Region, or in all if it is "".
func (c *creator) failed(ctx context.Context, account, region string, err error) {
	if ctx.Err() != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failures = append(c.failures, failure{account, region, err})
}

// create creates a grant, unless the key is known to be full.
func (c *creator) create(ctx context.Context, g *Grant, options []func(*kms.Options)) {
	r := c.regions[g.Region]
	r.mu.Lock()
	full := r.full != nil
	r.mu.Unlock()
	if full || ctx.Err() != nil {
		return
	}
	err := c.desired.create(ctx, c.owner(g.Region), g, options...)
	c.stage.Count(g.Region, len(r.grants))
	switch {
	case isQuota(err):
		r.mu.Lock()
		defer r.mu.Unlock()
		r.full = fmt.Errorf("key %s in %s is full: KMS allows %s grants on a key. Revoke grants that are no longer needed ('aws kms list-grants --region %[2]s --key-id %[1]s' lists them), or list fewer accounts in grants: %[4]w",
			g.KeyARN, g.Region, text.Number(quota), err)
	case err != nil:
		c.failed(ctx, g.Account, g.Region, err)
	}
}

// create creates one grant and records how it stands. Its ID stays empty if the
// answer doesn't have it; [creator.readBack] fills it in.
func (d Desired) create(ctx context.Context, client *kms.Client, g *Grant, options ...func(*kms.Options)) error {
	var answer *kms.CreateGrantOutput
	start := time.Now()
	err := wait.Until(ctx, wait.Policy{Interval: 2 * time.Second, Timeout: visibility}, func(ctx context.Context) (string, error) {
		var err error
		answer, err = client.CreateGrant(ctx, &kms.CreateGrantInput{
			KeyId: &g.KeyARN, GranteePrincipal: &g.Role, Name: &g.Name, Operations: grantOperations(g.Operations),
		}, options...)
		switch {
		case awsclient.Is(err, awsclient.CodeInvalidArn) && !d.SkipMissing && time.Since(start) < missingRoleGrace:
			return "the role is not visible to KMS", nil
		case awsclient.Is(err, awsclient.CodeNotFound):
			return "the key is not visible", nil // a new one
		}
		return "", err
	})
	switch {
	case awsclient.Is(err, awsclient.CodeInvalidArn) && d.SkipMissing:
		g.Status, g.Reason = Skipped, MissingRole
		return nil
	case awsclient.Is(err, awsclient.CodeInvalidArn):
		return fmt.Errorf("%w: the role may not exist yet. Create it%s in account %s, or set grants.missing_role = \"skip\"",
			awsclient.Wrap(err, "creating a grant on key %s in %s for %s", g.KeyARN, g.Region, g.Role), withCommand(g.Role), g.Account)
	case awsclient.Is(err, awsclient.CodeUnrecognizedClient, awsclient.CodeInvalidClientToken, awsclient.CodeOptInRequired):
		return fmt.Errorf("%w. If the account hasn't enabled the Region, enable it with its credentials ('aws account enable-region --region-name %s'), or leave out the account or the Region", g.failed(err), g.Region)
	case err != nil:
		return g.failed(err)
	}
	g.Status, g.Reason, g.GrantID, g.CreatedAt = Created, "", aws.ToString(answer.GrantId), time.Now()
	return nil
}

func (g *Grant) failed(err error) error {
	return awsclient.Wrap(err, "creating a grant on key %s in %s for %s with credentials of account %s", g.KeyARN, g.Region, g.Role, g.Account)
}

// MissingRole is the reason for skipping a grant whose role doesn't exist. Fact:
// GRANT-15.
const MissingRole = "the role doesn't exist in the account. AWS creates it when the account first uses the service; run again afterwards"

func grantOperations(names []string) []types.GrantOperation {
	operations := make([]types.GrantOperation, len(names))
	for i, name := range names {
		operations[i] = types.GrantOperation(name)
	}
	return operations
}
