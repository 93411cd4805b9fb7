package publish_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/internal/publish"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
	"github.com/orgami/packer-plugin-orgami/test/permission"
)

// delegated is a world whose publisher may list the organization's accounts.
func delegated() awssim.WorldFile {
	file := withPublisher()
	file.Organization.DelegatedAdministrators = []string{awssim.PublishingAccount}
	return file
}

// accountsRole lists the organization's accounts, in the management account.
const accountsRole = "arn:aws:iam::" + awssim.ManagementAccount + ":role/orgami-accounts"

// withAccountsRole is a world with that role. The role has the documented
// policy and trusts the publisher, who can't list accounts.
func withAccountsRole() awssim.WorldFile {
	file := withPublisher()
	listing, err := json.Marshal(permission.Policy(permission.Caller{}, permission.Of(permission.Discovery)))
	if err != nil {
		panic(err) // the policy is a constant
	}
	for i := range file.Accounts {
		if file.Accounts[i].ID == awssim.ManagementAccount {
			file.Accounts[i].Roles = append(file.Accounts[i].Roles, awssim.RoleFile{
				Name:     "orgami-accounts",
				Trust:    json.RawMessage(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + awssim.PublishingAccount + `:root"},"Action":"sts:AssumeRole"}]}`),
				Policies: map[string]json.RawMessage{"list": listing},
			})
		}
	}
	return file
}

// discovering is a spec with the grants of all accounts of a unit but one.
func (w *world) discovering() publish.Spec {
	spec := w.spec()
	spec.Grants.Accounts = nil
	spec.Grants.Discover, spec.Grants.OrganizationalUnits, spec.Grants.Exclude = true, []string{awssim.WorkloadsUnit}, awssim.MemberAccounts()[2:]
	return spec
}

// TestDiscover checks that the accounts of a unit have grants, and launch; a second run
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

// TestDiscoverAndPrune checks that an account that is no longer discovered
// loses its grants.
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

// TestDiscoverDenied checks that a caller without permission to list accounts
// gets an error before anything is changed. Nothing is pruned.
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

// TestDiscoveryPermissions checks that each action of the documented permissions is
// needed, two of them for units, one for the whole organization.
func TestDiscoveryPermissions(t *testing.T) {
	features := []permission.Feature{permission.Base, permission.Organization, permission.KeyCreation, permission.Rotation, permission.Grants, permission.MemberGrants}
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

// TestDiscoverNobody checks that prune is rejected if no account is discovered,
// because it would revoke every grant. The likely cause is a mistake in the
// configuration, or an organization that was dissolved. Without prune, no grant
// can be lost.
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

// TestDiscoverByRole checks that a role in the management account lists the
// accounts, and that the run uses the role for nothing else. A publisher that
// can't assume the role gets an error before anything is changed.
func TestDiscoverByRole(t *testing.T) {
	inVirtualTime(t, withAccountsRole, func(t *testing.T, w *world) {
		spec := w.discovering()
		spec.Grants.DiscoverRoleARN = accountsRole
		allowed := permission.Of(permission.Base, permission.Organization, permission.KeyCreation, permission.Rotation, permission.Grants, permission.MemberGrants)
		w.allow(t, allowed)
		before := w.state()
		_, err := w.publishAsRole(t, spec)
		if err == nil || !strings.Contains(err.Error(), "sts:AssumeRole") || !strings.Contains(err.Error(), accountsRole) {
			t.Errorf("error is %v", err)
		}
		if diff := cmp.Diff(before, w.state()); diff != "" {
			t.Errorf("the world changed:\n%s", diff)
		}

		w.allow(t, append(allowed, permission.Of(permission.DiscoveryByRole)...))
		w.sim.ResetJournal()
		for run := range 2 {
			if _, err := w.publishAsRole(t, spec); err != nil {
				t.Fatalf("run %d: %v", run+1, err)
			}
		}
		for _, call := range w.sim.Journal() {
			if lists := strings.HasPrefix(call.Operation, "List") && call.Service == "organizations"; lists != (call.Account == awssim.ManagementAccount) {
				t.Errorf("%s %s was called in account %s", call.Service, call.Operation, call.Account)
			}
		}
		expected := spec
		expected.Grants.Accounts = awssim.MemberAccounts()[:2]
		w.checkGrants(t, w.state(), expected)
	})
}
