// Package wait waits for AWS: for states that take time, and until readers see a
// write. KMS and EC2 are eventually consistent. A single good answer can come
// from an endpoint that is ahead of the others, so a wait can require several
// good answers in a row.
package wait

import (
	"cmp"
	"context"
	"fmt"
	"time"
)

// Policy says how to wait.
type Policy struct {
	// Interval is the time between the first two checks, and between the good checks of
	// a streak. Otherwise, the time grows to a fiftieth of the time waited, so that a
	// wait ends at most 2% or one interval late. Defaults to 1 s.
	Interval time.Duration
	// MaxInterval is the longest time between two checks. Defaults to 15 s.
	MaxInterval time.Duration
	// Timeout bounds the whole wait. Defaults to no limit but the context's.
	Timeout time.Duration
	// Streak is how many checks in a row must be good. Defaults to 1.
	Streak int
}

// Once returns the policy with a streak of one. Use it for a check that changes
// something and is done when it succeeds.
func (p Policy) Once() Policy {
	p.Streak = 1
	return p
}

// TimeoutError is the error of a wait that reached its timeout.
type TimeoutError struct {
	After   time.Duration
	Pending string // what was missing at the last check
}

func (e *TimeoutError) Error() string {
	return fmt.Sprintf("timed out after %s: %s", e.After, e.Pending)
}

// A wait may end late by one part in lateness of the time waited.
const lateness = 50

// Until calls check until it reports that nothing is pending, Streak times in a
// row. check returns a description of what is pending, or "". An error of check,
// the end of the context (with its cause), and the timeout ([*TimeoutError]) end
// the wait.
func Until(ctx context.Context, p Policy, check func(context.Context) (pending string, err error)) error {
	start := time.Now()
	shortest := cmp.Or(p.Interval, time.Second)
	longest := max(cmp.Or(p.MaxInterval, 15*time.Second), shortest)
	good := 0
	for {
		pending, err := check(ctx)
		if err != nil {
			return err
		}
		interval := shortest
		if pending == "" {
			if good++; good >= max(p.Streak, 1) {
				return nil
			}
		} else {
			good = 0
			interval = min(max(time.Since(start)/lateness, shortest), longest)
			if p.Timeout > 0 && time.Since(start)+interval > p.Timeout {
				return &TimeoutError{After: time.Since(start).Round(time.Second), Pending: pending}
			}
		}
		timer := time.NewTimer(interval)
		select {
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case <-timer.C:
		}
	}
}
