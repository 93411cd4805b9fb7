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
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/orgami/packer-plugin-orgami/internal/change"
	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
	"github.com/orgami/packer-plugin-orgami/internal/text"
)

// Report is the content of the page.
type Report struct {
	Product      string // name and version of the program that created the report
	Name         string // of the image
	At           time.Time
	Account      string // the account that owns key and images
	Organization string // o-…; empty if the organization isn't involved
	// PlanOnly means that nothing was changed.
	PlanOnly bool
	// Complete means that the image is published. Without Complete and
	// PlanOnly, the publication failed because of the Errors.
	Complete bool
	Errors   []string
	Key      Key
	Images   map[string]string // by Region
	// Parameters name the images, by Region.
	Parameters map[string]Parameter
	Launches   evaluate.Matrix
	// Canaries are the instances that started, or didn't, before the image was shared.
	Canaries      []Canary
	CanaryAccount string
	// Assumptions are what Launches assumes.
	Assumptions []evaluate.Assumption
	Changes     []change.Change
}

// Canary is one launch before the image was shared.
type Canary struct {
	Region, Launcher, Outcome string // launched, failed or inconclusive
	InstanceID                string
	Seconds                   float64 // to running
	Reason                    string
}

// Parameter is a Region's parameter that names the image.
type Parameter struct {
	ARN string
	// SharedWith are the principals that the plugin shares it with.
	SharedWith []string
}

