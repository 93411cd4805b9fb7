package publish

import (
	"fmt"
	"slices"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/change"
	"github.com/orgami/packer-plugin-orgami/internal/retention"
	"github.com/orgami/packer-plugin-orgami/internal/text"
)

// String returns the plan as it is printed: the counts of resources to create,
// update and delete and of unchanged ones, then one line for each change, the same
// changes in several Regions together. Deletions come last.
func (p Plan) String() string {
	changes := p.Changes()
	var b strings.Builder
	fmt.Fprintf(&b, "Plan: %s to create, %s to update, %s to delete, %s unchanged.\n",
		number(changes, change.Create), number(changes, change.Update), number(changes, change.Delete), number(changes, change.NoOp))
	_, skipped := p.skipped(changes)
	for _, line := range slices.Concat(lines(changes, change.Create, change.Update), lines(skipped, change.Skip), lines(changes, change.Delete)) {
		b.WriteString("  " + line + "\n")
	}
	p.writePolicyDiffs(&b)
	b.WriteString(p.canaryText())
	if p.enableSharing != "" {
		fmt.Fprintf(&b, "  Sharing the parameter requires RAM's sharing with AWS Organizations, and this account can't read whether it is on. %s.\n", p.enableSharing)
	}
	for _, assumption := range retention.Assumptions(p.Retire) {
		fmt.Fprintf(&b, "  Retirement assumes: %s.\n", assumption)
	}
	return strings.TrimRight(b.String(), "\n")
}

// Warnings are other organizations that the image would be shared with, what exists in
// addition to what is configured, and, if asked for, what blocks a run.
func (p Plan) Warnings(blocking bool) []string {
	changes := p.Changes()
	warnings := slices.Concat(p.foreign, lines(changes, change.Unmanaged))
	if blocked, _ := p.skipped(changes); blocking {
		others := slices.DeleteFunc(p.Problems(), func(problem string) bool {
			return slices.ContainsFunc(blocked, func(c change.Change) bool { return c.Detail == problem })
		})
		for i := range others {
			others[i] = text.Printable(change.Skip.Sign() + " " + others[i])
		}
		warnings = slices.Concat(lines(blocked, change.Skip), others, warnings)
	}
	return warnings
}

// skipped are the plan's changes that can't be made: those that block the run, and
// those that don't.
func (p Plan) skipped(changes []change.Change) (blocking, others []change.Change) {
	problems := p.Problems()
	for _, c := range changes {
		switch {
		case c.Action != change.Skip:
		case slices.Contains(problems, c.Detail):
			blocking = append(blocking, c)
		default:
			others = append(others, c)
		}
	}
	return blocking, others
}

// lines are the changes with one of the actions, a line for each group. Grants are
// counted.
func lines(changes []change.Change, actions ...change.Action) []string {
	var lines []string
	for _, group := range change.Group(changes, func(a change.Action) bool { return slices.Contains(actions, a) }) {
		lines = append(lines, line(group))
	}
	return lines
}

func line(group []change.Change) string {
	first := group[0]
	var regions, where []string
	sameID, oneEach := true, true
	for _, c := range group {
		sameID = sameID && c.ID == first.ID
		if slices.Contains(regions, c.Region) {
			oneEach = false
			continue
		}
		regions, where = append(regions, c.Region), append(where, c.Region+" ("+c.ID+")")
	}
	what := string(first.Kind)
	switch {
	case first.Kind == change.Grant && (len(group) > 1 || first.Action == change.Create):
		what, sameID, where = text.Count(len(group), what), true, nil
	case sameID && first.ID != "":
		what += " " + first.ID
	case !oneEach:
		what = text.Count(len(group), what)
	}
	line := fmt.Sprintf("%s %s in ", first.Action.Sign(), what)
	if sameID || !oneEach || len(where) > shown {
		line += text.Regions(regions)
	} else {
		line += strings.Join(where, ", ")
	}
	if first.Detail != "" {
		line += ": " + first.Detail
	}
	return text.Printable(line)
}

// shown is how many IDs a line has.
const shown = 4

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

// number is the number of changes with the action.
func number(changes []change.Change, action change.Action) string {
	n := 0
	for _, c := range changes {
		if c.Action == action {
			n++
		}
	}
	return text.Number(n)
}
