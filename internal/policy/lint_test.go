package policy

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kms" //nolint:depguard // only to compare a table with its operations
)

var someTarget = Target{Partition: "aws", Region: "eu-west-1", KeyARN: "arn:aws:kms:eu-west-1:111111111111:key/mrk-1"}

// TestLintNamesWhatCannotWork has a statement for each rule, changed in one
// target, and the same statement without a mistake.
func TestLintNamesWhatCannotWork(t *testing.T) {
	const good = `{"Sid":"Use","Effect":"Allow","Principal":{"AWS":"*"},"Action":["kms:Decrypt","kms:ReEncrypt*"],"Resource":"*","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-exampleorgid"}}}`
	const action, condition, resource = `"kms:Decrypt","kms:ReEncrypt*"`, `{"StringEquals":{"aws:PrincipalOrgID":"o-exampleorgid"}}`, `"Resource":"*"`
	china := Target{"aws-cn", "cn-north-1", "arn:aws-cn:kms:cn-north-1:111111111111:key/mrk-1"}
	for name, test := range map[string]struct {
		old, with string
		target    Target
		want      string // "" for no finding
	}{
		"nothing":                             {"", "", someTarget, ""},
		"ReEncrypt":                           {`"kms:ReEncrypt*"`, `"kms:ReEncrypt"`, someTarget, `statement "Use": kms:ReEncrypt is not an action of KMS; write kms:ReEncryptFrom and kms:ReEncryptTo, or kms:ReEncrypt*`},
		"a misspelt action":                   {"kms:Decrypt", "kms:Decript", someTarget, "kms:Decript is not an action of KMS; write kms:Decrypt"},
		"an action in another case":           {"kms:Decrypt", "KMS:decrypt", someTarget, ""},
		"a wildcard for nothing":              {"kms:Decrypt", "kms:GenerateDataKeys*", someTarget, "kms:GenerateDataKeys* matches no action of KMS; write kms:GenerateDataKey"},
		"all actions":                         {"kms:Decrypt", "kms:*", someTarget, ""},
		"another service's action":            {"kms:Decrypt", "ec2:RunInstances", someTarget, "ec2:RunInstances is an action of another service"},
		"no service":                          {"kms:Decrypt", "Decrypt", someTarget, "Decrypt has no service prefix; write kms:Decrypt"},
		"another key":                         {resource, `"Resource":"arn:aws:kms:eu-west-1:111111111111:key/mrk-2"`, someTarget, "arn:aws:kms:eu-west-1:111111111111:key/mrk-2 is not the key"},
		"another region's key":                {resource, `"Resource":"arn:aws:kms:us-east-1:111111111111:key/mrk-1"`, someTarget, "is not the key"},
		"this key":                            {resource, `"Resource":"arn:aws:kms:*:111111111111:key/mrk-1"`, someTarget, ""},
		"an alias":                            {resource, `"Resource":"alias/golden"`, Target{}, `the resource alias/golden is not the key that has this policy; write "Resource": "*"`},
		"a key that is not known":             {resource, `"Resource":"arn:aws:kms:eu-west-1:111111111111:key/mrk-1"`, Target{}, ""},
		"another partition":                   {`{"AWS":"*"}`, `{"AWS":"arn:aws:iam::222222222222:role/x"}`, china, "the principal arn:aws:iam::222222222222:role/x is in the partition aws, but the key is in aws-cn; write arn:aws-cn:"},
		"an unknown partition":                {`{"AWS":"*"}`, `{"AWS":"arn:aws:iam::222222222222:role/x"}`, Target{}, ""},
		"a wildcard in a principal":           {`{"AWS":"*"}`, `{"AWS":"arn:aws:iam::*:role/x"}`, someTarget, "has a wildcard, which KMS doesn't support there"},
		"no operator":                         {`StringEquals`, `StringEqual`, someTarget, "StringEqual is not a condition operator; write StringEquals"},
		"no set operator":                     {condition, `{"ForAnyValues:StringLikesIfExists":{"aws:PrincipalOrgPaths":"x"}}`, someTarget, "ForAnyValues:StringLikesIfExists is not a condition operator; write ForAnyValue:StringLikeIfExists"},
		"a partition without a known service": {condition, `{"StringEquals":{"kms:ViaService":"ec2.us-iso-east-1.c2s.ic.gov"}}`, Target{"aws-iso", "us-iso-east-1", ""}, ""},
		"operators with more":                 {condition, `{"ForAnyValue:StringLikeIfExists":{"aws:PrincipalOrgPaths":"x"},"Null":{"aws:PrincipalOrgID":"false"}}`, someTarget, ""},
		"a misspelt condition key":            {condition, `{"StringLike":{"kms:ViaServices":"ec2.*.amazonaws.com"}}`, someTarget, "kms:ViaServices is not a condition key of KMS; write kms:ViaService"},
		"a condition key of tomorrow":         {condition, `{"StringLike":{"kms:GranteeServicePrincipal":"x"}}`, someTarget, ""},
		"SourceOrgID":                         {"aws:PrincipalOrgID", "aws:SourceOrgID", someTarget, "EC2 doesn't send aws:SourceOrgID when it uses the key for a launch, so the statement never applies; write aws:PrincipalOrgID"},
		"SourceArn, if there":                 {condition, `{"ArnLikeIfExists":{"aws:SourceArn":"x"}}`, someTarget, ""},
		"SourceAccount of a service":          {`{"AWS":"*"},"Action":["kms:Decrypt","kms:ReEncrypt*"],"Resource":"*","Condition":` + condition, `{"Service":"sns.amazonaws.com"},"Action":"kms:Decrypt","Resource":"*","Condition":{"StringEquals":{"aws:SourceAccount":"111111111111"}}`, someTarget, ""},
		"a key of EC2's actions":              {"aws:PrincipalOrgID", "ec2:Owner", someTarget, "no request to KMS has ec2:Owner"},
		"where an instance's role is":         {condition, `{"ArnLike":{"ec2:SourceInstanceARN":"arn:aws:ec2:*"}}`, someTarget, ""},
		"GrantIsForAWSResource":               {condition, `{"Bool":{"kms:GrantIsForAWSResource":true}}`, someTarget, "kms:Decrypt never has kms:GrantIsForAWSResource"},
		"GrantIsForAWSResource alone":         {action + `],"Resource":"*","Condition":` + condition, `"kms:CreateGrant","kms:*Grant*"],"Resource":"*","Condition":{"Bool":{"kms:GrantIsForAWSResource":true}}`, someTarget, ""},
		"China's EC2":                         {condition, `{"StringLike":{"kms:ViaService":"ec2.*.amazonaws.com.cn"}}`, china, "EC2's value in this Region is ec2.cn-north-1.amazonaws.com; write StringLike ec2.*.amazonaws.com"},
		"EC2 of another region":               {condition, `{"StringEquals":{"kms:ViaService":["ec2.us-east-1.amazonaws.com","ec2.us-west-2.amazonaws.com"]}}`, someTarget, "EC2's value in this Region is ec2.eu-west-1.amazonaws.com"},
		"EC2 of several regions":              {condition, `{"StringEquals":{"kms:ViaService":["ec2.us-east-1.amazonaws.com","ec2.eu-west-1.amazonaws.com"]}}`, someTarget, ""},
		"a wildcard that is none":             {condition, `{"StringEquals":{"kms:ViaService":"ec2.*.amazonaws.com"}}`, someTarget, "write StringLike ec2.*.amazonaws.com"},
		"another service":                     {condition, `{"StringEquals":{"kms:ViaService":"rds.us-east-1.amazonaws.com"}}`, someTarget, ""},
		"not an organization ID":              {`"o-exampleorgid"`, `"arn:aws:organizations::111111111111:organization/o-exampleorgid"`, someTarget, "which is not an organization ID; write only the ID"},
		"not this organization":               {`StringEquals`, `StringNotEquals`, someTarget, ""},
		"paths as one value":                  {condition, `{"StringLike":{"aws:PrincipalOrgPaths":"o-exampleorgid/*"}}`, someTarget, "the operator supports one; write ForAnyValue:StringLike"},
		"a path without its end":              {condition, `{"ForAnyValue:StringEquals":{"aws:PrincipalOrgPaths":"o-exampleorgid/r-ab12/ou-ab12-11111111"}}`, someTarget, "paths must end with a slash"},
		"a good path":                         {condition, `{"ForAnyValue:StringLike":{"aws:PrincipalOrgPaths":"o-exampleorgid/*/ou-ab12-11111111/*"}}`, someTarget, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(good, test.old) {
				t.Fatalf("%s is not in the statement", test.old)
			}
			document := mustParse(t, `{"Version":"2012-10-17","Statement":`+strings.Replace(good, test.old, test.with, 1)+`}`)
			findings := Lint(document, test.target)
			if test.want == "" {
				if len(findings) > 0 {
					t.Errorf("findings: %v", findings)
				}
				return
			}
			if !slices.ContainsFunc(findings, func(f Finding) bool { return strings.Contains(f.String(), test.want) }) {
				t.Errorf("findings are %v, not %s", findings, test.want)
			}
		})
	}
}

