package evaluate

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// String is the matrix as a table for a terminal: a line for each Region and
// launcher if all accounts agree, else one for each case, with its accounts. Below
// a case that does not launch stand the link that decides it and the remedy.
func (m Matrix) String() string {
	regions, launchers := 0, 0
	for _, c := range m {
		regions, launchers = max(regions, len(c.Region)), max(launchers, len(c.Launcher))
	}
	var text strings.Builder
	for rest := m; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].Region == rest[0].Region && rest[n].Launcher == rest[0].Launcher {
			n++
		}
		cases := together(rest[:n])
		for _, c := range cases {
			fmt.Fprintf(&text, "%-*s  %-*s  %s in %s\n", regions, c.Region, launchers, c.Launcher, c.Outcome, c.where(len(cases) == 1))
			c.reason(&text)
		}
		rest = rest[n:]
	}
	return text.String()
}

// together makes one of the cases that end the same for the same reason: that a
// link holds for different ones is of no interest here.
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

// where is how many accounts the case has if there are no others, else which.
func (c Case) where(only bool) string {
	const shown = 5
	switch n := len(c.Accounts); {
	case only && n > 1:
		return thousands(n) + " accounts"
	case n <= shown+1: // "and 1 more" takes as much room
		return strings.Join(c.Accounts, ", ")
	default:
		return strings.Join(c.Accounts[:shown], ", ") + " and " + thousands(n-shown) + " more"
	}
}

// maxLoop is for how many accounts a remedy is printed.
const maxLoop = 20

// reason writes what decides the case.
func (c Case) reason(to *strings.Builder) {
	accounts := c.Accounts[:min(len(c.Accounts), maxLoop)]
	link, found := deciding(c.explained(accounts), c.Outcome)
	if !found {
		return
	}
	fmt.Fprintf(to, "    %s: %s\n", link.Name, link.Because)
	if link.Remedy == "" {
		return
	}
	notes := []string{"remedy"}
	if n := len(c.Accounts); n > maxLoop && link.loops() {
		notes = append(notes, fmt.Sprintf("for the first %d of %s accounts", maxLoop, thousands(n)))
	}
	if link.Note != "" {
		notes = append(notes, link.Note)
	}
	fmt.Fprintf(to, "    %s: %s\n", strings.Join(notes, ", "), link.Remedy)
}

// thousands writes a number as 170,000.
func thousands(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
