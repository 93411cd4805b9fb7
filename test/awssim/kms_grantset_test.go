package awssim

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestGrantSetIsAList compares the set with the list that it stands for, after
// each of many random changes and at every moment.
func TestGrantSetIsAList(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	ids := func(grants []*kmsGrant) []string {
		var list []string
		for _, g := range grants {
			list = append(list, g.id)
		}
		return list
	}
	for _, revocations := range []int{0, 3} { // without any, and 3 of 10 changes
		var set grantSet
		var list []*kmsGrant
		now := start
		for i := range 300 {
			now = now.Add(time.Duration(random.IntN(3)) * time.Second)
			if len(list) > 0 && random.IntN(10) < revocations {
				set.revoke(list[random.IntN(len(list))].id, now)
			} else {
				g := &kmsGrant{id: fmt.Sprint(i), name: fmt.Sprint("name", i%7), grantee: fmt.Sprint("role", i%5), created: now}
				list = append(list, g)
				set.add(g)
			}
			at := now.Add(-time.Duration(random.IntN(5)) * time.Second)
			if diff := cmp.Diff(ids(activeOf(list, at)), ids(set.active(at))); diff != "" {
				t.Fatalf("active %v before now: %s", now.Sub(at), diff)
			}
			if want := len(activeOf(list, now)); set.holding() != want {
				t.Fatalf("%d grants hold, %d expected", set.holding(), want)
			}
		}
		if (set.revoked > 0) != (revocations > 0) {
			t.Errorf("%d grants were revoked", set.revoked)
		}
	}
}
