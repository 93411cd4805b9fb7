package publish_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
)

// TestFailedCopies checks that all failed copies are reported, in the order of the
// Regions. The others are kept, and the next run copies only what is missing.
func TestFailedCopies(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		w.sim.FailCopy("us-east-1", "the key cannot be used")
		w.sim.FailCopy("ap-southeast-2", "the quota is used up")
		result, err := w.publish(w.spec())
		if err == nil {
			t.Fatal("it was published")
		}
		first, second := strings.Index(err.Error(), "the quota is used up"), strings.Index(err.Error(), "the key cannot be used")
		if first < 0 || second < first || !strings.Contains(err.Error(), "ap-southeast-2") || !strings.Contains(err.Error(), "us-east-1") {
			t.Errorf("error is %v", err)
		}
		w.checkNothingVisible(t)
		if len(result.Unpublished) != 3 {
			t.Errorf("unpublished copies: %v", result.Unpublished)
		}
		w.sim.ResetJournal()
		published := w.mustPublish(t, w.spec())
		if n := w.mutations()["ec2 CopyImage"]; n > 4 { // EC2 returns the failed copy for its token
			t.Errorf("the next run called CopyImage %d times", n)
		}
		w.checkComplete(t, published)
		if len(published.Unpublished) != 2 {
			t.Errorf("the failed copies are not listed: %v", published.Unpublished)
		}
	})
}

// checkComplete checks that the published images are available and shared.
func (w *world) checkComplete(t *testing.T, result outcome) {
	t.Helper()
	if !result.Complete || len(result.Images()) != len(w.regions) {
		t.Errorf("complete %v, images %v", result.Complete, result.Images())
	}
	for _, image := range w.state().Images {
		if result.Images()[image.Region] == image.ID && (image.State != "available" || len(image.LaunchPermissions) == 0 || image.Tags[ami.TagState] != ami.StatePublished) {
			t.Errorf("the published image %s in %s is %s, shared with %v, marked %q", image.ID, image.Region, image.State, image.LaunchPermissions, image.Tags[ami.TagState])
		}
	}
}

// TestHangingCopy checks that a copy that isn't available within wait_timeout
// fails the run. The run reports the copy and keeps it.
func TestHangingCopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := timing
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
