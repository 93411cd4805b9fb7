package grant

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/internal/change"
	"github.com/orgami/packer-plugin-orgami/internal/progress"
)

func want() Desired {
	return Desired{
		Partition: "aws-us-gov", Owner: "111111111111", Accounts: []string{"333333333333", "222222222222", "333333333333"},
		Roles: DefaultRoles, Regions: []string{"us-gov-west-1", "us-gov-east-1"}, MemberRole: "GrantMaker",
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
	const member = "222222222222"
	w.Accounts, w.Regions, w.Roles = []string{member}, []string{"us-gov-west-1"}, DefaultRoles[:1]
	role := w.Grants(keyARN)[0].Role
	for name, test := range map[string]struct {
		existing []existing
		id       string
	}{
		"none":                       {nil, ""},
		"all operations":             {[]existing{{id: "g1", issuer: member, operations: Operations}}, "g1"},
		"more operations":            {[]existing{{id: "g1", issuer: member, operations: append([]string{"RetireGrant"}, Operations...)}}, "g1"},
		"too few operations":         {[]existing{{id: "g1", issuer: member, operations: Operations[1:]}}, ""},
		"two that cover, repeatably": {[]existing{{id: "g2", issuer: member, operations: Operations}, {id: "g1", issuer: member, operations: Operations}}, "g1"},
		"the owner's":                {[]existing{{id: "g1", issuer: "111111111111", operations: Operations}}, ""},
		"an unknown account's":       {[]existing{{id: "g1", operations: Operations}}, ""},
		"the owner's and its own":    {[]existing{{id: "g1", issuer: "111111111111", operations: Operations}, {id: "g2", issuer: member, operations: Operations}}, "g2"},
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

// TestGrantsThatCantCount checks that the plan names a grant of another account with
// its issuing account, and that the grant that replaces it has another name. Ours is
// revoked only once it is replaced.
func TestGrantsThatCantCount(t *testing.T) {
	w := want()
	w.Accounts, w.Regions, w.Roles = []string{"222222222222"}, []string{"us-gov-west-1"}, DefaultRoles[:1]
	role, name := w.Grants(keyARN)[0].Role, w.Grants(keyARN)[0].Name
	observe := func(grants ...existing) Observed {
		return Observed{byGrantee: map[string]map[string][]existing{"us-gov-west-1": {role: grants}}}
	}
	owners := existing{id: "g1", name: name, issuer: "111111111111", operations: Operations}
	members := existing{id: "g2", name: replacedName(name), issuer: "222222222222", operations: Operations}
	for label, test := range map[string]struct {
		grants     []existing
		memberRole string
		prune      bool
		name       string
		action     change.Action
		says       string
	}{
		"reported":           {[]existing{owners}, "GrantMaker", false, replacedName(name), change.Unmanaged, "Set grants.prune"},
		"pruned afterwards":  {[]existing{owners}, "GrantMaker", true, replacedName(name), change.Delete, "once the grant of the role's account is listed"},
		"not replaced yet":   {[]existing{owners}, "", true, replacedName(name), change.Unmanaged, "A later run revokes it"},
		"replaced":           {[]existing{owners, members}, "", true, replacedName(name), change.Delete, "is listed"},
		"somebody else's":    {[]existing{{id: "g1", issuer: "111111111111", operations: Operations}}, "GrantMaker", true, name, change.Unmanaged, "created by account 111111111111; it doesn't let the role use the key"},
		"of unknown account": {[]existing{{id: "g1", name: name, operations: Operations}}, "GrantMaker", true, replacedName(name), change.Unmanaged, "KMS didn't return which account"},
	} {
		t.Run(label, func(t *testing.T) {
			w.MemberRole, w.Prune = test.memberRole, test.prune
			plan := Diff(w, observe(test.grants...), keyARN)
			if got := plan.Grants()[0].Name; got != test.name {
				t.Errorf("the name is %s", got)
			}
			i := slices.IndexFunc(plan.Changes(), func(c change.Change) bool { return c.Action == test.action })
			if i < 0 || !strings.Contains(plan.Changes()[i].Detail, test.says) {
				t.Errorf("want %s, %q: %+v", test.action, test.says, plan.Changes())
			}
		})
	}
}

// TestToCreate checks that, without a member role, grants of other accounts aren't
// changes, and grants of the owner's roles are created.
func TestToCreate(t *testing.T) {
	w := want()
	w.MemberRole, w.Accounts = "", []string{"222222222222", w.Owner}
	plan := Diff(w, Observed{}, keyARN)
	if n := change.Mutating(plan.Changes()); n != len(DefaultRoles)*2 {
		t.Errorf("%d changes", n)
	}
	for _, g := range plan.Grants() {
		if want := map[string]Status{w.Owner: Planned, "222222222222": ToCreate}[g.Account]; g.Status != want {
			t.Errorf("a grant of %s is %s", g.Account, g.Status)
		}
	}
	w.Accounts = w.Accounts[:1]
	result, err := Diff(w, Observed{}, keyARN).Apply(t.Context(), nil, nil, progress.Reporter{})
	if err != nil || len(result.Grants()) != len(DefaultRoles)*2 || result.Grants()[0].Status != ToCreate {
		t.Errorf("applied: %+v, %v", result, err)
	}
}

// TestExpected checks that missing grants of listed roles count, and those of default
// roles don't.
func TestExpected(t *testing.T) {
	w := want()
	if n := Diff(w, Observed{}, keyARN).Expected(); n != 0 {
		t.Errorf("%d grants of default roles are expected", n)
	}
	w.RolesListed = true
	if n := Diff(w, Observed{}, keyARN).Expected(); n != 2*2*len(DefaultRoles) {
		t.Errorf("%d grants of listed roles are expected", n)
	}
}

// TestKeyPolicyNeeds checks that the key policy lets accounts create grants in both
// modes, and has no statement for the owner's own.
func TestKeyPolicyNeeds(t *testing.T) {
	w := want()
	for _, role := range []string{"", "GrantMaker"} {
		w.MemberRole = role
		if roles, operations := w.KeyPolicyNeeds(); len(roles) != len(DefaultRoles) || len(operations) != len(Operations) {
			t.Errorf("members need %v, %v", roles, operations)
		}
	}
	w.Accounts = []string{w.Owner}
	if roles, operations := w.KeyPolicyNeeds(); roles != nil || operations != nil {
		t.Errorf("the owner needs %v, %v", roles, operations)
	}
}

// TestIssuer checks that the issuer is read from the ARN of the account's root
// principal, as KMS returns it.
func TestIssuer(t *testing.T) {
	for returned, want := range map[string]string{
		"arn:aws:iam::222222222222:root": "222222222222", "arn:aws-cn:iam::222222222222:root": "222222222222",
		"222222222222": "222222222222", "": "", "22222222222": "", "arn:aws:iam::root": "", "arn:aws:iam::x:root": "",
	} {
		if got := issuer(returned); got != want {
			t.Errorf("issuer of %q is %q", returned, got)
		}
	}
}

// TestFailures checks that the error names every account that failed, and each kind of
// failure once.
func TestFailures(t *testing.T) {
	var failures []failure
	for _, account := range []string{"333333333333", "222222222222"} {
		for _, region := range []string{"us-east-1", "eu-west-1"} {
			failures = append(failures, failure{account, region, errors.New("granting in " + region + " to " + account + ": denied")})
		}
	}
	failures = append(failures, failure{"444444444444", "", errors.New("no role")})
	const want = "granting in eu-west-1 to 222222222222: denied\n" +
		"  This failed in 2 accounts: 222222222222, 333333333333; Regions: eu-west-1, us-east-1\n" +
		"no role"
	if got := joinFailures(failures).Error(); got != want {
		t.Error(got)
	}
	if err := joinFailures(nil); err != nil {
		t.Error(err)
	}
}
