package bench

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Markdown renders all lines as tables. Cells that are measured at the same time come in
// any order.
func Markdown(lines []Line) string {
	lines = slices.SortedStableFunc(slices.Values(lines), func(a, b Line) int {
		if a.Grid == nil || b.Grid == nil {
			return cmp.Compare(fmt.Sprint(a.Grid == nil), fmt.Sprint(b.Grid == nil))
		}
		return cmp.Or(cmp.Compare(a.Grid.Regions, b.Grid.Regions), cmp.Compare(a.Grid.Accounts, b.Grid.Accounts), cmp.Compare(a.Grid.CopyTime, b.Grid.CopyTime))
	})
	var text strings.Builder
	sections := []struct{ title, head, body string }{
		{"Makespan over the lower bound", gridHead, rows(lines, func(l Line) *Grid { return l.Grid }, gridRow)},
		{"Calls", callsHead, callRows(lines)},
		{"Inspected accounts", inspectionHead, rows(lines, func(l Line) *Inspection { return l.Inspection }, inspectionRow)},
		{"Builds at the same time", besideHead, rows(lines, func(l Line) *Beside { return l.Beside }, besideRow)},
		{"One resource for each grant", perGrantHead, rows(lines, func(l Line) *PerGrant { return l.PerGrant }, perGrantRow)},
		{"The process", processHead, rows(lines, func(l Line) *Process { return l.Process }, processRow)},
		{"Growth", growthHead, growthRows(lines)},
		{"Comparison with other ways", chainHead, chainRows(lines)},
	}
	for _, s := range sections {
		if s.body != "" {
			fmt.Fprintf(&text, "### %s\n\n%s\n%s\n", s.title, table(s.head), s.body)
		}
	}
	return text.String()
}

const (
	gridHead       = "Regions|accounts|copy time|makespan|bound|ratio|longest in the bound|throttled|failures"
	callsHead      = "Regions|accounts|grants|changing calls, first run|other calls, first run|changing calls, second run|other calls, second run|second run takes"
	inspectionHead = "Regions|accounts|copy time|publication|bound without simulations|audit takes|calls of the audit"
	besideHead     = "builds|Regions|grants of all builds|quota|first build takes|last build takes|bound|ratio|throttled"
	perGrantHead   = "accounts|grants|ListGrants calls, first run|ListGrants calls of a refresh|a refresh takes|orgami's second run, calls|orgami's second run takes"
	processHead    = "grants|run|peak memory|user CPU|wall time"
	growthHead     = "more|cost|exponent, first run|exponent, later run"
	chainHead      = "way|does|Regions|copy time|wall time|relative to the plugin|calls|changing calls"
)

// table is the head of a table; columns are separated by |.
func table(head string) string {
	return "| " + strings.ReplaceAll(head, "|", " | ") + " |\n|" + strings.Repeat(" --- |", strings.Count(head, "|")+1)
}

// rows writes the lines for which get returns a value.
func rows[T any](lines []Line, get func(Line) *T, row func(T) string) string {
	var text strings.Builder
	for _, line := range lines {
		if value := get(line); value != nil {
			text.WriteString("| " + row(*value) + " |\n")
		}
	}
	return text.String()
}

func gridRow(g Grid) string {
	return fmt.Sprintf("%d | %s | %s | %s | %s | %.3f | %s | %.2f%% | %d",
		g.Regions, number(g.Accounts), short(g.CopyTime), seconds(g.Makespan), seconds(g.Bound.Total()), g.Ratio(), g.Bound.Binds(), g.Cold.ThrottledPercent(), g.Failures)
}

func inspectionRow(i Inspection) string {
	return fmt.Sprintf("%d | %s | %s | %s | %s | %s | %s", i.Regions, number(i.Accounts), short(i.CopyTime), seconds(i.Makespan),
		seconds(BoundOf(i.Cell, 1).Total()), seconds(i.Audit), number(i.Calls.Total))
}

