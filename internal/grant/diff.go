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

// Plan is the desired grants, each Exists, Planned or ToCreate, and the stale ones.
type Plan struct {
	desired Desired
	grants  []Grant
	stale   []Stale
	// ineffective are grants for desired roles that an account other than the role's
	// created.
	ineffective []ineffective
	findings    []change.Finding
}

// Diff compares the desired with the observed grants. keyARN returns the ARN of a
// Region's key, or "" while it doesn't exist.
func Diff(desired Desired, observed Observed, keyARN func(region string) string) Plan {
	plan := Plan{desired: desired, grants: desired.Grants(keyARN)}
	for i := range plan.grants {
		g := &plan.grants[i]
		found, ok := observed.find(*g)
		if ok {
			g.Status, g.GrantID, g.CreatedAt = Exists, found.id, found.created
			if found.name != "" {
				g.Name = found.name
			}
		} else {
			g.Reason = observed.insufficient(*g)
		}
		for _, e := range observed.byGrantee[g.Region][g.Role] {
			if e.issuer == g.Account {
				continue
			}
			if !ok && e.name == g.Name {
				g.Name = replacedName(g.Name)
			}
			plan.ineffective = append(plan.ineffective, ineffective{
				Stale:  Stale{Region: g.Region, KeyARN: g.KeyARN, GrantID: e.id, Name: e.name, Grantee: g.Role},
				issuer: e.issuer, instead: *g,
			})
		}
	}
	plan.stale = observed.stale(desired, keyARN)
	plan.findings = overQuota(plan, observed)
	return plan
}

// overQuota finds the keys that have no room for the missing grants. Stale grants
// count: they are revoked after the new ones are created. If a key holds more than the
// default quota, AWS raised it, and the quota is unknown.
func overQuota(plan Plan, observed Observed) []change.Finding {
	planned, keys := map[string]int{}, map[string]string{}
	for _, g := range plan.grants {
		if g.Status == Planned || g.Status == ToCreate {
			planned[g.Region]++
			keys[g.Region] = g.KeyARN
		}
	}
	var findings []change.Finding
	for _, region := range slices.Sorted(maps.Keys(planned)) {
		have, more := observed.Total(region), planned[region]
		if have > quota || have+more <= quota {
			continue
		}
		findings = append(findings, change.Finding{Kind: change.Grant, Region: region, ID: keys[region], Blocks: true, Text: fmt.Sprintf(
			"the key in %s has %s, and %s planned, but KMS allows %s grants on a key. List fewer accounts, roles or Regions in grants, or revoke grants that are no longer needed",
			region, text.Count(have, "grant"), text.Number(more)+" more are", text.Number(quota))})
	}
	return findings
}

// creates reports whether applying the plan creates grants.
func (p Plan) creates() bool {
	return slices.ContainsFunc(p.grants, func(g Grant) bool { return g.Status == Planned })
}

// Missing maps the Regions in which applying the plan creates grants to the ARNs
// of their keys.
func (p Plan) Missing() map[string]string {
	missing := map[string]string{}
	for _, g := range p.grants {
		if g.Status == Planned {
			missing[g.Region] = g.KeyARN
		}
	}
	return missing
}

// Grants are the desired grants as they stand, for a plan that is not applied.
func (p Plan) Grants() []Grant { return p.grants }

// Stale are our grants that are no longer in the configuration, and those that
// don't count because another account than the role's created them.
func (p Plan) Stale() []Stale {
	stale := slices.Clone(p.stale)
	for _, i := range p.ineffective {
		if i.ours() {
			stale = append(stale, i.Stale)
		}
	}
	return stale
}

// Findings must be fixed before a run can continue: keys that have no room for the
// missing grants.
func (p Plan) Findings() []change.Finding { return p.findings }

// Expected is how many grants are missing whose roles the configuration lists. Default
// roles may not exist, so their grants aren't expected.
func (p Plan) Expected() int {
	if !p.desired.RolesListed {
		return 0
	}
	missing := 0
	for _, g := range p.grants {
		if g.Status != Exists {
			missing++
		}
	}
	return missing
}

// Changes lists what applying the plan does. Grants that the accounts create themselves
// change nothing.
func (p Plan) Changes() []change.Change {
	changes := make([]change.Change, 0, len(p.grants)+len(p.stale)+len(p.ineffective)+len(p.findings))
	for _, g := range p.grants {
		c := change.Change{Kind: change.Grant, Region: g.Region, ID: g.Role, Action: change.NoOp}
		switch g.Status {
		case Planned:
			c.Action = change.Create
		case ToCreate:
			c.Action, c.Detail = change.Skip, "the account of the role has to create it. Publishing writes the commands to create-grants.sh and kms-grants.json"
			if !p.desired.RolesListed {
				c.Detail += "; the role may not exist"
			}
		}
		changes = append(changes, c)
	}
	for _, s := range p.stale {
		changes = append(changes, s.change(p.desired.Prune))
	}
	for _, i := range p.ineffective {
		changes = append(changes, i.change(p.desired.Prune))
	}
	for _, finding := range p.findings {
		changes = append(changes, finding.Change())
	}
	change.Sort(changes)
	return changes
}
