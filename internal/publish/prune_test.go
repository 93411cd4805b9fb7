package publish_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/internal/publish"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// leave is a publication after which an account left, and another principal
// created a grant and a launch permission.
func leave(t *testing.T, w *world) (before, after publish.Spec) {
	t.Helper()
	before = w.spec()
	before.Share.Organization, before.Share.Accounts, before.Share.Snapshots = false, awssim.MemberAccounts(), true
	w.mustPublish(t, before)
	makeGrant(t, w)
	addPermission(t, w)
	time.Sleep(time.Minute)
	after = before
	after.Share.Accounts, after.Grants.Accounts = before.Share.Accounts[:2], before.Grants.Accounts[:1]
	w.sim.ResetJournal()
	return before, after
}

// TestLeftOver checks that grants and permissions that are no longer configured are
// reported and stay.
func TestLeftOver(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		_, after := leave(t, w)
		result := w.mustPublish(t, after)
		if diff := cmp.Diff(map[string]int{"kms PutKeyPolicy": 3}, w.mutations()); diff != "" { // our statement names the accounts
			t.Errorf("mutating calls:\n%s", diff)
		}
		if m := result.Manifest(); m.Grants.LeftOver != 6 || m.Grants.Revoked != 0 {
			t.Errorf("grants in the manifest: %+v", m.Grants)
		}
		for _, says := range []string{
			"? 6 grants in ap-southeast-2, eu-west-1, us-east-1: not in the configuration; set grants.prune to revoke it",
			"also shared with " + awssim.MemberAccounts()[2] + ", " + awssim.OutsideAccount,
		} {
			if !strings.Contains(w.said(), says) {
				t.Errorf("the plan does not say %q:\n%s", says, w.said())
			}
		}
	})
}

// TestPrune checks that prune revokes our grants that are no longer configured
// and removes permissions that aren't configured. Foreign grants and everything
// that is configured stay. Another run changes nothing.
func TestPrune(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		_, after := leave(t, w)
		after.Share.Prune, after.Grants.Prune = true, true

		planned := after
		planned.PlanOnly = true
		before := w.state()
		w.mustPublish(t, planned)
		if diff := cmp.Diff(before, w.state()); diff != "" {
			t.Errorf("plan_only changed the world:\n%s", diff)
		}
		if !strings.Contains(w.said(), "- 6 grants in ap-southeast-2, eu-west-1, us-east-1: no longer in the configuration") {
			t.Errorf("the plan does not say what is revoked:\n%s", w.said())
		}

		result := w.mustPublish(t, after)
		want := map[string]int{"kms PutKeyPolicy": 3, "kms RevokeGrant": 2 * 3, "ec2 ModifyImageAttribute": 3, "ec2 ModifySnapshotAttribute": 6}
		if diff := cmp.Diff(want, w.mutations()); diff != "" {
			t.Errorf("mutating calls:\n%s", diff)
		}
		if m := result.Manifest(); m.Grants.Revoked != 6 || m.Grants.LeftOver != 0 || !m.Complete {
			t.Errorf("grants in the manifest: %+v", m.Grants)
		}
		state := w.state()
		stripGrant(t, &state, "ap-southeast-2") // the first Region's, by name
		w.checkGrants(t, state, after)
		m := result.Manifest()
		for _, image := range w.ourCopies() {
			w.checkImage(t, image, snapshotsOf(state, image), m, after)
		}
		w.sim.ResetJournal()
		w.mustPublish(t, after)
		if got := w.mutations(); len(got) > 0 {
			t.Errorf("another run changed: %v", got)
		}
	})
}

// TestPruneCrash checks that a run that dies while it prunes is finished by the next
// one.
func TestPruneCrash(t *testing.T) {
	var undisturbed []string
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		_, after := leave(t, w)
		after.Share.Prune, after.Grants.Prune = true, true
		w.mustPublish(t, after)
		undisturbed = withoutIDs(t, w.state())
	})
	for k := 1; k <= 18; k += 2 {
		for _, answered := range []bool{true, false} {
			inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
				_, after := leave(t, w)
				after.Share.Prune, after.Grants.Prune = true, true
				w.dieAt(k, func(call awssim.Entry) bool { return call.Mutating }, answered)
				_, err := w.publish(after)
				w.sim.ClearFaults()
				if k < 18 && err == nil {
					t.Errorf("the run did not notice that it died at call %d", k)
				}
				time.Sleep(time.Minute)
				w.mustPublish(t, after)
				if diff := cmp.Diff(undisturbed, withoutIDs(t, w.state())); diff != "" {
					t.Errorf("call %d, answered %v: the world differs from that of an undisturbed run:\n%s", k, answered, diff)
				}
			})
		}
	}
}

// TestPruneEveryGrant checks that with no account left, all our grants are revoked, and
// no other.
func TestPruneEveryGrant(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		spec := w.spec()
		w.mustPublish(t, spec)
		makeGrant(t, w)
		time.Sleep(time.Minute)
		spec.Grants.Accounts, spec.Grants.Prune = nil, true
		w.mustPublish(t, spec)
		left := 0
		for _, key := range w.state().Keys {
			for _, g := range key.Grants {
				left++
				if g.Name != "theirs" {
					t.Errorf("grant %s in %s is left", g.Name, key.Region)
				}
			}
		}
		if left != 1 {
			t.Errorf("%d grants are left, and one is not ours", left)
		}
	})
}
