package limiter_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/time/rate"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient/limiter"
)

var quota = limiter.Quota{PerSecond: 50, Burst: 10}

// calls waits n times and returns how long that took.
func calls(t *testing.T, p *limiter.Limiter, n int) time.Duration {
	t.Helper()
	start := time.Now()
	for range n {
		if err := p.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return time.Since(start)
}

func TestLimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := limiter.New(quota)
		for _, test := range []struct {
			n    int
			want time.Duration
		}{
			{10, 0},                    // a burst
			{1, 20 * time.Millisecond}, // then one at a time
			{100, 2000 * time.Millisecond},
		} {
			if got := calls(t, p, test.n); got != test.want {
				t.Errorf("%d more calls took %v, want %v", test.n, got, test.want)
			}
		}
		time.Sleep(time.Hour)
		if got := calls(t, p, 11); got != 20*time.Millisecond {
			t.Errorf("after a pause, 11 calls took %v: the burst is bounded", got)
		}
	})
}

func TestEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		p := limiter.New(limiter.Quota{PerSecond: 0.1, Burst: 1})
		calls(t, p, 1)
		stop := errors.New("stop")
		cancel(stop)
		if err := p.Wait(ctx); !errors.Is(err, stop) {
			t.Errorf("got %v", err)
		}
	})
}

// Other clients use the rest of the account's quota. The limiter finds the
// remaining rate with few throttled calls, and recovers.
func TestLearns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, theirs := limiter.New(quota), rate.NewLimiter(20, 20) // 20 of the 50 remain
		throttled := 0
		start := time.Now()
		const n = 6_000
		for range n {
			for calls(t, p, 1); !theirs.Allow(); calls(t, p, 1) {
				throttled++
				p.Throttled(t.Context())
			}
		}
		took := time.Since(start).Seconds()
		if ideal := n / 20.0; took > ideal*1.15 {
			t.Errorf("%d calls took %.0f s, and the quota that is left allows %.0f", n, took, ideal)
		}
		if throttled > n/50 {
			t.Errorf("%d of %d calls were throttled", throttled, n)
		}
		time.Sleep(3 * time.Minute)
		if got, want := calls(t, p, 110), 2*time.Second; got != want {
			t.Errorf("later 110 calls took %v, want %v", got, want)
		}
	})
}

func TestNeverStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := limiter.New(quota)
		for range 1_000 {
			p.Throttled(t.Context())
			time.Sleep(2 * time.Second)
		}
		if got := calls(t, p, 20); got > 20*time.Second {
			t.Errorf("20 calls took %v", got)
		}
	})
}

// Processes that share the file share the quota, and fairly.
func TestShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "quota")
		const builds, each = 3, 100
		start := time.Now()
		var group sync.WaitGroup
		for range builds {
			p := limiter.Shared(quota, path, failOn(t))
			group.Go(func() {
				calls(t, p, each)
				if took, fair := time.Since(start), (builds*each-10)*20*time.Millisecond; took < fair*9/10 {
					t.Errorf("one build was done after %v, before its turn", took)
				}
			})
		}
		group.Wait()
		if got, want := time.Since(start), (builds*each-10)*20*time.Millisecond; got != want {
			t.Errorf("together they took %v, want %v", got, want)
		}
	})
}

// Processes share the rate that one of them finds.
func TestSharesWhatItLearns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "quota")
		limiter.Shared(quota, path, failOn(t)).Throttled(t.Context())
		if got := calls(t, limiter.Shared(quota, path, failOn(t)), 11); got != 25*time.Millisecond {
			t.Errorf("11 calls took %v, want one interval at 40 a second", got)
		}
	})
}

// An unusable file is reported, and the limiter works without it.
func TestWithoutItsFile(t *testing.T) {
	folder := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	readOnly := filepath.Join(folder, "read-only") // for root, too, as a full disk is
	if err := os.Symlink("/proc/version", readOnly); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		path     string
		reported bool
	}{
		"half written":    {write("half", `{"empty":"20`), false},
		"empty":           {write("empty", ``), false},
		"another clock":   {write("clock", `{"empty":"1999-12-31T23:59:59Z","rate":1,"slowed":"1999-12-31T23:59:59Z","written":"2999-01-01T00:00:00Z"}`), false},
		"an endless line": {write("endless", `{"empty":"2999-01-01T00:00:00Z","rate":1,"slowed":"1999-12-31T23:59:59Z"}`), false},
		"nonsense":        {write("nonsense", `{"rate":-5,"slowed":"1999-12-31T23:59:59Z"}`), false},
		"a folder":        {folder, true},
		"no folder":       {filepath.Join(folder, "absent", "quota"), true},
		"below a file":    {filepath.Join(write("file", ""), "quota"), true},
		"not writable":    {"/proc/quota", true},
		"read-only":       {readOnly, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				reports := 0
				l := limiter.Shared(quota, test.path, func(error) { reports++ })
				if got := calls(t, l, 11); got != 20*time.Millisecond {
					t.Errorf("11 calls took %v", got)
				}
				if want := map[bool]int{true: 1}[test.reported]; reports != want {
					t.Errorf("%d reports, want %d", reports, want)
				}
			})
		})
	}
}

// No queued call is lost, however slow the rate is.
func TestKeepsItsQueue(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) *limiter.Limiter{
		"one process": func(*testing.T) *limiter.Limiter { return limiter.New(slow) },
		"shared": func(t *testing.T) *limiter.Limiter {
			return limiter.Shared(slow, filepath.Join(t.TempDir(), "quota"), failOn(t))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := open(t)
				for range 14 {
					l.Throttled(t.Context())
					time.Sleep(time.Second)
				}
				start := time.Now()
				var group sync.WaitGroup
				for range 30 {
					group.Go(func() { calls(t, l, 1) })
				}
				group.Wait()
				// The throttled calls leave one call every 3 s.
				if took := time.Since(start); took.Round(time.Second) != 80*time.Second {
					t.Errorf("30 calls took %v", took)
				}
			})
		})
	}
}

var slow = limiter.Quota{PerSecond: 4.8, Burst: 4}

// A canceled call leaves the queue.
func TestCanceledCallsLeaveTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "quota")
		canceled, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		l := limiter.Shared(quota, path, failOn(t))
		calls(t, l, 10)
		for range 500 {
			group.Go(func() { _ = l.Wait(canceled) })
		}
		synctest.Wait()
		cancel()
		group.Wait()
		if got := calls(t, limiter.Shared(quota, path, failOn(t)), 1); got > time.Second {
			t.Errorf("the next run's first call waited %v", got)
		}
	})
}

// A suspended process that holds the lock delays other calls only briefly, and canceled
// calls not at all.
func TestSuspendedSibling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "quota")
		sibling := flock.New(path + ".lock")
		if err := sibling.Lock(); err != nil {
			t.Fatal(err)
		}
		var reports []error
		l := limiter.Shared(quota, path, func(err error) { reports = append(reports, err) })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if err := l.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("a canceled call returned %v after %v", err, time.Since(start))
		}
		if got := calls(t, l, 200); got > 7*time.Second {
			t.Errorf("200 calls took %v", got)
		}
		if len(reports) != 1 || !strings.Contains(reports[0].Error(), "another process has held the lock") {
			t.Errorf("reported: %v", reports)
		}
		// Later it uses the file again.
		if err := sibling.Unlock(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		calls(t, l, 1)
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	})
}

// failOn returns a report function for a file that can be used.
func failOn(t *testing.T) func(error) {
	return func(err error) {
		t.Helper()
		t.Error(err)
	}
}
