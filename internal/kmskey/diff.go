package kmskey

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/change"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
)

// Plan is what has to be done to the key.
type Plan struct {
	want  Want
	state State
	// regions are all regions that will have a regional key, sorted.
	regions   []string
	perRegion map[string]regionPlan
	rotate    bool
}

type regionPlan struct {
	create bool
	policy policy.Document
	// setPolicy, addAlias and addTags are what differs in an existing key.
	setPolicy bool
	addAlias  bool
	addTags   map[string]string
	leftovers []string
	// findings are what cannot work in the policy, ours included.
	findings []policy.Finding
}

// Diff compares. It is pure: it fails only where a policy cannot be built.
func Diff(want Want, state State) (Plan, error) {
	plan := Plan{
		want: want, state: state,
		regions:   want.regionsWith(state.PrimaryRegion),
		perRegion: map[string]regionPlan{},
		rotate:    want.Rotation && !state.Rotation,
	}
	for _, region := range plan.regions {
		regional, exists := state.Regional[region]
		var existing *policy.Document
		if exists {
			existing = &regional.Policy
		}
		merged, err := want.Policy.Merge(existing, want.ExtraStatements)
		if err != nil {
			return Plan{}, fmt.Errorf("planning the key policy in %s: %w", region, err)
		}
		step := regionPlan{create: !exists, policy: merged, addTags: missingTags(want.Tags, regional.Tags)}
		if want.Alias != "" {
			step.addAlias = !regional.HasAlias
		}
		if exists {
			step.setPolicy = !policy.Equal(merged, regional.Policy)
			if deleted := merged.DeletedPrincipals(); step.setPolicy && len(deleted) > 0 {
				return Plan{}, fmt.Errorf("the policy of key %s in %s must be changed, and names users or roles that were deleted since (%s), with which KMS stores no policy: take them out of it and run again", state.ID, region, strings.Join(deleted, ", "))
			}
			step.leftovers = want.Policy.Leftovers(regional.Policy)
		}
		step.findings = policy.Lint(merged, policy.Target{Partition: want.Partition, Region: region, KeyARN: regional.ARN})
		plan.perRegion[region] = step
	}
	return plan, nil
}

func missingTags(want, have map[string]string) map[string]string {
	missing := map[string]string{}
	for key, value := range want {
		if current, ok := have[key]; !ok || current != value {
			missing[key] = value
		}
	}
	return missing
}

// ID is the key's id, "" while it does not exist.
func (p Plan) ID() string { return p.state.ID }

// PrimaryRegion is the region of the primary.
func (p Plan) PrimaryRegion() string { return p.state.PrimaryRegion }

// Regions are all regions that will have a regional key, sorted.
func (p Plan) Regions() []string { return p.regions }

// ARN is the ARN of the region's key, "" while the key does not exist at all.
// The ARN of a replica to be made is known as soon as there is a primary.
func (p Plan) ARN(region string) string {
	if p.state.ID == "" {
		return ""
	}
	return policy.KeyARN(p.want.Partition, region, p.want.Account, p.state.ID)
}

// Policy is the policy that the region's key shall have.
func (p Plan) Policy(region string) policy.Document { return p.perRegion[region].policy }

// Changes lists what differs and what is as it shall be.
func (p Plan) Changes() []change.Change {
	var changes []change.Change
	add := func(kind change.Kind, differs bool, action change.Action, region, id, detail string) {
		if !differs {
			action, detail = change.NoOp, ""
		}
		changes = append(changes, change.Change{Kind: kind, Action: action, Region: region, ID: id, Detail: detail})
	}
	for _, region := range p.regions {
		step := p.perRegion[region]
		add(change.Key, step.create, change.Create, region, p.state.ID, p.role(region))
		if p.want.Alias != "" {
			add(change.Alias, step.addAlias, change.Create, region, p.want.Alias, "")
		}
		if !step.create {
			add(change.KeyPolicy, step.setPolicy, change.Update, region, p.state.ID, "sets "+strings.Join(p.differingSids(region), ", "))
			if len(p.want.Tags) > 0 {
				add(change.KeyTags, len(step.addTags) > 0, change.Update, region, p.state.ID, "sets "+strings.Join(slices.Sorted(maps.Keys(step.addTags)), ", "))
			}
		}
		changes = append(changes, p.remarks(region)...)
	}
	if p.want.Rotation {
		add(change.KeyRotation, p.rotate, change.Update, p.state.PrimaryRegion, p.state.ID, "on, for the primary and all replicas")
	}
	change.Sort(changes)
	return changes
}

// remarks are what people should know about the region's key, and what changes
// nothing.
func (p Plan) remarks(region string) []change.Change {
	var changes []change.Change
	remark := func(kind change.Kind, action change.Action, detail string) {
		changes = append(changes, change.Change{Kind: kind, Action: action, Region: region, ID: p.state.ID, Detail: detail})
	}
	for _, problem := range p.state.Regional[region].Problems {
		remark(change.Key, change.Skip, problem)
	}
	step := p.perRegion[region]
	for _, sid := range step.leftovers {
		remark(change.KeyPolicy, change.Unmanaged, fmt.Sprintf("statement %s is from an earlier configuration; it is kept, because other images may need it", sid))
	}
	for _, finding := range step.findings {
		remark(change.KeyPolicy, change.Unmanaged, "cannot work: "+finding.String())
	}
	return changes
}

func (p Plan) role(region string) string {
	if region == p.state.PrimaryRegion {
		return "multi-Region primary"
	}
	return "replica of the primary in " + p.state.PrimaryRegion
}

// differingSids names the statements that the planned policy sets anew.
func (p Plan) differingSids(region string) []string {
	return policy.Differing(p.state.Regional[region].Policy, p.perRegion[region].policy)
}
