package publish_test

import (
	"strings"
	"sync"
	"testing"
	"time"
)

// TestNameTakenMeanwhile: two runs of different images want one name. Neither blocks
// the other while its copies are unpublished. The one that comes second finds the
// name published right before it would share, shares nothing, and keeps its copies.
func TestNameTakenMeanwhile(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		another := w.buildAnother(t)
		lock := mutex()
		var group sync.WaitGroup
		var first outcome
		group.Go(func() {
			var err error
			if first, err = w.publishLocked(t.Context(), w.spec(), lock); err != nil {
				t.Errorf("the first run: %v", err)
			}
		})
		group.Go(func() {
			time.Sleep(2 * time.Minute)
			spec := w.spec()
			spec.Sources[0].ImageID, spec.Image.Name = another, "golden-shared"
			second, err := w.publishLocked(t.Context(), spec, lock)
			if err == nil || !strings.Contains(err.Error(), "since this run started, the name was taken") {
				t.Errorf("the second run ends with: %v", err)
			}
			if second.Complete || len(second.Outcome.Images) != len(w.regions) {
				t.Errorf("complete %v, images %v", second.Complete, second.Outcome.Images)
			}
			for region, image := range second.Outcome.Images {
				if image.Shared.Image.Any() || image.State != "available" {
					t.Errorf("the second run's image %s in %s is %s and shared with %v", image.ID, region, image.State, image.Shared.Image)
				}
			}
		})
		group.Wait()
		w.checkComplete(t, first)
	})
}
