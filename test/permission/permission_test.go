package permission

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/orgami/packer-plugin-orgami/test/golden"
)

func TestPageIsInDate(t *testing.T) {
	golden.Compare(t, filepath.Join("..", "..", "..", "docs", "permissions.md"), []byte(Page()))
}

func TestPolicyGolden(t *testing.T) {
	for _, partition := range []string{"aws", "aws-cn", "aws-us-gov"} {
		caller := Caller{Partition: partition, Account: "111111111111", MemberRole: "orgami-grants", DiscoveryRole: "arn:" + partition + ":iam::999999999999:role/orgami-accounts", CanaryRole: "arn:" + partition + ":iam::222222222222:role/orgami-canary"}
		document := Policy(caller, Of(Features()...))
		golden.Compare(t, partition+".golden.json", []byte(document.Indented()))
		for _, raw := range document.Statements {
			for _, other := range []string{"aws", "aws-cn", "aws-us-gov"} {
				if other != partition && strings.Contains(string(raw), `"arn:`+other+`:`) {
					t.Errorf("a statement for %s names %s: %s", partition, other, raw)
				}
			}
		}
	}
}

// TestTable checks that every feature has permissions and an option, that every
// permission has a reason and a statement, and that no action is a pattern.
func TestTable(t *testing.T) {
	sids := Policy(Caller{Partition: "aws", Account: "111111111111", MemberRole: "x", DiscoveryRole: "arn:aws:iam::999999999999:role/x", CanaryRole: "arn:aws:iam::222222222222:role/x"}, table).Sids()
	seen := map[Permission]bool{}
	for _, p := range table {
		if !slices.Contains(Features(), p.Feature) || p.Why == "" || strings.Contains(p.Action, "*") || strings.Count(p.Action, ":") != 1 {
			t.Errorf("permission %+v", p)
		}
		if !slices.Contains(sids, string(p.Scope)) {
			t.Errorf("%s of %s is in no statement", p.Action, p.Feature)
		}
		p.Why = ""
		if seen[p] {
			t.Errorf("%+v stands twice", p)
		}
		seen[p] = true
	}
	for _, feature := range Features() {
		if options[feature] == "" || len(Of(feature)) == 0 {
			t.Errorf("feature %s", feature)
		}
	}
}

// TestOfListsEachOnce checks that a permission of two features is listed once, and that
// a disabled feature requires none.
func TestOfListsEachOnce(t *testing.T) {
	count := func(action string, features ...Feature) (n int) {
		for _, p := range Of(features...) {
			if p.Action == action {
				n++
			}
		}
		return n
	}
	if n := count("kms:ListGrants", Grants, MemberGrants); n != 1 {
		t.Errorf("kms:ListGrants is listed %d times", n)
	}
	if n := count("kms:CreateKey", Base); n != 0 {
		t.Errorf("kms:CreateKey is needed without making keys")
	}
	if n := count("kms:CreateGrant", Base, OwnGrants); n != 2 {
		t.Errorf("kms:CreateGrant is listed %d times, not for EC2 and for the caller", n)
	}
}
