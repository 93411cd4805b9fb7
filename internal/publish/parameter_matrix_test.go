package publish_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/orgami/packer-plugin-orgami/internal/publish"
	"github.com/orgami/packer-plugin-orgami/internal/retention"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// TestSharedParameterFaults makes every call that sets or shares the parameters fail in
// every way. In the end, there is one share in each Region, and members read the image.
func TestSharedParameterFaults(t *testing.T) {
	ours := func(call awssim.Entry) bool { return call.Service == "ram" || call.Service == "ssm" }
	calls := 0
	inMatrix(t, func(t *testing.T, w *world) {
		w.mustPublish(t, w.spec())
		w.sim.ResetJournal()
		w.mustPublish(t, w.sharingSpec())
		for _, call := range w.sim.Journal() {
			if ours(call) {
				calls++
			}
		}
	})
	if calls < 30 {
		t.Fatalf("%d calls", calls)
	}
	kinds := append([]awssim.FaultKind{awssim.Denied, died}, overcome...)
	for i, kind := range kinds {
		step := every(calls, 3)
		for k := 1 + i*step/len(kinds); k <= calls; k += step {
			cell(t, &figures.faults, fmt.Sprintf("shared parameter, call %d %s", k, kind), func(t *testing.T, w *world) {
				w.mustPublish(t, w.spec())
				w.interposeAt(k, kind, ours)
				_, err := w.publish(w.sharingSpec())
				w.sim.ClearFaults()
				if err != nil && kind != awssim.Denied && kind != died {
					t.Error(err)
				}
				time.Sleep(2 * staleness)
				result := w.mustPublish(t, w.sharingSpec())
				w.checkShares(t, false, awssim.OrganizationARN)
				for region, image := range result.Images() {
					if got := w.memberReads(t, awssim.MemberAccounts()[0], region); got != image {
						t.Errorf("a member reads %s in %s", got, region)
					}
				}
			})
		}
	}
}

// died ends the process: after the call, which has its effect, nothing gets through.
const died awssim.FaultKind = "died"

// interposeAt makes the k-th of the calls that count go wrong.
func (w *world) interposeAt(k int, kind awssim.FaultKind, counts func(awssim.Entry) bool) {
	seen := 0
	var at time.Time
	w.sim.Interpose(func(call awssim.Entry) *awssim.Fault {
		if kind == died && seen >= k {
			return &awssim.Fault{Kind: awssim.ResetBefore}
		}
		if !counts(call) {
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
		case seen != k || kind == throttleEight || kind == stuck:
			return nil
		case kind == died:
			return &awssim.Fault{Kind: awssim.ResetAfter}
		case kind == staleOnce:
			return &awssim.Fault{Kind: awssim.Stale, Behind: staleness}
		default:
			return &awssim.Fault{Kind: kind}
		}
	})
}

// TestRetireSharedParameter checks that retirement keeps every image that a version of
// the shared parameter names, by number or label, and reports why.
func TestRetireSharedParameter(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		spec := w.longLived()
		spec.Lifecycle = retention.Lifecycle{}
		spec.Image.Name, spec.Retire = "unnamed", nil
		parameter := spec.Parameter
		spec.Parameter = publish.ParameterSpec{}
		unnamed := w.published(t, spec)
		time.Sleep(100 * time.Hour)
		spec.Parameter = parameter
		var generations []map[string]string
		for _, name := range []string{"one", "two"} {
			spec.Image.Name = name
			generations = append(generations, w.published(t, spec))
			time.Sleep(100 * time.Hour)
		}
		region := w.regions[0]
		_, err := w.ssmIn(region).LabelParameterVersion(t.Context(), &ssm.LabelParameterVersionInput{Name: aws.String("/golden"), ParameterVersion: aws.Int64(1), Labels: []string{"stable"}})
		if err != nil {
			t.Fatal(err)
		}
		w.reported(t, unnamed, generations[0], generations[1])
		time.Sleep(50 * time.Hour)
		spec.Image.Name, spec.Retire = "three", &retention.RetentionPolicy{Family: "golden", Keep: 1, DeleteAfter: 50 * time.Hour}
		w.mustPublish(t, spec)
		states := map[string]string{}
		for _, image := range w.state().Images {
			states[image.ID] = image.State
		}
		for region, id := range unnamed {
			if states[id] != "" {
				t.Errorf("the image that no version names is %s in %s", states[id], region)
			}
		}
		for _, generation := range generations {
			for region, id := range generation {
				if states[id] != "available" {
					t.Errorf("the image %s in %s is %q", id, region, states[id])
				}
			}
		}
		for _, want := range []string{"is used by version of a shared SSM parameter /golden:1, labels stable (account", "version of a shared SSM parameter /golden:2 (account"} {
			if !strings.Contains(w.said(), want) {
				t.Errorf("the plan doesn't say %q:\n%s", want, w.said())
			}
		}
	})
}

// TestSharedParameterOfTwoRuns checks that two runs at once that publish the same image set
// one parameter and create one resource share in each Region, whichever is faster.
func TestSharedParameterOfTwoRuns(t *testing.T) {
	for _, apart := range []time.Duration{0, 100 * time.Millisecond, 3 * time.Second} {
		t.Run(apart.String(), func(t *testing.T) {
			inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
				images := w.mustPublish(t, w.spec()).Images()
				var group sync.WaitGroup
				for i := range 2 {
					group.Go(func() {
						time.Sleep(time.Duration(i) * apart)
						if _, err := w.publish(w.sharingSpec()); err != nil {
							t.Errorf("run %d: %v", i+1, err)
						}
					})
				}
				group.Wait()
				w.checkShares(t, false, awssim.OrganizationARN)
				for region, image := range images {
					if got := w.memberReads(t, awssim.MemberAccounts()[0], region); got != image {
						t.Errorf("a member reads %s in %s", got, region)
					}
				}
				w.sim.ResetJournal()
				w.mustPublish(t, w.sharingSpec())
				if got := w.mutations(); len(got) > 0 {
					t.Errorf("a third run changes something: %v", got)
				}
			})
		})
	}
}
