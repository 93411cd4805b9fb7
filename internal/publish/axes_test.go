package publish_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/publish"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// Helpers that the matrices of two runs, modes, answers and preconditions have in
// common.

// sample returns n of the cells, evenly distributed and the same ones every time, or
// all of them if the matrices are exhaustive.
func sample[C any](cells []C, n int) []C {
	if exhaustive() || len(cells) <= n {
		return cells
	}
	var some []C
	for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(len(cells))[:n] {
		some = append(some, cells[i])
	}
	return some
}

// telling returns the numbers of the calls, from 1, that differ from earlier ones.
// Calls that a run repeats while it waits count only the first times.
func telling(calls []awssim.Entry) []int {
	const repeats = 6
	seen := map[string]int{}
	var numbers []int
	for i, call := range calls {
		what := call.Operation + call.Region
		if seen[what]++; seen[what] <= repeats || call.Mutating || i >= len(calls)-40 {
			numbers = append(numbers, i+1)
		}
	}
	return numbers
}

// everyNth returns every n-th of them.
func everyNth(numbers []int, n int) []int {
	var some []int
	for i := 0; i < len(numbers); i += n {
		some = append(some, numbers[i])
	}
	return some
}

// axisCell is [cell] for a world that the test makes itself.
func axisCell(t *testing.T, of *int, name string, test func(*testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		defer count(t, of)
		synctest.Test(t, test)
	})
}

// quickWorld is a world in which copies take a minute and a half, and in which a
// second builder of the account is at work.
func quickWorld(t *testing.T, options awssim.CopyOptions) *world {
	t.Helper()
	return quickWorldWith(t, options, nil)
}

