package publish_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/internal/publish"
	"github.com/orgami/packer-plugin-orgami/internal/retention"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// mode is a mode that changes what happens after a failure, in a world in which it
// has something to do.
type mode struct {
	// setUp prepares the world and returns the spec to publish.
	setUp func(t *testing.T, w *world) publish.Spec
	// removes says that the run removes what older configurations left. It must not
	// begin before the publication is complete.
	removes bool
	// tolerant says that the checks never stop the publication.
	tolerant bool
}

func modes() map[string]mode {
	checking := func(check publish.Check) func(*testing.T, *world) publish.Spec {
		return func(_ *testing.T, w *world) publish.Spec {
			spec := w.quickSpec()
			spec.Check = check
			return spec
		}
	}
	return map[string]mode{
		"check fail": {setUp: checking(publish.CheckFail)},
		"check warn": {setUp: checking(publish.CheckWarn), tolerant: true},
		"check off":  {setUp: checking(publish.CheckOff), tolerant: true},
		"check warn, failing": {tolerant: true, setUp: func(t *testing.T, w *world) publish.Spec {
			publishBefore(t, w)
			withDenyIn(t, w, "eu-west-1")
			time.Sleep(time.Minute)
			spec := w.quickSpec()
			spec.Check, spec.Image.Name = publish.CheckWarn, "golden-2"
			return spec
		}},
		"plan only, nothing there": {setUp: func(_ *testing.T, w *world) publish.Spec {
			spec := w.quickSpec()
			spec.PlanOnly = true
			return spec
		}},
		"plan only, drifted": {setUp: func(t *testing.T, w *world) publish.Spec {
			spec := publishBefore(t, w)
			takeOurStatement(t, w)
			revokeGrant(t, w)
			time.Sleep(2 * staleness)
			spec.PlanOnly, spec.Share.Prune, spec.Grants.Prune = true, true, true
			return spec
		}},
		"prune permissions": {removes: true, setUp: func(t *testing.T, w *world) publish.Spec {
			spec := lessThanBefore(t, w)
			spec.Share.Prune = true
			return spec
		}},
		"prune grants": {removes: true, setUp: func(t *testing.T, w *world) publish.Spec {
			spec := lessThanBefore(t, w)
			spec.Grants.Prune = true
			return spec
		}},
		"prune and add": {removes: true, setUp: func(t *testing.T, w *world) publish.Spec {
			spec := lessThanBefore(t, w)
			spec.Share.Accounts, spec.Grants.Accounts = awssim.MemberAccounts()[1:], awssim.MemberAccounts()[1:2]
			spec.Share.Prune, spec.Grants.Prune = true, true
			return spec
		}},
		"prune a shared parameter": {removes: true, setUp: func(t *testing.T, w *world) publish.Spec {
			spec := w.quickSpec()
			spec.Parameter = publish.ParameterSpec{Name: "/golden", Share: true}
			spec.Share.Organization, spec.Share.Accounts = false, awssim.MemberAccounts()
			w.mustPublish(t, spec)
			time.Sleep(2 * staleness)
			spec.Share.Accounts, spec.Share.Prune = awssim.MemberAccounts()[:2], true
			return spec
		}},
		"retire": {removes: true, setUp: func(t *testing.T, w *world) publish.Spec {
			threeGenerations(t, w)
			spec := w.quickSpec()
			lifelong(&spec)
			spec.Parameter.Name = "/golden"
			spec.Retire = &retention.RetentionPolicy{Family: "golden", Keep: 1, DeprecateAfter: 50 * time.Hour, DisableAfter: 150 * time.Hour, DeleteAfter: 250 * time.Hour}
			return spec
		}},
	}
}

func publishBefore(t *testing.T, w *world) publish.Spec {
	t.Helper()
	spec := w.quickSpec()
	w.mustPublish(t, spec)
	return spec
}

// lessThanBefore publishes for more accounts than the spec that it returns.
func lessThanBefore(t *testing.T, w *world) publish.Spec {
	t.Helper()
	spec := w.quickSpec()
	spec.Share.Organization, spec.Share.Accounts, spec.Share.Snapshots = false, awssim.MemberAccounts(), true
	spec.Grants.Accounts = awssim.MemberAccounts()[:2]
	w.mustPublish(t, spec)
	addPermission(t, w)
	time.Sleep(2 * staleness)
	spec.Share.Accounts, spec.Grants.Accounts = awssim.MemberAccounts()[:2], awssim.MemberAccounts()[:1]
	return spec
}

