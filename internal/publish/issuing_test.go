package publish_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/grant"
	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
	"github.com/orgami/packer-plugin-orgami/internal/publish"
	"github.com/orgami/packer-plugin-orgami/internal/record/manifest"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// emitting leaves the grants of one account's Auto Scaling role to the account.
func (w *world) emitting() publish.Spec {
	spec := w.spec()
	spec.Grants.Accounts, spec.Grants.Roles, spec.Grants.MemberRole = awssim.MemberAccounts()[:1], grant.DefaultRoles[:1], ""
	return spec
}

// emitted are the grants in kms-grants.json, as a member's pipeline reads them.
func emitted(t *testing.T, o outcome) []manifest.Grant {
	t.Helper()
	directory := t.TempDir()
	if _, err := o.Write(directory); err != nil {
		t.Fatal(err)
	}
	var file struct {
		Grants []manifest.Grant `json:"grants"`
	}
	if err := json.Unmarshal([]byte(read(t, directory, manifest.GrantsFile)), &file); err != nil {
		t.Fatal(err)
	}
	return file.Grants
}

// create creates the grants with credentials of the account, or of each grant's
// account if it is "".
func (w *world) create(t *testing.T, account string, grants []manifest.Grant) {
	t.Helper()
	for _, g := range grants {
		by := g.Account
		if account != "" {
			by = account
		}
		if _, err := kms.NewFromConfig(w.config(by, g.Region)).CreateGrant(t.Context(), input(g)); err != nil {
			t.Fatalf("as %s: %v", by, err)
		}
	}
	time.Sleep(time.Minute)
}

func input(g manifest.Grant) *kms.CreateGrantInput {
	in := &kms.CreateGrantInput{KeyId: &g.KeyARN, GranteePrincipal: &g.Role, Name: &g.Name}
	for _, operation := range g.Operations {
		in.Operations = append(in.Operations, types.GrantOperation(operation))
	}
	return in
}

// TestEmittedGrants checks that without a member role the publication is complete and
// the launch checks are pending; a member's pipeline creates the grants from
// kms-grants.json, and the next audit passes. In between nothing is drift unless the
// roles are listed.
func TestEmittedGrants(t *testing.T) {
	for name, variant := range map[string]func(*publish.Spec){
		"open":     func(*publish.Spec) {},
		"hardened": func(s *publish.Spec) { s.Key.Policy = "hardened" },
		"accounts": func(s *publish.Spec) { s.Share.Organization, s.Share.Accounts = false, awssim.MemberAccounts() },
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
				spec := w.emitting()
				variant(&spec)
				spec.Parameter.Name = "/golden"
				result := w.mustPublish(t, spec)
				m := result.Manifest()
				if !m.Complete || m.Grants.ToCreate != 3 || m.LaunchChecks.Pending != 3 || m.LaunchChecks.Failed > 0 {
					t.Errorf("complete %v, grants %+v, checks %+v", m.Complete, m.Grants, m.LaunchChecks)
				}
				for _, says := range []string{"pending (grants not created yet)", "create-grants.sh", awssim.MemberAccounts()[0]} {
					if !strings.Contains(result.Summary(), says) {
						t.Errorf("the summary doesn't say %q:\n%s", says, result.Summary())
					}
				}
				audit := spec
				audit.PlanOnly, audit.FailOnDrift = true, true
				if _, err := w.publish(audit); err != nil {
					t.Errorf("grants of default roles are drift: %v", err)
				}
				audit.Grants.RolesListed = true
				if _, err := w.publish(audit); err == nil || !strings.Contains(err.Error(), "3 grants are missing") {
					t.Errorf("grants of listed roles are no drift: %v", err)
				}
				w.create(t, "", emitted(t, result))
				after, err := w.publish(audit)
				if err != nil || after.Manifest().LaunchChecks.Pending > 0 || after.Manifest().Grants.Exists != 3 {
					t.Errorf("after the member created its grants: %v, %+v", err, after.Manifest().LaunchChecks)
				}
				w.launchEverywhere(t, result)
				checkScript(t, result, w.mustPublish(t, spec))
			})
		})
	}
}

// checkScript writes the files of a publication with grants to create, and of a later
// one without. The later one removes the script.
func checkScript(t *testing.T, before, after outcome) {
	t.Helper()
	directory := t.TempDir()
	for _, step := range []struct {
		o      outcome
		exists bool
	}{{before, true}, {after, false}} {
		if _, err := step.o.Write(directory); err != nil {
			t.Fatal(err)
		}
		_, err := os.Stat(filepath.Join(directory, manifest.GrantsScript))
		if exists := err == nil; exists != step.exists {
			t.Errorf("%s exists: %v, want %v", manifest.GrantsScript, exists, step.exists)
		}
	}
}

