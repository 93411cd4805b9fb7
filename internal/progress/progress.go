// Package progress tells people how work in the regions goes on: one line for a
// region and stage now and then, with counts or percent and the time that is
// left, and one when it is done.
package progress

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Reporter says what people are to read.
type Reporter struct {
	// Info is told what happened.
	Info func(message string)
	// Progress is told how far something is that takes long. It is nil if
	// nobody wants to know.
	Progress func(message string)
}

// How often a stage in a region is heard of while it goes on: at each tenth, but
// not at shorter intervals than this.
const (
	interval = 30 * time.Second
	tenth    = 0.1
)

// Stage is work in one region. It is safe for concurrent use.
type Stage struct {
	reporter Reporter
	region   string
	start    time.Time

	mu   sync.Mutex
	last time.Time // when it was heard of last
	told float64   // how far it was then, of 1
	done int
}

// Start begins a stage, and says nothing yet.
func (t Reporter) Start(region string) *Stage {
	now := time.Now()
	return &Stage{reporter: t, region: region, start: now, last: now}
}

// Logf says something about the region.
func (s *Stage) Logf(format string, arguments ...any) {
	s.reporter.Info(s.region + ": " + fmt.Sprintf(format, arguments...))
}

// Finishf is [Stage.Logf] at the end of the stage: it adds how long it took.
func (s *Stage) Finishf(format string, arguments ...any) {
	s.Logf("%s after %s", fmt.Sprintf(format, arguments...), round(time.Since(s.start)))
}

// ShouldReport reports whether it is worth finding out how far the stage is.
func (s *Stage) ShouldReport() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reporter.Progress != nil && time.Since(s.last) >= interval
}

// Count counts one of total, and tells how many there are if it is time to.
func (s *Stage) Count(total int, doing string) {
	s.mu.Lock()
	s.done++
	done := s.done
	s.mu.Unlock()
	s.tell(float64(done)/float64(total), func() string { return fmt.Sprintf("%s %s of %s", doing, Number(done), Number(total)) })
}

// Percent tells how far the stage is, if it is time to. The rest of the time is
// reckoned from what it took until now.
func (s *Stage) Percent(percent int, doing string) {
	s.tell(float64(percent)/100, func() string { return fmt.Sprintf("%s, %d%%", doing, percent) })
}

func (s *Stage) tell(part float64, text func() string) {
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
	s.reporter.Progress(fmt.Sprintf("%s: %s, about %s left", s.region, text(), round(left)))
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

// Count is "1 grant" or "2,000 grants".
func Count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	switch {
	case strings.HasSuffix(thing, "ch"):
		thing += "e"
	case strings.HasSuffix(thing, "y"):
		thing = strings.TrimSuffix(thing, "y") + "ie"
	}
	return Number(n) + " " + thing + "s"
}

// Number groups digits by thousands.
func Number(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
