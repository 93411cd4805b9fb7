package publish

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/canary"
	"github.com/orgami/packer-plugin-orgami/internal/fanout"
	"github.com/orgami/packer-plugin-orgami/internal/grant"
	"github.com/orgami/packer-plugin-orgami/internal/kmskey"
	"github.com/orgami/packer-plugin-orgami/internal/launchcheck"
	"github.com/orgami/packer-plugin-orgami/internal/progress"
	"github.com/orgami/packer-plugin-orgami/internal/retention"
	"github.com/orgami/packer-plugin-orgami/internal/ssmparam"
)

// Locker keeps other runs on the machine that use the same key out of a section
// until release is called. waited reports whether another run held the lock.
// Locker fails only with the context's cause.
type Locker func(ctx context.Context, section Section) (release func(), waited bool, err error)

// Section is work that only one run on a machine does at a time for a key.
type Section string

// The sections. Two builds that complete one key in parallel would create two
// keys, and each would create all grants.
const (
	CompletingKey Section = "key"
	MakingGrants  Section = "grants"
)

// Runner holds the dependencies of a publication.
type Runner struct {
	Clients  *awsclient.Clients
	Reporter progress.Reporter
	Lock     Locker
	// Record writes the files of a complete publication. It is called once the
	// images are shared and read back, and again if older permissions or grants
	// were removed afterwards. nil writes none.
	Record func(Outcome) error
}

// Run publishes. The outcome describes the result, also of a failed run.
func (r Runner) Run(ctx context.Context, spec Spec) (Outcome, error) {
	run := run{Runner: r, spec: spec, sessions: members(r.Clients)}
	at, err := run.stages(ctx)
	if err != nil || spec.PlanOnly { // else the stages listed them for the manifest
		at.unpublished = run.listUnpublished(ctx, at, err)
	}
	return newOutcome(spec, at, err), err
}

type run struct {
	Runner

	spec     Spec
	sessions grant.Members
}

// reached holds the results of the completed stages. The results of other stages are
// zero.
type reached struct {
	observed Observed
	plan     *Plan
	keys     kmskey.Keys
	copies   ami.Copies
	grants   grant.Result
	members  launchcheck.Members
	verified ami.Verified
	checks   Checks
	canary   []canary.Launch
	shared   map[string]ami.Shared // by Region
	final    map[string]ami.Image  // by Region, as published
	// parameterShares are the resource shares of the parameters, by Region.
	parameterShares map[string]ssmparam.Shares
	complete        bool
	revoked         []grant.Stale
	unpublished     []ami.Unpublished
}

// stages runs the stages in order.
func (r run) stages(ctx context.Context) (at reached, err error) {
	if at.observed, at.plan, at.keys, err = r.completeKey(ctx); err != nil {
		return at, err
	}
	if r.spec.PlanOnly {
		at.checks, err = r.audit(ctx, at.observed, *at.plan)
		return at, err
	}
	if at.copies, at.grants, at.members, err = r.copyAndGrant(ctx, at.observed, *at.plan, at.keys); err != nil {
		return at, err
	}
	if at.verified, err = ami.Verify(ctx, r.Clients.EC2, at.copies, at.plan.unchanging); err != nil {
		return at, err
	}
	if at.checks, err = r.check(ctx, at); err != nil {
		return at, err
	}
	if at.canary, err = r.launchCanary(ctx, at); err != nil {
		return at, err
	}
	if at.shared, err = r.share(ctx, at.observed, *at.plan, at.verified); err != nil {
		return at, err
	}
	if at.final, err = r.markPublished(ctx, at.verified); err != nil {
		return at, err
	}
	if at.parameterShares, err = r.putParameters(ctx, at.observed, *at.plan, at.verified); err != nil {
		return at, err
	}
	at.complete = true
	at.unpublished = r.listUnpublished(ctx, at, nil)
	if err = r.record(at); err != nil {
		at.complete = false // don't report files that weren't written
		return at, err
	}
	return r.prune(ctx, at)
}

// completeKey observes, plans, and completes the key, while no other run on this
// machine does. If a run elsewhere created the key first, it observes again and
// uses that key.
func (r run) completeKey(ctx context.Context) (Observed, *Plan, kmskey.Keys, error) {
	release, _, err := r.Lock(ctx, CompletingKey)
	if err != nil {
		return Observed{}, nil, kmskey.Keys{}, err
	}
	defer release()
	for {
		observed, plan, err := r.observeAndPlan(ctx)
		if err != nil || r.spec.PlanOnly {
			return observed, plan, kmskey.Keys{}, err
		}
		if err := r.preflight(ctx, observed, *plan); err != nil {
			return observed, plan, kmskey.Keys{}, err
		}
		// AWS is written to only below this line.
		keys, err := plan.Key.Apply(ctx, r.Clients.KMS, r.Reporter)
		if taken, ok := errors.AsType[*kmskey.AliasTakenError](err); ok && taken.Superseded {
			r.Reporter.Info(err.Error())
			continue // ends: the alias exists now
		}
		return observed, plan, keys, err
	}
}

