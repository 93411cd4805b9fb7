// Package pace keeps calls below an AWS request quota: as fast as the quota
// allows and no faster, since a call that is throttled costs more than one that
// waits. A quota belongs to an account and a region, so the builds on a machine
// share it, through a file; and it may be lower than AWS documents, or used by
// others elsewhere, so a throttled call makes everybody slower for a while.
package pace

import (
	"context"
	"encoding/json"
	"os"
	"sync"
	"time"

	"github.com/gofrs/flock"
)

// Quota is how often a call may be made.
type Quota struct {
	// PerSecond is the rate in the long run.
	PerSecond float64
	// Burst is how many calls may be made at once after a pause; at least 1.
	Burst int
}

// What a throttled call does to the rate.
const (
	slowdown = 0.8         // is what is left of the rate
	event    = time.Second // throttled calls within it count once
	slowest  = 0.02        // of the quota
	recovery = 0.005       // of the quota, that the rate gains back each second
)

// horizon is how far ahead calls are ever queued. What a file says beyond that
// was written by another clock.
const horizon = time.Minute

// Pace hands out the times at which calls may be made. It is safe for
// concurrent use.
type Pace struct {
	quota Quota
	path  string // of the file that other processes read; empty if there are none

	mu    sync.Mutex
	state state
}

// state is what the file holds.
type state struct {
	// Next is when the call after the last one queued would be due, were there
	// no bursts.
	Next time.Time `json:"next"`
	// Rate is what a throttled call left of the rate, at the time Slowed. Both
	// are zero if none was ever throttled.
	Rate   float64   `json:"rate"`
	Slowed time.Time `json:"slowed"`
}

// New returns a pace for this process alone.
func New(quota Quota) *Pace { return &Pace{quota: quota} }

// Shared returns a pace that all processes share that name the same file; it is
// made if there is none, and one beside it to lock it. Where the file cannot be
// used, the pace is for this process alone: it would be no reason to fail.
func Shared(quota Quota, path string) *Pace { return &Pace{quota: quota, path: path} }

// Wait returns when the next call may be made, in the order of the calls of
// Wait, or with the cause of the context's end.
func (p *Pace) Wait(ctx context.Context) error {
	var due time.Time
	p.change(func(s *state, now time.Time) { due = s.reserve(p.quota, now) })
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// Throttled tells that AWS throttled a call.
func (p *Pace) Throttled() {
	p.change(func(s *state, now time.Time) {
		if now.Sub(s.Slowed) < event {
			return
		}
		s.Rate = max(s.rate(p.quota, now)*slowdown, p.quota.PerSecond*slowest)
		s.Slowed = now
	})
}

// reserve takes the next free time.
func (s *state) reserve(quota Quota, now time.Time) time.Time {
	if s.Next.Before(now) || s.Next.Sub(now) > horizon {
		s.Next = now
	}
	interval := time.Duration(float64(time.Second) / s.rate(quota, now))
	due := s.Next.Add(-time.Duration(max(quota.Burst, 1)-1) * interval)
	s.Next = s.Next.Add(interval)
	return due
}

func (s *state) rate(quota Quota, now time.Time) float64 {
	since := now.Sub(s.Slowed)
	if s.Rate <= 0 || since < 0 {
		return quota.PerSecond
	}
	return min(quota.PerSecond, s.Rate+recovery*quota.PerSecond*since.Seconds())
}

// change changes the state, in the file too if there is one.
func (p *Pace) change(f func(s *state, now time.Time)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.path == "" {
		f(&p.state, time.Now())
		return
	}
	lock := flock.New(p.path + ".lock")
	if err := lock.Lock(); err != nil {
		f(&p.state, time.Now())
		return
	}
	defer func() { _ = lock.Unlock() }() // the process's end unlocks it too
	if content, err := os.ReadFile(p.path); err == nil {
		var shared state
		if json.Unmarshal(content, &shared) == nil { // else it is half written, by a process that was killed
			p.state = shared
		}
	}
	f(&p.state, time.Now())
	if content, err := json.Marshal(p.state); err == nil {
		_ = os.WriteFile(p.path, content, 0o600)
	}
}