// TestLintOfGoodPolicies checks that policies of this plugin and of AWS have no
// findings.
func TestLintOfGoodPolicies(t *testing.T) {
	goldens, err := filepath.Glob("testdata/key-policy-*.golden.json")
	if err != nil || len(goldens) < 5 {
		t.Fatalf("golden files: %v, %v", goldens, err)
	}
	for _, golden := range goldens {
		text, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		target := someTarget
		switch {
		case strings.Contains(golden, "aws-cn"):
			target = Target{"aws-cn", "cn-north-1", ""}
		case strings.Contains(golden, "us-gov"):
			target = Target{"aws-us-gov", "us-gov-west-1", ""}
		}
		if findings := Lint(mustParse(t, string(text)), target); len(findings) > 0 {
			t.Errorf("%s: %v", golden, findings)
		}
	}
	if findings := Lint(mustParse(t, defaultKeyPolicy), someTarget); len(findings) > 0 {
		t.Errorf("AWS's default: %v", findings)
	}
	// The policy of aws/ebs, as KMS shows it.
	ebs := mustParse(t, `{"Version":"2012-10-17","Id":"auto-ebs-2","Statement":[
		{"Sid":"Allow access through EBS for all principals in the account that are authorized to use EBS","Effect":"Allow","Principal":{"AWS":"*"},
		 "Action":["kms:Encrypt","kms:Decrypt","kms:ReEncrypt*","kms:GenerateDataKey*","kms:CreateGrant","kms:DescribeKey"],"Resource":"*",
		 "Condition":{"StringEquals":{"kms:CallerAccount":"111111111111","kms:ViaService":"ec2.eu-west-1.amazonaws.com"}}},
		{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":["kms:Describe*","kms:Get*","kms:List*","kms:RevokeGrant"],"Resource":"*"}]}`)
	if findings := Lint(ebs, someTarget); len(findings) > 0 {
		t.Errorf("AWS's own for EBS: %v", findings)
	}
}

