package evaluate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/text"
)

// Text is the matrix for a terminal: a line for each outcome and reason, with the
// launchers, accounts and Regions that it holds for, and the remedies. A long list is
// cut, and refers to the file.
func (m Matrix) Text(file string) string {
	const shown = 12
	groups := alike(m)
	var b strings.Builder
	for _, g := range groups[:min(len(groups), shown)] {
		g.write(&b)
	}
	if len(groups) > shown {
		fmt.Fprintf(&b, "  … and %s more; see %s\n", text.Number(len(groups)-shown), file)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// WithoutRemedies returns the matrix without remedies, for a run that is about to make
// these changes itself.
func (m Matrix) WithoutRemedies() Matrix {
	m = slices.Clone(m)
	for i := range m {
		m[i].Links = slices.Clone(m[i].Links)
		for j := range m[i].Links {
			m[i].Links[j].Remedy, m[i].Links[j].Note = "", ""
		}
	}
	return m
}

// group is a set of cases with the same outcome for the same reason, in several
// Regions.
type group struct {
	launchers []string
	reason    string
	cases     []Case // of the first launcher, by Region
}

// alike groups the cases.
func alike(m Matrix) []group {
	var groups []group
	for _, g := range ofOneLauncher(m) {
		i := slices.IndexFunc(groups, func(o group) bool {
			return o.reason == g.reason && slices.EqualFunc(o.cases, g.cases, func(a, b Case) bool {
				return a.Region == b.Region && a.Outcome == b.Outcome && slices.Equal(a.Accounts, b.Accounts)
			})
		})
		if i < 0 {
			groups = append(groups, g)
		} else {
			groups[i].launchers = append(groups[i].launchers, g.launchers...)
		}
	}
	return groups
}

func ofOneLauncher(m Matrix) []group {
	var groups []group
	for rest := m; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].Region == rest[0].Region && rest[n].Launcher == rest[0].Launcher {
			n++
		}
		for _, c := range together(rest[:n]) {
			reason := c.anyRegion()
			i := slices.IndexFunc(groups, func(g group) bool {
				first := g.cases[0]
				return g.reason == reason && first.Launcher == c.Launcher && first.Outcome == c.Outcome && slices.Equal(first.Accounts, c.Accounts)
			})
			if i < 0 {
				i, groups = len(groups), append(groups, group{launchers: []string{c.Launcher}, reason: reason})
			}
			groups[i].cases = append(groups[i].cases, c)
		}
		rest = rest[n:]
	}
	return groups
}

// anyRegion returns the reason for the case's outcome, with "*" for its Region in ARNs.
func (c Case) anyRegion() string {
	link, _ := deciding(c.Links, c.Outcome)
	return link.Name + ": " + strings.ReplaceAll(link.Because, ":"+c.Region+":", ":*:")
}

// together merges cases with the same outcome for the same reason. The reasons of links
// that hold may differ.
func together(cases []Case) []Case {
	var all []Case
	for _, c := range cases {
		reason, _ := deciding(c.Links, c.Outcome)
		same := func(o Case) bool {
			other, _ := deciding(o.Links, o.Outcome)
			return o.Outcome == c.Outcome && other == reason
		}
		if i := slices.IndexFunc(all, same); i >= 0 {
			all[i].Accounts = slices.Sorted(slices.Values(slices.Concat(all[i].Accounts, c.Accounts)))
			continue
		}
		all = append(all, c)
	}
	return all
}

// shownAccounts is how many accounts are named.
const shownAccounts = 4

// maxLoop is the number of accounts, and maxRemedies the number of Regions, for which a
// remedy is printed.
const (
	maxLoop     = 20
	maxRemedies = 3
)

// write writes the result and the reason.
func (g group) write(to *strings.Builder) {
	first := g.cases[0]
	regions := make([]string, len(g.cases))
	for i, c := range g.cases {
		regions[i] = c.Region
	}
	where := strings.Join(first.Accounts, ", ")
	if n := len(first.Accounts); n > shownAccounts {
		where = fmt.Sprintf("%s accounts (%s, …)", text.Number(n), strings.Join(first.Accounts[:shownAccounts-1], ", "))
	}
	fmt.Fprintf(to, "  %s: %s in %s, in %s\n", first.Outcome, strings.Join(g.launchers, ", "), where, text.Regions(regions))
	accounts := first.Accounts[:min(len(first.Accounts), maxLoop)]
	link, found := deciding(first.explained(accounts), first.Outcome)
	if !found {
		return
	}
	because := link.Because
	if len(g.cases) > 1 {
		because = strings.ReplaceAll(because, ":"+first.Region+":", ":*:")
	}
	fmt.Fprintf(to, "    %s: %s\n", link.Name, because)
	var remedies []string
	for _, c := range g.cases {
		remedy := c.remedy(accounts, len(g.cases) > 1)
		if remedy != "" && !slices.Contains(remedies, remedy) {
			remedies = append(remedies, remedy)
		}
	}
	for _, remedy := range remedies[:min(len(remedies), maxRemedies)] {
		fmt.Fprintf(to, "    %s\n", remedy)
	}
	if more := len(remedies) - maxRemedies; more > 0 {
		fmt.Fprintf(to, "    … and the same in %s\n", text.Count(more, "other Region"))
	}
}

// remedy is a line with the remedy of the case, or "". It names the Region if the
// remedy has it.
func (c Case) remedy(accounts []string, regional bool) string {
	link, _ := deciding(c.explained(accounts), c.Outcome)
	if link.Remedy == "" {
		return ""
	}
	notes := []string{"remedy"}
	if regional && strings.Contains(link.Remedy, c.Region) {
		notes[0] += " in " + c.Region
	}
	if n := len(c.Accounts); n > maxLoop && link.loops() {
		notes = append(notes, fmt.Sprintf("for the first %d of %s accounts", maxLoop, text.Number(n)))
	}
	if link.Note != "" {
		notes = append(notes, link.Note)
	}
	return strings.Join(notes, ", ") + ": " + link.Remedy
}
