package pace_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"github.com/orgami/packer-plugin-orgami/internal/pace"
)

var quota = pace.Quota{PerSecond: 50, Burst: 10}

// calls waits n times and returns how long that took.
func calls(t *testing.T, p *pace.Pace, n int) time.Duration {
	t.Helper()
	start := time.Now()
	for range n {
		if err := p.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return time.Since(start)
}

func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pace.New(quota)
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

func TestPaceEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		p := pace.New(pace.Quota{PerSecond: 0.1, Burst: 1})
		calls(t, p, 1)
		stop := errors.New("stop")
		cancel(stop)
		if err := p.Wait(ctx); !errors.Is(err, stop) {
			t.Errorf("got %v", err)
		}
	})
}

// Somebody else uses the rest of the account's quota: the pace finds what is
// left, with few calls throttled; and it recovers.
func TestPaceLearns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, theirs := pace.New(quota), rate.NewLimiter(20, 20) // of the 50, 20 are left
		throttled := 0
		start := time.Now()
		const n = 6_000
		for range n {
			for calls(t, p, 1); !theirs.Allow(); calls(t, p, 1) {
				throttled++
				p.Throttled()
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

func TestPaceNeverStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pace.New(quota)
		for range 1_000 {
			p.Throttled()
			time.Sleep(2 * time.Second)
		}
		if got := calls(t, p, 20); got > 20*time.Second {
			t.Errorf("20 calls took %v", got)
		}
	})
}

// Processes that share the file share the quota, and fairly.
func TestPaceShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "quota")
		const builds, each = 3, 100
		start := time.Now()
		var group sync.WaitGroup
		for range builds {
			p := pace.Shared(quota, path)
			group.Go(func() {
				calls(t, p, each)
				if took, fair := time.Since(start), time.Duration(builds*each)*20*time.Millisecond; took < fair*9/10 {
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

// What one process learns, the others know.
func TestPaceSharesWhatItLearns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "quota")
		pace.Shared(quota, path).Throttled()
		if got := calls(t, pace.Shared(quota, path), 11); got != 25*time.Millisecond {
			t.Errorf("11 calls took %v, want one interval at 40 a second", got)
		}
	})
}

// A file that is of no use is as good as none.
func TestPaceWithoutItsFile(t *testing.T) {
	folder := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, path := range map[string]string{
		"half written":  write("half", `{"next":"20`),
		"another clock": write("clock", `{"next":"2999-01-01T00:00:00Z","rate":1,"slowed":"2999-01-01T00:00:00Z"}`),
		"nonsense":      write("nonsense", `{"rate":-5,"slowed":"1999-12-31T23:59:59Z"}`),
		"a folder":      folder,
		"no folder":     filepath.Join(folder, "absent", "quota"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if got := calls(t, pace.Shared(quota, path), 11); got != 20*time.Millisecond {
					t.Errorf("11 calls took %v", got)
				}
			})
		})
	}
}
