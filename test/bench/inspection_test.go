package bench

import (
	"encoding/json"
	"maps"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
	"github.com/orgami/packer-plugin-orgami/internal/publish"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// The goals of the inspection.
const (
	goalInspected = 1.05 // the publication over its bound, which has no inspection
	goalAudit     = time.Minute
)

// inspectedWorldOf is the cell's world, in which the member roles may read everything,
// and Karpenter's role has its policy.
func inspectedWorldOf(c Cell) awssim.WorldFile {
	file := worldOf(c)
	policies := map[string]json.RawMessage{
		awssim.GrantRole:    json.RawMessage(policy.MemberPolicy("aws").String()),
		awssim.LauncherRole: json.RawMessage(policy.Karpenter("aws", "arn:aws:kms:*:"+awssim.PublishingAccount+":key/*").String()),
	}
	for i := range file.Accounts {
		var roles []awssim.RoleFile
		for _, role := range file.Accounts[i].Roles {
			with := map[string]json.RawMessage{"more": policies[role.Name]}
			maps.Copy(with, role.Policies)
			role.Policies = with
			roles = append(roles, role)
		}
		file.Accounts[i].Roles = roles
	}
	return file
}

// TestInspection publishes with every account inspected, which the copies hide, and
// then audits what is published.
func TestInspection(t *testing.T) {
	cell := Cell{5, 40, 8 * time.Minute}
	if os.Getenv(Variable) != "" {
		cell.Regions, cell.Accounts = 17, 1_000
	}
	result := Inspection{Cell: cell}
	synctest.Test(t, func(t *testing.T) {
		world, err := awssim.New(inspectedWorldOf(cell), cell.Timing())
		if err != nil {
			t.Fatal(err)
		}
		counted := count(world)
		clients := awsclient.New(configOf(world))
		run := func(spec publish.Spec) (publish.Outcome, time.Duration) {
			start := time.Now()
			outcome, err := publish.Runner{Clients: clients, Reporter: silent, Lock: unlocked}.Run(t.Context(), spec)
			if err != nil {
				t.Fatal(err)
			}
			return outcome, time.Since(start)
		}
		var outcome publish.Outcome
		outcome, result.Makespan = run(specOf(cell))
		if n := outcome.Checks.Inspected; n != cell.Accounts || len(outcome.Checks.Unread) > 0 {
			t.Errorf("%d accounts were inspected; not read: %v", n, outcome.Checks.Unread)
		}
		time.Sleep(time.Minute) // later
		counted.take(nil)
		audit := specOf(cell)
		audit.PlanOnly, audit.FailOnDrift = true, true
		_, result.Audit = run(audit)
		result.Calls = counted.take(nil)
	})
	recordLine(t, Line{Inspection: &result})
	bound := BoundOf(cell, 1).Total()
	t.Logf("publication %v, bound %v; audit %v with %d calls", result.Makespan, bound, result.Audit, result.Calls.Total)
	if float64(result.Makespan) > goalInspected*float64(bound) {
		t.Errorf("the publication takes %v, and without the inspection at least %v", result.Makespan, bound)
	}
	if result.Audit > goalAudit {
		t.Errorf("the audit takes %v", result.Audit)
	}
	want := InspectionCalls(cell, 1)
	got := map[string]int{}
	for kind, n := range result.Calls.ByKind {
		if want[kind] > 0 {
			got[kind] = n
		}
	}
	want["organizations DescribeOrganization"]++ // the publisher's own
	if n := result.Calls.ByKind["ec2 DescribeImages"]; n < cell.Accounts*cell.Regions {
		t.Errorf("%d accounts see %d images in %d Regions", cell.Accounts, n, cell.Regions)
	}
	want["ec2 DescribeRegions"]++
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("calls of the inspection: %s", diff)
	}
}
