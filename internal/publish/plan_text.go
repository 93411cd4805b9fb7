package publish

import (
	"fmt"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/change"
	"github.com/orgami/packer-plugin-orgami/internal/retention"
	"github.com/orgami/packer-plugin-orgami/internal/text"
)

// String returns the plan as it is printed: the counts of resources to create,
// update and delete and of unchanged ones, then one line for each change.
// Grants are counted by Region.
func (p Plan) String() string {
	changes := p.Changes()
	var text strings.Builder
	fmt.Fprintf(&text, "Plan: %s to create, %s to update, %s to delete, %s unchanged.\n",
		number(changes, change.Create), number(changes, change.Update), number(changes, change.Delete), number(changes, change.NoOp))
	grants := map[string]int{}
	for _, c := range changes {
		switch {
		case c.Action == change.NoOp:
		case c.Kind == change.Grant:
			c.ID = ""
			if grants[c.String()]++; grants[c.String()] == 1 {
				fmt.Fprintf(&text, "  %s\n", countedGrants(c, changes))
			}
		default:
			fmt.Fprintf(&text, "  %s\n", c)
		}
	}
	p.writePolicyDiffs(&text)
	for _, assumption := range retention.Assumptions(p.Retire) {
		fmt.Fprintf(&text, "  Retirement assumes: %s.\n", assumption)
	}
	return strings.TrimRight(text.String(), "\n")
}

// writePolicyDiffs writes what changes in the policies of existing keys, once for
// all Regions in which the same changes.
func (p Plan) writePolicyDiffs(to *strings.Builder) {
	regions := map[string][]string{}
	var diffs []string
	for _, region := range p.Key.Regions() {
		diff := strings.Join(p.Key.PolicyDiff(region), "\n      ")
		if diff == "" {
			continue
		}
		if regions[diff] == nil {
			diffs = append(diffs, diff)
		}
		regions[diff] = append(regions[diff], region)
	}
	for _, diff := range diffs {
		fmt.Fprintf(to, "    policy of key %s in %s:\n      %s\n", p.Key.ID(), strings.Join(regions[diff], ", "), diff)
	}
}

// number counts the changes of the action.
func number(changes []change.Change, action change.Action) string {
	n := 0
	for _, c := range changes {
		if c.Action == action {
			n++
		}
	}
	return text.Number(n)
}

// countedGrants is one line for all grants of a Region that change alike.
func countedGrants(like change.Change, changes []change.Change) string {
	n := 0
	for _, c := range changes {
		if c.Kind == change.Grant && c.Region == like.Region && c.Action == like.Action && c.Detail == like.Detail {
			n++
		}
	}
	return strings.Replace(like.String(), "grant", text.Count(n, "grant"), 1)
}
