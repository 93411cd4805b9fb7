package publish_test

import (
	"strings"
	"testing"
	"time"

	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
	"github.com/orgami/packer-plugin-orgami/internal/publish"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// verdicts is a matrix by Region, launcher and account.
func verdicts(m evaluate.Matrix) map[string]evaluate.Outcome {
	all := map[string]evaluate.Outcome{}
	for _, c := range m {
		for _, account := range c.Accounts {
			all[c.Region+" "+c.Launcher+" "+account] = c.Outcome
		}
	}
	return all
}

// TestPlannedChecks checks that a plan predicts each launch check of the publication
// that follows it, and writes nothing.
func TestPlannedChecks(t *testing.T) {
	nothing := func(*testing.T, *world) {}
	for name, test := range map[string]struct {
		world   func() awssim.WorldFile
		spec    func(*world) publish.Spec
		prepare func(*testing.T, *world) // before the plan
		fixes   bool                     // launches that fail now
	}{
		"nothing exists":       {defaultWorld, (*world).spec, nothing, false},
		"grants to be created": {defaultWorld, (*world).emitting, nothing, false},
		"a Marketplace image": {func() awssim.WorldFile {
			file := defaultWorld()
			file.Images[0].ProductCodes = []string{"abc123def456ghi789"}
			return file
		}, (*world).spec, nothing, false},
		"members are inspected, without a key": {inspectedWorld(), (*world).spec, nothing, false},
		"members are inspected": {inspectedWorld(), (*world).spec, func(t *testing.T, w *world) {
			spec := w.spec()
			spec.Grants.Accounts = spec.Grants.Accounts[:1]
			w.mustPublish(t, spec)
		}, false},
		"a statement is missing": {defaultWorld, (*world).spec, func(t *testing.T, w *world) {
			w.mustPublish(t, w.spec())
			takeOurStatement(t, w)
		}, true},
		"the members of another run": {defaultWorld, func(w *world) publish.Spec {
			spec := w.spec()
			spec.Grants.Accounts = awssim.MemberAccounts()[:3]
			return spec
		}, func(t *testing.T, w *world) { w.mustPublish(t, w.spec()) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, test.world, func(t *testing.T, w *world) {
				test.prepare(t, w)
				time.Sleep(time.Minute) // until AWS returns what was written
				spec := test.spec(w)
				w.sim.ResetJournal()
				spec.PlanOnly = true
				started := time.Now()
				plan := w.mustPublish(t, spec)
				if took := time.Since(started); took > 3*time.Second {
					t.Errorf("the plan took %s", took)
				}
				if changed := w.mutations(); len(changed) > 0 {
					t.Errorf("the plan changed %v", changed)
				}
				output := w.said()
				spec.PlanOnly = false
				published := w.mustPublish(t, spec)
				planned, got := verdicts(plan.Checks.Planned), verdicts(published.Checks.Matrix)
				if len(planned) == 0 {
					t.Error("the plan predicts nothing")
				}
				for launch, outcome := range got {
					if planned[launch] != outcome {
						t.Errorf("%s: planned %q, then %q", launch, planned[launch], outcome)
					}
				}
				if len(planned) != len(got) {
					t.Errorf("planned %d checks, then %d", len(planned), len(got))
				}
				if !strings.Contains(plan.Summary(), "Launch checks after this plan: ") {
					t.Errorf("the summary doesn't have them:\n%s", plan.Summary())
				}
				if fixes := strings.Contains(output, "would fail now, and this plan fixes them."); fixes != test.fixes || strings.Contains(output, "remedy") {
					t.Errorf("fixes: %v, want %v, without a remedy:\n%s", fixes, test.fixes, output)
				}
				spec.PlanOnly = true
				if again := w.mustPublish(t, spec); again.Checks.Planned != nil || strings.Contains(again.Summary(), "after this plan") {
					t.Errorf("a plan without changes predicts %v", again.Checks.Planned)
				}
			})
		})
	}
}
