package grant

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/internal/change"
	"github.com/orgami/packer-plugin-orgami/internal/progress"
)

func want() Desired {
	return Desired{
		Partition: "aws-us-gov", Owner: "111111111111", Accounts: []string{"333333333333", "222222222222", "333333333333"},
		Roles: DefaultRoles, Regions: []string{"us-gov-west-1", "us-gov-east-1"}, Via: Owner,
	}
}

func keyARN(region string) string { return "arn:aws-us-gov:kms:" + region + ":111111111111:key/mrk-1" }

func TestGrantsIsSortedAndWithoutDuplicates(t *testing.T) {
	var got []string
	for _, g := range want().Grants(keyARN) {
		_, role, _ := strings.Cut(g.Role, "::")
		got = append(got, g.Region+" "+role)
	}
	var expected []string
	for _, region := range []string{"us-gov-east-1", "us-gov-west-1"} {
		for _, account := range []string{"222222222222", "333333333333"} {
			for _, role := range DefaultRoles {
				expected = append(expected, region+" "+account+":role/"+role)
			}
		}
	}
	if diff := cmp.Diff(expected, got); diff != "" {
		t.Error(diff)
	}
}

func TestNames(t *testing.T) {
	valid := regexp.MustCompile(`^[a-zA-Z0-9:/_-]{1,256}$`) // KMS's own pattern
	names := map[string]string{}
	for _, role := range append([]string{
		"AWSServiceRoleForAutoScaling", "aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling_a.b",
		"aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling_a-b", strings.Repeat("x", 64),
	}, DefaultRoles...) {
		for _, account := range []string{"222222222222", "333333333333"} {
			name := Name(account, role)
			if !valid.MatchString(name) {
				t.Errorf("%q is no valid name", name)
			}
			if other, taken := names[name]; taken {
				t.Errorf("%q is the name for %s and for %s", name, role, other)
			}
			names[name] = role
			if name != Name(account, role) {
				t.Error("names are not repeatable")
			}
		}
	}
}

func TestCommandIsSafeInAShell(t *testing.T) {
	g := Grant{Region: "eu-west-1", Role: "arn:aws:iam::1:role/a b'$(reboot)", Name: "n", Operations: []string{"Decrypt"}}
	const expected = `aws kms create-grant --region eu-west-1 --key-id KEY_ARN --grantee-principal 'arn:aws:iam::1:role/a b'\''$(reboot)' --operations Decrypt --name n`
	if got := g.Command(); got != expected {
		t.Errorf("command is %s", got)
	}
}

func TestDiffFindsGrantsThatCover(t *testing.T) {
	w := want()
	w.Accounts, w.Regions, w.Roles = []string{"222222222222"}, []string{"us-gov-west-1"}, DefaultRoles[:1]
	role := w.Grants(keyARN)[0].Role
	for name, test := range map[string]struct {
		existing []existing
		id       string
	}{
		"none":                       {nil, ""},
		"all operations":             {[]existing{{id: "g1", operations: Operations}}, "g1"},
		"more operations":            {[]existing{{id: "g1", operations: append([]string{"RetireGrant"}, Operations...)}}, "g1"},
		"too few operations":         {[]existing{{id: "g1", operations: Operations[1:]}}, ""},
		"two that cover, repeatably": {[]existing{{id: "g2", operations: Operations}, {id: "g1", operations: Operations}}, "g1"},
	} {
		t.Run(name, func(t *testing.T) {
			state := Observed{byGrantee: map[string]map[string][]existing{"us-gov-west-1": {role: test.existing}}}
			plan := Diff(w, state, keyARN)
			if got := plan.Grants()[0]; got.GrantID != test.id || (got.Status == Exists) != (test.id != "") {
				t.Errorf("grant is %+v", got)
			}
			if got := change.Mutating(plan.Changes()); (got == 0) != (test.id != "") {
				t.Errorf("%d changes", got)
			}
		})
	}
}

func TestViaNoneChangesNothing(t *testing.T) {
	w := want()
	w.Via = None
	plan := Diff(w, Observed{}, keyARN)
	if n := change.Mutating(plan.Changes()); n != 0 {
		t.Errorf("%d changes", n)
	}
	result, err := plan.Apply(t.Context(), nil, nil, progress.Reporter{})
	if err != nil || len(result.Grants()) != 8 || result.Grants()[0].Status != Planned {
		t.Errorf("result is %+v, %v", result, err)
	}
}

func TestKeyPolicyNeeds(t *testing.T) {
	w := want()
	if roles, operations := w.KeyPolicyNeeds(); roles != nil || operations != nil {
		t.Errorf("the owner needs %v, %v", roles, operations)
	}
	w.Via = Member
	if roles, operations := w.KeyPolicyNeeds(); len(roles) != 2 || len(operations) != len(Operations) {
		t.Errorf("members need %v, %v", roles, operations)
	}
}
