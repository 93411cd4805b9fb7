package publish

import (
	"fmt"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/change"
	"github.com/orgami/packer-plugin-orgami/internal/progress"
	"github.com/orgami/packer-plugin-orgami/internal/retention"
)

// String is the plan as it is printed: how much is created, updated, deleted and
// unchanged, then the changes, line by line. Grants are counted by Region.
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
	for _, assumption := range retention.Assumptions(p.Retire) {
		fmt.Fprintf(&text, "  Retirement assumes: %s.\n", assumption)
	}
	return strings.TrimRight(text.String(), "\n")
}

// number counts the changes of the action.
func number(changes []change.Change, action change.Action) string {
	n := 0
	for _, c := range changes {
		if c.Action == action {
			n++
		}
	}
	return progress.Number(n)
}

// countedGrants is one line for all grants of a Region that change alike.
func countedGrants(like change.Change, changes []change.Change) string {
	n := 0
	for _, c := range changes {
		if c.Kind == change.Grant && c.Region == like.Region && c.Action == like.Action && c.Detail == like.Detail {
			n++
		}
	}
	return strings.Replace(like.String(), "grant", progress.Count(n, "grant"), 1)
}
