// Package limiter rate-limits calls to stay below AWS request quotas. Waiting is
// cheaper than being throttled. A quota belongs to an account and a Region, so the
// builds on a machine can share a limiter through a file. A quota can be lower than AWS
// documents, and other callers can use part of it. So a throttled call slows down all
// calls for a while.
package limiter

import (
	"context"
	"time"

	"golang.org/x/time/rate"
)

// Quota is the rate at which calls may be sent.
type Quota struct {
	// PerSecond is the long-term rate.
	PerSecond float64
	// Burst is how many calls may be sent at once after a pause. Must be at
	// least 1.
	Burst int
}

// How a throttled call changes the rate.
const (
	slowdown = 0.8         // factor that a throttled call applies to the rate
	event    = time.Second // throttled calls within this time count once
	slowest  = 0.02        // lowest rate, as a part of the quota
	recovery = 0.005       // part of the quota that the rate regains each second
)

// releasePatience is how long a canceled call may take to leave the queue.
const releasePatience = 100 * time.Millisecond

// Limiter returns the times at which calls may be sent. It is safe for
// concurrent use.
type Limiter struct {
	quota Quota
	file  *file // shared with other processes; nil if nothing is shared

	turn  chan struct{} // a mutex that a context can interrupt
	state state
}

// New returns a limiter for this process.
func New(quota Quota) *Limiter {
	return &Limiter{quota: quota, turn: make(chan struct{}, 1)}
}

// Shared returns a limiter that is shared by all processes that use the same
// path. While the file can't be used, the limiter works for this process alone
// and calls report with the reason.
func Shared(quota Quota, path string, report func(error)) *Limiter {
	l := New(quota)
	l.file = &file{path: path, report: report}
	return l
}

// Wait blocks until the next call may be sent. It returns the context's cause
// when the context ends first; the call then doesn't count.
func (l *Limiter) Wait(ctx context.Context) error {
	var due time.Time
	if err := l.change(ctx, func(s *state, now time.Time) { due = s.reserve(l.quota, now) }); err != nil {
		return err
	}
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		l.release(context.WithoutCancel(ctx))
		return context.Cause(ctx)
	}
}

// release removes a call from the queue, because the next run must not wait for calls
// that a canceled run never sent.
func (l *Limiter) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, releasePatience)
	defer cancel()
	_ = l.change(ctx, func(s *state, now time.Time) { s.release(l.quota, now) }) // fails only when the time is up
}

// Throttled lowers the rate because AWS throttled a call.
func (l *Limiter) Throttled(ctx context.Context) {
	_ = l.change(ctx, func(s *state, now time.Time) { s.slow(l.quota, now) }) // fails only when the context ends
}

// change applies f to the current state, which includes what other processes
// wrote. It fails only when the context ends.
func (l *Limiter) change(ctx context.Context, f func(s *state, now time.Time)) error {
	select {
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-l.turn }()
	if l.file == nil {
		f(&l.state, time.Now())
		return nil
	}
	return l.file.change(ctx, &l.state, f)
}

// state is a token bucket in a form that can be stored.
type state struct {
	// Empty is when the bucket has no tokens. It is in the past while tokens are
	// left, and in the future while calls are queued.
	Empty time.Time `json:"empty"`
	// Rate is the rate that a throttled call left at the time Slowed. Both are
	// zero if no call was throttled.
	Rate   float64   `json:"rate"`
	Slowed time.Time `json:"slowed"`
	// Written is when the state was written to the file.
	Written time.Time `json:"written"`
}

// reserve takes a token and returns the time at which it becomes available.
func (s *state) reserve(quota Quota, now time.Time) time.Time {
	burst := max(quota.Burst, 1)
	bucket := rate.NewLimiter(rate.Limit(s.rate(quota, now)), burst)
	bucket.ReserveN(s.Empty, burst)
	// A rate.Limiter has no history before its last event, hence Empty when that
	// is later than now.
	at := now
	if s.Empty.After(now) {
		at = s.Empty
	}
	due := at.Add(bucket.ReserveN(at, 1).DelayFrom(at))
	s.Empty = at.Add(-seconds(bucket.TokensAt(at) / float64(bucket.Limit())))
	return due
}

// release returns a token that wasn't used. Calls that are already queued keep
// their times.
func (s *state) release(quota Quota, now time.Time) {
	s.Empty = s.Empty.Add(-seconds(1 / s.rate(quota, now)))
}

func (s *state) slow(quota Quota, now time.Time) {
	if now.Sub(s.Slowed) < event {
		return
	}
	s.Rate = s.rate(quota, now) * slowdown
	s.Slowed = now
}

func (s *state) rate(quota Quota, now time.Time) float64 {
	since := now.Sub(s.Slowed)
	if s.Rate <= 0 || since < 0 {
		return quota.PerSecond
	}
	rate := max(s.Rate, quota.PerSecond*slowest) + recovery*quota.PerSecond*since.Seconds()
	return min(quota.PerSecond, rate)
}

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }
