package publish_test

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/awssim"
	"github.com/orgami/packer-plugin-orgami/internal/publish"
)

// TestTwoRunsAtOnce: several builds of a template publish at the same time. On
// one machine they make one key; on several machines the first alias decides,
// and both use that key.
func TestTwoRunsAtOnce(t *testing.T) {
	for name, test := range map[string]struct {
		lock   func() publish.Lock
		second string // the second image's name
		keys   int
	}{
		"one machine, two images":          {mutex, "other", 1},
		"one machine, the same image":      {mutex, "golden-shared", 1},
		"several machines, two images":     {noLock, "other", 2},
		"several machines, the same image": {noLock, "golden-shared", 2},
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
				var group sync.WaitGroup
				lock := test.lock()
				for _, name := range []string{"golden-shared", test.second} {
					group.Go(func() {
						spec := w.spec()
						spec.Image.Name = name
						clients := awsclient.New(w.config(awssim.PublishingAccount, w.regions[0]))
						if _, err := publish.Run(t.Context(), clients, spec, w, lock); err != nil {
							t.Errorf("%s: %v", name, err)
						}
					})
				}
				group.Wait()
				if n := w.mutations()["kms CreateKey"]; n != test.keys {
					t.Errorf("%d keys were created", n)
				}
				named := 0
				for _, key := range w.state().Keys {
					if slices.Contains(key.Aliases, alias) {
						named++
						if len(key.Grants) != 4 {
							t.Errorf("%d grants on %s", len(key.Grants), key.ARN)
						}
					}
				}
				if named != 3 {
					t.Errorf("%d regional keys have the alias", named)
				}
				for region, n := range w.copies() {
					if n != 1 {
						t.Errorf("%d copies in %s", n, region)
					}
				}
				w.sim.ResetJournal()
				w.mustPublish(t, w.spec())
				if got := w.mutations(); len(got) > 0 {
					t.Errorf("a third run changed: %v", got)
				}
			})
		})
	}
}

func noLock() publish.Lock { return unlocked }

// mutex is the lock of runs in one process.
func mutex() publish.Lock {
	turn := make(chan struct{}, 1)
	return func(ctx context.Context) (func(), error) {
		select {
		case turn <- struct{}{}:
			return func() { <-turn }, nil
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}
