package record

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/grant"
	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
	"github.com/orgami/packer-plugin-orgami/internal/publish"
	"github.com/orgami/packer-plugin-orgami/internal/record/manifest"
	"github.com/orgami/packer-plugin-orgami/internal/text"
)

// Summary describes the result of the run in a few lines: first the verdict, then the
// counts and the next steps. The artifact's summary has the images.
func Summary(o publish.Outcome) string {
	switch {
	case o.Spec.PlanOnly && o.Planned:
		return planSummary(o)
	case o.Err != nil && o.Complete:
		return "Published. The image is published, but a later step failed."
	case o.Err != nil:
		return "Not published."
	}
	var b strings.Builder
	skipped := 0
	for _, g := range o.Grants {
		if g.Status == grant.Skipped {
			skipped++
		}
	}
	switch failing := o.Checks.Matrix.Count(evaluate.Fails); {
	case failing > 0:
		fmt.Fprintf(&b, "Published, but %s of %s would fail.", text.Number(failing), text.Count(o.Checks.Matrix.Total(), "launch"))
	case o.Changed() == 0 && skipped > 0:
		fmt.Fprintf(&b, "No changes. The published AMI matches the configuration. Not created: %s.", text.Count(skipped, "planned grant"))
	case o.Changed() == 0:
		b.WriteString("No changes. The published AMI matches the configuration.")
	default:
		fmt.Fprintf(&b, "Published with %s.", text.Count(o.Changed(), "change"))
	}
	b.WriteString(checks(o, false))
	b.WriteString(missing(o))
	b.WriteString(unpublishedLines(o))
	return b.String()
}

// Images names the published images, as Packer prints them at the end of the build.
func Images(o publish.Outcome) string {
	ids := o.ImageIDs()
	if len(ids) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("AMIs were published:")
	for _, region := range slices.Sorted(maps.Keys(ids)) {
		fmt.Fprintf(&b, "\n%s: %s", region, text.Printable(ids[region]))
	}
	return b.String()
}

func planSummary(o publish.Outcome) string {
	summary := fmt.Sprintf("Plan complete: %s pending. Nothing was changed.", text.Count(o.Changed(), "change"))
	if n := len(o.Problems); n > 0 {
		summary += fmt.Sprintf("\n  %s that must be fixed by hand", text.Count(n, "problem"))
	}
	summary += checks(o, true)
	if m := o.Checks.Planned; m.Total() > 0 {
		summary += "\n  Launch checks after this plan: " + outcomes(m)
	}
	return summary + unpublishedLines(o)
}

// checks are the counts of the launch checks, and those that are pending. After a plan,
// they have remedies: a publication writes a script.
func checks(o publish.Outcome, plan bool) string {
	m := o.Checks.Matrix
	if m.Total() == 0 {
		return ""
	}
	file := manifest.File
	if plan {
		file = manifest.PlanFile
	}
	var lines strings.Builder
	lines.WriteString("\n  Launch checks: " + outcomes(m))
	if len(o.Checks.Assumptions) > 0 {
		links := make([]string, len(o.Checks.Assumptions))
		for i, a := range o.Checks.Assumptions {
			links[i] = a.Link
		}
		fmt.Fprintf(&lines, "\n    assumed, because it couldn't be read: %s (see \"assumptions\" in %s)", strings.Join(links, ", "), file)
	}
	pendingChecks := m.Only(evaluate.Pending)
	if !plan {
		pendingChecks = pendingChecks.WithoutRemedies()
	}
	if len(pendingChecks) > 0 {
		lines.WriteString("\n" + pendingChecks.Text(file))
	}
	return lines.String()
}

// outcomes counts the launch checks by outcome.
func outcomes(m evaluate.Matrix) string {
	pending := "pending"
	switch waiting := m.Only(evaluate.Pending); {
	case len(waiting) == 0:
	case slices.ContainsFunc(waiting, func(c evaluate.Case) bool { l, _ := c.Broken(); return l.Name != evaluate.LinkGrant }):
		pending = "pending (grants or IAM policies missing)"
	default:
		pending = "pending (grants not created yet)"
	}
	return fmt.Sprintf("%s passed%s, %s failed, %s "+pending+", %s inconclusive",
		text.Number(m.Count(evaluate.Launches)), m.Evidence(), text.Number(m.Count(evaluate.Fails)), text.Number(m.Count(evaluate.Pending)), text.Number(m.Count(evaluate.Inconclusive)))
}

// unpublishedLines lists the copies that failed or interrupted runs left, with the
// commands that remove them.
func unpublishedLines(o publish.Outcome) string {
	var b strings.Builder
	if len(o.Unlisted) > 0 {
		fmt.Fprintf(&b, "\n  Can't list unpublished copies in %s, because the Region couldn't be read.", strings.Join(o.Unlisted, ", "))
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
			b.WriteString("\n      its original wasn't found, so this may be the only copy. Publish it, or keep it")
		}
	}
	return b.String()
}

// missing lists the missing grants, with one line for each role and reason. In
// a large organization, many accounts lack the same role.
func missing(o publish.Outcome) string {
	type kind struct {
		status grant.Status
		role   string
	}
	var kinds []kind
	grants := map[kind][]grant.Grant{}
	for _, g := range o.Grants {
		checked := o.Checks.Matrix.Total() > 0 // then the pending checks have the reason
		if g.Status != grant.ToCreate && (g.Status != grant.Skipped || checked) {
			continue
		}
		_, role, _ := strings.Cut(g.Role, ":role/")
		k := kind{g.Status, role}
		if grants[k] == nil {
			kinds = append(kinds, k)
		}
		grants[k] = append(grants[k], g)
	}
	var b strings.Builder
	for _, k := range kinds {
		var accounts, regions []string
		for _, g := range grants[k] {
			accounts, regions = append(accounts, g.Account), append(regions, g.Region)
		}
		accounts, regions = unique(accounts), unique(regions)
		where := fmt.Sprintf("%s (%s, %s)", text.Few(accounts, 3), text.Count(len(accounts), "account"), text.Count(len(regions), "Region"))
		if k.status == grant.Skipped {
			b.WriteString("\n  " + text.Printable(fmt.Sprintf("No grant for %s in %s: %s", k.role, where, grants[k][0].Reason)))
			continue
		}
		b.WriteString("\n  " + text.Printable(fmt.Sprintf("%s for %s to be created by %s", text.Count(len(grants[k]), "grant"), k.role, where)))
	}
	if slices.ContainsFunc(kinds, func(k kind) bool { return k.status == grant.ToCreate }) {
		fmt.Fprintf(&b, "\n  Create these grants with credentials of each account: run %s, or the commands in %s.", manifest.GrantsScript, manifest.GrantsFile)
	}
	return b.String()
}

func unique(values []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(values)))
}
