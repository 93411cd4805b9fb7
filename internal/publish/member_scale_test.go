package publish_test

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/orgami/packer-plugin-orgami/internal/publish"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// manyMembers are accounts in addition to the default world's, each with the
// role that creates grants.
func manyMembers(n int) (awssim.WorldFile, []string) {
	file := defaultWorld()
	like := file.Accounts[slices.IndexFunc(file.Accounts, func(a awssim.AccountFile) bool { return a.ID == awssim.MemberAccounts()[0] })]
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("70%010d", i)
		account := like
		account.ID, account.Name = ids[i], ids[i]
		file.Accounts = append(file.Accounts, account)
	}
	return file, ids
}

func viaMembers(w *world, ids []string) publish.Spec {
	spec := w.spec()
	spec.Grants.Accounts = ids
	return spec
}

// 200 accounts get their own grants in 3 Regions, with one session for each
// account and within STS's quota.
func TestManyMembers(t *testing.T) {
	file, ids := manyMembers(200)
	inVirtualTime(t, func() awssim.WorldFile { return file }, func(t *testing.T, w *world) {
		var sessions, throttled atomic.Int32
		w.sim.OnCall(func(e awssim.Entry) {
			if e.Operation == "AssumeRole" && e.Error == "" {
				sessions.Add(1)
			}
			if e.Error == "Throttling" || e.Error == "ThrottlingException" {
				throttled.Add(1)
			}
		})
		w.mustPublish(t, viaMembers(w, ids))
		if n := sessions.Load(); int(n) != len(ids) {
			t.Errorf("%d sessions for %d accounts", n, len(ids))
		}
		if n := throttled.Load(); n > 0 {
			t.Errorf("%d calls were throttled", n)
		}
		for _, key := range w.state().Keys {
			if slices.Contains(key.Aliases, alias) && len(key.Grants) != 2*len(ids) {
				t.Errorf("%d grants on %s", len(key.Grants), key.ARN)
			}
		}
	})
}

// The error names the command that enables an opt-in Region in a member account, and the
// next run finishes. Fact: NET-4.
func TestMemberWithoutTheRegion(t *testing.T) {
	const optIn = "af-south-1"
	member := awssim.MemberAccounts()[0]
	file := defaultWorld()
	for i := range file.Accounts {
		if a := &file.Accounts[i]; a.ID != member {
			a.EnabledRegions = []string{optIn}
		}
	}
	inVirtualTime(t, func() awssim.WorldFile { return file }, func(t *testing.T, w *world) {
		spec := w.spec()
		spec.Regions = append(spec.Regions, optIn)
		_, err := w.publish(spec)
		if err == nil || !strings.Contains(err.Error(), member) || !strings.Contains(err.Error(), "'aws account enable-region --region-name af-south-1'") {
			t.Errorf("the publication ends with %v", err)
		}
		w.checkNothingVisible(t)
		if err := w.sim.EnableRegion(member, optIn); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		w.mustPublish(t, spec)
	})
}

// Member roles that can't be assumed stop the run before it writes anything. The error
// names all accounts, once for each kind of failure.
func TestMembersThatFail(t *testing.T) {
	file, ids := manyMembers(60)
	const failing = 40 // more than an error lists
	for i, account := range file.Accounts {
		if slices.Contains(ids[:failing], account.ID) {
			file.Accounts[i].Roles = nil
		}
	}
	inVirtualTime(t, func() awssim.WorldFile { return file }, func(t *testing.T, w *world) {
		w.sim.ResetJournal()
		_, err := w.publish(viaMembers(w, ids))
		if err == nil {
			t.Fatal("published although grants are missing")
		}
		if changed := w.mutations(); len(changed) > 0 {
			t.Errorf("it changed %v", changed)
		}
		for _, part := range []string{ids[0], awssim.GrantRole, "AccessDenied", "trust policy", "40 accounts", ids[39]} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("the error does not tell %q:\n%v", part, err)
			}
		}
		if lines := strings.Count(err.Error(), "\n") + 1; lines > 40 {
			t.Errorf("the error has %d lines", lines)
		}
		w.checkNothingVisible(t)
	})
}
