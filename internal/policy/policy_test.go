package policy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/orgami/packer-plugin-orgami/test/golden"
)

func openPolicy() KeyPolicy {
	return KeyPolicy{Partition: "aws", Owner: "111111111111", Variant: Open, OrganizationID: "o-exampleorgid"}
}

func mustMerge(t *testing.T, k KeyPolicy, existing *Document, extra string) Document {
	t.Helper()
	merged, err := k.Merge(existing, []byte(extra))
	if err != nil {
		t.Fatal(err)
	}
	return merged
}

func mustParse(t *testing.T, document string) Document {
	t.Helper()
	parsed, err := Parse(document)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestKeyPolicyGolden(t *testing.T) {
	hardened := openPolicy()
	hardened.Variant = Hardened
	full := hardened
	full.Administrators = []string{"arn:aws:iam::111111111111:role/key-admin"}
	full.OrganizationPaths = OrganizationPaths([]string{"arn:aws:organizations::999999999999:ou/o-exampleorgid/ou-ab12-11111111"})
	full.Accounts = []string{"333333333333", "222222222222", "222222222222"}
	full.GrantRoles = []string{"aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"}
	full.GrantOperations = []string{"Encrypt", "Decrypt"}
	china := hardened
	china.Partition = "aws-cn"
	govCloud := openPolicy()
	govCloud.Partition = "aws-us-gov"
	for name, k := range map[string]KeyPolicy{
		"key-policy-open": openPolicy(), "key-policy-hardened": hardened, "key-policy-hardened-full": full,
		"key-policy-hardened-aws-cn": china, "key-policy-open-aws-us-gov": govCloud,
	} {
		t.Run(name, func(t *testing.T) {
			document := mustMerge(t, k, nil, "")
			golden.Compare(t, name+".golden.json", []byte(document.Indented()))
			if open := document.PublicStatements(); len(open) > 0 {
				t.Errorf("open to the world: %v", open)
			}
			if again := mustMerge(t, k, &document, ""); again.String() != document.String() {
				t.Errorf("merging twice changes the policy to %s", again)
			}
		})
	}
}

func TestKarpenterGolden(t *testing.T) {
	for _, partition := range []string{"aws", "aws-cn", "aws-us-gov"} {
		arn := WildcardKeyARN(partition, "111111111111", "mrk-1234abcd12ab34cd56ef1234567890ab")
		golden.Compare(t, "karpenter-"+partition+".golden.json", []byte(Karpenter(partition, arn).Indented()))
	}
}

const defaultKeyPolicy = `{"Version":"2012-10-17","Id":"key-default-1","Statement":[{"Sid":"Enable IAM User Permissions","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"kms:*","Resource":"*"}]}`

func TestMergeKeepsForeignStatementsAsTheyAre(t *testing.T) {
	foreign := `{"Effect" : "Deny",  "NotPrincipal": {"AWS": ["arn:aws:iam::111111111111:root"]}, "Action": ["kms:ScheduleKeyDeletion"], "Resource": "*"}`
	existing := mustParse(t, `{"Version":"2012-10-17","Statement":[`+foreign+`,{"Sid":"ShareAMIToAccounts","Effect":"Allow","Principal":{"AWS":"*"},"Action":"kms:Decrypt","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-olderorgid1"}}}]}`)
	merged := mustMerge(t, openPolicy(), &existing, "")
	if string(merged.Statements[0]) != foreign {
		t.Errorf("the foreign statement became %s", merged.Statements[0])
	}
	if got := strings.Join(merged.Sids(), ","); got != ",ShareAMIToAccounts,EnableOwnerAccountAdministration" {
		t.Errorf("statements are %s", got)
	}
	if !strings.Contains(string(merged.Statements[1]), "o-exampleorgid") {
		t.Errorf("our statement was not set: %s", merged.Statements[1])
	}
}

func TestMergeAddsTheOwnerOnlyWhereNobodyAdministers(t *testing.T) {
	existing := mustParse(t, defaultKeyPolicy)
	merged := mustMerge(t, openPolicy(), &existing, "")
	if got := strings.Join(merged.Sids(), ","); got != "Enable IAM User Permissions,ShareAMIToAccounts" {
		t.Errorf("statements are %s", got)
	}
	conditional := mustParse(t, strings.Replace(defaultKeyPolicy, `"Resource":"*"`, `"Resource":"*","Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}}`, 1))
	merged = mustMerge(t, openPolicy(), &conditional, "")
	if got := strings.Join(merged.Sids(), ","); !strings.Contains(got, SidOwner) {
		t.Errorf("administration under a condition was taken for administration: %s", got)
	}
}

// TestMergeKeepsTheOwnerWhereItsStatementIsReplaced checks that a statement with one of
// our Sids doesn't count as the owner's, because it is about to be replaced.
func TestMergeKeepsTheOwnerWhereItsStatementIsReplaced(t *testing.T) {
	existing := mustParse(t, strings.Replace(defaultKeyPolicy, "Enable IAM User Permissions", SidOrganization, 1))
	merged := mustMerge(t, openPolicy(), &existing, "")
	if !merged.administeredBy("111111111111") {
		t.Errorf("nobody administers %s", merged)
	}
}

func TestMergeRefusesAPolicyThatKMSCannotStore(t *testing.T) {
	k := openPolicy()
	for i := range 1_000 {
		k.Accounts = append(k.Accounts, fmt.Sprintf("%012d", i))
	}
	if _, err := k.Merge(nil, nil); err == nil || !strings.Contains(err.Error(), "32768") {
		t.Errorf("error is %v", err)
	}
}

func TestLeftovers(t *testing.T) {
	before := openPolicy()
	before.Administrators = []string{"arn:aws:iam::111111111111:role/x"}
	document := mustMerge(t, before, nil, `[{"Sid":"Theirs","Effect":"Deny","Principal":"*","Action":"kms:Delete*","Resource":"*"}]`)
	after := openPolicy()
	if got := strings.Join(after.Leftovers(document), ","); got != SidAdministrators {
		t.Errorf("leftovers are %q", got)
	}
}

func TestEqualByMeaning(t *testing.T) {
	base := `{"Version":"2012-10-17","Statement":{"Sid":"A","Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":["kms:Decrypt","kms:Encrypt"],"Resource":"*","Condition":{"Bool":{"kms:GrantIsForAWSResource":true}}}}`
	for name, test := range map[string]struct {
		other string
		equal bool
	}{
		"list, order, case, root ARN, text for bool": {`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Sid":"A","Resource":["*"],"Action":["kms:encrypt","KMS:Decrypt"],"Principal":{"AWS":["arn:aws:iam::111111111111:root"]},"Condition":{"Bool":{"KMS:GrantIsForAWSResource":["true"]}}}]}`, true},
		"another action":     {strings.Replace(base, "kms:Encrypt", "kms:ReEncrypt*", 1), false},
		"another account":    {strings.Replace(base, "111111111111", "222222222222", 1), false},
		"deny":               {strings.Replace(base, "Allow", "Deny", 1), false},
		"another condition":  {strings.Replace(base, "true", "false", 1), false},
		"another operator":   {strings.Replace(base, `"Bool"`, `"BoolIfExists"`, 1), false},
		"no version":         {strings.Replace(base, `"Version":"2012-10-17",`, "", 1), false},
		"another resource":   {strings.Replace(base, `"Resource":"*"`, `"Resource":"arn:aws:kms:*:*:key/*"`, 1), false},
		"another value case": {strings.Replace(base, "111111111111", "arn:aws:iam::111111111111:role/A", 1), false},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := mustParse(t, base), mustParse(t, test.other)
			if Equal(a, b) != test.equal || Equal(b, a) != test.equal || (a.Digest() == b.Digest()) != test.equal {
				t.Errorf("equal is not %v", test.equal)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for name, test := range map[string]struct{ document, says string }{
		"Resources":        {`{"Statement":{"Sid":"A","Effect":"Allow","Principal":"*","Action":"kms:*","Resources":["*"]}}`, `Did you mean "Resource"?`},
		"unknown element":  {`{"Statement":[],"Statements":[]}`, `"Statements" is not an element of a policy document. Did you mean "Statement"?`},
		"no effect":        {`{"Statement":{"Principal":"*","Action":"kms:*","Resource":"*"}}`, "Effect"},
		"named principal":  {`{"Statement":{"Effect":"Allow","Principal":"me","Action":"kms:*","Resource":"*"}}`, `Principal: expected "*" or an object like {"AWS": "me"}`},
		"text behind":      {`{"Statement":[]} {}`, "line 1, column 18: this is not valid JSON: the JSON is complete before this place"},
		"no statement":     {`{"Version":"2012-10-17"}`, "no \"Statement\""},
		"not JSON":         {`Version: 2012-10-17`, "line 1, column 1: this is not valid JSON: expected a JSON value"},
		"empty":            {``, "not valid JSON"},
		"action an object": {`{"Statement":{"Effect":"Allow","Principal":"*","Action":{},"Resource":"*"}}`, "statement 1: Action: expected a string or a list of strings, not an object"},
		"a later line":     {"{\n\"Statement\":[{\"Effect\":\"Allow\"},\n{\"Sid\":\"A\",\"Condition\":{\n\"StringEquals\":[]}}]}", `line 4: Statement: statement "A": Condition: StringEquals: expected a JSON object, not a list`},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse(test.document); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error is %v", err)
			}
		})
	}
}

