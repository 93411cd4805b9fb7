package publish_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/internal/awssim"
	"github.com/orgami/packer-plugin-orgami/internal/permission"
	"github.com/orgami/packer-plugin-orgami/internal/publish"
)

// delegated is a world whose publisher may list the organisation's accounts.
func delegated() awssim.WorldFile {
	file := withPublisher()
	file.Organization.DelegatedAdministrators = []string{awssim.PublishingAccount}
	return file
}

// discovering is a spec with the grants of all accounts of a unit but one.
func (w *world) discovering() publish.Spec {
	spec := w.spec()
	spec.Grants.Accounts = nil
	spec.Grants.Discover, spec.Grants.OrganizationalUnits, spec.Grants.Exclude = true, []string{awssim.WorkloadsUnit}, awssim.MemberAccounts()[2:]
	return spec
}

// TestDiscover: the accounts of a unit have grants, and launch; a second run
// changes nothing. With listed accounts both count, each once.
func TestDiscover(t *testing.T) {
	inVirtualTime(t, delegated, func(t *testing.T, w *world) {
		spec := w.discovering()
		result := w.mustPublish(t, spec)
		expected := spec
		expected.Grants.Accounts = awssim.MemberAccounts()[:2]
		w.check(t, result, expected)
		w.checkLaunches(t, result)
		w.sim.ResetJournal()
		w.mustPublish(t, spec)
		if got := w.mutations(); len(got) > 0 {
			t.Errorf("mutating calls of the second run: %v", got)
		}
		spec.Grants.Accounts = awssim.MemberAccounts()[1:]
		w.mustPublish(t, spec)
		expected.Grants.Accounts = awssim.MemberAccounts()
		w.checkGrants(t, w.state(), expected)
	})
}

// TestDiscoverAndPrune: an account that is not discovered any more loses its
// grants.
func TestDiscoverAndPrune(t *testing.T) {
	inVirtualTime(t, delegated, func(t *testing.T, w *world) {
		spec := w.discovering()
		spec.Grants.Exclude, spec.Grants.Prune = nil, true
		w.mustPublish(t, spec)
		spec.Grants.Exclude = awssim.MemberAccounts()[:1]
		w.mustPublish(t, spec)
		expected := spec
		expected.Grants.Accounts = awssim.MemberAccounts()[1:]
		w.checkGrants(t, w.state(), expected)
	})
}

// TestDiscoverDenied: a caller who may not list accounts learns it before
// anything is changed, and prunes nothing.
func TestDiscoverDenied(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		w.mustPublish(t, w.spec())
		before := w.state()
		spec := w.discovering()
		spec.Grants.Prune = true
		_, err := w.publish(spec)
		if err == nil {
			t.Fatal("a member discovers accounts")
		}
		for _, says := range []string{awssim.PublishingAccount, "delegated administrator", "grants.accounts_file"} {
			if !strings.Contains(err.Error(), says) {
				t.Errorf("the error does not say %q: %v", says, err)
			}
		}
		if diff := cmp.Diff(before, w.state()); diff != "" {
			t.Errorf("the world changed:\n%s", diff)
		}
	})
}

// TestDiscoveryPermissions: each action of the documented permissions is needed,
// two of them for units, one for the whole organisation.
func TestDiscoveryPermissions(t *testing.T) {
	features := []permission.Feature{permission.Base, permission.Organization, permission.KeyCreation, permission.Rotation, permission.GrantsByOwner}
	for _, missing := range append(permission.Of(permission.Discovery), permission.Permission{}) {
		t.Run("without "+missing.Action, func(t *testing.T) {
			inVirtualTime(t, delegated, func(t *testing.T, w *world) {
				spec := w.discovering()
				if missing.Action == "organizations:ListAccounts" {
					spec.Grants.OrganizationalUnits = nil
				}
				allowed := permission.Of(features...)
				for _, p := range permission.Of(permission.Discovery) {
					if p.Action != missing.Action {
						allowed = append(allowed, p)
					}
				}
				w.allow(t, allowed)
				time.Sleep(time.Minute)
				_, err := w.publishAsRole(t, spec)
				if (err == nil) != (missing.Action == "") || err != nil && !strings.Contains(err.Error(), missing.Action) {
					t.Errorf("error is %v", err)
				}
			})
		})
	}
}

// TestDiscoverNobody: where nobody is discovered, prune would revoke every grant.
// That is a mistake in the configuration, or an organisation that was taken
// apart, and refused; without prune there is nothing to lose.
func TestDiscoverNobody(t *testing.T) {
	inVirtualTime(t, delegated, func(t *testing.T, w *world) {
		spec := w.discovering()
		spec.Grants.Prune = true
		w.mustPublish(t, spec)
		before := w.state()
		spec.Grants.Exclude = awssim.MemberAccounts()
		for _, listed := range [][]string{nil, awssim.MemberAccounts()[:1]} {
			spec.Grants.Accounts = listed
			_, err := w.publish(spec)
			if err == nil || !strings.Contains(err.Error(), "no active account") || !strings.Contains(err.Error(), "grants.exclude") {
				t.Errorf("with %v listed, error is %v", listed, err)
			}
		}
		spec.Grants.Prune, spec.Grants.Accounts = false, nil
		if m := w.mustPublish(t, spec).Manifest(); m.Grants.LeftOver != 2*2*3 {
			t.Errorf("grants in the manifest: %+v", m.Grants)
		}
		if diff := cmp.Diff(before, w.state()); diff != "" {
			t.Errorf("the world changed:\n%s", diff)
		}
	})
}
