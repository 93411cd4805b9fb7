package grant

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
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

// Result says that every desired grant exists, or was skipped for a stated
// reason, or is left to the user to create. Only [Plan.Apply] creates it.
type Result struct {
	grants []Grant
}

// Grants are the grants as they stand, in the order of Region, account, role.
func (r Result) Grants() []Grant { return r.grants }

const (
	// missingRoleGrace is how long a grantee that KMS doesn't know is retried
	// before it is an error: a new role may not be visible yet. Fact: GRANT-8.
	missingRoleGrace = 20 * time.Second
	// visibility is how long a new key or grant may take to show, several times
	// what KMS usually needs. Fact: GRANT-24.
	visibility = 10 * time.Minute
)

// Apply creates the planned grants, all Regions in parallel, and waits until they
// read back. The grants are returned on failure too, as far as they got. It
// writes nothing if a finding blocks.
func (p Plan) Apply(ctx context.Context, owner Clients, members Members, reporter progress.Reporter) (Result, error) {
	result := Result{grants: slices.Clone(p.grants)}
	if p.desired.Via == None {
		return result, nil
	}
	if err := change.Blocking(p.findings); err != nil {
		return result, err
	}
	byRegion := map[string][]*Grant{}
	for i := range result.grants {
		if g := &result.grants[i]; g.Status == Planned {
			byRegion[g.Region] = append(byRegion[g.Region], g)
		}
	}
	err := fanout.Each(ctx, slices.Collect(maps.Keys(byRegion)), func(ctx context.Context, region string) error {
		return p.applyRegion(ctx, owner, members, reporter.Start(region), byRegion[region])
	})
	return result, err
}

func (p Plan) applyRegion(ctx context.Context, owner Clients, members Members, stage *progress.Stage, grants []*Grant) error {
	region, key := grants[0].Region, grants[0].KeyARN
	err := each(ctx, region, grants, isQuota, func(ctx context.Context, g *Grant) error {
		options := []func(*kms.Options){failAtQuota}
		if p.desired.Via == Member {
			options = append(options, awsclient.WithCredentials(members(roleARN(p.desired.Partition, g.Account, p.desired.MemberRole))))
		}
		err := p.create(ctx, owner(region), g, options...)
		stage.Count(len(grants), "creating grants,")
		return err
	})
	switch {
	case ctx.Err() != nil: // reported once, not for each grant
		return fmt.Errorf("creating grants on key %s in %s: %w", key, region, context.Cause(ctx))
	case isQuota(err):
		return fmt.Errorf("key %s in %s is full: KMS allows %s grants on a key. Revoke grants that are no longer needed ('aws kms list-grants --region %[2]s --key-id %[1]s' lists them), or list fewer accounts in grants: %[4]w",
			key, region, text.Number(quota), err)
	case err != nil:
		return err
	}
	if err := readBack(ctx, owner, region, grants); err != nil {
		return err
	}
	if n := count(grants, Created); n > 0 {
		stage.Finishf("created %s", text.Count(n, "grant"))
	}
	return nil
}

func count(grants []*Grant, status Status) int {
	n := 0
	for _, g := range grants {
		if g.Status == status {
			n++
		}
	}
	return n
}

// create creates one grant and records how it stands. Its ID stays empty if the
// answer doesn't have it; [readBack] fills it in.
func (p Plan) create(ctx context.Context, client *kms.Client, g *Grant, options ...func(*kms.Options)) error {
	var answer *kms.CreateGrantOutput
	start := time.Now()
	err := wait.Until(ctx, wait.Policy{Interval: 2 * time.Second, Timeout: visibility}, func(ctx context.Context) (string, error) {
		var err error
		answer, err = client.CreateGrant(ctx, &kms.CreateGrantInput{
			KeyId: &g.KeyARN, GranteePrincipal: &g.Role, Name: &g.Name, Operations: grantOperations(g.Operations),
		}, options...)
		switch {
		case awsclient.Is(err, awsclient.CodeInvalidArn) && !p.desired.SkipMissing && time.Since(start) < missingRoleGrace:
			return "the role is not visible to KMS", nil
		case awsclient.Is(err, awsclient.CodeNotFound):
			return "the key is not visible", nil // a new one
		}
		return "", err
	})
	switch {
	case awsclient.Is(err, awsclient.CodeInvalidArn) && p.desired.SkipMissing:
		g.Status = Skipped
		g.Reason = "the role does not exist. AWS creates it when the account first uses the service; run again afterwards"
		return nil
	case awsclient.Is(err, awsclient.CodeInvalidArn):
		return fmt.Errorf("%w: the role may not exist yet. Create it with 'aws iam create-service-linked-role' in account %s, or set grants.missing_role = \"skip\"",
			awsclient.Wrap(err, "granting key %s in %s to %s", g.KeyARN, g.Region, g.Role), g.Account)
	case err != nil:
		return awsclient.Wrap(err, "granting key %s in %s to %s", g.KeyARN, g.Region, g.Role)
	}
	g.Status, g.GrantID = Created, aws.ToString(answer.GrantId)
	return nil
}

func grantOperations(names []string) []types.GrantOperation {
	operations := make([]types.GrantOperation, len(names))
	for i, name := range names {
		operations[i] = types.GrantOperation(name)
	}
	return operations
}

// readBack waits until the Region's new grants are listed: a launch by a
// service-linked role can't be given a grant token. Fact: GRANT-25.
func readBack(ctx context.Context, owner Clients, region string, grants []*Grant) error {
	grants = slices.DeleteFunc(slices.Clone(grants), func(g *Grant) bool { return g.Status != Created })
	if len(grants) == 0 {
		return nil
	}
	err := untilListed(ctx, owner, region, grants[0].KeyARN, func(observed Observed) string {
		missing := 0
		for _, g := range grants {
			id, ok := observed.find(*g)
			if !ok {
				missing++
			}
			g.GrantID = cmp.Or(g.GrantID, id)
		}
		if missing > 0 {
			return fmt.Sprintf("%d of %d grants are not listed yet", missing, len(grants))
		}
		return ""
	})
	if err != nil {
		return fmt.Errorf("reading back the grants of key %s in %s: %w", grants[0].KeyARN, region, err)
	}
	return nil
}

// untilListed reads the key's grants until pending returns "", for at most
// [visibility]. The key itself may be so new that it is not visible.
func untilListed(ctx context.Context, owner Clients, region, keyARN string, pending func(Observed) string) error {
	return wait.Until(ctx, wait.Policy{Interval: 2 * time.Second, Timeout: visibility}, func(ctx context.Context) (string, error) {
		observed, err := Read(ctx, owner, map[string]string{region: keyARN})
		if awsclient.Is(err, awsclient.CodeNotFound) {
			return "the key is not visible", nil
		}
		if err != nil {
			return "", err
		}
		return pending(observed), nil
	})
}
