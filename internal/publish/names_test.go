package publish_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/publish"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// TestNameTakenMeanwhile covers two runs of different images that want the same name.
// Neither blocks the other while its copies are unpublished. The second one finds the
// published name right before sharing, shares nothing, and keeps its copies.
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
			if err == nil || !strings.Contains(err.Error(), "the name was published after this run started") {
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

// TestFilesThatCannotBeWritten checks that a publication whose files can't be written
// isn't complete, fails, and keeps its images shared. The next run completes it.
func TestFilesThatCannotBeWritten(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		full := errors.New("no space left on device")
		clients := awsclient.New(w.config(awssim.PublishingAccount, w.regions[0]))
		o, err := publish.Runner{Clients: clients, Reporter: w.reporter(), Lock: unlocked, Record: func(publish.Outcome) error { return full }}.Run(t.Context(), w.spec())
		if !errors.Is(err, full) || o.Complete || len(o.ImageIDs()) > 0 {
			t.Errorf("complete %v, images %v, error %v", o.Complete, o.ImageIDs(), err)
		}
		w.sim.ResetJournal()
		w.checkComplete(t, w.mustPublish(t, w.spec()))
		if got := w.mutations(); len(got) > 0 {
			t.Errorf("the next run changed %v", got)
		}
	})
}
