package record

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/grant"
	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
	"github.com/orgami/packer-plugin-orgami/internal/progress"
	"github.com/orgami/packer-plugin-orgami/internal/publish"
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
	var text strings.Builder
	if o.Changed() == 0 {
		text.WriteString("No changes. The published AMI matches the configuration.")
	} else {
		fmt.Fprintf(&text, "Published with %s.", progress.Count(o.Changed(), "change"))
	}
	text.WriteString(checks(o))
	for _, region := range slices.Sorted(maps.Keys(o.Images)) {
		fmt.Fprintf(&text, "\n  %s: %s", region, o.Images[region].ID)
	}
	for _, line := range skipped(o.Grants) {
		text.WriteString("\n  " + line)
	}
	text.WriteString(unpublishedLines(o))
	return text.String()
}

func planSummary(o publish.Outcome) string {
	text := fmt.Sprintf("Plan complete: %s pending. Nothing was changed.", progress.Count(o.Changed(), "change"))
	if n := len(o.Problems); n > 0 {
		text += fmt.Sprintf("\n  %s that must be fixed by hand", progress.Count(n, "problem"))
	}
	return text + checks(o) + unpublishedLines(o)
}

func checks(o publish.Outcome) string {
	m := o.Checks.Matrix
	if m.Total() == 0 {
		return ""
	}
	return fmt.Sprintf("\n  Launch checks: %s passed, %s failed, %s pending, %s inconclusive",
		progress.Number(m.Count(evaluate.Launches)), progress.Number(m.Count(evaluate.Fails)), progress.Number(m.Count(evaluate.Pending)), progress.Number(m.Count(evaluate.Inconclusive)))
}

// unpublishedLines lists the copies that failed or interrupted runs left, with the
// commands that remove them.
func unpublishedLines(o publish.Outcome) string {
	var text strings.Builder
	if len(o.Unlisted) > 0 {
		fmt.Fprintf(&text, "\n  Can't tell whether there are unpublished copies in %s: the Region couldn't be read.", strings.Join(o.Unlisted, ", "))
	}
	if len(o.Unpublished) == 0 {
		return text.String()
	}
	fmt.Fprintf(&text, "\n  %s from failed or running builds. Nothing removes them automatically:", progress.Count(len(o.Unpublished), "unpublished copy"))
	for _, u := range o.Unpublished {
		fmt.Fprintf(&text, "\n    %s", u)
		if age := u.Age(o.Now); age > 0 {
			fmt.Fprintf(&text, ", %s old", age)
		}
		if command := u.Command(); command != "" {
			fmt.Fprintf(&text, "\n      to remove it: %s", command)
		} else {
			text.WriteString("\n      its original wasn't found, so this may be the only copy: publish it, or keep it")
		}
	}
	return text.String()
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
		lines[i] = fmt.Sprintf("%s: no grant for %s in %s: %s", k.region, k.role, few(accounts[k]), reason[k])
	}
	return lines
}

// few names the first of many accounts.
func few(accounts []string) string {
	const named = 3
	if len(accounts) <= named+1 {
		return strings.Join(accounts, ", ")
	}
	return fmt.Sprintf("%s and %s more accounts", strings.Join(accounts[:named], ", "), progress.Number(len(accounts)-named))
}
