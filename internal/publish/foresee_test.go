package publish_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
	"github.com/orgami/packer-plugin-orgami/internal/publish"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// shutsOut is an extra statement that denies members the key, as people write it to
// protect a key.
const shutsOut = `[{"Sid":"OnlyUs","Effect":"Deny","Principal":"*","Action":"kms:*","Resource":"*","Condition":{"StringNotEquals":{"aws:PrincipalAccount":"111111111111"}}}]`

// A key policy that denies members the key stops the publication before it writes
// anything. With "warn", it is reported, and the run continues although the members
// can't launch.
func TestExtraStatementShutsMembersOut(t *testing.T) {
	for _, test := range []struct {
		name          string
		check         publish.Check
		planOnly      bool
		told, written bool
	}{
		{name: "fail", check: publish.CheckFail, told: true},
		{name: "warn", check: publish.CheckWarn, told: true, written: true},
		{name: "off", check: publish.CheckOff, written: true},
		{name: "plan", check: publish.CheckFail, planOnly: true, told: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
				spec := w.spec()
				spec.Key.ExtraStatements = []byte(shutsOut)
				spec.Check, spec.PlanOnly = test.check, test.planOnly
				w.sim.ResetJournal()
				_, err := w.publish(spec)
				if (err == nil) != test.planOnly {
					t.Fatalf("the error is %v", err)
				}
				output := w.said()
				if test.check == publish.CheckFail && err != nil {
					output = err.Error()
				}
				if !test.told && strings.Contains(output, foreseen) {
					t.Errorf("it tells without having been asked:\n%s", output)
				}
				for _, part := range []string{foreseen, "21 of 21", "OnlyUs", "222222222222", "key.extra_statements_file"} {
					if test.told && !strings.Contains(output, part) {
						t.Errorf("it doesn't tell %q:\n%s", part, output)
					}
				}
				if changed := w.mutations(); len(changed) > 0 != test.written {
					t.Errorf("it changed %v", changed)
				}
			})
		})
	}
}

// letsMembersIn allows the key to all accounts, whether or not they are in the share
// block.
const letsMembersIn = `[{"Sid":"Members","Effect":"Allow","Principal":{"AWS":["arn:aws:iam::222222222222:root","arn:aws:iam::333333333333:root","arn:aws:iam::444444444444:root"]},"Action":["kms:Decrypt","kms:DescribeKey","kms:Encrypt","kms:ReEncrypt*","kms:GenerateDataKey*","kms:CreateGrant"],"Resource":"*"}]`

const foreseen = "once this plan is applied"

// Accounts that an image is shared with, although the configuration doesn't name them,
// launch it after a publication that keeps their permissions, and don't launch it after
// one that removes them.
func TestForeseenPermissions(t *testing.T) {
	member := awssim.MemberAccounts()[0]
	for name, test := range map[string]struct {
		prune, planOnly bool
		// unrelated adds a change that has nothing to do with the account.
		unrelated bool
		fails     bool
	}{
		"kept":                    {unrelated: true},
		"kept, plan only":         {unrelated: true, planOnly: true},
		"removed":                 {unrelated: true, prune: true, fails: true},
		"removed, plan only":      {unrelated: true, prune: true, planOnly: true, fails: true},
		"removed, nothing beside": {prune: true, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
				spec := w.spec()
				spec.Share = publish.ShareSpec{Accounts: awssim.MemberAccounts()[:2]}
				spec.Key.ExtraStatements = []byte(letsMembersIn)
				w.mustPublish(t, spec)
				// Now the configuration doesn't name the account, which keeps its grants.
				spec.Share.Accounts, spec.Share.Prune = awssim.MemberAccounts()[1:2], test.prune
				spec.PlanOnly = test.planOnly
				if test.unrelated {
					spec.Grants.Accounts = awssim.MemberAccounts()
					spec.Share.Accounts = awssim.MemberAccounts()[1:]
				}
				result, err := w.publish(spec)
				if planned := result.Checks.Planned; test.planOnly {
					c, _ := planned.Find(member, auditedRegion, "EC2 Auto Scaling")
					if fails := c.Outcome == evaluate.Fails; err != nil || fails != test.fails {
						t.Errorf("%v, planned: %s: %+v", err, c.Outcome, c.Links)
					}
				} else if (err != nil) != test.fails {
					t.Errorf("the publication ends with %v", err)
				}
				if output := w.said() + fmt.Sprint(err); strings.Contains(output, "not shared with the account "+member) != test.fails || strings.Contains(output, "put-key-policy") {
					t.Errorf("the output:\n%s", output)
				}
			})
		})
	}
}
