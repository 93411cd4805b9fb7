package grant

import (
	"fmt"
	"testing"
)

// BenchmarkDiff compares 1,000 accounts × 3 roles × 17 Regions with as many
// grants that exist: a second run over a large organization.
func BenchmarkDiff(b *testing.B) {
	w := Desired{Partition: "aws", Owner: "111111111111", Roles: DefaultRoles, MemberRole: "GrantMaker"}
	for i := range 1_000 {
		w.Accounts = append(w.Accounts, fmt.Sprintf("%012d", i))
	}
	for i := range 17 {
		w.Regions = append(w.Regions, fmt.Sprintf("eu-west-%d", i))
	}
	state := Observed{byGrantee: map[string]map[string][]existing{}}
	for i, g := range w.Grants(keyARN) {
		if state.byGrantee[g.Region] == nil {
			state.byGrantee[g.Region] = map[string][]existing{}
		}
		state.byGrantee[g.Region][g.Role] = []existing{{id: fmt.Sprint(i), issuer: g.Account, operations: Operations}}
	}
	b.ReportAllocs()
	for b.Loop() {
		if plan := Diff(w, state, keyARN); plan.Grants()[0].Status != Exists {
			b.Fatal("a grant was not found")
		}
	}
}
