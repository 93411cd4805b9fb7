package bench

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/publish"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// The goals: makespan over bound.
const (
	goalCopies = 1.05 // where copies take longest
	goalQuotas = 1.11 // where sessions at STS's quota take longest; the plugin stays below it
	goalCalls  = 1.05 // where the calls under way take longest
	// goalThrottled is the percentage of calls that may be throttled for a large
	// organization. For a small one in many Regions the few calls that create
	// replicas, of which many are throttled, are more.
	goalThrottled, largeOrganization = 1.0, 1_000
)

// smallCells are measured in every run of the tests.
func smallCells() []Cell {
	return []Cell{
		{1, 10, 10 * time.Second},
		{1, 10, 8 * time.Minute},
		{3, 10, 40 * time.Minute},
		{3, 100, 8 * time.Minute},
		{3, 1_000, 8 * time.Minute},
		{1, 5_000, 10 * time.Second},
		{17, 10, 8 * time.Minute},
	}
}

// allCells is the grid of `make bench`. Where the accounts' calls take longest, longer
// copies only change the copies' own term, so they are left out: each costs minutes.
func allCells() []Cell {
	var cells []Cell
	for _, regions := range []int{1, 3, 17, 33} {
		for _, accounts := range []int{10, 100, 1_000, 5_000} {
			for _, copyTime := range []time.Duration{10 * time.Second, 8 * time.Minute, 40 * time.Minute} {
				if cell := (Cell{regions, accounts, copyTime}); copyTime == again || cell.Grants() <= 100_000 {
					cells = append(cells, cell)
				}
			}
		}
	}
	return cells
}

// TestGrid publishes each cell in virtual time, twice, and compares the result with the
// goals and the formulas.
func TestGrid(t *testing.T) {
	cells, all := smallCells(), os.Getenv(Variable) != ""
	if all {
		cells = allCells()
	}
	for _, cell := range cells {
		t.Run(fmt.Sprintf("%d regions, %d accounts, copies of %v", cell.Regions, cell.Accounts, cell.CopyTime), func(t *testing.T) {
			t.Parallel()
			grid := measure(t, cell, !all || cell.CopyTime == again)
			recordLine(t, Line{Grid: &grid})
			t.Logf("%v, bound %v (%s), ratio %.3f, timeline %+v; the second run takes %v", grid.Makespan, grid.Bound.Total(), grid.Bound.Binds(), grid.Ratio(), grid.Timeline, grid.WarmTime)
			checkCalls(t, grid)
			if grid.Ratio() < 1 {
				t.Errorf("faster than the bound: %+v", grid.Bound)
			}
			// Cells in which creating the key takes longest have no goal.
			goal := map[string]float64{"copies": goalCopies, "quotas": goalQuotas, "calls at once": goalCalls}[grid.Bound.Binds()]
			if !all && goal > 0 && grid.Ratio() > goal && !missed[cell] {
				t.Errorf("%v is %.3f times the bound %v, and the goal is %.2f", grid.Makespan, grid.Ratio(), grid.Bound.Total(), goal)
			}
		})
	}
}

// missed are the small cells that do not reach the goal, as docs/performance.md
// explains.
var missed = map[Cell]bool{{1, 10, 10 * time.Second}: true}

// again is the copy time with which a cell is published a second time in `make bench`.
// The second run copies nothing.
const again = 10 * time.Second

// measure publishes the cell, and if twice is set, a second time.
func measure(t *testing.T, cell Cell, twice bool) Grid {
	t.Helper()
	grid := Grid{Cell: cell, Bound: BoundOf(cell, 1)}
	synctest.Test(t, func(t *testing.T) {
		world, err := awssim.New(worldOf(cell), cell.Timing())
		if err != nil {
			t.Fatal(err)
		}
		counted := count(world)
		clients := awsclient.New(configOf(world))
		run := func() time.Duration {
			start := time.Now()
			_, err := publish.Runner{Clients: clients, Reporter: silent, Lock: unlocked}.Run(t.Context(), specOf(cell))
			if err != nil {
				t.Fatal(err)
			}
			return time.Since(start)
		}
		counted.take(grid.Timeline.watch(time.Now()))
		grid.Makespan = run()
		grid.Timeline.End = grid.Makespan
		grid.Cold = counted.take(nil)
		if twice {
			time.Sleep(time.Minute) // another run, later
			counted.take(nil)
			grid.WarmTime = run()
			grid.Warm = counted.take(nil)
		}
		grid.Failures = len(failedCalls(grid.Cold)) + len(failedCalls(grid.Warm))
	})
	return grid
}

// watch records the times of the calls that separate the stages.
func (l *Timeline) watch(start time.Time) func(awssim.Entry) {
	return func(e awssim.Entry) {
		if e.DryRun {
			return
		}
		at := e.Time.Sub(start)
		first := func(d *time.Duration) {
			if *d == 0 {
				*d = at
			}
		}
		if e.Mutating {
			first(&l.FirstChange)
		}
		switch e.Operation {
		case "CopyImage":
			first(&l.FirstCopy)
			l.LastCopyStart = at
		case "CreateGrant":
			l.LastGrant = at
		case "ListGrants":
			l.LastListed = at
		case "ModifyImageAttribute":
			first(&l.FirstShared)
		}
	}
}

// failedCalls are kinds of calls of which some failed permanently. Reads of resources
// that don't exist yet are expected, so only changes count.
func failedCalls(c Calls) []string {
	var kinds []string
	changes := 0
	for _, kind := range slices.Sorted(maps.Keys(c.ByKind)) {
		if mutates(kind) {
			changes += c.ByKind[kind]
			kinds = append(kinds, kind)
		}
	}
	if changes == c.Mutating {
		return nil
	}
	return kinds
}

// checkCalls compares the calls with the formulas.
func checkCalls(t *testing.T, g Grid) {
	t.Helper()
	changes := map[string]int{}
	for kind, n := range g.Cold.ByKind {
		if mutates(kind) {
			changes[kind] = n
		}
	}
	if diff := cmp.Diff(ColdChanges(g.Cell), changes); diff != "" {
		t.Errorf("changing calls of the first run: %s", diff)
	}
	if g.Failures > 0 {
		t.Errorf("calls that failed: %s", strings.Join(failedCalls(g.Cold), ", "))
	}
	if percent := g.Cold.ThrottledPercent(); percent >= goalThrottled && g.Accounts >= largeOrganization {
		t.Errorf("%.1f%% of %d calls were throttled", percent, g.Cold.Total)
	}
	if g.WarmTime == 0 {
		return
	}
	if g.Warm.Mutating != g.Accounts { // sessions
		t.Errorf("the second run changed something: %v", g.Warm.ByKind)
	}
	if diff := cmp.Diff(WarmReads(g.Cell), g.Warm.ByKind); diff != "" {
		t.Errorf("calls of the second run: %s", diff)
	}
	least := time.Duration(WarmSteps(g.Cell))*g.Timing().Latency + InspectionTime(g.Cell)
	// The plugin stays below STS's quota, and starts with a smaller burst. In each
	// account, three calls wait for each other.
	if most := least + least/4 + time.Second; g.WarmTime < least || g.WarmTime > most {
		t.Errorf("the second run took %v, not between %v and %v", g.WarmTime, least, most)
	}
}
