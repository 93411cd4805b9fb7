package bench

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/publish"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// TestBuildsBeside publishes several images at once, each with its own key and
// grants. It models the builds of one template, each of which runs in its own
// process. Builds that share the session quota through the folder are rarely
// throttled and finish at the same time. Builds that don't share it are
// measured for comparison. There are so many accounts that the quota takes
// longer than everything else.
func TestBuildsBeside(t *testing.T) {
	cell := Cell{Regions: 1, Accounts: 3_000, CopyTime: 10 * time.Second}
	sizes := []int{2, 4}
	if os.Getenv(Variable) == "" {
		sizes = sizes[:1] // 'make bench' runs all
	}
	for _, builds := range sizes {
		for _, shared := range []bool{true, false} {
			t.Run(fmt.Sprintf("%d builds, shared %v", builds, shared), func(t *testing.T) {
				beside := measureBeside(t, cell, builds, shared)
				recordLine(t, Line{Beside: &beside})
				t.Logf("%v to %v, bound %v, throttled %.2f%% of %d", beside.First, beside.Makespan, beside.Bound, beside.Calls.ThrottledPercent(), beside.Calls.Total)
				// Also without sharing, no build is faster than the quota.
				if beside.Makespan < beside.Bound {
					t.Errorf("faster than the quota")
				}
				if !shared {
					return // only for comparison
				}
				if got := beside.Calls.ThrottledPercent(); got >= goalThrottled {
					t.Errorf("%.2f%% of the calls were throttled", got)
				}
				if ratio := float64(beside.Makespan) / float64(beside.Bound); ratio > goalQuotas {
					t.Errorf("the builds take %.3f times what the quota allows", ratio)
				}
				if fair := float64(beside.First) / float64(beside.Makespan); fair < 0.95 {
					t.Errorf("one build was done after %v, the last after %v", beside.First, beside.Makespan)
				}
			})
		}
	}
}

func measureBeside(t *testing.T, cell Cell, builds int, shared bool) Beside {
	t.Helper()
	beside := Beside{Cell: cell, Builds: builds, Shared: shared}
	beside.Bound = BoundOf(cell, builds).Total()
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		world, err := awssim.New(worldOf(cell), cell.Timing())
		if err != nil {
			t.Fatal(err)
		}
		counted := count(world)
		start := time.Now()
		took := make([]time.Duration, builds)
		var group sync.WaitGroup
		for i := range builds {
			group.Go(func() {
				clients := awsclient.New(configOf(world))
				if shared {
					clients.ShareQuotas(folder)
				}
				spec := specOf(cell)
				spec.Key.Alias, spec.Image.Name = fmt.Sprintf("%s-%d", alias, i), fmt.Sprintf("golden-%d", i)
				_, err := publish.Runner{Clients: clients, Reporter: silent, Lock: unlocked}.Run(t.Context(), spec)
				if err != nil {
					t.Error(err)
				}
				took[i] = time.Since(start)
			})
		}
		group.Wait()
		beside.First, beside.Makespan = minmax(took)
		beside.Calls = counted.take(nil)
	})
	return beside
}

func minmax(times []time.Duration) (shortest, longest time.Duration) {
	shortest = times[0]
	for _, d := range times {
		shortest, longest = min(shortest, d), max(longest, d)
	}
	return shortest, longest
}
