package kmskey

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/change"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
)

// Plan is the work on the key.
type Plan struct {
	desired  Desired
	observed Observed
	// regions are all Regions that will have a regional key, sorted.
	regions   []string
	perRegion map[string]regionPlan
	rotate    bool
	findings  []change.Finding
}

type regionPlan struct {
	create bool
	policy policy.Document
	// setPolicy, addAlias and addTags are what differs in an existing key.
	setPolicy bool
	addAlias  bool
	addTags   map[string]string
}

// Diff compares. It is pure. A policy that can't be written is a finding of the
// plan, as is everything that reading found. If the observed findings leave no
// key to work on, the plan has nothing but findings.
func Diff(desired Desired, observed Observed) Plan {
	plan := Plan{
		desired: desired, observed: observed,
		regions:   desired.regionsWith(observed.PrimaryRegion),
		perRegion: map[string]regionPlan{},
		findings:  slices.Clone(observed.Findings),
	}
	if observed.ID == "" && change.Blocking(observed.Findings) != nil {
		return plan
	}
	plan.rotate = desired.rotates(observed) && !observed.Rotation
	for _, region := range plan.regions {
		step, findings := diffRegion(desired, observed, region)
		plan.perRegion[region] = step
		plan.findings = append(plan.findings, findings...)
	}
	if observed.Imported && plan.rotate {
		plan.findings = append(plan.findings, block(change.KeyRotation, observed.PrimaryRegion, observed.ID,
			"the key material of %s was imported, and KMS cannot rotate it automatically. Set key.rotation = false", observed.ID))
	}
	return plan
}

func diffRegion(desired Desired, observed Observed, region string) (regionPlan, []change.Finding) {
	regional, exists := observed.Regional[region]
	step := regionPlan{create: !exists, addTags: missingTags(desired.Tags, regional.Tags)}
	step.addAlias = desired.Alias != "" && !regional.HasAlias
	var findings []change.Finding
	if observed.Imported && !exists {
		findings = append(findings, block(change.Key, region, observed.ID,
			"the key material of %s was imported, so that a replica in %s cannot be used until the material is imported there as well. Create this replica yourself and import the key material, or use another key", observed.ID, region))
	}
	var existing *policy.Document
	if exists {
		existing = &regional.Policy
	}
	merged, err := desired.Policy.Merge(existing, desired.ExtraStatements)
	if err != nil {
		return step, append(findings, block(change.KeyPolicy, region, observed.ID, "%s: %v", cannotSet(observed.ID, region, step.create), err))
	}
	step.policy = merged
	step.setPolicy = exists && !policy.Equal(merged, regional.Policy)
	switch {
	case len(regional.Policy.PublicStatements()) > 0: // a finding of Read, to be fixed first
	case step.create || step.setPolicy:
		for _, problem := range checkPolicy(merged) {
			findings = append(findings, block(change.KeyPolicy, region, observed.ID, "%s: %s", cannotSet(observed.ID, region, step.create), problem))
		}
	default:
		for _, problem := range regional.Policy.Problems() {
			findings = append(findings, change.Finding{Kind: change.KeyPolicy, Region: region, ID: observed.ID, Text: "KMS will reject the next change of this policy: " + problem})
		}
	}
	for _, sid := range desired.Policy.Leftovers(regional.Policy) {
		findings = append(findings, change.Finding{Kind: change.KeyPolicy, Region: region, ID: observed.ID, Text: fmt.Sprintf(
			"statement %s is from an earlier configuration. It is kept, because other images may need it", sid)})
	}
	for _, mistake := range policy.Lint(merged, policy.Target{Partition: desired.Partition, Region: region, KeyARN: regional.ARN}) {
		findings = append(findings, change.Finding{Kind: change.KeyPolicy, Region: region, ID: observed.ID, Text: "cannot work: " + mistake.String()})
	}
	return step, findings
}

func missingTags(desired, have map[string]string) map[string]string {
	missing := map[string]string{}
	for key, value := range desired {
		if current, ok := have[key]; !ok || current != value {
			missing[key] = value
		}
	}
	return missing
}

// ID is the key's ID, "" if it doesn't exist or can't be used.
func (p Plan) ID() string { return p.observed.ID }

// PrimaryRegion is the Region of the primary.
func (p Plan) PrimaryRegion() string { return p.observed.PrimaryRegion }

// Regions are all Regions that will have a regional key, sorted.
func (p Plan) Regions() []string { return p.regions }

// Findings are the key's problems, including those that must be fixed before a run can
// continue.
func (p Plan) Findings() []change.Finding { return p.findings }

// ARN is the ARN of the Region's key, "" while the key doesn't exist at all. The
// ARN of a future replica is known as soon as there is a primary.
func (p Plan) ARN(region string) string {
	if p.observed.ID == "" {
		return ""
	}
	return policy.KeyARN(p.desired.Partition, region, p.desired.Account, p.observed.ID)
}

// Policy is the policy that the Region's key will have.
func (p Plan) Policy(region string) policy.Document { return p.perRegion[region].policy }

// PlannedPolicies are the policies of the keys that are to be created, or whose
// policy changes, by Region.
func (p Plan) PlannedPolicies() map[string]policy.Document {
	planned := map[string]policy.Document{}
	for region, step := range p.perRegion {
		if step.create || step.setPolicy {
			planned[region] = step.policy
		}
	}
	return planned
}

// PolicyDiff describes the changes to the policy of the Region's existing key. It is
// empty if there are none, and for a key to be created.
func (p Plan) PolicyDiff(region string) []string {
	if !p.perRegion[region].setPolicy {
		return nil
	}
	return policy.DiffLines(p.observed.Regional[region].Policy, p.perRegion[region].policy)
}

// Changes lists what differs, what is up to date, and the findings.
func (p Plan) Changes() []change.Change {
	var changes []change.Change
	add := func(kind change.Kind, differs bool, action change.Action, region, id, detail string) {
		if !differs {
			action, detail = change.NoOp, ""
		}
		changes = append(changes, change.Change{Kind: kind, Action: action, Region: region, ID: id, Detail: detail})
	}
	for _, region := range slices.Sorted(maps.Keys(p.perRegion)) {
		step := p.perRegion[region]
		add(change.Key, step.create, change.Create, region, p.observed.ID, p.role(region))
		if p.desired.Alias != "" {
			add(change.Alias, step.addAlias, change.Create, region, p.desired.Alias, "")
		}
		if !step.create {
			add(change.KeyPolicy, step.setPolicy, change.Update, region, p.observed.ID, "sets "+strings.Join(p.differingSids(region), ", "))
			if len(p.desired.Tags) > 0 {
				add(change.KeyTags, len(step.addTags) > 0, change.Update, region, p.observed.ID, "sets "+strings.Join(slices.Sorted(maps.Keys(step.addTags)), ", "))
			}
		}
	}
	if p.desired.rotates(p.observed) && len(p.perRegion) > 0 {
		add(change.KeyRotation, p.rotate, change.Update, p.observed.PrimaryRegion, p.observed.ID, "on, for the primary and all replicas")
	}
	for _, finding := range p.findings {
		changes = append(changes, finding.Change())
	}
	change.Sort(changes)
	return changes
}

func (p Plan) role(region string) string {
	if region == p.observed.PrimaryRegion {
		return "multi-Region primary"
	}
	return "replica of the primary in " + p.observed.PrimaryRegion
}

// differingSids names the statements that the planned policy adds or replaces.
func (p Plan) differingSids(region string) []string {
	return policy.Differing(p.observed.Regional[region].Policy, p.perRegion[region].policy)
}
