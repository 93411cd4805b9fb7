package publish_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// TestCrash kills a run after any of its calls, before or after the run
// receives the response. The next run finishes the publication. The resulting
// world equals that of an undisturbed run, without duplicates or stale
// resources. At no time is an incomplete set visible. The sample prefers calls
// that change something.
func TestCrash(t *testing.T) {
	u := undisturbedRun(t, func(*testing.T, *world) {})
	mutations := 0
	for _, call := range u.calls {
		if call.Mutating {
			mutations++
		}
	}
	if mutations < 36 {
		t.Fatalf("an undisturbed run made %d mutating calls", mutations)
	}
	for _, matrix := range []struct {
		name  string
		of    func(awssim.Entry) bool
		calls int
		step  int
	}{
		{"changing call", func(call awssim.Entry) bool { return call.Mutating }, mutations, every(mutations, 16)},
		{"call", func(awssim.Entry) bool { return true }, len(u.calls), every(len(u.calls), 6)},
	} {
		for _, answered := range []bool{true, false} {
			for k := 1; k <= matrix.calls; k += matrix.step {
				cell(t, &figures.crashes, fmt.Sprintf("%s %d, answered %v", matrix.name, k, answered), func(t *testing.T, w *world) {
					defer w.watch(t)()
					w.dieAt(k, matrix.of, answered)
					_, err := w.publish(w.matrixSpec())
					w.sim.ClearFaults()
					if err == nil && k < matrix.calls-matrixSlack {
						t.Fatal("the run did not notice that it died")
					}
					time.Sleep(time.Minute)
					w.mustPublish(t, w.matrixSpec())
					u.compare(t, w.state())
				})
			}
		}
	}
}

// matrixSlack is by how many calls two runs may differ. How often a run polls depends
// on the order of its calls.
const matrixSlack = 5

// TestCrashAndRunAtOnce checks that a run that starts before EC2's readers see the
// copies of the one that died must not copy again.
func TestCrashAndRunAtOnce(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		other := w.spec()
		other.Image.Name = "another"
		w.mustPublish(t, other) // the keys exist and are visible to all readers
		copies := 0
		w.sim.Interpose(func(call awssim.Entry) *awssim.Fault {
			if copies == 3 {
				return &awssim.Fault{Kind: awssim.ResetBefore}
			}
			if call.Operation == "CopyImage" && call.Mutating {
				copies++
				return &awssim.Fault{Kind: awssim.ResetAfter}
			}
			return nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second) // while the copies are invisible
		defer cancel()
		if _, err := w.publishWith(ctx, w.spec()); err == nil {
			t.Fatal("the run did not notice that it died")
		}
		w.sim.ClearFaults()
		oneEach := map[string]int{"us-east-1": 1, "eu-west-1": 1, "ap-southeast-2": 1}
		if diff := cmp.Diff(oneEach, w.copies()); diff != "" {
			t.Errorf("copies of the run that died:\n%s", diff)
		}
		w.mustPublish(t, w.spec())
		if diff := cmp.Diff(oneEach, w.copies()); diff != "" {
			t.Errorf("copies of both runs:\n%s", diff)
		}
	})
}

// copies counts the copies by Region.
func (w *world) copies() map[string]int {
	copies := map[string]int{}
	for _, image := range w.state().Images {
		if image.Name == "golden-shared" {
			copies[image.Region]++
		}
	}
	return copies
}

// TestCancel checks that a run that is canceled while it copies ends quickly,
// reports the cancellation, and keeps its copies unshared. The next run waits
// for these copies instead of copying again, and takes no longer than they
// need.
func TestCancel(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		const after = 3 * time.Minute
		ctx, cancel := context.WithTimeout(t.Context(), after)
		defer cancel()
		start := time.Now()
		result, err := w.publishWith(ctx, w.spec())
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error is %v", err)
		}
		if took := time.Since(start); took > after+30*time.Second {
			t.Errorf("the run went on for %v", took-after)
		}
		if len(result.Unpublished) != 3 {
			t.Errorf("the run lists %d unpublished copies: %v", len(result.Unpublished), result.Unpublished)
		}
		for _, image := range w.ourCopies() {
			if image.State != "pending" || len(image.LaunchPermissions) > 0 || image.Tags[ami.TagState] != ami.StateUnpublished {
				t.Errorf("the copy %+v", image)
			}
		}
		w.sim.ResetJournal()
		w.mustPublish(t, w.spec())
		if n := w.mutations()["ec2 CopyImage"]; n != 0 {
			t.Errorf("the next run copied %d times", n)
		}
		if took := time.Since(start); took > timing.CopyTime+time.Minute {
			t.Errorf("both runs took %v", took)
		}
	})
}

// dieAt breaks every connection after the k-th call of those that count. The
// k-th call still takes effect. A killed process sends nothing more, not even
// to clean up, but the operations that it started continue.
func (w *world) dieAt(k int, counts func(awssim.Entry) bool, answered bool) {
	seen := 0
	w.sim.Interpose(func(call awssim.Entry) *awssim.Fault {
		if seen >= k {
			return &awssim.Fault{Kind: awssim.ResetBefore}
		}
		if !counts(call) {
			return nil
		}
		if seen++; seen == k && !answered {
			return &awssim.Fault{Kind: awssim.ResetAfter}
		}
		return nil
	})
}

// withoutIDs describes a world in lines that do not depend on IDs.
func withoutIDs(t *testing.T, state awssim.State) []string {
	t.Helper()
	var lines []string
	keys := map[string]bool{}
	for _, key := range state.Keys {
		document, err := policy.Parse(key.Policy)
		if err != nil {
			t.Fatal(err)
		}
		keys[key.ARN[strings.LastIndexByte(key.ARN, '/'):]] = true
		lines = append(lines, fmt.Sprintf("key %s %s primary %s aliases %v rotation %v policy %s", key.Region, key.State, key.PrimaryRegion, key.Aliases, key.Rotation, document.Digest()))
		for _, g := range key.Grants {
			lines = append(lines, fmt.Sprintf("grant %s %s %s %v", key.Region, g.Name, g.Grantee, g.Operations))
		}
	}
	lines = append(lines, fmt.Sprintf("%d multi-Region keys", len(keys)))
	for _, image := range state.Images {
		lines = append(lines, fmt.Sprintf("image %s %s %s %s shared with %v, family %q, deprecated %v, protection %q", image.Region, image.Name, image.State, image.Tags[ami.TagState], image.LaunchPermissions,
			image.Tags[ami.TagFamily], image.Deprecated, image.Protection))
	}
	for _, snapshot := range state.Snapshots {
		region := ""
		if parts := strings.Split(snapshot.Key, ":"); len(parts) > 3 && strings.Contains(snapshot.Key, "mrk-") {
			region = parts[3]
		}
		lines = append(lines, fmt.Sprintf("snapshot %s %s under the key of %q shared with %v", snapshot.Region, snapshot.State, region, snapshot.VolumePermissions))
	}
	slices.Sort(lines)
	return lines
}
