package evaluate

import (
	"cmp"
	"slices"
	"strings"
)

// Cause is a reason why launches don't succeed, with all cases in which it holds.
type Cause struct {
	Outcome Outcome
	Link    string
	// Because has "*" for the Region in ARNs if the cause holds in several Regions.
	Because   string
	Launchers []string
	Regions   []string
	Accounts  []string
	Checks    int // how many it decides
	Remedies  []Remedy
}

// Remedy fixes a cause, or a part of it.
type Remedy struct {
	// The Region or the accounts that it's for, if the cause has several remedies.
	Where string
	Note  string // as in [Link]
	Text  string
}

// Causes returns the reasons for everything that doesn't launch: first what fails, then
// what is inconclusive and what is pending, and of each the largest first.
func (m Matrix) Causes() []Cause {
	var causes []Cause
	cases := map[[2]string][]Case{}
	var order [][2]string
	for _, c := range m {
		if c.Outcome == Launches {
			continue
		}
		key := [2]string{string(c.Outcome), c.anyRegion()}
		if cases[key] == nil {
			order = append(order, key)
		}
		cases[key] = append(cases[key], c)
	}
	for _, key := range order {
		causes = append(causes, cause(cases[key]))
	}
	severity := []Outcome{Fails, Inconclusive, Pending}
	slices.SortStableFunc(causes, func(a, b Cause) int {
		return cmp.Or(cmp.Compare(slices.Index(severity, a.Outcome), slices.Index(severity, b.Outcome)), cmp.Compare(b.Checks, a.Checks))
	})
	return causes
}

func cause(cases []Case) Cause {
	first := cases[0]
	link, _ := deciding(first.Explained(), first.Outcome)
	c := Cause{Outcome: first.Outcome, Link: link.Name, Because: link.Because}
	for _, one := range cases {
		c.Launchers, c.Regions = append(c.Launchers, one.Launcher), append(c.Regions, one.Region)
		c.Accounts = append(c.Accounts, one.Accounts...)
		c.Checks += len(one.Accounts)
	}
	for _, list := range []*[]string{&c.Launchers, &c.Regions, &c.Accounts} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	if len(c.Accounts) > 1 { // the first case may have one account only
		link, _ = deciding(Case{Links: first.Links, Outcome: first.Outcome, Accounts: c.Accounts}.Explained(), first.Outcome)
		c.Because = link.Because
	}
	if len(c.Regions) > 1 {
		c.Because = strings.ReplaceAll(c.Because, ":"+first.Region+":", ":*:")
	}
	for _, one := range cases {
		link, _ := deciding(one.Explained(), one.Outcome)
		known := slices.ContainsFunc(c.Remedies, func(r Remedy) bool { return r.Text == link.Remedy })
		if link.Remedy == "" || known {
			continue
		}
		c.Remedies = append(c.Remedies, Remedy{Where: one.Region, Note: link.Note, Text: link.Remedy})
	}
	if len(c.Remedies) == 1 {
		c.Remedies[0].Where = ""
	}
	return c
}
