package publish

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/orgami/packer-plugin-orgami/internal/grant"
	"github.com/orgami/packer-plugin-orgami/internal/launchcheck"
	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
	"github.com/orgami/packer-plugin-orgami/internal/record/manifest"
	"github.com/orgami/packer-plugin-orgami/internal/text"
	"github.com/orgami/packer-plugin-orgami/internal/wait"
)

// Check is the mode of the launch checks.
type Check string

// The modes.
const (
	CheckFail Check = "fail" // the publication stops before sharing
	CheckSeen Check = "seen" // it stops for checks that didn't pass or are assumed, too
	CheckWarn Check = "warn" // failures are reported, and never stop it
	CheckOff  Check = "off"  // nothing is checked
)

// stops reports whether failing checks stop the publication.
func (c Check) stops() bool { return c == CheckFail || c == CheckSeen }

// Checks are the results of the launch checks.
type Checks struct {
	Matrix evaluate.Matrix
	// Planned are the results once the plan is applied, of a run that only plans and
	// found changes or grants to create. It is nil otherwise.
	Planned evaluate.Matrix
	// Assumptions are what the verdicts rest on without having been read.
	Assumptions []evaluate.Assumption
	// Inspected is the number of inspected member accounts, and Unread is what couldn't
	// be read there.
	Inspected int
	Unread    []launchcheck.Unread
	// Err joins the errors of reading. The checks that depend on it are inconclusive.
	Err error
}

// checkPatience is how long failing checks are repeated. AWS is eventually
// consistent, so a read may not return yet what was just written. Fact:
// EC2-API-1, KMS-KEY-24.
const checkPatience = 2 * time.Minute

// check checks, for each account, Region and launcher, whether it will be able to
// launch the verified images once they are shared as planned.
func (r run) check(ctx context.Context, at reached) (Checks, error) {
	if r.spec.Check == CheckOff {
		return Checks{}, nil
	}
	subjects := map[string]launchcheck.Subject{}
	for _, region := range at.verified.Regions() {
		image := at.verified.Image(region)
		subjects[region] = launchcheck.Subject{Image: image, Permissions: at.plan.SharePolicy.Apply(at.observed.Images[region].Shared[image.ID].Image)}
	}
	grants := at.grants.Grants()
	var known map[string]launchcheck.Key
	if at.plan.unchanging {
		known = at.observed.knownKeys(len(grants) > 0)
	}
	checks, err := r.checkUntil(ctx, checkPatience, subjects, known, at.members, r.scope(at.observed, *at.plan, at.keys.ID(), grants))
	if err != nil {
		return checks, err
	}
	return checks, r.report(checks)
}

// checkUntil repeats the checks until none of those that count fails, or until the
// patience is over. The first check doesn't read the known keys again. It fails only if
// the context ends.
func (r run) checkUntil(ctx context.Context, patience time.Duration, subjects map[string]launchcheck.Subject, known map[string]launchcheck.Key, members launchcheck.Members, scope launchcheck.Scope) (Checks, error) {
	var checks Checks
	err := wait.Until(ctx, wait.Policy{Interval: 5 * time.Second, Timeout: patience}, func(ctx context.Context) (string, error) {
		facts := launchcheck.Read(ctx, r.Clients, subjects, len(scope.Grants) > 0, known)
		known = nil // a failing check uses the latest values
		result := launchcheck.Check(facts.With(members), scope)
		checks = Checks{Matrix: result.Matrix, Assumptions: result.Assumptions, Inspected: len(members.Inspected), Unread: members.Unread, Err: facts.Err}
		if slices.ContainsFunc(checks.Matrix.Only(evaluate.Fails), func(c evaluate.Case) bool { return !inMember(c) }) {
			return "some launch checks fail", nil
		}
		return "", nil
	})
	switch _, late := errors.AsType[*wait.TimeoutError](err); {
	case ctx.Err() != nil:
		return checks, fmt.Errorf("checking launches: %w", context.Cause(ctx))
	case late:
		return checks, nil
	default:
		return checks, err
	}
}

