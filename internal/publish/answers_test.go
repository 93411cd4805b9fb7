package publish_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/orgami/packer-plugin-orgami/internal/publish"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// answerCell is a fault of the responses to an operation, or to one call.
type answerCell struct {
	kind      awssim.FaultKind
	operation string // the operation that is altered permanently; if empty, the k-th call is altered once
	late      bool   // permanently, from when the copies are available
	pending   bool   // permanently, from when the first copy is pending
	k         int
	failing   bool // the launch checks must fail
}

func (c answerCell) String() string {
	world := ""
	if c.failing {
		world = ", launches fail"
	}
	if c.operation == "" {
		return fmt.Sprintf("%s once, at call %d%s", c.kind, c.k, world)
	}
	if c.late {
		return fmt.Sprintf("%s of %s once copies are available%s", c.kind, c.operation, world)
	}
	return fmt.Sprintf("%s, always, of %s%s", c.kind, c.operation, world)
}

// TestAnswers alters the responses of AWS: once at each call of a run, and permanently
// for each operation. Nothing panics or hangs, no run succeeds without a complete
// publication, and nothing is shared that isn't complete. Where launches must fail,
// nothing is shared at all. The next run, without faults, finishes.
func TestAnswers(t *testing.T) {
	var calls []int
	operations := map[string]bool{}
	synctest.Test(t, func(t *testing.T) {
		w := quickWorld(t, awssim.CopyOptions{})
		w.mustPublish(t, w.answerSpec())
		calls = telling(w.sim.Journal())
		for _, call := range w.sim.Journal() {
			operations[call.Service+" "+call.Operation] = true
		}
	})
	if len(operations) < 20 {
		t.Errorf("a run makes calls of %v only", sortedKeys(operations))
	}
	var cells []answerCell
	for _, kind := range awssim.AnswerFaults() {
		for _, failing := range []bool{false, true} {
			for _, operation := range sortedKeys(operations) {
				for _, late := range []bool{false, true} {
					cells = append(cells, answerCell{kind: kind, operation: operation, late: late, failing: failing})
				}
			}
			for _, k := range everyNth(calls, map[bool]int{false: 1, true: 3}[failing]) {
				cells = append(cells, answerCell{kind: kind, k: k, failing: failing})
			}
		}
	}
	for _, c := range sample(cells, 32) {
		axisCell(t, &figures.answers, c.String(), c.run)
	}
}

// TestInvisibleCopies checks that a Region whose responses lack the copies isn't copied
// to again and again.
func TestInvisibleCopies(t *testing.T) {
	for _, kind := range []awssim.FaultKind{awssim.EmptyBody, awssim.EmptyLists, awssim.MissingMembers} {
		synctest.Test(t, answerCell{kind: kind, operation: "ec2 DescribeImages", pending: true}.run)
	}
}

// answerSpec is a spec that includes the steps after sharing.
func (w *world) answerSpec() publish.Spec {
	spec := w.quickSpec()
	lifelong(&spec)
	spec.Parameter = publish.ParameterSpec{Name: "/golden", Share: true}
	return spec
}

// answerPatience is the time after which a run must have ended, whatever AWS returns.
const answerPatience = 90 * time.Minute

// maxCopies is how many copies a run may leave in a Region that never shows them.
const maxCopies = 10

func (c answerCell) run(t *testing.T) {
	w := quickWorld(t, awssim.CopyOptions{})
	spec := w.answerSpec()
	if c.failing {
		publishBefore(t, w)
		withDenyIn(t, w, "eu-west-1")
		time.Sleep(2 * staleness)
		spec.Image.Name = "golden-2"
	}
	stop := w.guard(t, guarding{regions: w.regions, grants: 2, never: c.failing})
	w.interposeAnswers(c)
	ctx, cancel := context.WithTimeout(t.Context(), answerPatience)
	defer cancel()
	start := time.Now()
	o, err := w.publishWith(ctx, spec)
	if took := time.Since(start); took > answerPatience+time.Minute || c.kind != awssim.NoAnswer && took >= answerPatience {
		t.Errorf("the run went on for %v: %v", took, err)
	}
	w.sim.ClearFaults()
	w.checkHonest(t, o, err)
	copies := map[string]int{}
	for _, image := range w.state().Images {
		if copies[image.Region+image.Name]++; copies[image.Region+image.Name] == maxCopies+1 {
			t.Errorf("more than %d copies in %s", maxCopies, image.Region)
		}
	}
	if err != nil {
		for _, word := range []string{"panic", "internal error", "nil pointer", "%!"} {
			if strings.Contains(err.Error(), word) {
				t.Errorf("the error: %v", err)
			}
		}
	}
	if _, writeErr := o.Write(t.TempDir()); writeErr != nil {
		t.Errorf("the files can't be written: %v", writeErr)
	}
	stop()
	if c.failing {
		if err == nil {
			t.Error("what can't be launched was published")
		}
		return
	}
	defer w.guard(t, guarding{regions: w.regions, grants: 2})()
	if last := w.mustConverge(t, spec); !last.Complete {
		t.Error("the next run isn't complete")
	}
}

func (w *world) interposeAnswers(c answerCell) {
	seen, start, pending := 0, time.Now(), false
	w.sim.Interpose(func(call awssim.Entry) *awssim.Fault {
		seen++
		pending = pending || call.Operation == "CopyImage" && !call.DryRun
		copied := time.Since(start) > 90*time.Second
		if c.operation == "" && seen == c.k || c.operation == call.Service+" "+call.Operation && (copied || !c.late) && (pending || !c.pending) {
			return &awssim.Fault{Kind: c.kind}
		}
		return nil
	})
}
