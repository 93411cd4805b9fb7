package publish

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/change"
	"github.com/orgami/packer-plugin-orgami/internal/grant"
	"github.com/orgami/packer-plugin-orgami/internal/kmskey"
	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
	"github.com/orgami/packer-plugin-orgami/internal/progress"
	"github.com/orgami/packer-plugin-orgami/internal/record/downstream"
	"github.com/orgami/packer-plugin-orgami/internal/record/manifest"
	"github.com/orgami/packer-plugin-orgami/internal/record/report"
)

// Result is what a publication achieved; of a failed one, what it achieved
// until then. Its zero parts belong to stages that were not reached.
type Result struct {
	spec      Spec
	world     Observed
	plan      *Plan
	keys      kmskey.Keys
	images    ami.Images
	settled   grant.Result
	verified  ami.Verified
	lived     map[string]ami.Image  // by region, as they are in the end
	shared    map[string]ami.Shared // by region
	revoked   []grant.Leftover
	discarded []string
	launches  evaluate.Matrix
	err       error
}

func (r *Result) finish(err error) { r.err = err }

// Complete reports whether every image is verified and shared and every grant
// is settled.
func (r *Result) Complete() bool {
	return r.err == nil && r.plan != nil && !r.spec.PlanOnly
}

// Images maps each region to its published image: none unless the publication
// is complete; with PlanOnly those that exist already.
func (r *Result) Images() map[string]string {
	ids := map[string]string{}
	switch {
	case r.Complete():
		for _, region := range r.verified.Regions() {
			ids[region] = r.verified.Image(region).ID
		}
	case r.err == nil && r.plan != nil:
		for _, image := range r.plan.Images {
			if id := image.ImageID(); id != "" {
				ids[image.Region()] = id
			}
		}
	}
	return ids
}

// Adopted reports whether a source image is itself a published one.
func (r *Result) Adopted() bool {
	published := r.Images()
	return slices.ContainsFunc(r.spec.Sources, func(s Source) bool { return published[s.Region] == s.ImageID })
}

// Changed is how many changes the plan had.
func (r *Result) Changed() int {
	if r.plan == nil {
		return 0
	}
	return change.Mutating(r.plan.Changes())
}

// Summary says in a few lines how the publication ended.
func (r *Result) Summary() string {
	switch {
	case r.err != nil && r.plan != nil && r.spec.PlanOnly:
		return r.planSummary()
	case r.err != nil:
		return "Not published."
	case r.spec.PlanOnly:
		return r.planSummary()
	}
	var text strings.Builder
	if r.Changed() == 0 {
		text.WriteString("Nothing changed: the image is published as it shall be.")
	} else {
		fmt.Fprintf(&text, "Published, with %d changes.", r.Changed())
	}
	if n := r.launches.Total(); n > 0 {
		fmt.Fprintf(&text, "\n  proved: %s of %s succeed, of Karpenter and service-linked roles in every account and region", progress.Number(r.launches.Count(evaluate.Launches)), progress.Count(n, "launch"))
	}
	for _, region := range r.verified.Regions() {
		fmt.Fprintf(&text, "\n  %s: %s", region, r.verified.Image(region).ID)
	}
	for _, line := range skipped(r.settled.Grants()) {
		text.WriteString("\n  " + line)
	}
	return text.String()
}

func (r *Result) planSummary() string {
	text := fmt.Sprintf("Plan only: nothing was changed, %s needed.", are(r.Changed(), "change"))
	if n := len(r.plan.Problems()); n > 0 {
		text += fmt.Sprintf(" %s for you to mend.", are(n, "problem"))
	}
	if len(r.launches) > 0 {
		text += fmt.Sprintf(" Of %s of what is published, %s would fail.", progress.Count(r.launches.Total(), "launch"), progress.Number(r.launches.Count(evaluate.Fails)))
	}
	return text
}

// are is "1 change is" or "2 changes are".
func are(n int, thing string) string {
	if n == 1 {
		return progress.Count(n, thing) + " is"
	}
	return progress.Count(n, thing) + " are"
}

// skipped is a line for each region and role without grants: in a large
// organisation many accounts lack the same role.
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

// Write writes the files of the publication and returns their paths. A plan
// leaves only its own file and the report, so that the files of what is published
// stay.
func (r *Result) Write(directory string) ([]string, error) {
	m := r.Manifest()
	documents := map[string]any{}
	if r.spec.Report {
		documents[manifest.ReportFile] = manifest.Page(func(w io.Writer) error { return report.Write(w, r.report(m)) })
	}
	if r.spec.PlanOnly {
		documents[manifest.PlanFile] = m
		return manifest.Write(directory, documents)
	}
	documents[manifest.File] = m
	if id := r.keyID(); id != "" {
		documents[manifest.KarpenterFile] = policy.Karpenter(r.world.Caller.Partition, r.wildcardARN(id))
		documents[manifest.GrantsFile] = r.grantsFile(id)
	}
	if !r.Complete() { // nobody deploys what is not
		return manifest.Write(directory, documents)
	}
	outputs, err := downstream.Documents(r.publication(m), r.spec.Outputs)
	if err != nil {
		return nil, err
	}
	maps.Copy(documents, outputs)
	return manifest.Write(directory, documents)
}

// publication is what the further documents are made of: of the grants, those
// that somebody else is to make.
func (r *Result) publication(m manifest.Manifest) downstream.Publication {
	grants := r.grantsFile(m.Key.ID).Grants
	if r.spec.Grants.Via != string(grant.None) {
		grants = func(func(manifest.Grant) bool) {}
	}
	return downstream.Publication{Manifest: m, Policy: policy.Karpenter(m.Partition, m.Key.WildcardARN), Grants: grants}
}

func (r *Result) keyID() string {
	if id := r.keys.ID(); id != "" {
		return id
	}
	return r.world.Key.ID
}

func (r *Result) wildcardARN(id string) string {
	return policy.WildcardKeyARN(r.world.Caller.Partition, r.world.Caller.Account, id)
}

// grants are the grants as they stand.
func (r *Result) grants() []grant.Grant {
	if len(r.settled.Grants()) > 0 || r.plan == nil {
		return r.settled.Grants()
	}
	return r.plan.Grants.Grants()
}
