package kmskey_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/internal/change"
	"github.com/orgami/packer-plugin-orgami/internal/kmskey"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// TestCreates checks that without a key, one is created with all that is configured,
// and another run changes nothing.
func TestCreates(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		plan, keys, err := w.complete(t, desired())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{
			"+ eu-west-1      key: replica of the primary in us-east-1",
			"+ us-east-1      key: multi-Region primary",
			"+ eu-west-1      alias alias/golden-ami",
			"+ us-east-1      alias alias/golden-ami",
			"~ us-east-1      key rotation: on, for the primary and all replicas",
		}, lines(plan)); diff != "" {
			t.Errorf("plan:\n%s", diff)
		}
		if plan.ID() != "" || plan.ARN(primary) != "" || keys.Primary() != primary || !slices.Equal(keys.Regions(), []string{replica, primary}) {
			t.Errorf("plan of key %q, keys %+v", plan.ID(), keys)
		}
		for _, key := range w.sim.Snapshot().Keys {
			if key.State != "Enabled" || !key.Rotation || key.PrimaryRegion != primary || key.Tags["team"] != "base" || !slices.Equal(key.Aliases, []string{alias}) {
				t.Errorf("key %+v", key)
			}
			if key.ARN != keys.ARN(key.Region) || !slices.Equal(keys.Policy(key.Region).Sids(), []string{policy.SidOwner, policy.SidOrganization}) {
				t.Errorf("%s is recorded as %s with %v", key.ARN, keys.ARN(key.Region), keys.Policy(key.Region).Sids())
			}
		}
		w.sim.ResetJournal()
		plan, _, err = w.complete(t, desired())
		if changed := w.operations(); err != nil || len(changed) > 0 || change.Mutating(plan.Changes()) > 0 || len(plan.Findings()) > 0 {
			t.Errorf("another run: %v, calls %v, plan %v", err, changed, lines(plan))
		}
	})
}

func lines(plan kmskey.Plan) []string {
	var all []string
	for _, c := range plan.Changes() {
		all = append(all, c.String())
	}
	return all
}

// TestAdopts checks that an existing key is completed: its replica, alias, tags, policy
// and rotation. What is not ours stays.
func TestAdopts(t *testing.T) {
	for name, byID := range map[string]bool{"by alias": false, "by ID": true} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				id := w.create(t, primary, multiRegion())
				time.Sleep(time.Minute)
				d := desired()
				if byID {
					d.Alias, d.ID = "", id
				}
				w.sim.ResetJournal()
				keys := w.mustComplete(t, d)
				if keys.ID() != id {
					t.Errorf("key %s, not %s", keys.ID(), id)
				}
				want := []string{"CreateAlias", "EnableKeyRotation", "PutKeyPolicy", "ReplicateKey", "TagResource"}
				if byID {
					want = want[1:]
				}
				if diff := cmp.Diff(want, w.operations()); diff != "" {
					t.Errorf("calls:\n%s", diff)
				}
				if sids := keys.Policy(primary).Sids(); !slices.Equal(sids, []string{"Enable IAM User Permissions", policy.SidOrganization}) {
					t.Errorf("statements %v", sids)
				}
			})
		})
	}
}

// TestReplicaOfAnotherRun checks that a replica that another run creates in the
// meantime is completed.
func TestReplicaOfAnotherRun(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		id := w.create(t, primary, multiRegion())
		time.Sleep(time.Minute)
		plan := w.plan(t, desired())
		if _, err := w.others(awssim.PublishingAccount, primary).ReplicateKey(t.Context(), &kms.ReplicateKeyInput{KeyId: &id, ReplicaRegion: aws.String(replica)}); err != nil {
			t.Fatal(err)
		}
		keys, err := plan.Apply(t.Context(), w.clients().KMS, quiet())
		if err != nil || !slices.Contains(keys.Policy(replica).Sids(), policy.SidOrganization) {
			t.Errorf("%v, statements %v", err, keys.Policy(replica).Sids())
		}
	})
}

func (w *world) plan(t *testing.T, d kmskey.Desired) kmskey.Plan {
	t.Helper()
	observed, err := read(t, w.clients().KMS, d)
	if err != nil {
		t.Fatal(err)
	}
	return kmskey.Diff(d, observed)
}