// launchEverywhere launches in every Region as the first member's Auto Scaling role.
func (w *world) launchEverywhere(t *testing.T, result outcome) {
	t.Helper()
	for region, image := range result.Images() {
		if reason := w.launchServiceLinked(t, awssim.MemberAccounts()[0], "AWSServiceRoleForAutoScaling", region, image); reason != "" {
			t.Errorf("launch in %s: %s", region, reason)
		}
	}
}

// TestOwnersGrantsDontCount checks that grants that the owner created don't let a
// member's Auto Scaling group launch. The plan names them and the check is pending.
// With the member's own grants it launches, and pruning revokes the owner's afterwards.
func TestOwnersGrantsDontCount(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		spec := w.emitting()
		result := w.mustPublish(t, spec)
		w.create(t, awssim.PublishingAccount, emitted(t, result))
		w.lines = nil
		spec.Grants.Prune = true
		result = w.mustPublish(t, spec)
		if said := "created by account " + awssim.PublishingAccount + "; it doesn't let the role use the key"; !strings.Contains(w.said(), said) {
			t.Errorf("the plan doesn't say %q:\n%s", said, w.said())
		}
		if m := result.Manifest(); m.LaunchChecks.Pending != 3 || m.Grants.Exists != 0 || m.Grants.Revoked != 0 || m.Grants.LeftOver != 3 {
			t.Errorf("grants %+v, checks %+v", m.Grants, m.LaunchChecks)
		}
		w.create(t, "", emitted(t, result))
		result = w.mustPublish(t, spec)
		if m := result.Manifest(); m.LaunchChecks.Pending != 0 || m.Grants.Exists != 3 || m.Grants.Revoked != 3 || m.Grants.LeftOver != 0 {
			t.Errorf("grants %+v, checks %+v", m.Grants, m.LaunchChecks)
		}
		w.launchEverywhere(t, result)
		w.sim.ResetJournal()
		w.mustPublish(t, spec)
		if got := w.mutations(); len(got) > 0 {
			t.Errorf("another run changed: %v", got)
		}
	})
}

// TestAccountThatIsNoMember checks that a typo in grants.accounts is a problem of the
// plan if the organization's accounts can be listed.
func TestAccountThatIsNoMember(t *testing.T) {
	const typo = "222222222223"
	for name, test := range map[string]struct {
		world func() awssim.WorldFile
		share []string
		fails bool
	}{
		"accounts can be listed":   {delegated, nil, true},
		"they can't":               {defaultWorld, nil, false},
		"shared with by its ID":    {delegated, []string{typo}, false},
		"shared with another's ID": {delegated, []string{awssim.OutsideAccount}, true},
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, test.world, func(t *testing.T, w *world) {
				spec := w.emitting()
				spec.Grants.Accounts, spec.Share.Accounts, spec.PlanOnly = append(spec.Grants.Accounts, typo), test.share, true
				result := w.mustPublish(t, spec)
				found := slices.ContainsFunc(result.Problems, func(p string) bool { return strings.Contains(p, typo) && strings.Contains(p, "grants.accounts") })
				if found != test.fails {
					t.Errorf("problems: %v", result.Problems)
				}
			})
		})
	}
}

// TestGrantAccountsAreAdmitted checks that an account that the image isn't shared with
// by its ID can create its grants all the same, and only those of the block's roles if
// the key policy is hardened.
func TestGrantAccountsAreAdmitted(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		spec := w.emitting()
		spec.Share.Organization, spec.Share.Accounts = false, awssim.MemberAccounts()[1:2]
		spec.Key.Policy, spec.Check = policy.Hardened, publish.CheckOff
		grants := emitted(t, w.mustPublish(t, spec))
		w.create(t, "", grants)
		other := grants[0]
		other.Role = strings.Replace(other.Role, grant.DefaultRoles[0], grant.DefaultRoles[1], 1)
		other.Name = "other"
		for name, g := range map[string]manifest.Grant{"another role": other, "another account": grants[0]} {
			by := g.Account
			if name == "another account" {
				by = awssim.MemberAccounts()[2]
			}
			if _, err := kms.NewFromConfig(w.config(by, g.Region)).CreateGrant(t.Context(), input(g)); err == nil || !awsclient.IsAccessDenied(err) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// TestPendingIsDecidedByTheGrant checks that a launch that fails for another reason is
// not pending, although its grant is missing.
func TestPendingIsDecidedByTheGrant(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		spec := w.emitting()
		w.mustPublish(t, spec)
		withDenyIn(t, w, "eu-west-1")
		time.Sleep(time.Minute)
		spec.PlanOnly = true
		matrix := w.mustPublish(t, spec).Manifest().Launches
		for region, want := range map[string]evaluate.Outcome{"eu-west-1": evaluate.Fails, "us-east-1": evaluate.Pending} {
			found, ok := matrix.Find(awssim.MemberAccounts()[0], region, "EC2 Auto Scaling")
			if !ok || found.Outcome != want {
				t.Errorf("in %s: %+v", region, found)
			}
		}
	})
}
