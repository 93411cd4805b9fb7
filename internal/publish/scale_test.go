package publish_test

import (
	"testing"
	"time"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// TestAThousandAccounts checks that grants for a large organization stay within
// KMS's quotas and take no longer than the copies, which run in parallel. A
// second run reads the grants page by page and changes nothing.
func TestAThousandAccounts(t *testing.T) {
	file, accounts := manyMembers(1_000)
	inVirtualTime(t, func() awssim.WorldFile { return file }, func(t *testing.T, w *world) {
		spec := w.spec()
		spec.Grants.Accounts = accounts
		start := time.Now()
		w.mustPublish(t, spec)
		if took := time.Since(start); took > timing.CopyTime+time.Minute {
			t.Errorf("the publication took %v, its copies %v", took, timing.CopyTime)
		}
		grants, throttled := 0, 0
		for _, call := range w.sim.Journal() {
			if call.Operation == "CreateGrant" {
				grants++
				if call.Error != "" {
					throttled++
				}
			}
		}
		if made := w.mutations()["kms CreateGrant"]; made != 6_000 || throttled*100 > grants {
			t.Errorf("%d grants made by %d calls, %d of them throttled", made, grants, throttled)
		}
		w.sim.ResetJournal()
		w.mustPublish(t, spec)
		if got := w.mutations(); len(got) > 0 {
			t.Errorf("mutating calls of the second run: %v", got)
		}
		// 3 × 2,000 grants in pages of 100, to plan and to check, and what any
		// second run reads.
		reads, inspected := 0, 0
		for _, call := range w.sim.Journal() {
			if call.Account == awssim.PublishingAccount && call.Operation != "AssumeRole" {
				reads++
			} else {
				inspected++
			}
		}
		if reads > 2*60+70 {
			t.Errorf("the second run made %d calls", reads)
		}
		// One session, three reads for the account, and two for each Region.
		if inspected > len(accounts)*(1+3+2*3) {
			t.Errorf("the inspection made %d calls", inspected)
		}
	})
}
