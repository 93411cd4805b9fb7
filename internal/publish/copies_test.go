package publish_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestFailedCopies: copies that end failed are reported, all of them in region
// order, and taken back with the others; the next run copies anew.
func TestFailedCopies(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		w.sim.FailCopy("us-east-1", "the key cannot be used")
		w.sim.FailCopy("ap-southeast-2", "the quota is used up")
		_, err := w.publish(w.spec())
		if err == nil {
			t.Fatal("it was published")
		}
		first, second := strings.Index(err.Error(), "the quota is used up"), strings.Index(err.Error(), "the key cannot be used")
		if first < 0 || second < first || !strings.Contains(err.Error(), "ap-southeast-2") || !strings.Contains(err.Error(), "us-east-1") {
			t.Errorf("error is %v", err)
		}
		w.checkNothingVisible(t)
		w.mustPublish(t, w.spec())
		if diff := cmp.Diff(map[string]int{"us-east-1": 1, "eu-west-1": 1, "ap-southeast-2": 1}, w.copies()); diff != "" {
			t.Errorf("copies by region:\n%s", diff)
		}
	})
}

// TestKeepOnFailure: what succeeded is kept, and the next run makes only what
// is missing.
func TestKeepOnFailure(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		w.sim.FailCopy("eu-west-1", "the quota is used up")
		spec := w.spec()
		spec.KeepOnFailure = true
		if _, err := w.publish(spec); err == nil {
			t.Fatal("it was published")
		}
		for _, image := range w.state().Images {
			if image.Name == "golden-shared" && len(image.LaunchPermissions) > 0 {
				t.Errorf("image %s is shared with %v", image.ID, image.LaunchPermissions)
			}
		}
		w.sim.ResetJournal()
		result := w.mustPublish(t, spec)
		if got := w.mutations(); got["ec2 CopyImage"] > 2 || got["ec2 ModifyImageAttribute"] != 3 {
			t.Errorf("mutating calls of the next run: %v", got)
		}
		if len(result.Images()) != 3 || !result.Complete() {
			t.Errorf("published %v", result.Images())
		}
	})
}

// TestHangingCopy: a copy that does not end within wait_timeout fails the run,
// which says so and takes everything back.
func TestHangingCopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := physics
		slow.CopyTimes = map[string]time.Duration{"eu-west-1": 48 * time.Hour}
		w := newWorldWith(t, defaultWorld(), slow)
		spec := w.spec()
		spec.WaitTimeout = 30 * time.Minute
		start := time.Now()
		_, err := w.publish(spec)
		if err == nil || !strings.Contains(err.Error(), "eu-west-1") || !strings.Contains(err.Error(), "timed out") {
			t.Errorf("error is %v", err)
		}
		if took := time.Since(start); took > spec.WaitTimeout+2*time.Minute {
			t.Errorf("it took %v", took)
		}
		w.checkNothingVisible(t)
	})
}
