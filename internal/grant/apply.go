package grant

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"golang.org/x/sync/errgroup"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/fanout"
	"github.com/orgami/packer-plugin-orgami/internal/progress"
	"github.com/orgami/packer-plugin-orgami/internal/wait"
)

// Members returns the credentials of the role, in a member account: the same
// session each time.
type Members func(roleARN string) aws.CredentialsProvider

// Result says that every wanted grant is in place, or was skipped for a stated
// reason, or is nobody's but the user's to make. Only [Plan.Apply] makes it.
type Result struct {
	grants []Grant
}

// Grants are the grants as they stand, in the order of region, account, role.
func (s Result) Grants() []Grant { return s.grants }

// perRegion bounds the CreateGrant calls under way at once in a region.
const perRegion = 16

// missingRoleGrace is how long a grantee that KMS does not know is retried
// before that is an error: a role made a moment ago may not be visible. Fact: 3.
const missingRoleGrace = 20 * time.Second

// Apply makes the planned grants, all regions side by side, and waits until
// they read back. The grants are returned on failure too, as far as they got.
func (p Plan) Apply(ctx context.Context, owner Clients, members Members, reporter progress.Reporter) (Result, error) {
	settled := Result{grants: slices.Clone(p.grants)}
	if p.want.Via == None {
		return settled, nil
	}
	byRegion := map[string][]*Grant{}
	for i := range settled.grants {
		if g := &settled.grants[i]; g.Status == Planned {
			byRegion[g.Region] = append(byRegion[g.Region], g)
		}
	}
	regions := make([]string, 0, len(byRegion))
	for region := range byRegion {
		regions = append(regions, region)
	}
	err := fanout.Each(ctx, regions, func(ctx context.Context, region string) error {
		return p.applyRegion(ctx, owner, members, reporter.Start(region), byRegion[region])
	})
	return settled, err
}

func (p Plan) applyRegion(ctx context.Context, owner Clients, members Members, stage *progress.Stage, grants []*Grant) error {
	region := grants[0].Region
	group := errgroup.Group{}
	group.SetLimit(perRegion)
	failed := make([]error, len(grants))
	for i, g := range grants {
		group.Go(func() error {
			var as []func(*kms.Options)
			if p.want.Via == Member {
				role := fmt.Sprintf("arn:%s:iam::%s:role/%s", p.want.Partition, g.Account, p.want.MemberRole)
				as = append(as, awsclient.WithCredentials(members(role)))
			}
			failed[i] = p.create(ctx, owner(region), g, as...)
			stage.Count(len(grants), "making grants,")
			return nil // one account's failure stops no other
		})
	}
	_ = group.Wait() // its functions return nil
	if ctx.Err() != nil {
		return fmt.Errorf("granting key %s in %s: %w", grants[0].KeyARN, region, context.Cause(ctx)) // once, not for each grant
	}
	if err := joinFew(failed); err != nil {
		return err
	}
	if err := readBack(ctx, owner, region, grants); err != nil {
		return err
	}
	if n := count(grants, Created); n > 0 {
		stage.Finishf("made %s", progress.Count(n, "grant"))
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

// joinFew joins the first errors, and counts the others: what fails for one
// account often fails for hundreds.
func joinFew(failed []error) error {
	const few = 10
	failed = slices.DeleteFunc(failed, func(err error) bool { return err == nil })
	if more := len(failed) - few; more > 1 {
		return errors.Join(append(failed[:few:few], fmt.Errorf("and %d more errors like these", more))...)
	}
	return errors.Join(failed...)
}

// create makes one grant and records how it stands.
func (p Plan) create(ctx context.Context, client *kms.Client, g *Grant, as ...func(*kms.Options)) error {
	var answer *kms.CreateGrantOutput
	start := time.Now()
	err := wait.Until(ctx, wait.Policy{Interval: 2 * time.Second}, func(ctx context.Context) (string, error) {
		var err error
		answer, err = client.CreateGrant(ctx, &kms.CreateGrantInput{
			KeyId: &g.KeyARN, GranteePrincipal: &g.Role, Name: &g.Name, Operations: grantOperations(g.Operations),
		}, as...)
		if awsclient.Is(err, awsclient.CodeInvalidArn) && !p.want.SkipMissing && time.Since(start) < missingRoleGrace {
			return "the role is not visible to KMS", nil
		}
		return "", err
	})
	switch {
	case awsclient.Is(err, awsclient.CodeInvalidArn) && p.want.SkipMissing:
		g.Status = Skipped
		g.Reason = "the role does not exist; it is made with the account's first use of the service, and the next run makes the grant"
		return nil
	case awsclient.Is(err, awsclient.CodeInvalidArn):
		return fmt.Errorf("%w: the role may not exist yet; create it with 'aws iam create-service-linked-role' in account %s, or set grants.missing_role = \"skip\"",
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

// readBack waits until the region's new grants are listed: a launch by a
// service-linked role cannot be given a grant token. Fact: 3.
func readBack(ctx context.Context, owner Clients, region string, grants []*Grant) error {
	grants = slices.DeleteFunc(slices.Clone(grants), func(g *Grant) bool { return g.Status != Created })
	if len(grants) == 0 {
		return nil
	}
	err := wait.Until(ctx, wait.Policy{Interval: 2 * time.Second, Timeout: 10 * time.Minute}, func(ctx context.Context) (string, error) {
		state, err := Look(ctx, owner, map[string]string{region: grants[0].KeyARN})
		if awsclient.Is(err, awsclient.CodeNotFound) {
			return "the key is not visible", nil // one that was made by this run
		}
		if err != nil {
			return "", err
		}
		missing := 0
		for _, g := range grants {
			if _, ok := state.find(*g); !ok {
				missing++
			}
		}
		if missing > 0 {
			return fmt.Sprintf("%d of %d grants are not listed yet", missing, len(grants)), nil
		}
		return "", nil
	})
	if err != nil {
		return fmt.Errorf("reading the grants of key %s in %s back: %w", grants[0].KeyARN, region, err)
	}
	return nil
}
