package publish

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/launchcheck"
	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
	"github.com/orgami/packer-plugin-orgami/internal/text"
)

// newKeyID stands in for the ID of a key that doesn't exist yet.
const newKeyID = "mrk-1234abcd12ab34cd56ef1234567890ab"

// foresee checks launches as they will be once the plan is applied, before anything is
// written. It finds launches that the key policies deny, for example with a Deny in
// key.extra_statements_file. Checks that need the copies and grants run once these
// exist.
func (r run) foresee(observed Observed, plan Plan) error {
	if r.spec.Check == CheckOff {
		return nil
	}
	keyID := cmp.Or(plan.Key.ID(), newKeyID)
	futures := map[string]launchcheck.Future{}
	for _, region := range r.spec.Regions {
		futures[region] = launchcheck.Future{
			Owner: observed.Caller.Account, Policy: plan.Key.Policy(region), Permissions: plan.SharePolicy.Image,
			KeyARN: policy.KeyARN(observed.Caller.Partition, region, observed.Caller.Account, keyID),
		}
	}
	facts, err := launchcheck.Foresee(futures, plan.Grants.Grants(), observed.Now)
	if err != nil {
		return err
	}
	matrix := launchcheck.Check(facts, r.scope(observed, plan, keyID, nil)).Matrix
	failing := matrix.Only(evaluate.Fails)
	if len(failing) == 0 {
		return nil
	}
	return fmt.Errorf("with the planned key policies, %s of %s would fail:\n%s%s",
		text.Number(failing.Count(evaluate.Fails)), text.Count(matrix.Total(), "launch"), failing.WithoutRemedies().Text(r.file(true)), r.policyRemedy(plan, failing, futures))
}

// policyRemedy describes where to change the denying statements, and how to edit the
// policies of an existing key.
func (r run) policyRemedy(plan Plan, failing evaluate.Matrix, futures map[string]launchcheck.Future) string {
	var places []string
	if len(r.spec.Key.ExtraStatements) > 0 {
		places = append(places, "in key.extra_statements_file")
	}
	var commands strings.Builder
	if plan.Key.ID() != "" {
		places = append(places, "in the policy of key "+plan.Key.ID())
		for _, region := range r.spec.Regions {
			if slices.ContainsFunc(failing, func(c evaluate.Case) bool { return c.Region == region }) {
				fmt.Fprintf(&commands, "\n    '%s'", evaluate.EditKeyPolicy(region, futures[region].KeyARN))
			}
		}
	}
	if len(places) == 0 {
		return ""
	}
	return "\n  Change the statement that denies it, " + strings.Join(places, " or ") + commands.String()
}
