// Package progress reports the progress of work in the Regions. A stage reports
// one line from time to time, with the elapsed time and an estimate, and one line at
// its end, however many Regions it has.
package progress

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/orgami/packer-plugin-orgami/internal/text"
)

// Reporter receives messages for the user.
type Reporter struct {
	// Info receives what happened.
	Info func(message string)
	// Warn receives warnings. The run continues.
	Warn func(message string)
	// Progress receives the progress of long work. Nil turns it off.
	Progress func(message string)
}

// A stage reports its progress after each tenth, and not more often than once per
// interval.
const (
	interval = 30 * time.Second
	tenth    = 0.1
)

// Stage is the same work in several Regions. It is safe for concurrent use.
type Stage struct {
	reporter Reporter
	doing    string
	start    time.Time

	mu      sync.Mutex
	regions map[string]*regional
	last    time.Time // the time of the last report
	told    float64   // the part that was done then
}

// regional is the work in one Region.
type regional struct {
	asked       time.Time // when its progress was last read
	fresh       bool      // read since the last report
	part        float64
	done, total int // if it is counted
	over        bool
	result      string
	counted     int           // of the result
	took        time.Duration // until it was over
}

// Start begins a stage. doing describes it in the progress: "copying the image". It
// reports nothing.
func (t Reporter) Start(doing string, regions []string) *Stage {
	now := time.Now()
	s := &Stage{reporter: t, doing: doing, start: now, last: now, regions: map[string]*regional{}}
	for _, region := range regions {
		s.regions[region] = &regional{asked: now}
	}
	return s
}

// Logf reports something unexpected that happened in the Region, in one line. It
// escapes what would act on a terminal or begin another line.
func (s *Stage) Logf(region, format string, arguments ...any) {
	s.reporter.Info(text.Printable(region + ": " + fmt.Sprintf(format, arguments...)))
}

// Finish records that the stage is complete in the Region, and its result: "copied the
// image", or "" for nothing. [Stage.End] reports it.
func (s *Stage) Finish(region, result string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.regions[region]
	r.over, r.result, r.took = true, result, time.Since(s.start)
}

// FinishCount is [Stage.Finish] with the number of things that were dealt with.
func (s *Stage) FinishCount(region, result string, n int) {
	s.Finish(region, result)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.regions[region].counted = n
}

// End reports what the stage did, in one line for each result, with the time that it
// took. It omits Regions without a result.
func (s *Stage) End() {
	s.mu.Lock()
	defer s.mu.Unlock()
	finished := map[string][]string{}
	for region, r := range s.regions {
		if r.result != "" {
			finished[r.result] = append(finished[r.result], region)
		}
	}
	for _, result := range slices.Sorted(maps.Keys(finished)) {
		regions := finished[result]
		slices.SortFunc(regions, func(a, b string) int {
			return cmp.Or(cmp.Compare(s.regions[a].took, s.regions[b].took), cmp.Compare(a, b))
		})
		last := regions[len(regions)-1]
		after := round(s.regions[last].took)
		if s.regions[last].took-s.regions[regions[0]].took >= interval {
			after += ", " + last + " last"
		}
		counted := 0
		for _, region := range regions {
			counted += s.regions[region].counted
		}
		if counted > 0 {
			after = text.Number(counted) + " in " + after
		}
		slices.Sort(regions)
		s.reporter.Info(text.Printable(fmt.Sprintf("%s in %s (%s)", capital(result), text.Regions(regions), after)))
	}
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// ShouldReport reports whether an update about the Region is due. Call it before work
// that reads the progress, such as a call to AWS.
func (s *Stage) ShouldReport(region string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.due(s.regions[region])
}

func (s *Stage) due(r *regional) bool {
	return s.reporter.Progress != nil && time.Since(r.asked) >= interval
}

// Count adds one of total in the Region, and reports the progress if a report is due.
func (s *Stage) Count(region string, total int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.regions[region]
	r.done, r.total, r.fresh = r.done+1, total, true
	r.part = float64(r.done) / float64(total)
	if s.due(r) {
		s.tell()
	}
}

// Percent sets the progress of the work in the Region. It reports the progress once
// that of all Regions is known.
func (s *Stage) Percent(region string, percent int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.regions[region]
	r.asked, r.fresh, r.part = time.Now(), true, float64(percent)/100
	for _, other := range s.regions {
		if !other.over && !other.fresh && time.Since(s.last) < 2*interval {
			return
		}
	}
	s.tell()
}

// tell reports the progress. The remaining time is that of the slowest Region or, for
// counted work, of all Regions.
func (s *Stage) tell() {
	if s.reporter.Progress == nil || time.Since(s.last) < interval {
		return
	}
	s.last = time.Now()
	finished, done, total := 0, 0, 0
	slowest := ""
	for _, region := range slices.Sorted(maps.Keys(s.regions)) {
		r := s.regions[region]
		r.asked, r.fresh = s.last, false
		done, total = done+r.done, total+r.total
		if r.over {
			finished++
		} else if slowest == "" || r.part < s.regions[slowest].part {
			slowest = region
		}
	}
	if slowest == "" {
		return
	}
	part := s.regions[slowest].part
	how := fmt.Sprintf("%s at %.0f%%", slowest, 100*part)
	switch {
	case total > 0:
		part = float64(done) / float64(total)
		how = fmt.Sprintf("%s of %s", text.Number(done), text.Number(total))
	case len(s.regions) > 1:
		how = fmt.Sprintf("%d of %d Regions done, %s", finished, len(s.regions), how)
	}
	if part < s.told+tenth || part >= 1 {
		return
	}
	s.told = part
	elapsed := time.Since(s.start)
	left := time.Duration(float64(elapsed) * (1 - part) / part)
	s.reporter.Progress(text.Printable(fmt.Sprintf("%s: %s, %s elapsed, about %s left", capital(s.doing), how, round(elapsed), round(left))))
}

// round keeps two units: 8m12s, 1h4m.
func round(d time.Duration) string {
	switch {
	case d >= time.Hour:
		return d.Round(time.Minute).String()[:len(d.Round(time.Minute).String())-len("0s")]
	case d >= time.Second:
		return d.Round(time.Second).String()
	}
	return d.Round(time.Millisecond).String()
}
