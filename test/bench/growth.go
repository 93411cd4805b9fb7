package bench

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// point is a cost by size.
type point struct{ size, cost float64 }

// growthRows has one row for each way to grow. A cost that grows in proportion to the
// size has the exponent 1.
func growthRows(lines []Line) string {
	const copyTime = 10 * time.Second
	cold := func(g Grid) float64 { return float64(g.Cold.Total) }
	warm := func(g Grid) float64 { return float64(g.Warm.Total) }
	makespan := func(g Grid) float64 { return g.Makespan.Seconds() }
	again := func(g Grid) float64 { return g.WarmTime.Seconds() }
	byAccounts := func(cost func(Grid) float64) []point {
		return gridPoints(lines, func(g Grid) bool { return g.Regions == 17 && g.CopyTime == copyTime }, func(g Grid) int { return g.Accounts }, cost)
	}
	byRegions := func(cost func(Grid) float64) []point {
		return gridPoints(lines, func(g Grid) bool { return g.Accounts == 1_000 && g.CopyTime == copyTime }, func(g Grid) int { return g.Regions }, cost)
	}
	process := func(run string, cost func(Process) float64) []point {
		var points []point
		for _, l := range lines {
			if l.Process != nil && l.Process.Run == run {
				points = append(points, point{float64(l.Process.Grants()), cost(*l.Process)})
			}
		}
		return points
	}
	memory := func(p Process) float64 { return float64(p.PeakRSS) }
	cpu := func(p Process) float64 { return p.UserCPU.Seconds() }
	var text strings.Builder
	for _, r := range []struct {
		more, cost   string
		first, later []point
	}{
		{"accounts, in 17 Regions", "calls", byAccounts(cold), byAccounts(warm)},
		{"accounts, in 17 Regions", "time", byAccounts(makespan), byAccounts(again)},
		{"Regions, with 1,000 accounts", "calls", byRegions(cold), byRegions(warm)},
		{"Regions, with 1,000 accounts", "time", byRegions(makespan), byRegions(again)},
		{"grants", "peak memory", process("cold", memory), process("warm", memory)},
		{"grants", "user CPU", process("cold", cpu), process("warm", cpu)},
	} {
		if len(r.first) > 2 && len(r.later) > 2 {
			fmt.Fprintf(&text, "| %s | %s | %.2f | %.2f |\n", r.more, r.cost, exponent(r.first), exponent(r.later))
		}
	}
	return text.String()
}

func gridPoints(lines []Line, which func(Grid) bool, size func(Grid) int, cost func(Grid) float64) []point {
	var points []point
	for _, l := range lines {
		if l.Grid != nil && which(*l.Grid) && cost(*l.Grid) > 0 {
			points = append(points, point{float64(size(*l.Grid)), cost(*l.Grid)})
		}
	}
	return points
}

// exponent is that of size in the cost, between the two largest sizes, where what every
// run costs hides the least.
func exponent(points []point) float64 {
	points = slices.SortedFunc(slices.Values(points), func(a, b point) int { return int(a.size - b.size) })
	a, b := points[len(points)-2], points[len(points)-1]
	return math.Log(b.cost/a.cost) / math.Log(b.size/a.size)
}
