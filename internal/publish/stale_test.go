package publish_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// TestEveryOtherReadIsStale checks that a run takes longer and does the same if half of
// the endpoints are always behind. This also holds if keys become visible before their
// policies and aliases.
func TestEveryOtherReadIsStale(t *testing.T) {
	for name, test := range map[string]struct {
		prepare func(*testing.T, *world)
		fresh   string // operation
	}{
		"a new key":                    {func(*testing.T, *world) {}, ""},
		"a new key that shows early":   {func(*testing.T, *world) {}, "DescribeKey"},
		"a publication that drifted":   {drift, ""},
		"a drift of keys, shown early": {drift, "DescribeKey"},
	} {
		t.Run(name, func(t *testing.T) {
			u := undisturbedRun(t, test.prepare)
			inMatrix(t, func(t *testing.T, w *world) {
				test.prepare(t, w)
				reads := map[string]int{}
				w.sim.Interpose(func(call awssim.Entry) *awssim.Fault {
					if what := call.Operation + call.Region; !call.Mutating && call.Operation != test.fresh {
						if reads[what]++; reads[what]%2 == 1 {
							return &awssim.Fault{Kind: awssim.Stale, Behind: staleness}
						}
					}
					return nil
				})
				w.mustPublish(t, w.matrixSpec())
				w.sim.ClearFaults()
				u.compare(t, w.state())
			})
		})
	}
}

// TestKeyPolicyOverwritten covers another client that reads the key policy before the
// run sets it, and writes it afterwards, which removes our statement. The run sets the
// statement again and keeps the other change.
func TestKeyPolicyOverwritten(t *testing.T) {
	inMatrix(t, func(t *testing.T, w *world) {
		drift(t, w)
		var policies atomic.Int32
		w.sim.OnCall(func(call awssim.Entry) {
			if call.Operation != "PutKeyPolicy" || call.Region != "eu-west-1" || policies.Add(1) != 1 {
				return
			}
			addStatement(t, w)
			takeOurStatement(t, w)
		})
		result := w.mustPublish(t, w.matrixSpec())
		w.sim.OnCall(nil)
		state := w.state()
		stripStatement(t, &state, "eu-west-1")
		for _, key := range state.Keys {
			if key.Region == "eu-west-1" && !strings.Contains(key.Policy, awssim.OrganizationID) {
				t.Errorf("the policy in eu-west-1 is %s", key.Policy)
			}
		}
		if reason := w.launchServiceLinked(t, awssim.MemberAccounts()[0], "AWSServiceRoleForAutoScaling", "eu-west-1", result.Images()["eu-west-1"]); reason != "" {
			t.Error(reason)
		}
	})
}

// TestKeyPolicyKeptOverwritten checks that if someone keeps removing our statement, the
// run fails and reports it.
func TestKeyPolicyKeptOverwritten(t *testing.T) {
	inMatrix(t, func(t *testing.T, w *world) {
		drift(t, w)
		start := time.Now()
		w.sim.OnCall(func(call awssim.Entry) {
			if call.Operation == "PutKeyPolicy" && strings.Contains(call.Body, awssim.OrganizationID) {
				takeOurStatement(t, w)
			}
		})
		_, err := w.publish(w.matrixSpec())
		w.sim.OnCall(nil)
		if err == nil || !strings.Contains(err.Error(), "Another principal is changing the policy") || !strings.Contains(err.Error(), "us-east-1") {
			t.Errorf("error is %v", err)
		}
		if took := time.Since(start); took > 15*time.Minute {
			t.Errorf("it took %v", took)
		}
	})
}

// TestKeyPolicyOpenedMeanwhile checks that the run doesn't publish with a key
// that someone makes public while the run completes it.
func TestKeyPolicyOpenedMeanwhile(t *testing.T) {
	inMatrix(t, func(t *testing.T, w *world) {
		drift(t, w)
		before := w.visible()
		var policies atomic.Int32
		w.sim.OnCall(func(call awssim.Entry) {
			if call.Operation != "PutKeyPolicy" || policies.Add(1) != 1 {
				return
			}
			w.editPolicies(t, func(statements []any) []any {
				return append(statements, map[string]any{"Sid": "Everybody", "Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"})
			})
		})
		_, err := w.publish(w.matrixSpec())
		w.sim.OnCall(nil)
		if err == nil || !strings.Contains(err.Error(), "open to the world") || !strings.Contains(err.Error(), "Everybody") {
			t.Errorf("error is %v", err)
		}
		if after := w.visible(); len(after) != len(before) {
			t.Errorf("visible are %v, before %v", after, before)
		}
	})
}
