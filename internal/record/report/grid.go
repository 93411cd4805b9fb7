package report

import (
	"slices"

	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
)

// grid is the matrix as the page's script reads it: for each Region and launcher
// the number of each account's case, -1 for none.
type grid struct {
	Accounts  []string          `json:"accounts"`
	Regions   []string          `json:"regions"`
	Launchers []string          `json:"launchers"`
	Cases     []caseOf          `json:"cases"`
	Cells     [][][]int         `json:"cells"` // by Region, launcher, account
	Names     map[string]string `json:"names"` // of the links
}

type caseOf struct {
	Outcome evaluate.Outcome `json:"outcome"`
	Links   []evaluate.Link  `json:"links"`
}

func newGrid(m evaluate.Matrix) grid {
	g := grid{Names: names, Accounts: []string{}, Regions: []string{}, Launchers: []string{}, Cases: []caseOf{}, Cells: [][][]int{}}
	for _, c := range m {
		g.Regions, g.Launchers = append(g.Regions, c.Region), append(g.Launchers, c.Launcher)
		g.Accounts = append(g.Accounts, c.Accounts...)
		g.Cases = append(g.Cases, caseOf{c.Outcome, c.Links})
	}
	for _, list := range []*[]string{&g.Accounts, &g.Regions, &g.Launchers} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	for range g.Regions {
		byLauncher := make([][]int, len(g.Launchers))
		for i := range byLauncher {
			byLauncher[i] = slices.Repeat([]int{-1}, len(g.Accounts))
		}
		g.Cells = append(g.Cells, byLauncher)
	}
	for n, c := range m {
		region, _ := slices.BinarySearch(g.Regions, c.Region)
		launcher, _ := slices.BinarySearch(g.Launchers, c.Launcher)
		for _, account := range c.Accounts {
			i, _ := slices.BinarySearch(g.Accounts, account)
			g.Cells[region][launcher][i] = n
		}
	}
	return g
}