// modeCell is a mode whose run fails at a call.
type modeCell struct {
	name string
	mode mode
	how  awssim.FaultKind
	k    int
}

// TestModes covers every mode that changes what happens after a failure: a run is
// denied a call or is canceled, at each of its calls. The result is what the mode
// promises, and the next run finishes.
func TestModes(t *testing.T) {
	var cells []modeCell
	all := modes()
	for _, name := range sortedKeys(all) {
		var calls []int
		synctest.Test(t, func(t *testing.T) {
			w := quickWorld(t, awssim.CopyOptions{})
			spec := all[name].setUp(t, w)
			w.sim.ResetJournal()
			o, err := w.publish(spec)
			if err != nil || o.Complete == spec.PlanOnly {
				t.Errorf("%s: complete %v, error %v", name, o.Complete, err)
			}
			calls = telling(w.sim.Journal())
		})
		for _, how := range []awssim.FaultKind{awssim.Denied, cancelled} {
			for _, k := range calls {
				cells = append(cells, modeCell{name, all[name], how, k})
			}
		}
	}
	for _, c := range sample(cells, 28) {
		axisCell(t, &figures.modes, fmt.Sprintf("%s, %s at call %d", c.name, c.how, c.k), c.run)
	}
}

func (c modeCell) run(t *testing.T) {
	w := quickWorld(t, awssim.CopyOptions{})
	spec := c.mode.setUp(t, w)
	before := w.state()
	older := map[string]bool{}
	for _, image := range before.Images {
		older[image.ID] = c.mode.removes
	}
	defer w.guard(t, guarding{regions: w.regions, grants: 2, mayChange: func(i awssim.ImageState) bool { return older[i.ID] }})()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	fails, struck := failing(c.how, c.k, everyCall, cancel)
	checking, start := false, time.Now()
	w.sim.ResetJournal()
	w.sim.Interpose(func(call awssim.Entry) *awssim.Fault {
		fault := fails(call)
		// The copies take longer than everything else that reads the keys.
		checking = checking || fault != nil && call.Service == "kms" && !call.Mutating && time.Since(start) > 90*time.Second
		return fault
	})
	o, err := w.publishWith(ctx, spec)
	w.sim.ClearFaults()
	w.checkHonest(t, o, err)
	if err != nil {
		canceledOrDenied(t, c.how, *struck, err)
		if took := time.Since(struck.Time); c.how == cancelled && took > time.Minute {
			t.Errorf("the canceled run went on for %v", took)
		}
	}
	if spec.PlanOnly {
		if got := w.mutations(); len(got) > 0 {
			t.Errorf("a plan changed: %v", got)
		}
		if diff := cmp.Diff(before, w.state()); diff != "" {
			t.Errorf("a plan changed the world:\n%s", diff)
		}
	}
	if c.mode.tolerant && checking && err != nil {
		t.Errorf("a check that couldn't be read stopped the publication: %v", err)
	}
	if c.mode.removes && !o.Complete {
		checkNothingRemoved(t, before, w.state())
	}
	last := w.mustConverge(t, spec)
	if !last.Complete && !spec.PlanOnly {
		t.Error("the next run isn't complete")
	}
}

// checkNothingRemoved checks that a run which didn't complete has removed no
// permission and no grant, and changed no older image.
func checkNothingRemoved(t *testing.T, before, after awssim.State) {
	t.Helper()
	images := map[string]awssim.ImageState{}
	for _, image := range after.Images {
		images[image.ID] = image
	}
	for _, was := range before.Images {
		is := images[was.ID]
		for _, who := range was.LaunchPermissions {
			if !slices.Contains(is.LaunchPermissions, who) {
				t.Errorf("before the publication was complete, the image %s lost the permission of %s", was.ID, who)
			}
		}
		if is.State != was.State || is.Deprecated != was.Deprecated && is.Name != "golden-shared" {
			t.Errorf("before the publication was complete, the image %s %q was retired: %+v", was.ID, was.Name, is)
		}
	}
	grants := map[string]bool{}
	for _, key := range after.Keys {
		for _, g := range key.Grants {
			grants[g.ID] = true
		}
	}
	for _, key := range before.Keys {
		for _, g := range key.Grants {
			if !grants[g.ID] {
				t.Errorf("before the publication was complete, the grant %s of %s was revoked", g.Name, key.Region)
			}
		}
	}
}
