package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/orgami/packer-plugin-orgami/internal/grant"
	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
	"github.com/orgami/packer-plugin-orgami/internal/progress"
	"github.com/orgami/packer-plugin-orgami/internal/wait"
)

// Prove says what comes of a launch that would fail.
type Prove string

// What is made of the proof.
const (
	ProveFail Prove = "fail" // the publication fails, and is taken back
	ProveWarn Prove = "warn" // people are told
	ProveOff  Prove = "off"  // nothing is proved
)

// proofPatience is how long a proof that fails is repeated: what was written a
// moment ago may not be read yet. Fact: 8.
const proofPatience = 2 * time.Minute

// prove decides for each account, region and launcher, from what AWS reports
// now, whether it can launch what was published.
func (r *run) prove(ctx context.Context) error {
	if r.spec.Prove == ProveOff {
		return nil
	}
	if err := r.proveUntil(ctx, proofPatience, r.result.settled.Grants()); err != nil {
		return err
	}
	return r.judge(r.result.launches)
}

// auditPatience is [proofPatience] where nothing was written a moment ago.
const auditPatience = 15 * time.Second

// audit proves what is published already, tells what it finds, and is an error
// if there is drift and that is to be one.
func (r *run) audit(ctx context.Context, plan Plan) error {
	failing := 0
	if r.spec.Prove != ProveOff {
		if err := r.proveUntil(ctx, auditPatience, plan.Grants.Grants()); err != nil {
			return err
		}
		failing = r.failing(r.result.launches).Count(evaluate.Fails)
		if err := r.judge(r.result.launches); err != nil {
			r.reporter.Info(err.Error())
		}
	}
	if changes, problems := r.result.Changed(), len(plan.Problems()); r.spec.FailOnDrift && changes+problems+failing > 0 {
		return fmt.Errorf("what is published has drifted: %s needed, %s for you to mend, and %s would fail", are(changes, "change"), are(problems, "problem"), progress.Count(failing, "launch"))
	}
	return nil
}

// proveUntil proves until every launch that was asked for succeeds, or the
// patience is over.
func (r *run) proveUntil(ctx context.Context, patience time.Duration, grants []grant.Grant) error {
	err := wait.Until(ctx, wait.Policy{Interval: 5 * time.Second, Timeout: patience}, func(ctx context.Context) (string, error) {
		matrix, err := r.proof(ctx, r.result.Images(), grants)
		r.result.launches = matrix
		if err == nil && r.failing(matrix).Count(evaluate.Fails) > 0 {
			return "some launches would fail", nil
		}
		return "", err
	})
	if _, late := errors.AsType[*wait.TimeoutError](err); err != nil && !late {
		return fmt.Errorf("proving who can launch the images: %w", err)
	}
	return nil
}

// judge tells people what the proof found, and is an error if it has to be.
func (r *run) judge(matrix evaluate.Matrix) error {
	failing := r.failing(matrix)
	if unsure := matrix.Only(evaluate.Unknown); len(unsure) > 0 {
		r.reporter.Info(fmt.Sprintf("%s cannot be foretold:\n%s", progress.Count(unsure.Count(evaluate.Unknown), "launch"), unsure))
	}
	if len(failing) == 0 {
		return nil
	}
	text := fmt.Sprintf("%s of %s would fail:\n%s", progress.Number(failing.Count(evaluate.Fails)), progress.Count(matrix.Total(), "launch"), failing)
	if r.spec.Prove == ProveFail {
		return errors.New(text)
	}
	r.reporter.Info("Warning: " + text)
	return nil
}

// failing are the launches that were asked for and would fail. Without the
// grants that are made by hand, those of service-linked roles fail until they
// are.
func (r *run) failing(matrix evaluate.Matrix) evaluate.Matrix {
	failing := matrix.Only(evaluate.Fails)
	if grant.Via(r.spec.Grants.Via) != grant.None {
		return failing
	}
	byHand := map[string]bool{}
	for _, role := range r.spec.Grants.Roles {
		byHand[launcherName(role)] = true
	}
	return slices.DeleteFunc(failing, func(c evaluate.Case) bool { return byHand[c.Launcher] })
}

