// Command plot draws the measurements of `make bench` as SVG:
//
//	plot MEASUREMENTS.jsonl FOLDER
//
// It is a separate module, so that the plugin doesn't get its dependencies.
package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"image/color"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// line has the plotted fields of a measurement, which test/bench writes.
type line struct {
	Grid     *grid     `json:"grid"`
	PerGrant *perGrant `json:"per_grant"`
	Process  *process  `json:"process"`
}

type cell struct {
	Regions  int           `json:"regions"`
	Accounts int           `json:"accounts"`
	CopyTime time.Duration `json:"copy_time"`
}

type calls struct {
	Total int `json:"total"`
}

type grid struct {
	cell

	Makespan time.Duration `json:"makespan"`
	Bound    struct {
		Total time.Duration `json:"total"`
	} `json:"bound"`
	Warm     calls         `json:"warm"`
	WarmTime time.Duration `json:"warm_time"`
}

type perGrant struct {
	cell

	Warm     calls         `json:"warm"`
	WarmTime time.Duration `json:"warm_time"`
}

type process struct {
	cell

	Run     string `json:"run"`
	PeakRSS int64  `json:"peak_rss"`
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: plot MEASUREMENTS.jsonl FOLDER")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "plot:", err)
		os.Exit(1)
	}
}

func run(measurements, folder string) error {
	lines, err := read(measurements)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	return errors.Join(
		save(calledAgain(lines), folder, "calls.svg", "Calls of a run that changes nothing, 1 region", "accounts", "calls"),
		save(tookAgain(lines), folder, "time.svg", "Time of a run that changes nothing, 1 region", "accounts", "seconds"),
		save(memory(lines), folder, "memory.svg", "Peak memory, 17 Regions", "accounts", "MB"),
		save(overBound(lines), folder, "makespan.svg", "First publication over its lower bound", "accounts", "makespan / bound"),
	)
}

func read(path string) (lines []line, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	for decoder := json.NewDecoder(file); ; {
		var l line
		switch err := decoder.Decode(&l); {
		case errors.Is(err, io.EOF):
			return lines, nil
		case err != nil:
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
		lines = append(lines, l)
	}
}

// series are curves by name.
type series map[string]plotter.XYs

func (s series) add(name string, accounts int, y float64) {
	s[name] = append(s[name], plotter.XY{X: float64(accounts), Y: y})
	slices.SortFunc(s[name], func(a, b plotter.XY) int { return cmp.Compare(a.X, b.X) })
}

const ours, theirs = "orgami-publish", "a resource for each grant"

func calledAgain(lines []line) series {
	return again(lines, func(c calls, _ time.Duration) float64 { return float64(c.Total) })
}

func tookAgain(lines []line) series {
	return again(lines, func(_ calls, took time.Duration) float64 { return took.Seconds() })
}

// again is the cost of a run that changes nothing in one Region.
func again(lines []line, cost func(calls, time.Duration) float64) series {
	s := series{}
	for _, l := range lines {
		if l.PerGrant != nil && l.PerGrant.Regions == 1 {
			s.add(theirs, l.PerGrant.Accounts, cost(l.PerGrant.Warm, l.PerGrant.WarmTime))
		}
		if l.Grid != nil && l.Grid.Regions == 1 && l.Grid.WarmTime > 0 {
			s.add(ours, l.Grid.Accounts, cost(l.Grid.Warm, l.Grid.WarmTime))
		}
	}
	return s
}

// memory is the peak memory of the process.
func memory(lines []line) series {
	s := series{}
	for _, l := range lines {
		if p := l.Process; p != nil {
			s.add(map[string]string{"cold": "first run", "warm": "later run"}[p.Run], p.Accounts, float64(p.PeakRSS)/1e6)
		}
	}
	return s
}

func overBound(lines []line) series {
	s := series{}
	for _, l := range lines {
		if g := l.Grid; g != nil && (g.Regions == 3 || g.Regions == 33) {
			s.add(fmt.Sprintf("%d regions, copies of %v", g.Regions, g.CopyTime), g.Accounts, float64(g.Makespan)/float64(g.Bound.Total))
		}
	}
	return s
}

func save(s series, folder, file, title, x, y string) error {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.BackgroundColor = color.White
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	if file == "makespan.svg" {
		p.Y.Min = 1
	} else {
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	}
	p.Legend.Top, p.Legend.Left = true, file != "makespan.svg"
	p.Add(plotter.NewGrid())
	names := make([]string, 0, len(s))
	for name := range s {
		names = append(names, name)
	}
	sort.Strings(names)
	for n, name := range names {
		points := s[name]
		sort.Slice(points, func(i, j int) bool { return points[i].X < points[j].X })
		curve, marks, err := plotter.NewLinePoints(points)
		if err != nil {
			return err
		}
		curve.Color, marks.Color = plotutil.Color(n), plotutil.Color(n)
		marks.Shape = draw.CircleGlyph{}
		p.Add(curve, marks)
		p.Legend.Add(name, curve, marks)
	}
	return p.Save(16*vg.Centimeter, 10*vg.Centimeter, filepath.Join(folder, file))
}