// TestLostCreateKey checks that no second key is created if CreateKey takes effect and
// its response is lost or empty.
func TestLostCreateKey(t *testing.T) {
	for name, disturb := range map[string]func(*world){
		"lost":  func(w *world) { w.sim.Inject(awssim.Fault{Operation: "CreateKey", Kind: awssim.ResetAfter}) },
		"{}":    func(w *world) { w.answerOnce("CreateKey", "{}") },
		"empty": func(w *world) { w.answerOnce("CreateKey", "") },
		"without ID": func(w *world) {
			w.answerOnce("CreateKey", `{"KeyMetadata":{"Arn":"arn:aws:kms:us-east-1:111111111111:key/x"}}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				disturb(w)
				keys := w.mustComplete(t, desired())
				if n := w.count("CreateKey"); n != 1 || len(w.sim.Snapshot().Keys) != 2 || keys.ID() == "" {
					t.Errorf("CreateKey was called %d times, keys %v", n, w.sim.Snapshot().Keys)
				}
			})
		})
	}
}

// answerOnce replaces the first response to the operation.
func (w *world) answerOnce(operation, body string) {
	var answered atomic.Bool
	w.alter = func(name, _ string, original []byte) []byte {
		if name != operation || answered.Swap(true) {
			return original
		}
		return []byte(body)
	}
}

// TestInterruptedRun checks that the next run uses the key of a run that died between
// CreateKey and CreateAlias, and the oldest of several such keys.
func TestInterruptedRun(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var oldest string
		for range 2 {
			answer, err := w.others(awssim.PublishingAccount, primary).CreateKey(t.Context(), tagged())
			if err != nil {
				t.Fatal(err)
			}
			if oldest == "" {
				oldest = *answer.KeyMetadata.KeyId
			}
			time.Sleep(time.Minute)
		}
		if keys := w.mustComplete(t, desired()); keys.ID() != oldest {
			t.Errorf("key %s, not %s", keys.ID(), oldest)
		}
	})
}

// TestAliasRace checks that of two runs that create the key at the same time, the one
// whose alias exists first continues. The other one reports the unused key, and uses
// the first one's key when it reads again.
func TestAliasRace(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		plan := w.plan(t, desired())
		first := w.create(t, primary, multiRegion())
		_, err := plan.Apply(t.Context(), w.clients().KMS, quiet())
		taken, ok := errors.AsType[*kmskey.AliasTakenError](err)
		if !ok || !taken.Orphaned || !taken.Superseded || taken.Other != first || taken.Key == first || taken.Region != primary {
			t.Fatalf("error is %v", err)
		}
		for _, says := range []string{alias, "another principal", "created but is unused", "schedule-key-deletion --region us-east-1 --key-id " + taken.Key} {
			if !strings.Contains(err.Error(), says) {
				t.Errorf("the error doesn't say %q: %v", says, err)
			}
		}
		time.Sleep(time.Minute)
		if keys := w.mustComplete(t, desired()); keys.ID() != first {
			t.Errorf("key %s, not %s", keys.ID(), first)
		}
	})
}

// TestPolicyOverwritten covers another client that reads the policy before the run sets
// it, and writes it afterwards, which removes our statement. The run sets it again.
func TestPolicyOverwritten(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		id := w.create(t, primary, multiRegion())
		time.Sleep(time.Minute)
		theirs := `{"Version":"2012-10-17","Statement":{"Sid":"Theirs","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"kms:*","Resource":"*"}}`
		var writes atomic.Int32
		w.sim.OnCall(func(call awssim.Entry) {
			if call.Operation == "PutKeyPolicy" && writes.Add(1) == 1 {
				time.Sleep(time.Second)
				if _, err := w.others(awssim.PublishingAccount, primary).PutKeyPolicy(t.Context(), &kms.PutKeyPolicyInput{KeyId: &id, Policy: &theirs}); err != nil {
					t.Error(err)
				}
			}
		})
		keys := w.mustComplete(t, desired())
		if sids := keys.Policy(primary).Sids(); !slices.Equal(sids, []string{"Theirs", policy.SidOrganization}) {
			t.Errorf("statements %v", sids)
		}
	})
}

// TestPolicySpoiledMeanwhile checks that a policy that someone writes between the plan
// and the update passes the same checks as the planned one.
func TestPolicySpoiledMeanwhile(t *testing.T) {
	for name, test := range map[string]struct{ statement, says string }{
		"open":           {`{"Sid":"Everybody","Effect":"Allow","Principal":"*","Action":"kms:Decrypt","Resource":"*"}`, "open to the world (Everybody)"},
		"without action": {unfinished, `statement "Half": Action`},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.create(t, primary, multiRegion())
				time.Sleep(time.Minute)
				plan := w.plan(t, desired())
				w.alter = func(operation, region string, body []byte) []byte {
					if operation != "GetKeyPolicy" || region != primary {
						return body
					}
					return fmt.Appendf(nil, `{"Policy":%q}`, document(test.statement))
				}
				w.sim.ResetJournal()
				_, err := plan.Apply(t.Context(), w.clients().KMS, quiet())
				if err == nil || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), primary) {
					t.Errorf("error is %v", err)
				}
				if n := w.count("PutKeyPolicy"); n != 0 {
					t.Errorf("the policy was written %d times", n)
				}
			})
		})
	}
}

func tagged() *kms.CreateKeyInput {
	return &kms.CreateKeyInput{MultiRegion: aws.Bool(true), Tags: tags(kmskey.TagAlias, alias)}
}