// proof evaluates the launches of the images, by region, without those of
// service-linked roles that do not exist.
func (r *run) proof(ctx context.Context, images map[string]string, grants []grant.Grant) (evaluate.Matrix, error) {
	regions, err := readForLaunch(ctx, r.clients, images, len(grants) > 0)
	if err != nil {
		return nil, err
	}
	absent := map[[3]string]bool{}
	for _, g := range grants {
		if g.Status == grant.Skipped {
			absent[[3]string{g.Account, g.Region, launcherName(g.Role)}] = true
		}
	}
	var matrix evaluate.Matrix
	for _, name := range slices.Sorted(maps.Keys(regions)) {
		region := regions[name]
		known := evaluate.Input{Partition: r.result.world.Caller.Partition, Organization: r.result.world.Organization.ID, Regions: []evaluate.Region{region}}
		known.Accounts, known.Launchers = r.launchAccounts(), r.roleLaunchers()
		verdicts := evaluate.Evaluate(known)
		if granted := grantAccounts(r.spec, r.result.world); len(granted) > 0 {
			known.Accounts, known.Launchers = r.members(granted), serviceLaunchers(r.spec.Grants.Roles)
			verdicts = append(verdicts, evaluate.Evaluate(known)...)
		}
		verdicts = slices.DeleteFunc(verdicts, func(v evaluate.Verdict) bool {
			return absent[[3]string{v.Account, v.Region, v.Launcher}]
		})
		matrix = append(matrix, evaluate.Collect(verdicts)...)
	}
	return named(matrix), nil
}

// anyMember stands for all the accounts that nobody named.
const anyMember = "000000000000"

// named gives the stand-in its name.
func named(matrix evaluate.Matrix) evaluate.Matrix {
	for _, c := range matrix {
		if i := slices.Index(c.Accounts, anyMember); i >= 0 {
			c.Accounts[i] = evaluate.AnyOther
		}
	}
	return matrix
}

// launchAccounts are the accounts that are known to want the image, and one that
// stands for the rest of those that it is shared with.
func (r *run) launchAccounts() []evaluate.Account {
	ids := slices.Concat(r.spec.Share.Accounts, grantAccounts(r.spec, r.result.world))
	if r.spec.Share.Organization || len(r.spec.Share.OrganizationalUnits) > 0 {
		ids = append(ids, anyMember)
	}
	slices.Sort(ids)
	return r.members(slices.Compact(ids))
}

// members are accounts with what is known, and what is taken for granted, of
// their place in the organisation: those that have grants, and that are not
// shared with by themselves, are in it, or in its first unit that it is shared
// with.
func (r *run) members(ids []string) []evaluate.Account {
	accounts := make([]evaluate.Account, len(ids))
	for i, id := range ids {
		accounts[i].ID = id
		if slices.Contains(r.spec.Share.Accounts, id) {
			continue
		}
		switch units := policy.OrganizationPaths(r.spec.Share.OrganizationalUnits); {
		case r.spec.Share.Organization:
			accounts[i].Organization = r.result.world.Organization.ID
		case len(units) > 0:
			accounts[i].Organization, accounts[i].Path = pathWithin(units[0])
		}
	}
	return accounts
}

// pathWithin is a place in the organisation that the pattern of a unit,
// o-…/*/ou-…/*, matches.
func pathWithin(unit string) (organization, path string) {
	organization, _, _ = strings.Cut(unit, "/")
	return organization, strings.TrimSuffix(strings.Replace(unit, "*", "r-0000", 1), "*")
}

// roleLaunchers are Karpenter's role, with the policy that is written for it,
// and roles that are taken to have the same one.
func (r *run) roleLaunchers() []evaluate.Launcher {
	document, err := json.Marshal(policy.Karpenter(r.result.world.Caller.Partition, r.wildcardARN()))
	if err != nil {
		return nil // it is made of strings
	}
	launchers := []evaluate.Launcher{{Name: "Karpenter", Role: karpenterRole, Policy: document}}
	for _, role := range r.spec.ProveRoles {
		launchers = append(launchers, evaluate.Launcher{Name: path.Base(role), Role: role, Policy: document})
	}
	return launchers
}

func (r *run) wildcardARN() string { return r.result.wildcardARN(r.result.keyID()) }

// karpenterRole is the role's name in Karpenter's guide, without the cluster's.
const karpenterRole = "KarpenterControllerRole"

func serviceLaunchers(roles []string) []evaluate.Launcher {
	launchers := make([]evaluate.Launcher, len(roles))
	for i, role := range roles {
		launchers[i] = evaluate.Launcher{Name: launcherName(role), Role: role, ServiceLinked: true}
	}
	return launchers
}

// launcherName is the name of the service that has the role.
func launcherName(role string) string {
	switch path.Base(role) {
	case "AWSServiceRoleForAutoScaling":
		return "EC2 Auto Scaling"
	case "AWSServiceRoleForApplicationAutoScaling_ECSService":
		return "ECS auto scaling"
	default:
		return path.Base(role)
	}
}
