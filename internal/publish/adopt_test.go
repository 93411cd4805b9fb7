package publish_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/internal/policy"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// theirs is an existing key policy with statements that aren't ours.
const theirs = `{"Version":"2012-10-17","Id":"key-default-1","Statement":[
	{"Sid":"Enable IAM User Permissions","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"kms:*","Resource":"*"},
	{"Sid":"Nobody deletes","Effect":"Deny","Principal":{"AWS":"*"},"Action":["kms:ScheduleKeyDeletion"],"Resource":"*"},
	{"Sid":"ShareAMIToAccounts","Effect":"Allow","Principal":{"AWS":"*"},"Action":"kms:Decrypt","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-anotherorg1"}}}]}`

// TestAdoptsAKey checks that an existing key is completed. Foreign statements
// stay, our statements are set, and the replicas, aliases and tags that it
// lacks in other Regions are created.
func TestAdoptsAKey(t *testing.T) {
	for name, byID := range map[string]bool{"by alias": false, "by id": true} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
				id := w.makeKey(t, "eu-west-1", true, theirs)
				time.Sleep(time.Minute)
				spec := w.spec()
				spec.Key.Tags = map[string]string{"owner": "images"}
				if byID {
					spec.Key.Alias, spec.Key.ID = "", id
				}
				w.sim.ResetJournal()
				result := w.mustPublish(t, spec)
				got := w.mutations()
				if got["kms CreateKey"] != 0 || got["kms ReplicateKey"] != 2 || got["kms PutKeyPolicy"] != 1 || got["kms TagResource"] != 1 {
					t.Errorf("mutating calls: %v", got)
				}
				m := result.Manifest()
				if m.Key.ID != id || m.Key.PrimaryRegion != "eu-west-1" || len(m.Key.Regions) != 3 {
					t.Errorf("key in the manifest: %s in %s, %d regions", m.Key.ID, m.Key.PrimaryRegion, len(m.Key.Regions))
				}
				for _, key := range w.state().Keys {
					checkAdopted(t, key)
					if hasAlias := slices.Equal(key.Aliases, []string{alias}); hasAlias == (byID && key.Region != "eu-west-1") {
						t.Errorf("aliases of %s: %v", key.ARN, key.Aliases)
					}
				}
				w.checkLaunches(t, result)
				w.sim.ResetJournal()
				w.mustPublish(t, spec)
				if got := w.mutations(); len(got) > 0 {
					t.Errorf("mutating calls of the second run: %v", got)
				}
			})
		})
	}
}

func checkAdopted(t *testing.T, key awssim.KeyState) {
	t.Helper()
	document, err := policy.Parse(key.Policy)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{policy.SidOwner, policy.SidOrganization}
	if key.Region == "eu-west-1" {
		want = []string{"Enable IAM User Permissions", "Nobody deletes", policy.SidOrganization}
	}
	if diff := cmp.Diff(want, document.Sids()); diff != "" {
		t.Errorf("statements in %s:\n%s", key.Region, diff)
	}
	if strings.Contains(key.Policy, "o-anotherorg1") || !strings.Contains(key.Policy, awssim.OrganizationID) || key.Tags["owner"] != "images" {
		t.Errorf("key in %s: tags %v, policy %s", key.Region, key.Tags, key.Policy)
	}
}

// TestDriftIsRepaired checks that a run restores what was removed in one Region, and
// changes nothing else.
func TestDriftIsRepaired(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		w.mustPublish(t, w.spec())
		want := withoutIDs(t, w.state())
		client := kms.NewFromConfig(w.config(awssim.PublishingAccount, "ap-southeast-2"))
		key := w.state().Keys[slices.IndexFunc(w.state().Keys, func(k awssim.KeyState) bool { return k.Region == "ap-southeast-2" })]
		document := `{"Version":"2012-10-17","Statement":[{"Sid":"` + policy.SidOwner + `","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"kms:*","Resource":"*"}]}`
		if _, err := client.PutKeyPolicy(t.Context(), &kms.PutKeyPolicyInput{KeyId: &key.ARN, Policy: &document}); err != nil {
			t.Fatal(err)
		}
		if _, err := client.DeleteAlias(t.Context(), &kms.DeleteAliasInput{AliasName: aws.String(alias)}); err != nil {
			t.Fatal(err)
		}
		if _, err := client.RevokeGrant(t.Context(), &kms.RevokeGrantInput{KeyId: &key.ARN, GrantId: &key.Grants[0].ID}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		w.sim.ResetJournal()
		w.mustPublish(t, w.spec())
		if diff := cmp.Diff(map[string]int{"kms PutKeyPolicy": 1, "kms CreateAlias": 1, "kms CreateGrant": 1}, w.mutations()); diff != "" {
			t.Errorf("mutating calls:\n%s", diff)
		}
		if diff := cmp.Diff(want, withoutIDs(t, w.state())); diff != "" {
			t.Errorf("the drift wasn't fixed:\n%s", diff)
		}
	})
}

