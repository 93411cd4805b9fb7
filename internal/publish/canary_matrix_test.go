package publish_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// canaryCell is [cell] in a world with a canary's role.
func canaryCell(t *testing.T, of *int, name string, test func(*testing.T, *world)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		defer count(t, of)
		inCanaryWorld(t, nil, test)
	})
}

// undisturbedCanary is an undisturbed run with canaries, and which of its calls are
// made in the canary's account.
func undisturbedCanary(t *testing.T) (u undisturbed, calls int) {
	t.Helper()
	inCanaryWorld(t, nil, func(t *testing.T, w *world) {
		w.mustPublish(t, w.canarySpec())
		u = undisturbed{w.sim.Journal(), withoutIDs(t, w.state())}
	})
	for _, call := range u.calls {
		if ofCanary(call) {
			calls++
		}
	}
	if calls < 60 {
		t.Fatalf("the canaries of an undisturbed run made %d calls", calls)
	}
	return u, calls
}

// ofCanary reports whether a call is part of a canary: a call of its role's session, or
// one that the publisher makes for it.
func ofCanary(call awssim.Entry) bool {
	return strings.Contains(call.Principal, "assumed-role/"+canaryRole+"/") || strings.Contains(call.Body, canaryRole)
}

// watchCanaries checks after every call that only the canary's account can see an image
// until all canaries have launched.
func (w *world) watchCanaries(t *testing.T) (stop func()) {
	t.Helper()
	ran := map[string]bool{}
	var mu sync.Mutex
	w.sim.OnCall(func(call awssim.Entry) {
		mu.Lock()
		defer mu.Unlock()
		for _, i := range w.state().Instances {
			if i.State == "running" {
				ran[i.Region] = true
			}
		}
		for region, permissions := range w.permissions() {
			if slices.ContainsFunc(permissions, func(p string) bool { return p != canaryAccount() }) && len(ran) < len(w.regions) {
				t.Errorf("after %s, the image in %s is shared with %v, and canaries ran in %v", call.Operation, region, permissions, ran)
			}
		}
	})
	return func() { w.sim.OnCall(nil) }
}

// finish publishes again after a run that failed: the world is that of an undisturbed
// run, and no resources of any canary remain.
func (w *world) finish(t *testing.T, u undisturbed) {
	t.Helper()
	w.mustPublish(t, w.canarySpec())
	w.checkNothingLeft(t)
	u.compare(t, w.state())
}

// TestCrashWithCanary kills a run after any of the calls of its canaries. The next
// run removes what is left, launches again, and publishes.
func TestCrashWithCanary(t *testing.T) {
	u, calls := undisturbedCanary(t)
	for _, answered := range []bool{true, false} {
		for k := 1; k <= calls; k += every(calls, 6) {
			canaryCell(t, &figures.crashes, fmt.Sprintf("call %d, answered %v", k, answered), func(t *testing.T, w *world) {
				defer w.watchCanaries(t)()
				w.dieAt(k, ofCanary, answered)
				_, err := w.publish(w.canarySpec())
				w.sim.ClearFaults()
				if err == nil && k < calls-4*matrixSlack {
					t.Fatal("the run did not notice that it died")
				}
				time.Sleep(time.Minute)
				w.finish(t, u)
			})
		}
	}
}