// report prints the results of the checks, and returns an error if they stop the
// publication.
func (r run) report(checks Checks) error {
	if unsure := checks.Matrix.Only(evaluate.Inconclusive); len(unsure) > 0 {
		r.Reporter.Warn(fmt.Sprintf("%s inconclusive:\n%s", are(unsure.Count(evaluate.Inconclusive), "launch check"), unsure.Text(r.file(false))))
	}
	if line := uninspected(checks.Unread, r.spec.Grants.MemberRole); line != "" {
		r.Reporter.Warn(line)
	}
	var problems []error
	if checks.Err != nil {
		problems = append(problems, fmt.Errorf("some launch checks are inconclusive, because AWS couldn't be read: %w", checks.Err))
	}
	if r.spec.Check == CheckSeen {
		problems = append(problems, unseen(checks.Matrix))
	}
	failing := checks.Matrix.Only(evaluate.Fails)
	left := failing.After(checks.Planned)
	if n := failing.Total() - left.Total(); n > 0 {
		r.Reporter.Info(fmt.Sprintf("%s of %s would fail now, and this plan fixes them.", text.Number(n), text.Count(checks.Matrix.Total(), "launch")))
	}
	if len(left) > 0 {
		problems = append(problems, fmt.Errorf("%s of %s would fail:\n%s", text.Number(left.Total()), text.Count(checks.Matrix.Total(), "launch"), left.Text(r.file(r.spec.Check.stops()))))
	}
	err := errors.Join(problems...)
	if err != nil && !r.spec.Check.stops() {
		r.Reporter.Warn(err.Error())
		return nil
	}
	return err
}

// file is the name of the file with all launch checks that the run writes, if it
// fails or not.
func (r run) file(fails bool) string {
	switch {
	case r.spec.PlanOnly:
		return manifest.PlanFile
	case fails:
		return manifest.FailureFile
	default:
		return manifest.File
	}
}

func (r run) scope(observed Observed, plan Plan, keyID string, grants []grant.Grant) launchcheck.Scope {
	return launchcheck.Scope{
		Partition: observed.Caller.Partition, Organization: observed.Organization.ID,
		Share:         plan.SharePolicy.Image,
		GrantAccounts: grantAccounts(r.spec, observed), GrantRoles: r.spec.Grants.Roles, RolesListed: r.spec.Grants.RolesListed,
		Roles: r.spec.CheckRoles, KeyWildcardARN: observed.wildcardARN(keyID), Grants: grants,
	}
}

// auditPatience is [checkPatience] where nothing was written a moment ago. A plan that
// changes something reads only once, because what fails may be what it fixes.
const (
	auditPatience = 15 * time.Second
	planPatience  = time.Second
)

// audit checks what is already published, and reports the results. It fails if
// there is drift and the spec makes drift a failure. Missing grants of default
// roles aren't drift unless they are seen to exist, because the roles may not exist.
func (r run) audit(ctx context.Context, observed Observed, plan Plan) (Checks, error) {
	var checks Checks
	var members launchcheck.Members
	if r.spec.Check != CheckOff {
		subjects, unknown := observed.subjects(plan)
		read, readErr := launchcheck.ReadPublished(ctx, r.Clients, unknown)
		maps.Copy(subjects, read)
		var err error
		if members, err = r.inspect(ctx, observed, plan, plan.keyID()); err != nil {
			return checks, err
		}
		patience := auditPatience
		if plan.Mutating() > 0 {
			patience = planPatience
		}
		if checks, err = r.checkUntil(ctx, patience, subjects, observed.knownKeys(len(plan.Grants.Grants()) > 0), members, r.scope(observed, plan, observed.Key.ID, plan.Grants.Grants())); err != nil {
			return checks, err
		}
		checks.Err = errors.Join(readErr, checks.Err)
		if plan.Mutating() > 0 && len(plan.Problems()) == 0 {
			if checks.Planned, err = r.planned(observed, plan, r.futures(observed, plan, subjects), members); err != nil {
				return checks, err
			}
		}
		if err := r.report(checks); err != nil {
			r.Reporter.Warn(err.Error())
		}
	}
	if drift := r.drift(plan, checks, members); r.spec.FailOnDrift && len(drift) > 0 {
		return checks, fmt.Errorf("the publication has drifted: %s", strings.Join(drift, ", "))
	}
	if r.spec.FailOnDrift && checks.Err != nil {
		return checks, fmt.Errorf("can't determine whether the publication has drifted: %w", checks.Err)
	}
	return checks, nil
}

// drift describes what has drifted.
func (r run) drift(plan Plan, checks Checks, members launchcheck.Members) []string {
	var drift []string
	add := func(n int, what string) {
		if n > 0 {
			drift = append(drift, what)
		}
	}
	changes, problems, failing, missing := plan.drift(), len(plan.Problems()), checks.Matrix.Count(evaluate.Fails), expectedGrants(plan, members)
	add(changes, are(changes, "change")+" needed")
	add(problems, text.Count(problems, "problem")+" to fix by hand")
	add(failing, text.Count(failing, "launch")+" would fail")
	add(missing, are(missing, "grant")+" missing")
	drift = append(drift, driftInMembers(checks.Matrix)...)
	if r.spec.Check == CheckSeen {
		unseen := notSeen(checks.Matrix).Total()
		add(unseen, text.Count(unseen, "launch")+" not seen to succeed")
	}
	return drift
}

// are is "1 change is" or "2 changes are".
func are(n int, thing string) string {
	if n == 1 {
		return text.Count(n, thing) + " is"
	}
	return text.Count(n, thing) + " are"
}
