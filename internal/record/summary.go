package record

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/grant"
	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
	"github.com/orgami/packer-plugin-orgami/internal/publish"
	"github.com/orgami/packer-plugin-orgami/internal/text"
)

// Summary says in a few lines how the run ended.
func Summary(o publish.Outcome) string {
	switch {
	case o.Spec.PlanOnly && o.Planned:
		return planSummary(o)
	case o.Err != nil && o.Complete:
		return "Published. What follows the publication failed."
	case o.Err != nil:
		return "Not published."
	}
	var b strings.Builder
	if o.Changed() == 0 {
		b.WriteString("No changes. The published AMI matches the configuration.")
	} else {
		fmt.Fprintf(&b, "Published with %s.", text.Count(o.Changed(), "change"))
	}
	b.WriteString(checks(o))
	for _, region := range slices.Sorted(maps.Keys(o.Images)) {
		fmt.Fprintf(&b, "\n  %s: %s", region, text.Printable(o.Images[region].ID))
	}
	for _, line := range skipped(o.Grants) {
		b.WriteString("\n  " + line)
	}
	b.WriteString(unpublishedLines(o))
	return b.String()
}

func planSummary(o publish.Outcome) string {
	summary := fmt.Sprintf("Plan complete: %s pending. Nothing was changed.", text.Count(o.Changed(), "change"))
	if n := len(o.Problems); n > 0 {
		summary += fmt.Sprintf("\n  %s that must be fixed by hand", text.Count(n, "problem"))
	}
	return summary + checks(o) + unpublishedLines(o)
}

func checks(o publish.Outcome) string {
	m := o.Checks.Matrix
	if m.Total() == 0 {
		return ""
	}
	return fmt.Sprintf("\n  Launch checks: %s passed, %s failed, %s pending, %s inconclusive",
		text.Number(m.Count(evaluate.Launches)), text.Number(m.Count(evaluate.Fails)), text.Number(m.Count(evaluate.Pending)), text.Number(m.Count(evaluate.Inconclusive)))
}

// unpublishedLines lists the copies that failed or interrupted runs left, with the
// commands that remove them.
func unpublishedLines(o publish.Outcome) string {
	var b strings.Builder
	if len(o.Unlisted) > 0 {
		fmt.Fprintf(&b, "\n  Can't tell whether there are unpublished copies in %s: the Region couldn't be read.", strings.Join(o.Unlisted, ", "))
	}
	if len(o.Unpublished) == 0 {
		return b.String()
	}
	fmt.Fprintf(&b, "\n  %s from failed or running builds. Nothing removes them automatically:", text.Count(len(o.Unpublished), "unpublished copy"))
	for _, u := range o.Unpublished {
		fmt.Fprintf(&b, "\n    %s", u)
		if age := u.Age(o.Now); age > 0 {
			fmt.Fprintf(&b, ", %s old", age)
		}
		if command := u.Command(); command != "" {
			fmt.Fprintf(&b, "\n      to remove it: %s", command)
		} else {
			b.WriteString("\n      its original wasn't found, so this may be the only copy: publish it, or keep it")
		}
	}
	return b.String()
}

// skipped is a line for each Region and role without grants: in a large
// organization many accounts lack the same role.
func skipped(grants []grant.Grant) []string {
	type kind struct{ region, role string }
	var (
		kinds    []kind
		accounts = map[kind][]string{}
		reason   = map[kind]string{}
	)
	for _, g := range grants {
		if g.Status != grant.Skipped {
			continue
		}
		_, role, _ := strings.Cut(g.Role, ":role/")
		k := kind{g.Region, role}
		if accounts[k] == nil {
			kinds, reason[k] = append(kinds, k), g.Reason
		}
		accounts[k] = append(accounts[k], g.Account)
	}
	lines := make([]string, len(kinds))
	for i, k := range kinds {
		lines[i] = text.Printable(fmt.Sprintf("%s: no grant for %s in %s: %s", k.region, k.role, text.Few(accounts[k], 3), reason[k]))
	}
	return lines
}
