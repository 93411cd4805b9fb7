package publish_test

import (
	"strings"
	"testing"

	"github.com/orgami/packer-plugin-orgami/internal/publish"
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

const foreseen = "with the planned key policies"
