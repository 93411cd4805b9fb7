package publish_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// Faults in addition to the simulator's own.
const (
	throttleEight awssim.FaultKind = "throttled eight times"
	cancelled     awssim.FaultKind = "cancelled"
	// staleOnce is one response of a lagging endpoint. With stuck, all responses are
	// stale for a while.
	staleOnce awssim.FaultKind = "stale once"
	stuck     awssim.FaultKind = "stale for a while"
)

// staleness is how far behind an endpoint may be in these tests. Fact: EC2-API-1.
const staleness = time.Minute

// overcome are the faults that a run survives: retries are the SDK's.
var overcome = []awssim.FaultKind{
	awssim.Throttle, throttleEight, awssim.ServerError, awssim.Unavailable, awssim.ResetBefore, awssim.ResetAfter, awssim.TimeoutAfter,
	staleOnce, stuck,
}

// TestFaults makes every call of a run fail in every way. The run either
// succeeds, and the world equals that of an undisturbed run, or it fails and
// leaves nothing visible. In that case, the next run completes the world.
func TestFaults(t *testing.T) {
	u := undisturbedRun(t, func(*testing.T, *world) {})
	step := every(len(u.calls), 3)
	var failed atomic.Int32
	t.Cleanup(func() {
		if failed.Load() == 0 {
			t.Error("no run failed, not even one that was denied a call")
		}
	})
	// The samples of different kinds of faults begin at different calls.
	kinds := append([]awssim.FaultKind{awssim.Denied, cancelled}, overcome...)
	for i, kind := range kinds {
		for k := 1 + i*step/len(kinds); k <= len(u.calls); k += step {
			cell(t, &figures.faults, fmt.Sprintf("call %d %s", k, kind), func(t *testing.T, w *world) {
				defer w.watch(t)()
				if w.suffers(t, kind, k) {
					failed.Add(1)
					time.Sleep(time.Minute)
					w.mustPublish(t, w.matrixSpec())
				}
				u.compare(t, w.state())
			})
		}
	}
}

// suffers publishes, makes the k-th call fail, and reports whether the run failed. It
// must fail cleanly and with a reason.
func (w *world) suffers(t *testing.T, kind awssim.FaultKind, k int) bool {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := 0
	var struck awssim.Entry
	var at time.Time
	w.sim.Interpose(func(call awssim.Entry) *awssim.Fault {
		if seen++; seen == k {
			struck, at = call, time.Now()
		}
		switch {
		case kind == throttleEight && seen >= k && seen < k+8:
			return &awssim.Fault{Kind: awssim.Throttle}
		case kind == stuck && seen >= k && time.Since(at) < staleness:
			return &awssim.Fault{Kind: awssim.Stale, Behind: time.Since(at)}
		case seen != k:
		case kind == cancelled:
			cancel()
		case kind == staleOnce:
			return &awssim.Fault{Kind: awssim.Stale, Behind: staleness}
		case kind != throttleEight && kind != stuck:
			return &awssim.Fault{Kind: kind}
		}
		return nil
	})
	_, err := w.publishWith(ctx, w.matrixSpec())
	took := time.Since(at)
	w.sim.ClearFaults()
	if err == nil {
		return false
	}
	text := err.Error()
	switch kind {
	case awssim.Denied:
		if !strings.Contains(text, struck.Operation) || !strings.Contains(text, "AccessDenied") && !strings.Contains(text, "UnauthorizedOperation") {
			t.Errorf("the error of a denied %s in %s does not say so: %v", struck.Operation, struck.Region, err)
		}
	case cancelled:
		if !strings.Contains(text, "cancel") {
			t.Errorf("the error of a canceled run does not say so: %v", err)
		}
		if took > time.Minute {
			t.Errorf("the canceled run went on for %v", took)
		}
	default:
		t.Errorf("%s in %s: %v", struck.Operation, struck.Region, err)
	}
	w.checkNothingVisible(t)
	return true
}