// Key is the multi-Region key.
type Key struct {
	ID      string
	Alias   string
	Primary string            // Region
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

// Write writes the page. All values in the report are escaped.
func Write(w io.Writer, r Report) error {
	causes := r.Launches.Causes()
	err := page.Execute(w, map[string]any{
		"Report": r, "At": r.At.UTC().Format(time.RFC3339), "Failed": r.failed(),
		"Style": template.CSS(style), "Script": template.JS(script), //nolint:gosec // the package's own files
		"Policy":  fmt.Sprintf("default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src '%s'; script-src '%s'", digest(style), digest(script)),
		"Verdict": r.verdict(causes), "Total": r.Launches.Total(), "Counts": counts(r.Launches),
		"Causes": shown(causes), "Regions": regions(r), "Changes": grouped(r.Changes),
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

// failed reports whether a publication was tried and isn't complete.
func (r Report) failed() bool { return !r.PlanOnly && !r.Complete }

// signs stand before an outcome.
var signs = map[evaluate.Outcome]string{evaluate.Launches: "✓", evaluate.Fails: "✗", evaluate.Inconclusive: "?", evaluate.Pending: "…"}

// verdict is the first line of the page.
type verdict struct{ Sign, Class, Text string }

func (r Report) verdict(causes []evaluate.Cause) verdict {
	total := r.Launches.Total()
	of := func(outcome evaluate.Outcome, verb string) verdict {
		n := 0
		for _, c := range causes {
			if c.Outcome == outcome {
				n++
			}
		}
		return verdict{signs[outcome], string(outcome), fmt.Sprintf("%s of %s %s: %s", text.Number(r.Launches.Count(outcome)), text.Count(total, "launch check"), verb, text.Count(n, "cause"))}
	}
	switch {
	case r.failed() && r.Launches.Count(evaluate.Fails) == 0:
		return verdict{"✗", "fails", "Not published: " + text.Count(max(len(r.Errors), 1), "error")}
	case r.Launches.Count(evaluate.Fails) > 0 && r.failed():
		v := of(evaluate.Fails, "would fail")
		v.Text = "Not published: " + v.Text
		return v
	case r.Launches.Count(evaluate.Fails) > 0:
		return of(evaluate.Fails, "fail")
	case r.Launches.Count(evaluate.Inconclusive) > 0:
		return of(evaluate.Inconclusive, "are inconclusive, and none fails")
	case r.Launches.Count(evaluate.Pending) > 0:
		return of(evaluate.Pending, "are pending, and none fails")
	case total == 0 && r.PlanOnly:
		return verdict{"", "neutral", fmt.Sprintf("Not published yet: %s planned", text.Count(change.Mutating(r.Changes), "change"))}
	case total == 0:
		return verdict{"", "neutral", "Published. No launches were checked"}
	default:
		return verdict{signs[evaluate.Launches], "launches", "Everything that was checked launches"}
	}
}

// tally is the number of launch checks with an outcome.
type tally struct {
	N                  int
	Text, Class, Label string
}

func counts(m evaluate.Matrix) []tally {
	var list []tally
	for _, o := range []struct {
		outcome evaluate.Outcome
		label   string
	}{{evaluate.Launches, "passed"}, {evaluate.Fails, "failed"}, {evaluate.Pending, "pending"}, {evaluate.Inconclusive, "inconclusive"}} {
		n := m.Count(o.outcome)
		if o.outcome == evaluate.Launches {
			o.label += m.Evidence()
		}
		list = append(list, tally{n, text.Number(n), string(o.outcome), o.label})
	}
	return list
}

// causeOf is a cause as the page shows it.
type causeOf struct {
	Outcome                                   evaluate.Outcome
	Sign, Title, Because                      string
	Where, Launchers, Regions, Accounts, More string
	Remedies                                  []evaluate.Remedy
}

// maxRemedies is how many remedies the list of causes has for each. The table has all.
const maxRemedies = 5

// names are the names of the links for readers.
var names = map[string]string{
	"image": "Image", "product-code": "Marketplace subscription", "region-enabled": "Region", "shared": "Launch permission",
	"allowed-amis": "Allowed AMIs", "snapshot": "Snapshot", "scp": "Service control policy", "permission-boundary": "Permissions boundary",
	"key-region": "Key of the snapshot", "key-state": "Key state", "key-policy": "Key policy", "identity-policy": "Identity policy",
	"grant": "Grant", "volume-key": "Default EBS key",
}

// sentence begins with a capital letter, unless it begins with an ID.
func sentence(s string) string {
	if word, _, _ := strings.Cut(s, " "); word == "" || strings.ContainsAny(word, "-:/") {
		return s
	}
	r, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[size:]
}

// plural is "1 launch check fails" or "2 launch checks fail".
func plural(n int, thing string, verb [2]string) string {
	if n == 1 {
		return text.Count(n, thing) + " " + verb[0]
	}
	return text.Count(n, thing) + " " + verb[1]
}

func shown(causes []evaluate.Cause) []causeOf {
	list := make([]causeOf, len(causes))
	for i, c := range causes {
		do := map[evaluate.Outcome][2]string{
			evaluate.Fails: {"fails", "fail"}, evaluate.Inconclusive: {"is inconclusive", "are inconclusive"}, evaluate.Pending: {"is pending", "are pending"},
		}[c.Outcome]
		list[i] = causeOf{
			Outcome: c.Outcome, Sign: signs[c.Outcome], Title: cmp.Or(names[c.Link], c.Link) + ": " + plural(c.Checks, "launch check", do), Because: sentence(c.Because),
			Where:     fmt.Sprintf("%s × %s", text.Count(len(c.Regions), "Region"), text.Count(len(c.Accounts), "account")),
			Launchers: strings.Join(c.Launchers, ", "), Regions: strings.Join(c.Regions, ", "), Accounts: text.Few(c.Accounts, 200),
			Remedies: c.Remedies[:min(len(c.Remedies), maxRemedies)],
		}
		if more := len(c.Remedies) - maxRemedies; more > 0 {
			list[i].More = fmt.Sprintf("And %s more. Choose a cell of the table to see its remedy.", text.Number(more))
		}
	}
	return list
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
type group struct{ Sign, Text, Regions string }

// grouped groups changes of the same kind, deletions last. It omits what is up to date.
func grouped(changes []change.Change) []group {
	stays := func(a change.Action) bool { return a != change.NoOp && a != change.Delete }
	deletes := func(a change.Action) bool { return a == change.Delete }
	var groups []group
	for _, g := range slices.Concat(change.Group(changes, stays), change.Group(changes, deletes)) {
		what := string(g[0].Kind)
		if len(g) > 1 {
			what = text.Count(len(g), what)
		}
		if g[0].Detail != "" {
			what += ": " + g[0].Detail
		}
		var regions []string
		for _, c := range g {
			regions = append(regions, c.Region)
		}
		slices.Sort(regions)
		groups = append(groups, group{verbs[g[0].Action], what, strings.Join(slices.Compact(regions), ", ")})
	}
	return groups
}

// verbs are the words for what a change did.
var verbs = map[change.Action]string{change.Create: "+ create", change.Update: "~ update", change.Delete: "− delete", change.Skip: "! skip", change.Unmanaged: "? keep"}
