package publish

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/grant"
	"github.com/orgami/packer-plugin-orgami/internal/kmskey"
	"github.com/orgami/packer-plugin-orgami/internal/progress"
)

// cleanUpTime bounds the clean-up after a failure; it runs although the
// publication's own context may have been cancelled.
const cleanUpTime = 10 * time.Minute

// Locker keeps other runs on the machine, with the same key, out of a part of the
// work until release is called: several builds of one template run at the same
// time. waited says that another run was in the way.
type Locker func(ctx context.Context, work Section) (release func(), waited bool, err error)

// Section is what only one run on a machine does at a time for a key.
type Section string

// The work that builds must not do beside each other: each would make a key of
// its own, and every grant once more.
const (
	CompletingKey Section = "key"
	MakingGrants  Section = "grants"
)

// Run publishes. Result and error are both returned when it fails: the result
// holds what was achieved until then.
func Run(ctx context.Context, clients *awsclient.Clients, spec Spec, reporter progress.Reporter, lock Locker) (*Result, error) {
	run := run{clients: clients, spec: spec, reporter: reporter, lock: lock, result: &Result{spec: spec}}
	err := run.stages(ctx)
	run.result.finish(err)
	return run.result, err
}

type run struct {
	clients  *awsclient.Clients
	spec     Spec
	reporter progress.Reporter
	lock     Locker
	result   *Result
	sharing  bool // the images are becoming visible
}

func (r *run) stages(ctx context.Context) error {
	plan, keys, err := r.completeKey(ctx)
	if err != nil {
		return err
	}
	if r.spec.PlanOnly {
		return r.audit(ctx, plan)
	}
	images, settled, err := r.copyAndGrant(ctx, plan, keys)
	if err != nil {
		return r.discard(ctx, images, err)
	}
	verified, err := ami.Verify(ctx, r.clients.EC2, images)
	if err != nil {
		return r.discard(ctx, images, err)
	}
	r.result.verified = verified
	if err := r.share(ctx, plan, verified, settled); err != nil {
		return r.discard(ctx, images, err)
	}
	if err := r.prove(ctx); err != nil {
		return r.discard(ctx, images, err)
	}
	if r.result.lived, err = ami.ApplyLifecycle(ctx, r.clients.EC2, verified, r.spec.Life); err != nil {
		return err
	}
	if err := r.name(ctx, plan, verified); err != nil {
		return err
	}
	return r.prune(ctx, plan, verified)
}

// completeKey looks, plans, and completes the key, while no other run on this
// machine does. A run elsewhere that was quicker to make the key decides: then
// the world is looked at again, and its key used.
func (r *run) completeKey(ctx context.Context) (Plan, kmskey.Keys, error) {
	release, _, err := r.lock(ctx, CompletingKey)
	if err != nil {
		return Plan{}, kmskey.Keys{}, err
	}
	defer release()
	for {
		plan, err := r.lookAndPlan(ctx)
		if err != nil || r.spec.PlanOnly {
			return plan, kmskey.Keys{}, err
		}
		if err := r.preflight(ctx, plan); err != nil {
			return plan, kmskey.Keys{}, err
		}
		// AWS is written to only below this line.
		keys, err := plan.Key.Apply(ctx, r.clients.KMS, r.reporter)
		r.result.keys = keys
		if taken, ok := errors.AsType[*kmskey.AliasTakenError](err); ok && taken.InVain {
			r.reporter.Info(err.Error())
			continue // not for ever: the alias exists now
		}
		return plan, keys, err
	}
}

func (r *run) lookAndPlan(ctx context.Context) (Plan, error) {
	world, err := look(ctx, r.clients, r.spec)
	r.result.world = world
	if err != nil {
		return Plan{}, err
	}
	plan, err := NewPlan(r.spec, world)
	if err != nil {
		return Plan{}, err
	}
	r.result.plan = &plan
	r.reporter.Info(plan.String())
	return plan, nil
}

// preflight asks beforehand, where AWS has dry runs, for the permissions that
// the plan takes.
func (r *run) preflight(ctx context.Context, plan Plan) error {
	return errors.Join(ami.Preflight(ctx, r.clients.EC2, plan.Images), plan.Grants.Preflight(ctx, r.clients.KMS))
}

// copyAndGrant copies the images and makes the grants side by side.
func (r *run) copyAndGrant(ctx context.Context, plan Plan, keys kmskey.Keys) (ami.Images, grant.Result, error) {
	var (
		group              errgroup.Group // not bound to ctx: a failure of one lets the other finish
		images             ami.Images
		settled            grant.Result
		copyErr, grantsErr error
	)
	group.Go(func() error {
		images, copyErr = ami.Copy(ctx, r.clients.EC2, plan.Images, keys, r.spec.WaitTimeout, r.reporter)
		return nil
	})
	group.Go(func() error {
		settled, grantsErr = r.makeGrants(ctx, plan, keys)
		return nil
	})
	_ = group.Wait() // both functions return nil
	r.result.images, r.result.settled = images, settled
	return images, settled, errors.Join(copyErr, grantsErr)
}

// share makes the images visible. It demands what makes them launchable:
// verified images, and grants that are settled.
func (r *run) share(ctx context.Context, plan Plan, verified ami.Verified, _ grant.Result) error {
	r.sharing = true
	shared, err := ami.Share(ctx, r.clients.EC2, verified, plan.Sharing, r.reporter)
	r.result.shared = shared
	return err
}

// prune takes away what the configuration does not name any more, and retires
// older generations of the image, where it asks for that: last, so that whoever is to lose access loses it only to a
// publication that is complete.
func (r *run) prune(ctx context.Context, plan Plan, verified ami.Verified) error {
	pruned, permissionsErr := ami.Prune(ctx, r.clients.EC2, verified, plan.Sharing, r.result.shared)
	maps.Copy(r.result.shared, pruned)
	revoked, grantsErr := plan.Grants.Prune(ctx, r.clients.KMS, r.reporter)
	r.result.revoked = revoked
	retireErr := ami.Retire(ctx, r.clients.EC2, plan.Retire)
	return errors.Join(permissionsErr, grantsErr, retireErr)
}

// discard takes back the copies that this run made, after the failure why.
func (r *run) discard(ctx context.Context, images ami.Images, why error) error {
	if r.spec.KeepOnFailure {
		return why
	}
	// Ctrl-C ends the publication, not its clean-up.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTime)
	defer cancel()
	if r.sharing { // some regions may have been shared before another failed
		images.Withdraw(ctx, r.clients.EC2, r.result.plan.Sharing)
	}
	discarded, err := images.Discard(ctx, r.clients.EC2)
	r.result.discarded = discarded
	if len(discarded) > 0 {
		r.reporter.Info("Deregistered the copies of this failed run, with their snapshots: " + strings.Join(discarded, ", "))
	}
	if err != nil {
		return errors.Join(why, fmt.Errorf("taking back the copies of this failed run: %w", err))
	}
	return why
}
