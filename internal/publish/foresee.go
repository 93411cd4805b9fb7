package publish

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
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
	futures := r.futures(observed, plan, nil)
	matrix, err := r.planned(observed, plan, futures, launchcheck.Members{})
	if err != nil {
		return err
	}
	failing := matrix.Only(evaluate.Fails)
	if len(failing) == 0 {
		return nil
	}
	return fmt.Errorf("once this plan is applied, %s of %s would fail:\n%s%s",
		text.Number(failing.Count(evaluate.Fails)), text.Count(matrix.Total(), "launch"), failing.WithoutRemedies().Text(r.file(true)), r.foreseenRemedy(plan, failing, futures))
}

// planned is the result of the launch checks once the plan is applied.
func (r run) planned(observed Observed, plan Plan, futures map[string]launchcheck.Future, members launchcheck.Members) (evaluate.Matrix, error) {
	grants := slices.Clone(plan.Grants.Grants())
	for i, g := range grants {
		grants[i].KeyARN = cmp.Or(g.KeyARN, futures[g.Region].KeyARN) // the key may not exist yet
	}
	facts, err := launchcheck.Foresee(futures, grants, members, observed.Now)
	if err != nil {
		return nil, err
	}
	return launchcheck.Check(facts, r.scope(observed, plan, plan.keyID(), grants)).Matrix, nil
}

// futures are the images and keys after the plan. Images that the plan keeps are those
// in published, which may be nil.
func (r run) futures(observed Observed, plan Plan, published map[string]launchcheck.Subject) map[string]launchcheck.Future {
	futures := map[string]launchcheck.Future{}
	for _, image := range plan.Images {
		region, source := image.Region(), image.Source()
		keyARN := policy.KeyARN(observed.Caller.Partition, region, observed.Caller.Account, plan.keyID())
		shared := observed.Images[region].Shared[image.ImageID()].Image // nothing for an image to be copied
		future := launchcheck.Future{
			KeyARN: keyARN, Policy: plan.Key.Policy(region), Permissions: plan.SharePolicy.Apply(shared),
			Image: ami.Image{
				ID: "the planned image", Name: image.Desired().Name, Region: region, Owner: observed.Caller.Account, State: "available",
				CreationDate: observed.Now.Format(time.RFC3339), ProductCodes: source.ProductCodes,
				Snapshots: []ami.Snapshot{{ID: "the planned snapshot", Read: true, Encrypted: true, KeyARN: keyARN}},
			},
		}
		if current, found := published[region]; found {
			future.Image, future.Permissions = current.Image, plan.SharePolicy.Apply(current.Permissions)
		}
		futures[region] = future
	}
	return futures
}

// keyID is the ID of the key, or of a stand-in for one that doesn't exist yet.
func (p Plan) keyID() string { return cmp.Or(p.Key.ID(), newKeyID) }

// foreseenRemedy describes how to change what the plan gets wrong: whom it shares the
// image with, or the key policies.
func (r run) foreseenRemedy(plan Plan, failing evaluate.Matrix, futures map[string]launchcheck.Future) string {
	unshared, denied := failing.BrokenAt(evaluate.LinkShared)
	remedy := ""
	if len(unshared) > 0 {
		remedy = "\n  Add the accounts to the share block, or remove them from the grants block"
	}
	if len(denied) > 0 {
		remedy += r.policyRemedy(plan, denied, futures)
	}
	return remedy
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