func TestParseStatements(t *testing.T) {
	good := `{"Sid":"AllowAudit","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222222222222:role/audit"},"Action":"kms:DescribeKey","Resource":"*"}`
	for name, input := range map[string]string{
		"object": good, "list": "[" + good + "]", "document": `{"Version":"2012-10-17","Statement":[` + good + `]}`,
	} {
		got, err := ParseStatements([]byte(" " + input + "\n"))
		if err != nil || string(got) != "["+good+"]" {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	for name, test := range map[string]struct {
		input string
		says  []string
	}{
		"all at once": {
			`[{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"},{"Sid":"ShareAMIToAccounts","Effect":"Deny","Action":"kms:*","Resource":"*"}]`,
			[]string{"line 1, statement 1: Sid: a Sid is required", "statement 1: Principal: this would open the key to the world", `statement "ShareAMIToAccounts": Sid: this plugin sets`, `statement "ShareAMIToAccounts": Principal: KMS requires this element`},
		},
		"twice":   {"[" + good + "," + good + "]", []string{"unique"}},
		"nothing": {"[]", []string{"no statement"}},
		"garbage": {"{{", []string{"line 1, column 2: this is not valid JSON"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseStatements([]byte(test.input))
			for _, want := range test.says {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error does not say %q: %v", want, err)
				}
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add(defaultKeyPolicy)
	f.Add(`{"Statement":{"Effect":"Allow","NotPrincipal":{"AWS":["a"]},"NotAction":"x","NotResource":["*"],"Condition":{"Null":{"a":[true,1,"x"]}}}}`)
	f.Fuzz(func(t *testing.T, text string) {
		document, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(document.String())
		if err != nil {
			t.Fatalf("cannot read its own output %s: %v", document, err)
		}
		if !Equal(document, again) {
			t.Fatalf("%s\nis not equal to\n%s", document, again)
		}
		merged, err := openPolicy().Merge(&document, nil)
		if err != nil {
			return // too large
		}
		if !json.Valid([]byte(merged.String())) {
			t.Fatalf("merged into %s", merged)
		}
		if len(merged.Statements) < len(document.Statements) {
			t.Fatal("a statement was lost")
		}
		if !merged.administeredBy("111111111111") && !merged.hasOwnerStatement() {
			t.Fatalf("nobody administers %s", merged)
		}
	})
}

func (d Document) hasOwnerStatement() bool {
	return slices.Contains(d.Sids(), SidOwner)
}

// TestMergeKeepsConfinedOwner checks that an owner that was confined on purpose stays
// so, if that is asked for; a new key's owner always has access.
func TestMergeKeepsConfinedOwner(t *testing.T) {
	confined, err := Parse(`{"Version":"2012-10-17","Statement":[{"Sid":"Admin","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:role/admin"},"Action":"kms:*","Resource":"*"}]}`)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		keep     bool
		existing *Document
		owner    bool
	}{{false, &confined, true}, {true, &confined, false}, {true, nil, true}} {
		k := KeyPolicy{Partition: "aws", Owner: "111111111111", Variant: Open, OrganizationID: "o-exampleorgid", KeepOwnerAccess: test.keep}
		merged, err := k.Merge(test.existing, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.Contains(merged.Sids(), SidOwner); got != test.owner {
			t.Errorf("keep %v, existing %v: the owner's statement is there: %v", test.keep, test.existing != nil, got)
		}
	}
}

// TestCanary checks that without Auto Scaling, the role can do nothing with it, and in
// any case it removes only what is tagged.
func TestCanary(t *testing.T) {
	const key = "arn:aws:kms:*:111111111111:key/mrk-1"
	with, without := Canary("aws", key, true).String(), Canary("aws", key, false).String()
	for _, action := range []string{"autoscaling:", "LaunchTemplate\""} {
		if !strings.Contains(with, action) || strings.Contains(strings.ReplaceAll(without, "DescribeLaunchTemplates", ""), action) {
			t.Errorf("%s: with Auto Scaling\n%s\nand without\n%s", action, with, without)
		}
	}
	for _, raw := range Canary("aws", key, true).Statements {
		text := string(raw)
		for _, action := range []string{"Terminate", "Delete", "Revoke"} {
			if strings.Contains(text, ":"+action) && !strings.Contains(text, "aws:ResourceTag/orgami:canary") {
				t.Errorf("any resource can be removed: %s", text)
			}
		}
	}
}
