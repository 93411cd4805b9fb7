package publish_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/orgami/packer-plugin-orgami/internal/publish"
	"github.com/orgami/packer-plugin-orgami/internal/retention"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// longLived is a publication with all steps after sharing.
func (w *world) longLived() publish.Spec {
	spec := w.spec()
	lifelong(&spec)
	spec.Parameter = publish.ParameterSpec{Name: "/golden", Share: true}
	spec.Retire = &retention.RetentionPolicy{Family: "golden", Keep: 1, DeprecateAfter: 50 * time.Hour, DisableAfter: 150 * time.Hour, DeleteAfter: 250 * time.Hour}
	return spec
}

// threeGenerations creates earlier generations: one each to deregister, disable and
// deprecate.
func threeGenerations(t *testing.T, w *world) {
	t.Helper()
	var generations []map[string]string
	for _, name := range []string{"one", "two", "three"} {
		spec := w.spec()
		spec.Image.Name, spec.Image.Family = name, "golden"
		generations = append(generations, w.published(t, spec))
		time.Sleep(100 * time.Hour)
	}
	w.reported(t, generations[:2]...)
}

// TestCrashAfterSharing checks that a run that dies while it deprecates, protects,
// names and retires is finished by the next one, too.
func TestCrashAfterSharing(t *testing.T) {
	var calls int
	var want undisturbed
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		threeGenerations(t, w)
		w.sim.ResetJournal()
		w.mustPublish(t, w.longLived())
		calls = len(w.sim.Mutations())
		want.world = withoutIDs(t, w.state())
	})
	if calls != 32 { // two sessions of member roles, copies, permissions, marks, deprecations, protections, parameters, their shares; three older images in each Region
		t.Fatalf("an undisturbed run makes %d changing calls", calls)
	}
	for _, answered := range []bool{true, false} {
		for k := 1; k <= calls; k += every(calls, 12) {
			cell(t, &figures.crashes, fmt.Sprintf("changing call %d, answered %v", k, answered), func(t *testing.T, w *world) {
				threeGenerations(t, w)
				w.dieAt(k, func(call awssim.Entry) bool { return call.Mutating }, answered)
				_, err := w.publish(w.longLived())
				w.sim.ClearFaults()
				if err == nil && k < calls {
					t.Fatal("the run did not notice that it died")
				}
				time.Sleep(time.Minute)
				last := w.mustPublish(t, w.longLived())
				want.compare(t, w.state())
				w.checkShares(t, false, awssim.OrganizationARN)
				for region, id := range last.Images() {
					if got := w.sim.Parameter(awssim.PublishingAccount, region, "/golden"); got != id {
						t.Errorf("the parameter in %s names %q, not %s", region, got, id)
					}
				}
				w.sim.ResetJournal()
				w.mustPublish(t, w.longLived())
				if got := w.mutations(); len(got) > 0 {
					t.Errorf("a further run changes something: %v", got)
				}
			})
		}
	}
}
