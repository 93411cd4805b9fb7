package publish_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/internal/awssim"
)

// Faults that the simulator does not know by themselves.
const (
	throttleEight awssim.FaultKind = "throttled eight times"
	cancelled     awssim.FaultKind = "cancelled"
)

// overcome are the faults that a run survives: retries are the SDK's.
var overcome = []awssim.FaultKind{
	awssim.Throttle, throttleEight, awssim.ServerError, awssim.Unavailable, awssim.ResetBefore, awssim.ResetAfter, awssim.TimeoutAfter,
}

// TestFaults lets every call of a run go wrong in every way. The run either
// succeeds, and the world is that of an undisturbed run; or it fails, takes back
// its images and snapshots, and the next run makes the world right. A sample of
// the calls, unless ORGAMI_EXHAUSTIVE is set: `make test-exhaustive`.
func TestFaults(t *testing.T) {
	var undisturbed []string
	calls := 0
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		w.mustPublish(t, w.spec())
		undisturbed, calls = withoutIDs(t, w.state()), len(w.sim.Journal())
	})
	step := calls / 5
	if os.Getenv("ORGAMI_EXHAUSTIVE") != "" {
		step = 1
	}
	tried, failed := 0, 0
	for i, kind := range append([]awssim.FaultKind{awssim.Denied, cancelled}, overcome...) {
		// Each kind of fault begins its sample at another call.
		for k := 1 + i*step/9; k <= calls; k += step {
			t.Run(fmt.Sprintf("call %d %s", k, kind), func(t *testing.T) {
				inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
					tried++
					if w.suffers(t, kind, k) {
						failed++
						time.Sleep(time.Minute)
						w.mustPublish(t, w.spec())
					}
					if diff := cmp.Diff(undisturbed, withoutIDs(t, w.state())); diff != "" {
						t.Errorf("the world differs from that of an undisturbed run:\n%s", diff)
					}
				})
			})
		}
	}
	t.Logf("calls %d, faults tried %d, runs failed and finished by the next %d, worlds compared %d", calls, tried, failed, tried)
}

// suffers publishes, lets the k-th call go wrong, and reports whether the run
// failed, which it must do cleanly and with a reason.
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
		case kind == cancelled && seen == k:
			cancel()
		case kind != throttleEight && seen == k:
			return &awssim.Fault{Kind: kind}
		}
		return nil
	})
	_, err := w.publishWith(ctx, w.spec())
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
			t.Errorf("the error of a cancelled run does not say so: %v", err)
		}
		if took > time.Minute {
			t.Errorf("the cancelled run went on for %v", took)
		}
	default:
		t.Errorf("%s in %s: %v", struck.Operation, struck.Region, err)
	}
	w.checkNothingVisible(t)
	return true
}