// callRows has one row for each number of Regions and accounts. The time of the
// copies changes only how often they are read.
func callRows(lines []Line) string {
	type size struct{ regions, accounts int }
	seen := map[size]bool{}
	return rows(lines, func(l Line) *Grid {
		if l.Grid == nil || seen[size{l.Grid.Regions, l.Grid.Accounts}] {
			return nil
		}
		seen[size{l.Grid.Regions, l.Grid.Accounts}] = true
		return l.Grid
	}, func(g Grid) string {
		return fmt.Sprintf("%d | %s | %s | %s | %s | %d | %s | %s", g.Regions, number(g.Accounts), number(g.Grants()), number(g.Cold.Mutating),
			number(g.Cold.Reads()), g.Warm.Mutating, number(g.Warm.Reads()), seconds(g.WarmTime))
	})
}

func besideRow(b Beside) string {
	quota := map[bool]string{true: "shared", false: "not shared"}[b.Shared]
	return fmt.Sprintf("%d | %d | %s | %s | %s | %s | %s | %.3f | %.2f%%", b.Builds, b.Regions, number(b.Builds*b.Grants()), quota,
		seconds(b.First), seconds(b.Makespan), seconds(b.Bound), float64(b.Makespan)/float64(b.Bound), b.Calls.ThrottledPercent())
}

func perGrantRow(p PerGrant) string {
	ours := 0
	for _, n := range WarmReads(p.Cell) {
		ours += n
	}
	return fmt.Sprintf("%s | %s | %s | %s | %s | %s | %s", number(p.Accounts), number(p.Grants()), number(p.Cold.ByKind["kms ListGrants"]),
		number(p.Warm.ByKind["kms ListGrants"]), seconds(p.WarmTime), number(ours), seconds(p.Ours))
}

func processRow(p Process) string {
	return fmt.Sprintf("%s | %s | %.0f MB | %.1f s | %.1f s", number(p.Grants()), p.Run, float64(p.PeakRSS)/1e6, p.UserCPU.Seconds(), p.Wall.Seconds())
}

// chainRows sorts the chains, which are measured in parallel.
func chainRows(lines []Line) string {
	chains := slices.DeleteFunc(slices.Clone(lines), func(l Line) bool { return l.Chain == nil })
	slices.SortStableFunc(chains, func(a, b Line) int {
		return cmp.Or(cmp.Compare(a.Chain.Regions, b.Chain.Regions), cmp.Compare(a.Chain.CopyTime, b.Chain.CopyTime), cmp.Compare(a.Chain.Wall, b.Chain.Wall))
	})
	return rows(chains, func(l Line) *Chain { return l.Chain }, func(c Chain) string { return chainRow(c, chains) })
}

func chainRow(c Chain, lines []Line) string {
	if c.Skipped != "" {
		return fmt.Sprintf("%s | %s | %d | %s | not run: %s | | |", c.Way, c.Does, c.Regions, short(c.CopyTime), c.Skipped)
	}
	ratio := "?"
	for _, line := range lines {
		if other := line.Chain; other != nil && other.CopyTime == c.CopyTime && other.Regions == c.Regions && other.Way == PluginWay {
			ratio = fmt.Sprintf("%.2f", float64(c.Wall)/float64(other.Wall))
		}
	}
	return fmt.Sprintf("%s | %s | %d | %s | %.1f s | %s | %d | %d", c.Way, c.Does, c.Regions, short(c.CopyTime), c.Wall.Seconds(), ratio, c.Calls.Total, c.Calls.Mutating)
}

// Kinds lists how often each operation was called.
func (c Calls) Kinds() string {
	var list []string
	for _, kind := range slices.SortedFunc(maps.Keys(c.ByKind), func(a, b string) int { return cmp.Or(c.ByKind[b]-c.ByKind[a], cmp.Compare(a, b)) }) {
		list = append(list, fmt.Sprintf("%s × %d", kind, c.ByKind[kind]))
	}
	return strings.Join(list, ", ")
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

// short formats a duration without zeros: 8m instead of 8m0s.
func short(d time.Duration) string {
	if d >= time.Minute {
		return fmt.Sprintf("%g min", d.Minutes())
	}
	return fmt.Sprintf("%g s", d.Seconds())
}

// number groups digits by thousands.
func number(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
