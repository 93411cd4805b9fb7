package grant

import (
	"fmt"
	"maps"
	"slices"

	"github.com/orgami/packer-plugin-orgami/internal/change"
	"github.com/orgami/packer-plugin-orgami/internal/text"
)

// quota is how many grants a key holds, whoever created them, unless AWS raised
// it. Fact: GRANT-30.
const quota = 50_000

// Plan is the desired grants, each Exists or Planned, and the stale ones.
type Plan struct {
	desired  Desired
	grants   []Grant
	stale    []Stale
	findings []change.Finding
}

// Diff compares. keyARN returns the ARN of a Region's key, or "" while it doesn't
// exist.
func Diff(desired Desired, observed Observed, keyARN func(region string) string) Plan {
	plan := Plan{desired: desired, grants: desired.Grants(keyARN)}
	for i := range plan.grants {
		g := &plan.grants[i]
		if id, ok := observed.find(*g); ok {
			g.Status, g.GrantID = Exists, id
		}
	}
	plan.stale = observed.stale(desired, keyARN)
	plan.findings = overQuota(plan, observed)
	return plan
}

// overQuota finds the keys that the planned grants don't fit on. Stale grants
// count: they are revoked after the new ones are created. A key that holds more
// than the default quota shows that AWS raised it: then there is nothing to
// compare with.
func overQuota(plan Plan, observed Observed) []change.Finding {
	planned, keys := map[string]int{}, map[string]string{}
	for _, g := range plan.planned() {
		planned[g.Region]++
		keys[g.Region] = g.KeyARN
	}
	var findings []change.Finding
	for _, region := range slices.Sorted(maps.Keys(planned)) {
		have, more := observed.Total(region), planned[region]
		if have > quota || have+more <= quota {
			continue
		}
		findings = append(findings, change.Finding{Kind: change.Grant, Region: region, ID: keys[region], Blocks: true, Text: fmt.Sprintf(
			"the key in %s has %s, and %s planned: KMS allows %s grants on a key. List fewer accounts, roles or Regions in grants, or revoke grants that are no longer needed",
			region, text.Count(have, "grant"), text.Number(more)+" more are", text.Number(quota))})
	}
	return findings
}

// planned are the grants that applying the plan creates.
func (p Plan) planned() []Grant {
	if p.desired.Via == None {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(p.grants), func(g Grant) bool { return g.Status != Planned })
}

// Missing maps the Regions in which applying the plan creates grants to the ARNs
// of their keys.
func (p Plan) Missing() map[string]string {
	missing := map[string]string{}
	for _, g := range p.planned() {
		missing[g.Region] = g.KeyARN
	}
	return missing
}

// Grants are the desired grants as they stand, for a plan that is not applied.
func (p Plan) Grants() []Grant { return p.grants }

// Stale are our grants that are no longer in the configuration.
func (p Plan) Stale() []Stale { return p.stale }

// Findings are what has to be fixed before a run can go on: keys that the planned
// grants don't fit on.
func (p Plan) Findings() []change.Finding { return p.findings }

// Changes says what applying the plan does. Grants that are created by hand (Via
// None) change nothing.
func (p Plan) Changes() []change.Change {
	var changes []change.Change
	for _, g := range p.grants {
		c := change.Change{Kind: change.Grant, Region: g.Region, ID: g.Role, Action: change.NoOp}
		switch {
		case g.Status != Planned:
		case p.desired.Via == None:
			c.Action, c.Detail = change.Skip, `grants.via is "none": create it with the command in the grants file`
		default:
			c.Action = change.Create
		}
		changes = append(changes, c)
	}
	for _, s := range p.stale {
		changes = append(changes, s.change(p.desired.Prune))
	}
	for _, finding := range p.findings {
		changes = append(changes, finding.Change())
	}
	change.Sort(changes)
	return changes
}
