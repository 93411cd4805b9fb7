package bench

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestBound compares the formula with bounds worked out by hand.
func TestBound(t *testing.T) {
	for _, test := range []struct {
		cell  Cell
		want  time.Duration
		binds string
	}{
		// 0.15 look + 3.15 key + 0.15 and the copy + 0.05 check + 0.15 share + 0.1 mark.
		{Cell{1, 10, 8 * time.Minute}, 483_750 * time.Millisecond, "copies"},
		// 0.15 + 500 accounts beyond the first 100 at 100 a second + 3.15 + 7.05 + 27
		// replicas beyond the first 5 at 5 a second + 679,400 calls of 0.05, 400 at once,
		// + 0.05 + 100 pages + 100 pages again + 0.15 + 0.1.
		{Cell{33, 5_000, 10 * time.Second}, 115_975 * time.Millisecond, "calls at once"},
		// 0.15 + 5 + 3.15 + 4,400 accounts beyond the first 100 + 0.1 + 100 pages, twice, +
		// 0.15 + 0.1.
		{Cell{1, 5_000, 10 * time.Second}, 61_650 * time.Millisecond, "quotas"},
		{Cell{3, 10, 10 * time.Second}, 20_800 * time.Millisecond, "key"},
	} {
		if bound := BoundOf(test.cell, 1); bound.Total() != test.want || bound.Binds() != test.binds {
			t.Errorf("bound of %+v is %v by %s, want %v by %s", test.cell, bound.Total(), bound.Binds(), test.want, test.binds)
		}
	}
	// 4 publications: 0.15 + 2,300 accounts beyond the first 100 + 3.15 + 7.05 + 8 replicas
	// beyond the first 5 + 1,500 accounts beyond the first 100 + 0.1 + 3.05, with 20 pages
	// in it + 20 pages + 0.15 + 0.1.
	if got, want := BoundOf(Cell{3, 1_000, 10 * time.Second}, 4).Total(), 53_350*time.Millisecond; got != want {
		t.Errorf("the bound of 4 publications is %v, want %v", got, want)
	}
}

// The exponent is that of the last step: what each run costs doesn't count.
func TestExponent(t *testing.T) {
	for want, points := range map[float64][]point{
		1: {{10, 5}, {1_000, 200}, {100, 20}},
		2: {{1, 7}, {10, 100}, {20, 400}},
		0: {{10, 3}, {20, 3}, {40, 3}},
	} {
		if got := exponent(points); math.Abs(got-want) > 1e-9 {
			t.Errorf("%v: %v, want %v", points, got, want)
		}
	}
}

// TestMarkdown writes lines, reads them, and checks the content of the tables.
func TestMarkdown(t *testing.T) {
	cell := Cell{Regions: 17, Accounts: 1_000, CopyTime: 8 * time.Minute}
	lines := []Line{
		{Grid: &Grid{Cell: cell, Makespan: 2 * BoundOf(cell, 1).Total(), Bound: BoundOf(cell, 1), Cold: Calls{Total: 200, Throttled: 1}}},
		{Process: &Process{Cell: cell, Run: "cold", PeakRSS: 50e6}},
		{Chain: &Chain{Way: PluginWay, CopyTime: time.Minute, Wall: time.Minute}},
		{Chain: &Chain{Way: "slow", CopyTime: time.Minute, Wall: 90 * time.Second}},
		{Chain: &Chain{Way: "none", Skipped: "boto3 is not on this machine"}},
	}
	path := filepath.Join(t.TempDir(), "lines.jsonl")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		if err := json.NewEncoder(file).Encode(line); err != nil {
			t.Fatal(err)
		}
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	read, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	text := Markdown(read)
	for _, want := range []string{"| 17 | 1,000 | 8 min |", "| 2.000 | copies | 0.50% | 0 |", "| 34,000 | cold | 50 MB |", "| 90.0 s | 1.50 |", "not run: boto3"} {
		if !strings.Contains(text, want) {
			t.Errorf("the tables do not say %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "One resource for each grant") {
		t.Error("a table without measurements")
	}
}
