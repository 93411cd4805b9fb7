package wait_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/orgami/packer-plugin-orgami/internal/wait"
)

// answers returns a check that gives the responses in turn, "" meaning good.
func answers(list ...string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		answer := list[0]
		if len(list) > 1 {
			list = list[1:]
		}
		return answer, nil
	}
}

func TestUntilWantsAStreak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		policy := wait.Policy{Interval: time.Second, MaxInterval: time.Second, Streak: 3}
		if err := wait.Until(t.Context(), policy, answers("", "", "stale", "", "", "")); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("took %v: the stale answer did not break the streak", took)
		}
	})
}

func TestUntilSlowsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start, checks := time.Now(), 0
		policy := wait.Policy{Interval: time.Second, MaxInterval: 4 * time.Second, Timeout: time.Hour}
		err := wait.Until(t.Context(), policy, func(context.Context) (string, error) {
			checks++
			if time.Since(start) >= 10*time.Minute {
				return "", nil
			}
			return "pending", nil
		})
		if err != nil || checks < 210 || checks > 230 {
			t.Errorf("%d checks in ten minutes, %v", checks, err)
		}
	})
}

// A wait of any length ends late by one interval or 2%.
func TestUntilIsHardlyLate(t *testing.T) {
	for _, takes := range []time.Duration{10 * time.Second, 3 * time.Minute, 8 * time.Minute, 40 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			err := wait.Until(t.Context(), wait.Policy{Interval: 2 * time.Second}, func(context.Context) (string, error) {
				if time.Since(start) < takes {
					return "pending", nil
				}
				return "", nil
			})
			if late := time.Since(start) - takes; err != nil || late > max(2*time.Second, takes/50) || late > 15*time.Second {
				t.Errorf("%v late after %v, %v", late, takes, err)
			}
		})
	}
}

// The streak takes no longer after a long wait for the first good response than from
// the start.
func TestUntilConfirmsAtTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var first time.Time
		err := wait.Until(t.Context(), wait.Policy{Interval: time.Second, Streak: 3}, func(context.Context) (string, error) {
			if time.Since(start) < 10*time.Minute {
				return "pending", nil
			}
			if first.IsZero() {
				first = time.Now()
			}
			return "", nil
		})
		if took := time.Since(first); err != nil || took != 2*time.Second {
			t.Errorf("two more good answers took %v, %v", took, err)
		}
	})
}

func TestUntilTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		err := wait.Until(t.Context(), wait.Policy{Timeout: time.Minute}, answers("the image is pending"))
		var timeout *wait.TimeoutError
		if !errors.As(err, &timeout) || timeout.Pending != "the image is pending" {
			t.Errorf("error is %v", err)
		}
		if took := time.Since(start); took > time.Minute || took < 40*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestUntilEndsWithTheContextAndWithErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		start := time.Now()
		if err := wait.Until(ctx, wait.Policy{}, answers("pending")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error is %v", err)
		}
		if took := time.Since(start); took != 90*time.Second {
			t.Errorf("cancellation took effect after %v", took)
		}
		failed := errors.New("failed")
		if err := wait.Until(t.Context(), wait.Policy{}, func(context.Context) (string, error) { return "x", failed }); !errors.Is(err, failed) {
			t.Errorf("error is %v", err)
		}
	})
}