// TestMissingRole checks that a service-linked role that does not exist is skipped, and
// granted by the next run, or is an error.
func TestMissingRole(t *testing.T) {
	without := func() awssim.WorldFile {
		file := defaultWorld()
		for i := range file.Accounts {
			if file.Accounts[i].ID == awssim.MemberAccounts()[0] {
				file.Accounts[i].ServiceLinkedRoles = awssim.DefaultServiceLinkedRoles()[1:]
			}
		}
		return file
	}
	t.Run("skip", func(t *testing.T) {
		inVirtualTime(t, without, func(t *testing.T, w *world) {
			counts := w.mustPublish(t, w.spec()).Manifest().Grants
			if counts.Created != 9 || counts.Skipped != 3 {
				t.Errorf("grants: %+v", counts)
			}
			_, err := iam.NewFromConfig(w.config(awssim.MemberAccounts()[0], "us-east-1")).CreateServiceLinkedRole(t.Context(),
				&iam.CreateServiceLinkedRoleInput{AWSServiceName: aws.String("autoscaling.amazonaws.com")})
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			counts = w.mustPublish(t, w.spec()).Manifest().Grants
			if counts.Created != 3 || counts.Exists != 9 || counts.Skipped != 0 {
				t.Errorf("grants of the next run: %+v", counts)
			}
		})
	})
	t.Run("fail", func(t *testing.T) {
		inVirtualTime(t, without, func(t *testing.T, w *world) {
			spec := w.spec()
			spec.Grants.MissingRole = "fail"
			_, err := w.publish(spec)
			if err == nil || !strings.Contains(err.Error(), "create-service-linked-role --aws-service-name ") || !strings.Contains(err.Error(), awssim.MemberAccounts()[0]) {
				t.Errorf("error is %v", err)
			}
			w.checkNothingVisible(t)
		})
	})
}

// TestGrantsToCreate checks that, without a role in the member accounts, their grants
// are listed for them to create.
func TestGrantsToCreate(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		spec := w.spec()
		spec.Grants.MemberRole = ""
		for _, run := range []string{"first", "second"} {
			result := w.mustPublish(t, spec)
			if counts := result.Manifest().Grants; counts.ToCreate != 12 || counts.Created != 0 {
				t.Errorf("grants of the %s run: %+v", run, counts)
			}
			for _, g := range result.Grants { // planned before the key exists
				if g.KeyARN == "" || g.KeyARN != result.Key.Regional[g.Region].ARN {
					t.Errorf("the %s run's grant for %s in %s is on the key %q", run, g.Role, g.Region, g.KeyARN)
				}
			}
		}
		if n := w.mutations()["kms CreateGrant"]; n != 0 {
			t.Errorf("%d grants were made", n)
		}
	})
}

// checkNothingVisible checks that a failed run shared nothing. If it failed after every
// Region's image was verified, visible images must be launchable.
func (w *world) checkNothingVisible(t *testing.T) {
	t.Helper()
	state := w.state()
	for _, image := range state.Images {
		if image.Name == "golden-shared" && len(image.LaunchPermissions) > 0 {
			if err := incomplete(state); err != nil {
				t.Errorf("image %s in %s is shared with %v: %v", image.ID, image.Region, image.LaunchPermissions, err)
			}
		}
	}
}

// TestDeletedPrincipal checks that KMS rejects a key policy that names a
// deleted role. The run reports it before it changes anything. If the policy
// needs no change, the deleted role doesn't matter.
func TestDeletedPrincipal(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		roles := iam.NewFromConfig(w.config(awssim.PublishingAccount, w.regions[0]))
		trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":"sts:AssumeRole"}]}`
		name := aws.String("Reader")
		role, err := roles.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: name, AssumeRolePolicyDocument: &trust})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		id := w.makeKey(t, "us-east-1", true, strings.Replace(theirs, `"arn:aws:iam::111111111111:root"`, `["arn:aws:iam::111111111111:root", "`+*role.Role.Arn+`"]`, 1))
		if _, err := roles.DeleteRole(t.Context(), &iam.DeleteRoleInput{RoleName: name}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		before := w.state()
		_, err = w.publish(w.spec())
		if err == nil || !strings.Contains(err.Error(), "AROA") || !strings.Contains(err.Error(), id) || !strings.Contains(err.Error(), "us-east-1") {
			t.Errorf("error is %v", err)
		}
		if diff := cmp.Diff(before, w.state()); diff != "" {
			t.Errorf("the world changed:\n%s", diff)
		}
	})
}