// quickWorldWith is [quickWorld] with other times in single Regions.
func quickWorldWith(t *testing.T, options awssim.CopyOptions, copyTimes map[string]time.Duration) *world {
	t.Helper()
	quick := timing
	quick.CopyTime, quick.CopyTimes, quick.CopyOptions = 90*time.Second, copyTimes, options
	file := defaultWorld()
	for i := range file.Accounts {
		if file.Accounts[i].ID == awssim.PublishingAccount {
			file.Accounts[i].Roles = append(file.Accounts[i].Roles, awssim.RoleFile{Name: secondBuilder, Policies: map[string]json.RawMessage{
				"all": json.RawMessage(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`),
			}})
		}
	}
	return newWorldWith(t, file, quick)
}

const secondBuilder = "second-builder"

// quickSpec has grants in one account only, so that a run makes fewer calls.
func (w *world) quickSpec() publish.Spec {
	spec := w.spec()
	spec.Grants.Accounts = spec.Grants.Accounts[:1]
	spec.WaitTimeout = 20 * time.Minute
	return spec
}

// guarding defines what [world.guard] requires.
type guarding struct {
	regions []string
	// grants is how many each regional key must have, at least.
	grants int
	// never forbids any new launch permission.
	never bool
	// mayChange are images that the run is asked to retire or to prune.
	mayChange func(awssim.ImageState) bool
}

// guard inspects the world after every call that may have changed it, until stop is
// called. No image that others can see may be lost or changed. No launch permission may
// be added unless the images of all Regions are available and encrypted with usable
// keys that have their grants. Nothing is recorded as published that isn't.
func (w *world) guard(t *testing.T, g guarding) (stop func()) {
	t.Helper()
	var mu sync.Mutex
	before := w.state()
	look := func(call awssim.Entry) {
		if !call.Mutating {
			return // it changed nothing
		}
		mu.Lock()
		defer mu.Unlock()
		after := w.state()
		for _, problem := range g.compare(before, after) {
			t.Errorf("after %s %s in %s: %s", call.Service, call.Operation, call.Region, problem)
		}
		before = after
	}
	w.sim.OnCall(look)
	w.recorded = func(o publish.Outcome) {
		if !o.Complete {
			t.Error("a publication that isn't complete is recorded")
		}
		w.checkHonest(t, outcome{o}, nil)
	}
	return func() { w.sim.OnCall(nil) }
}

// compare lists the violations between one state and the next.
func (g guarding) compare(before, after awssim.State) []string {
	var problems []string
	images := map[string]awssim.ImageState{}
	for _, image := range after.Images {
		images[image.ID] = image
	}
	permissions := map[string][]string{}
	for _, was := range before.Images {
		permissions[was.ID] = was.LaunchPermissions
		if was.Owner != awssim.PublishingAccount || len(was.LaunchPermissions) == 0 || was.State != "available" || g.mayChange != nil && g.mayChange(was) {
			continue
		}
		is, exists := images[was.ID]
		lost := slices.DeleteFunc(slices.Clone(was.LaunchPermissions), func(who string) bool { return slices.Contains(is.LaunchPermissions, who) })
		switch {
		case !exists:
			problems = append(problems, "the shared image "+was.ID+" in "+was.Region+" is gone")
		case is.State != "available":
			problems = append(problems, "the shared image "+was.ID+" in "+was.Region+" is "+is.State)
		case len(lost) > 0:
			problems = append(problems, "the image "+was.ID+" in "+was.Region+" is no longer shared with "+strings.Join(lost, ", "))
		case was.Tags[ami.TagState] == ami.StatePublished && is.Tags[ami.TagState] != ami.StatePublished,
			was.Tags[ami.TagPublication] != is.Tags[ami.TagPublication] || was.Name != is.Name:
			problems = append(problems, "the shared image "+was.ID+" in "+was.Region+" is marked as another")
		}
	}
	for _, image := range after.Images {
		added := slices.ContainsFunc(image.LaunchPermissions, func(who string) bool { return !slices.Contains(permissions[image.ID], who) })
		if added && image.Owner == awssim.PublishingAccount {
			problems = append(problems, g.mayShare(image, after)...)
		}
	}
	return problems
}

// mayShare lists what is missing in the publication of an image that was just shared.
func (g guarding) mayShare(shared awssim.ImageState, state awssim.State) []string {
	if g.never {
		return []string{"the image " + shared.ID + " in " + shared.Region + " was shared"}
	}
	var problems []string
	for _, region := range g.regions {
		ready := slices.ContainsFunc(state.Images, func(i awssim.ImageState) bool {
			return i.Region == region && i.Tags[ami.TagPublication] == shared.Tags[ami.TagPublication] && completed(i, state, shared.Tags[ami.TagKey])
		})
		usable := slices.ContainsFunc(state.Keys, func(k awssim.KeyState) bool {
			return k.Region == region && path.Base(k.ARN) == shared.Tags[ami.TagKey] && k.State == "Enabled" && len(k.Grants) >= g.grants
		})
		if !ready || !usable {
			problems = append(problems, "the image "+shared.ID+" in "+shared.Region+" was shared, and "+region+" has no complete image, or no usable key with its grants")
		}
	}
	return problems
}

// completed reports whether the image is available, with completed snapshots that
// are encrypted with the Region's key.
func completed(image awssim.ImageState, state awssim.State, keyID string) bool {
	snapshots := snapshotsOf(state, image)
	return image.State == "available" && image.Owner == awssim.PublishingAccount && len(snapshots) == len(image.Snapshots) && len(snapshots) > 0 &&
		!slices.ContainsFunc(snapshots, func(s awssim.SnapshotState) bool {
			return s.State != "completed" || path.Base(s.Key) != keyID || !strings.Contains(s.Key, ":"+image.Region+":")
		})
}

// checkHonest compares what a run reports with the world.
func (w *world) checkHonest(t *testing.T, o outcome, err error) {
	t.Helper()
	if err == nil && !o.Complete && !o.Spec.PlanOnly {
		t.Error("the run succeeded, and its publication isn't complete")
	}
	if (o.Complete || o.Manifest().Complete) && o.Spec.PlanOnly {
		t.Error("a plan says that it is a complete publication")
	}
	if !o.Complete {
		if len(o.Images()) > 0 && !o.Spec.PlanOnly {
			t.Errorf("a publication that isn't complete names the images %v", o.Images())
		}
		return
	}
	state := w.state()
	for _, region := range o.Spec.Regions {
		id := o.Images()[region]
		i := slices.IndexFunc(state.Images, func(i awssim.ImageState) bool { return i.ID == id && i.Region == region })
		if i < 0 {
			t.Errorf("the published image %q in %s doesn't exist", id, region)
			continue
		}
		image := state.Images[i]
		want := slices.Clone(o.Spec.Share.Accounts)
		if o.Spec.Share.Organization {
			want = append(want, o.Organization.ARN)
		}
		missing := slices.DeleteFunc(want, func(who string) bool { return slices.Contains(image.LaunchPermissions, who) })
		if !completed(image, state, o.Key.ID) || len(missing) > 0 || image.Tags[ami.TagState] != ami.StatePublished {
			t.Errorf("the published image %s in %s is %s, marked %q, and not shared with %v", id, region, image.State, image.Tags[ami.TagState], missing)
		}
	}
}

// mustConverge publishes until nothing is left to do: a first run finishes what is
// missing, and a second one changes nothing.
func (w *world) mustConverge(t *testing.T, spec publish.Spec) outcome {
	t.Helper()
	time.Sleep(2 * time.Minute) // until reads return what was written
	o, err := w.publish(spec)
	if err != nil {
		t.Errorf("the next run: %v", err)
		return o
	}
	w.checkHonest(t, o, err)
	validate(t, o.Manifest())
	time.Sleep(time.Minute)
	w.sim.ResetJournal()
	again, err := w.publish(spec)
	if err != nil {
		t.Errorf("a further run: %v", err)
	}
	w.checkHonest(t, again, err)
	if got := w.mutations(); len(got) > 0 {
		t.Errorf("a further run changes: %v", got)
	}
	return o
}

// decision is a function for [awssim.World.Interpose].
type decision func(awssim.Entry) *awssim.Fault

// either calls all decisions, and returns the first fault.
func either(decisions ...decision) decision {
	return func(call awssim.Entry) *awssim.Fault {
		var first *awssim.Fault
		for _, decide := range decisions {
			if fault := decide(call); first == nil {
				first = fault
			}
		}
		return first
	}
}

// failing makes the k-th of the calls that count fail, or makes it the last one if the
// run dies or is canceled. struck is that call.
func failing(how awssim.FaultKind, k int, counts func(awssim.Entry) bool, cancel context.CancelFunc) (decide decision, struck *awssim.Entry) {
	seen := 0
	struck = &awssim.Entry{}
	return func(call awssim.Entry) *awssim.Fault {
		if !counts(call) {
			return nil
		}
		if seen++; seen == k {
			*struck = call
		}
		switch {
		case how == dies && seen == k && k%2 == 0:
			return &awssim.Fault{Kind: awssim.ResetAfter}
		case how == dies && seen > k:
			return &awssim.Fault{Kind: awssim.ResetBefore}
		case how == cancelled && seen == k:
			cancel()
		case how != dies && how != cancelled && seen == k:
			return &awssim.Fault{Kind: how}
		}
		return nil
	}, struck
}

// dies is a process that is killed at a call: none of its later ones is sent.
const dies awssim.FaultKind = "dies"

func everyCall(awssim.Entry) bool { return true }

// canceledOrDenied checks that the error describes the cause.
func canceledOrDenied(t *testing.T, how awssim.FaultKind, struck awssim.Entry, err error) {
	t.Helper()
	text := err.Error()
	switch {
	case how == cancelled && !errors.Is(err, context.Canceled) && !strings.Contains(text, "cancel"):
		t.Errorf("the error of a canceled run doesn't say so: %v", err)
	case how == awssim.Denied && (!strings.Contains(text, struck.Operation) || !strings.Contains(text, "AccessDenied") && !strings.Contains(text, "UnauthorizedOperation")):
		t.Errorf("the error of a denied %s in %s doesn't say so: %v", struck.Operation, struck.Region, err)
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
