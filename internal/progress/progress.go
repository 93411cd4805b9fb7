// Package progress reports the progress of work in the Regions. A stage reports
// one line from time to time, with a count or a percentage and the remaining
// time, and one line at its end.
package progress

import (
	"fmt"
	"sync"
	"time"

	"github.com/orgami/packer-plugin-orgami/internal/text"
)

// Reporter receives messages for the user.
type Reporter struct {
	// Info receives what happened.
	Info func(message string)
	// Progress receives the progress of long work. Nil turns it off.
	Progress func(message string)
}

// A stage in a Region reports its progress after each tenth, and not more often
// than once per interval.
const (
	interval = 30 * time.Second
	tenth    = 0.1
)

// Stage is work in one Region. It is safe for concurrent use.
type Stage struct {
	reporter Reporter
	region   string
	start    time.Time

	mu   sync.Mutex
	last time.Time // the time of the last report
	told float64   // the part that was done then
	done int
}

// Start begins a stage. It reports nothing.
func (t Reporter) Start(region string) *Stage {
	now := time.Now()
	return &Stage{reporter: t, region: region, start: now, last: now}
}

// Logf reports something that happened in the Region, in one line. It escapes what
// would act on a terminal or begin another line.
func (s *Stage) Logf(format string, arguments ...any) {
	s.reporter.Info(text.Printable(s.region + ": " + fmt.Sprintf(format, arguments...)))
}

// Finishf is [Stage.Logf] at the end of the stage. It adds the time that the
// stage took.
func (s *Stage) Finishf(format string, arguments ...any) {
	s.Logf("%s after %s", fmt.Sprintf(format, arguments...), round(time.Since(s.start)))
}

// ShouldReport reports whether a report is due. Call it before work
// that finds out the progress, such as a call to AWS.
func (s *Stage) ShouldReport() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reporter.Progress != nil && time.Since(s.last) >= interval
}

// Count adds one of total, and reports the progress if a report is due.
func (s *Stage) Count(total int, doing string) {
	s.mu.Lock()
	s.done++
	done := s.done
	s.mu.Unlock()
	s.tell(float64(done)/float64(total), func() string { return fmt.Sprintf("%s %s of %s", doing, text.Number(done), text.Number(total)) })
}

// Percent reports the progress if a report is due. It estimates the remaining
// time from the time until now.
func (s *Stage) Percent(percent int, doing string) {
	s.tell(float64(percent)/100, func() string { return fmt.Sprintf("%s, %d%%", doing, percent) })
}

func (s *Stage) tell(part float64, words func() string) {
	if !s.ShouldReport() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = time.Now()
	if part < s.told+tenth || part >= 1 {
		return
	}
	s.told = part
	left := time.Duration(float64(time.Since(s.start)) * (1 - part) / part)
	s.reporter.Progress(text.Printable(fmt.Sprintf("%s: %s, about %s left", s.region, words(), round(left))))
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
