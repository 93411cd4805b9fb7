// Package report generates an HTML page that shows which accounts can launch
// which images in which Regions. The page loads nothing, so that it can be
// mailed, archived and opened anywhere.
package report

import (
	"cmp"
	"crypto/sha256"
	_ "embed" // the parts of the page
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/orgami/packer-plugin-orgami/internal/change"
	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
	"github.com/orgami/packer-plugin-orgami/internal/text"
)

// Report is the content of the page.
type Report struct {
	Name         string // of the image
	At           time.Time
	Account      string // that owns key and images
	Organization string // o-…; empty if it has no part in it
	// PlanOnly says that nothing was changed.
	PlanOnly bool
	// Complete means that the image is published. Without Complete and
	// PlanOnly, the publication failed because of the Errors.
	Complete bool
	Errors   []string
	Key      Key
	Images   map[string]string // by Region
	Launches evaluate.Matrix
	// Assumptions are what Launches takes for true.
	Assumptions []evaluate.Assumption
	Changes     []change.Change
}

// Key is the multi-Region key.
type Key struct {
	ID      string
	Alias   string
	Primary string            // region
	ARNs    map[string]string // by Region
}

var (
	//go:embed page.html
	pageText string
	//go:embed page.css
	style string
	//go:embed page.js
	script string

	page = template.Must(template.New("page").Parse(pageText))
)

// Write writes the page. Nothing in the report is taken for HTML.
func Write(w io.Writer, r Report) error {
	launches, fails, inconclusive := r.Launches.Count(evaluate.Launches), r.Launches.Count(evaluate.Fails), r.Launches.Count(evaluate.Inconclusive)
	err := page.Execute(w, map[string]any{
		"Report": r, "At": r.At.UTC().Format(time.RFC3339),
		"Style": template.CSS(style), "Script": template.JS(script), //nolint:gosec // the package's own files
		"Policy":   fmt.Sprintf("default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src '%s'; script-src '%s'", digest(style), digest(script)),
		"Launches": text.Number(launches), "Fails": text.Number(fails), "Inconclusive": text.Number(inconclusive), "Total": text.Number(r.Launches.Total()),
		"AnyFails": fails > 0, "AnyInconclusive": inconclusive > 0,
		"Problems": problems(r.Launches), "Regions": regions(r), "Changes": grouped(r.Changes),
		"Data": newGrid(r.Launches),
	})
	if err != nil {
		return fmt.Errorf("drawing the report: %w", err)
	}
	return nil
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// problems are the cases to fix, those that fail first, with their links for readers.
func problems(m evaluate.Matrix) evaluate.Matrix {
	cases := slices.Concat(m.Only(evaluate.Fails), m.Only(evaluate.Inconclusive))
	for i, c := range cases {
		cases[i].Links = c.Explained()
	}
	return cases
}

// region is a line of the table of keys and images.
type region struct{ Name, Image, Role, ARN string }

func regions(r Report) []region {
	names := slices.Concat(slices.Collect(maps.Keys(r.Images)), slices.Collect(maps.Keys(r.Key.ARNs)))
	slices.Sort(names)
	var list []region
	for _, name := range slices.Compact(names) {
		role := "replica"
		if name == r.Key.Primary {
			role = "primary"
		}
		list = append(list, region{name, r.Images[name], role, r.Key.ARNs[name]})
	}
	return list
}

// group is changes of one kind that differ in the Region or the ID only.
type group struct {
	Action change.Action
	Kind   change.Kind
	Detail string
	Count  int
	Where  []string
}

// grouped groups changes of the same kind. It omits what is up to date.
func grouped(changes []change.Change) []group {
	type key struct {
		action change.Action
		kind   change.Kind
		detail string
	}
	byKey := map[key]*group{}
	for _, c := range changes {
		if c.Action == change.NoOp {
			continue
		}
		k := key{c.Action, c.Kind, c.Detail}
		if byKey[k] == nil {
			byKey[k] = &group{Action: c.Action, Kind: c.Kind, Detail: c.Detail}
		}
		byKey[k].Count++
		byKey[k].Where = append(byKey[k].Where, c.Region)
	}
	var groups []group
	for _, g := range byKey {
		slices.Sort(g.Where)
		g.Where = slices.Compact(g.Where)
		groups = append(groups, *g)
	}
	slices.SortFunc(groups, func(a, b group) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Action, b.Action), cmp.Compare(a.Detail, b.Detail))
	})
	return groups
}

// grid is the matrix as the page's script reads it: for each Region and launcher
// the number of each account's case, -1 for none.
type grid struct {
	Accounts  []string  `json:"accounts"`
	Regions   []string  `json:"regions"`
	Launchers []string  `json:"launchers"`
	Cases     []caseOf  `json:"cases"`
	Cells     [][][]int `json:"cells"` // by region, launcher, account
}

type caseOf struct {
	Outcome evaluate.Outcome `json:"outcome"`
	Links   []evaluate.Link  `json:"links"`
}

func newGrid(m evaluate.Matrix) grid {
	g := grid{Accounts: []string{}, Regions: []string{}, Launchers: []string{}, Cases: []caseOf{}, Cells: [][][]int{}}
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