// observeAndPlan fails if the plan has problems, unless the run only plans.
func (r run) observeAndPlan(ctx context.Context) (Observed, *Plan, error) {
	observed, err := observe(ctx, r.Clients, r.spec)
	if err != nil {
		return observed, nil, err
	}
	plan, err := NewPlan(r.spec, observed)
	if err != nil {
		return observed, nil, err
	}
	r.Reporter.Info(plan.String())
	problems := plan.Problems()
	if warnings := plan.Warnings(r.spec.PlanOnly); len(warnings) > 0 {
		r.Reporter.Warn(strings.Join(warnings, "\n"))
	}
	if len(problems) == 0 && !plan.unchanging { // else the launch checks read everything that counts
		if refused := r.foresee(observed, plan); refused != nil && (r.spec.PlanOnly || !r.spec.Check.stops()) {
			r.Reporter.Warn(refused.Error())
		} else if refused != nil {
			problems = append(problems, refused.Error())
		}
	}
	if len(problems) > 0 && !r.spec.PlanOnly {
		return observed, &plan, fmt.Errorf("can't publish, and changed nothing: %s", strings.Join(problems, "; "))
	}
	return observed, &plan, nil
}

// preflight checks the permissions that the plan requires: with dry runs, where AWS
// supports them, and by assuming roles.
func (r run) preflight(ctx context.Context, observed Observed, plan Plan) error {
	return fanout.Together(ctx,
		fanout.Task{Name: "images", Run: func(ctx context.Context) error { return ami.Preflight(ctx, r.Clients.EC2, plan.Images) }},
		fanout.Task{Name: "grants", Run: func(ctx context.Context) error { return plan.Grants.Preflight(ctx, r.Clients.KMS, r.sessions) }},
		fanout.Task{Name: "canary", Run: func(ctx context.Context) error { return r.assumeCanary(ctx, observed, plan) }},
	)
}

// copyAndGrant copies the images, creates the grants and inspects the member accounts
// in parallel. When one of these fails, it stops waiting for the others.
func (r run) copyAndGrant(ctx context.Context, observed Observed, plan Plan, keys kmskey.Keys) (copies ami.Copies, grants grant.Result, members launchcheck.Members, err error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	stopping := func(err error) error {
		if err != nil {
			stop(ami.ErrStopped)
		}
		return err
	}
	err = fanout.Each(ctx, []string{"copies", "grants", "members"}, func(ctx context.Context, what string) (err error) {
		switch what {
		case "copies":
			copies, err = ami.Copy(ctx, r.Clients.EC2, plan.Images, keys, r.spec.WaitTimeout, r.Reporter)
		case "grants":
			grants, err = r.createGrants(ctx, observed, plan, keys)
		default:
			members, err = r.inspect(ctx, observed, plan, keys.ID())
		}
		return stopping(err)
	})
	return copies, grants, members, causeFirst(err)
}

// causeFirst moves errors of stopped waits and calls behind their cause.
func causeFirst(err error) error {
	stopped := func(err error) bool { return errors.Is(err, ami.ErrStopped) || errors.Is(err, context.Canceled) }
	errs := flatten(err)
	slices.SortStableFunc(errs, func(a, b error) int {
		switch stoppedA, stoppedB := stopped(a), stopped(b); {
		case stoppedA == stoppedB:
			return 0
		case stoppedA:
			return 1
		default:
			return -1
		}
	})
	return errors.Join(errs...)
}

// share makes the images visible. Before that, it checks again whether other
// images took the name since the plan was made. Then the canary's account loses the
// permission that it got before the others.
func (r run) share(ctx context.Context, observed Observed, plan Plan, verified ami.Verified) (map[string]ami.Shared, error) {
	if plan.unchanging {
		if shared, all := observed.shared(verified); all {
			return shared, nil // read moments ago
		}
	}
	if err := ami.CheckNames(ctx, r.Clients.EC2, verified); err != nil {
		return nil, err
	}
	shared, err := ami.Share(ctx, r.Clients.EC2, verified, plan.SharePolicy, r.Reporter)
	if err != nil {
		return shared, err
	}
	changed, err := r.withdrawCanary(ctx, observed, plan, verified, shared)
	maps.Copy(shared, changed)
	return shared, err
}

// markPublished tags the shared images as published, and sets their deprecation
// and protection.
func (r run) markPublished(ctx context.Context, verified ami.Verified) (map[string]ami.Image, error) {
	final, err := ami.MarkPublished(ctx, r.Clients.EC2, verified)
	if err != nil {
		return final, err
	}
	return retention.ApplyLifecycle(ctx, retention.FromEC2(r.Clients.EC2), final, r.spec.Lifecycle)
}

// prune removes what is no longer configured, and retires older generations, if
// the configuration asks for that. It runs last, so that no account loses
// access before the publication is complete and recorded.
func (r run) prune(ctx context.Context, at reached) (reached, error) {
	pruned, permissionsErr := ami.Prune(ctx, r.Clients.EC2, at.verified, at.plan.SharePolicy, at.shared)
	revoked, grantsErr := at.plan.Grants.Prune(ctx, r.Clients.KMS, r.Reporter)
	unshared, parametersErr := r.pruneParameters(ctx, *at.plan, at.parameterShares)
	retireErr := retention.Retire(ctx, retention.FromEC2(r.Clients.EC2), at.plan.Retire)
	at.shared, at.parameterShares, at.revoked = maps.Clone(at.shared), maps.Clone(at.parameterShares), revoked
	maps.Copy(at.shared, pruned)
	maps.Copy(at.parameterShares, unshared)
	err := errors.Join(permissionsErr, grantsErr, parametersErr, retireErr)
	if len(pruned)+len(revoked)+len(unshared) > 0 {
		err = errors.Join(err, r.record(at))
	}
	return at, err
}

func (r run) record(at reached) error {
	if r.Record == nil {
		return nil
	}
	return r.Record(newOutcome(r.spec, at, nil))
}
