package publish_test

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/orgami/packer-plugin-orgami/internal/publish"
)

// TestTwoRunsAtOnce covers several builds of a template that publish at the same time.
// On one machine, they create one key. On several machines, the first alias decides,
// and both use its key.
func TestTwoRunsAtOnce(t *testing.T) {
	for name, test := range map[string]struct {
		lock   func() publish.Locker
		second string // the second image's name
		keys   int
		grants int // CreateGrant calls; KMS responds the second with the first's grant
	}{
		"one machine, two images":          {mutex, "other", 1, 12},
		"one machine, the same image":      {mutex, "golden-shared", 1, 12},
		"several machines, two images":     {noLock, "other", 2, 24},
		"several machines, the same image": {noLock, "golden-shared", 2, 24},
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
				var group sync.WaitGroup
				lock := test.lock()
				for _, name := range []string{"golden-shared", test.second} {
					group.Go(func() {
						spec := w.spec()
						spec.Image.Name = name
						if _, err := w.publishLocked(t.Context(), spec, lock); err != nil {
							t.Errorf("%s: %v", name, err)
						}
					})
				}
				group.Wait()
				if n := w.mutations()["kms CreateKey"]; n != test.keys {
					t.Errorf("%d keys were created", n)
				}
				if n := w.mutations()["kms CreateGrant"]; n != test.grants {
					t.Errorf("CreateGrant was called %d times, want %d", n, test.grants)
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

func noLock() publish.Locker { return unlocked }

// mutex is the lock of runs in one process.
func mutex() publish.Locker {
	turns := map[publish.Section]chan struct{}{publish.CompletingKey: make(chan struct{}, 1), publish.MakingGrants: make(chan struct{}, 1)}
	return func(ctx context.Context, work publish.Section) (func(), bool, error) {
		release := func() { <-turns[work] }
		select {
		case turns[work] <- struct{}{}:
			return release, false, nil
		default:
		}
		select {
		case turns[work] <- struct{}{}:
			return release, true, nil
		case <-ctx.Done():
			return nil, false, context.Cause(ctx)
		}
	}
}
