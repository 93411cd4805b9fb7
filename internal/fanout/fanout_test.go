package fanout_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/internal/fanout"
)

func TestCollectTriesAllAndReportsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		got, err := fanout.Collect(t.Context(), []string{"c", "b", "a", "d"}, func(_ context.Context, region string) (string, error) {
			time.Sleep(time.Second)
			if region == "c" || region == "a" {
				return "", errors.New(region + " failed")
			}
			return region + region, nil
		})
		if diff := cmp.Diff(map[string]string{"b": "bb", "d": "dd"}, got); diff != "" {
			t.Error(diff)
		}
		if err == nil || err.Error() != "a failed\nc failed" {
			t.Errorf("error is %v", err)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %v: not at the same time", took)
		}
	})
}

// A panic becomes the error of its key, with the stack, and the other keys keep their
// results.
func TestPanics(t *testing.T) {
	broken := func(_ context.Context, region string) (string, error) {
		if region == "a" {
			var answer *struct{ id string }
			return answer.id, nil
		}
		return region, nil
	}
	got, err := fanout.Collect(t.Context(), []string{"b", "a"}, broken)
	if diff := cmp.Diff(map[string]string{"b": "b"}, got); diff != "" {
		t.Error(diff)
	}
	checkPanic(t, err, "a: internal error; please report this issue: runtime error: invalid memory address")

	err = fanout.Each(t.Context(), []int{7}, func(context.Context, int) error { panic("broken") })
	checkPanic(t, err, "7: internal error; please report this issue: broken")

	errs := fanout.Limit(t.Context(), 2, "eu-west-1", []int{1, 2, 3}, func(_ context.Context, n int) error {
		if n == 2 {
			panic(errBroken)
		}
		return nil
	})
	if len(errs) != 1 {
		t.Fatalf("errors: %v", errs)
	}
	checkPanic(t, errs[0], "eu-west-1: internal error; please report this issue: broken")
	if !errors.Is(errs[0], errBroken) {
		t.Error("the panic's error is lost")
	}

	done := false
	err = fanout.Together(
		t.Context(),
		fanout.Task{Name: "copying", Run: func(context.Context) error { panic("broken") }},
		fanout.Task{Name: "granting", Run: func(context.Context) error { done = true; return nil }},
	)
	checkPanic(t, err, "copying: internal error; please report this issue: broken")
	if !done {
		t.Error("the other task didn't run")
	}
}

var errBroken = errors.New("broken")

func checkPanic(t *testing.T, err error, want string) {
	t.Helper()
	if _, ok := errors.AsType[*fanout.PanicError](err); !ok {
		t.Fatalf("error is %v", err)
	}
	if !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), "fanout_test.go") {
		t.Errorf("error is %v, want %q and the stack", err, want)
	}
}

func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var mu sync.Mutex
		running, most := 0, 0
		count := func(n int) {
			mu.Lock()
			defer mu.Unlock()
			running += n
			most = max(most, running)
		}
		errs := fanout.Limit(t.Context(), 3, "", []int{1, 2, 3, 4, 5, 6, 7}, func(_ context.Context, n int) error {
			count(1)
			defer count(-1)
			time.Sleep(time.Duration(10-n) * time.Second) // so that they end in another order
			if n%3 == 0 {
				return fmt.Errorf("%d failed", n)
			}
			return nil
		})
		if err := errors.Join(errs...); err == nil || err.Error() != "3 failed\n6 failed" {
			t.Errorf("error is %v", err)
		}
		if most != 3 {
			t.Errorf("%d at the same time", most)
		}
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// When the context ends, no more calls are started.
func TestLimitEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(90*time.Second, func() { cancel(errBroken) })
		started := 0
		errs := fanout.Limit(ctx, 1, "", make([]int, 1000), func(context.Context, int) error {
			started++
			time.Sleep(time.Minute)
			return nil
		})
		if started != 2 || len(errs) != 1 || !errors.Is(errs[0], errBroken) {
			t.Errorf("%d started, %v", started, errs)
		}
	})
}

func TestTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		task := func(name string, takes time.Duration, err error) fanout.Task {
			return fanout.Task{Name: name, Run: func(context.Context) error { time.Sleep(takes); return err }}
		}
		err := fanout.Together(t.Context(), task("copies", 3*time.Second, errBroken), task("grants", time.Second, errors.New("denied")), task("more", 2*time.Second, nil))
		if err == nil || err.Error() != "broken\ndenied" || time.Since(start) != 3*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if err := fanout.Together(t.Context()); err != nil {
			t.Errorf("nothing to do: %v", err)
		}
	})
}
