// Package wait is the one home of waiting for AWS: for states that take time
// and for writes that readers see late. KMS and EC2 are eventually consistent:
// a single good answer may come from an endpoint that is ahead of the others,
// so a wait can ask for several in a row.
package wait

import (
	"cmp"
	"context"
	"fmt"
	"time"
)

// Policy is how to wait.
type Policy struct {
	// Interval between two checks at first, and between the good ones of a
	// streak. Otherwise it grows to a fiftieth of the time waited, so that the
	// wait ends late by 2%, or by one interval. Default 1 s.
	Interval time.Duration
	// MaxInterval between two checks. Default 15 s.
	MaxInterval time.Duration
	// Timeout for the whole wait; 0 leaves it to the context.
	Timeout time.Duration
	// Streak is how many checks in a row must be good. Default 1.
	Streak int
}

// Once is the policy with a streak of one: for something that is done when it
// succeeds.
func (p Policy) Once() Policy {
	p.Streak = 1
	return p
}

// TimeoutError is returned when the time is up.
type TimeoutError struct {
	After   time.Duration
	Pending string // what was still missing
}

func (e *TimeoutError) Error() string {
	return fmt.Sprintf("timed out after %s: %s", e.After, e.Pending)
}

// lateness is the part of the time waited by which a wait may end late.
const lateness = 50

// Until calls check until it reports that nothing is pending, Streak times in a
// row. check returns what is still pending, in words, or "". Its errors end the
// wait, as do the context's end and the timeout ([*TimeoutError]).
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