// TestFaultsWithCanary makes each call of the canaries fail in every way. The run
// publishes, or it fails, and no account but the canary's sees the image.
func TestFaultsWithCanary(t *testing.T) {
	u, calls := undisturbedCanary(t)
	step := every(calls, 2)
	var failed atomic.Int32
	t.Cleanup(func() {
		if failed.Load() == 0 {
			t.Error("no run failed")
		}
	})
	kinds := append([]awssim.FaultKind{awssim.Denied, cancelled}, overcome...)
	for i, kind := range kinds {
		for k := 1 + i*step/len(kinds); k <= calls; k += step {
			canaryCell(t, &figures.faults, fmt.Sprintf("call %d %s", k, kind), func(t *testing.T, w *world) {
				defer w.watchCanaries(t)()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				w.strikeCanary(kind, k, cancel)
				start := time.Now()
				_, err := w.publishWith(ctx, w.canarySpec())
				w.sim.ClearFaults()
				if took := time.Since(start); took > 25*time.Minute {
					t.Errorf("the run took %v", took)
				}
				if err != nil {
					failed.Add(1)
					if kind == cancelled && !errors.Is(err, context.Canceled) && !strings.Contains(err.Error(), "cancel") {
						t.Errorf("error is %v", err)
					}
					time.Sleep(time.Minute)
					w.finish(t, u)
					return
				}
				w.checkNothingLeft(t)
				u.compare(t, w.state())
			})
		}
	}
}

// strikeCanary makes the k-th call of the canaries fail.
func (w *world) strikeCanary(kind awssim.FaultKind, k int, cancel func()) {
	seen := 0
	var at time.Time
	w.sim.Interpose(func(call awssim.Entry) *awssim.Fault {
		if !ofCanary(call) {
			return nil
		}
		if seen++; seen == k {
			at = time.Now()
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
}

// TestAnswersOfCanary alters each response that the canaries get. The run publishes, or
// it fails and no other account sees the image.
func TestAnswersOfCanary(t *testing.T) {
	u, calls := undisturbedCanary(t)
	kinds := awssim.AnswerFaults()
	step := every(calls, 1)
	for i, kind := range kinds {
		for k := 1 + i*step/len(kinds); k <= calls; k += step {
			canaryCell(t, &figures.answers, fmt.Sprintf("call %d %s", k, kind), func(t *testing.T, w *world) {
				defer w.watchCanaries(t)()
				w.strikeCanary(kind, k, nil)
				_, err := w.publish(w.canarySpec())
				w.sim.ClearFaults()
				if err != nil {
					time.Sleep(time.Minute)
					w.finish(t, u)
					return
				}
				w.checkNothingLeft(t)
				u.compare(t, w.state())
			})
		}
	}
}

// TestCancelWithCanary checks that a run that is canceled while canaries run terminates
// them.
func TestCancelWithCanary(t *testing.T) {
	for _, after := range []time.Duration{3 * time.Second, 20 * time.Second, 40 * time.Second} {
		t.Run(after.String(), func(t *testing.T) {
			inCanaryWorld(t, nil, func(t *testing.T, w *world) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var begun atomic.Bool
				w.sim.OnCall(func(call awssim.Entry) {
					if call.Operation == "RunInstances" && begun.CompareAndSwap(false, true) {
						time.AfterFunc(after, cancel)
					}
				})
				var canceled time.Time
				context.AfterFunc(ctx, func() { canceled = time.Now() })
				_, err := w.publishWith(ctx, w.canarySpec())
				if took := time.Since(canceled); took > 2*time.Minute+10*time.Second || err == nil {
					t.Errorf("after it was canceled, the run took %v: %v", took, err)
				}
				synctest.Wait()
				w.checkNothingLeft(t)
			})
		})
	}
}

// TestTwoRunsWithCanary checks that two runs at the same time both publish, and that no
// resource of a canary remains.
func TestTwoRunsWithCanary(t *testing.T) {
	for _, apart := range []time.Duration{0, 5 * time.Second, 25 * time.Second} {
		t.Run(apart.String(), func(t *testing.T) {
			inCanaryWorld(t, nil, func(t *testing.T, w *world) {
				done := make(chan error)
				go func() {
					time.Sleep(apart)
					_, err := w.publish(w.canarySpec())
					done <- err
				}()
				_, err := w.publish(w.canarySpec())
				if err := errors.Join(err, <-done); err != nil {
					t.Error(err)
				}
				w.checkNothingLeft(t)
			})
		})
	}
}