// TestActionsAreTheOnesOfKMS compares the table with the SDK's operations.
func TestActionsAreTheOnesOfKMS(t *testing.T) {
	client := reflect.TypeFor[*kms.Client]()
	for method := range client.Methods() {
		operation := method.Name
		if operation == "ReEncrypt" || operation == "Options" {
			continue
		}
		if !slices.Contains(kmsActions, operation) {
			t.Errorf("%s is missing", operation)
		}
	}
	// These are actions and no operations. (Service authorization reference)
	for _, action := range kmsActions {
		_, found := client.MethodByName(action)
		if !found && !slices.Contains([]string{"ReEncryptFrom", "ReEncryptTo", "SynchronizeMultiRegionKey"}, action) {
			t.Errorf("%s is no operation", action)
		}
	}
}

func TestUnknownElementsAreExplained(t *testing.T) {
	for written, meant := range map[string]string{"Resources": "Resource", "Actions": "Action", "Conditions": "Condition", "Principals": "Principal", "Efect": "Effect"} {
		_, err := Parse(`{"Statement":{"Effect":"Allow","` + written + `":"*"}}`)
		if err == nil || !strings.Contains(err.Error(), `Did you mean "`+meant+`"?`) {
			t.Errorf("%s: %v", written, err)
		}
	}
}

// FuzzLint checks that whatever can be parsed is checked without a panic, and always
// the same.
func FuzzLint(f *testing.F) {
	f.Add(defaultKeyPolicy)
	f.Add(`{"Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::*:x"},"Action":["kms:ReEncrypt","\u006bms:x",":","?"],"Resource":["a","arn:aws:kms:*"],"Condition":{"ForAnyValue:IfExists":{"aws:PrincipalOrgPaths":""},"StringLike":{"kms:ViaService":["ec2.","ec2.${x}"]}}}}`)
	f.Fuzz(func(t *testing.T, text string) {
		document, err := Parse(text)
		if err != nil {
			return
		}
		for _, target := range []Target{{}, someTarget} {
			first := Lint(document, target)
			if !slices.Equal(first, Lint(document, target)) {
				t.Errorf("differs from time to time: %v", first)
			}
		}
	})
}
