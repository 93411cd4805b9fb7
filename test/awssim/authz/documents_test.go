package authz_test

import (
	"maps"
	"testing"

	"github.com/orgami/packer-plugin-orgami/internal/policy"
	"github.com/orgami/packer-plugin-orgami/test/awssim/authz"
)

// launch are the condition keys of a call that EC2 makes for a member's role.
// Fact: KMS-COND-1, IAM-EVAL-1, IAM-EVAL-3.
func launch(extra map[string][]string) map[string][]string {
	context := map[string][]string{
		"aws:PrincipalOrgID":    {"o-exampleorgid"},
		"aws:PrincipalOrgPaths": {"o-exampleorgid/r-ab12/ou-ab12-11111111/ou-ab12-22222222/"},
		"aws:PrincipalAccount":  {member},
		"kms:CallerAccount":     {member},
		"kms:ViaService":        {"ec2.eu-west-1.amazonaws.com"},
	}
	maps.Copy(context, extra)
	return context
}

// The key policies that the plugin writes allow only what is intended.
func TestWrittenKeyPolicies(t *testing.T) {
	const (
		slr   = "arn:aws:iam::222222222222:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
		other = "arn:aws:iam::222222222222:role/other"
	)
	base := policy.KeyPolicy{Partition: "aws", Owner: owner, OrganizationID: "o-exampleorgid"}
	open, hardened, units, accounts := base, base, base, base
	open.Variant = policy.Open
	hardened.Variant = policy.Hardened
	hardened.GrantRoles = []string{"aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"}
	hardened.GrantOperations = []string{"Decrypt", "CreateGrant"}
	units.OrganizationID = ""
	units.OrganizationPaths = policy.OrganizationPaths([]string{"arn:aws:organizations::999999999999:ou/o-exampleorgid/ou-ab12-11111111"})
	accounts.OrganizationID = ""
	accounts.Accounts = []string{member}

	stranger := launch(map[string][]string{"aws:PrincipalOrgID": {"o-stranger00"}, "aws:PrincipalOrgPaths": {"o-stranger00/r-ab12/ou-ab12-11111111/"}})
	noOrg := map[string][]string{"kms:ViaService": {"ec2.eu-west-1.amazonaws.com"}}
	direct := launch(map[string][]string{"kms:ViaService": nil})
	forAWS := launch(map[string][]string{"kms:GrantIsForAWSResource": {"true"}})
	grantTo := func(grantee string, operations ...string) map[string][]string {
		return launch(map[string][]string{
			"kms:ViaService": nil, "kms:GrantIsForAWSResource": {"false"},
			"kms:GranteePrincipal": {grantee}, "kms:GrantOperations": operations,
		})
	}
	tests := []struct {
		name       string
		policy     policy.KeyPolicy
		action     string
		context    map[string][]string
		want       authz.Effect
		viaAccount bool
	}{
		{"open, launch", open, "kms:ReEncryptFrom", launch(nil), authz.Allow, false},
		{"open, direct", open, "kms:Decrypt", direct, authz.Allow, false},
		{"open, grant", open, "kms:CreateGrant", grantTo(other, "Decrypt"), authz.Allow, false},
		{"open, revoke", open, "kms:RevokeGrant", direct, authz.Allow, false},
		{"open, stranger", open, "kms:Decrypt", stranger, authz.NoMatch, false},
		{"open, without an organization", open, "kms:Decrypt", noOrg, authz.NoMatch, false},
		{"open, administration", open, "kms:PutKeyPolicy", direct, authz.NoMatch, false},
		{"open, deletion", open, "kms:ScheduleKeyDeletion", direct, authz.NoMatch, false},

		{"hardened, launch", hardened, "kms:GenerateDataKeyWithoutPlaintext", launch(nil), authz.Allow, false},
		{"hardened, launch grants", hardened, "kms:CreateGrant", forAWS, authz.Allow, false},
		{"hardened, direct", hardened, "kms:Decrypt", direct, authz.NoMatch, false},
		{"hardened, stranger", hardened, "kms:Decrypt", stranger, authz.NoMatch, false},
		{"hardened, another service", hardened, "kms:Decrypt", launch(map[string][]string{"kms:ViaService": {"s3.eu-west-1.amazonaws.com"}}), authz.NoMatch, false},
		{"hardened, grant to a named role", hardened, "kms:CreateGrant", grantTo(slr, "Decrypt"), authz.Allow, false},
		{"hardened, grant of more", hardened, "kms:CreateGrant", grantTo(slr, "Decrypt", "Encrypt"), authz.NoMatch, false},
		{"hardened, grant to another role", hardened, "kms:CreateGrant", grantTo(other, "Decrypt"), authz.NoMatch, false},
		{"hardened, revoke", hardened, "kms:RevokeGrant", direct, authz.NoMatch, false},

		{"unit, account in a unit below", units, "kms:Decrypt", launch(nil), authz.Allow, false},
		{"unit, stranger", units, "kms:Decrypt", stranger, authz.NoMatch, false},
		{"unit, beside it", units, "kms:Decrypt", launch(map[string][]string{"aws:PrincipalOrgPaths": {"o-exampleorgid/r-ab12/ou-ab12-33333333/"}}), authz.NoMatch, false},
		{"listed account delegates", accounts, "kms:Decrypt", noOrg, authz.Allow, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			document, err := test.policy.Merge(nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			p := mustParse(t, authz.ParseResourcePolicy, document.String())
			got := p.Evaluate(authz.Request{Action: test.action, Resource: keyARN, Principal: node, Context: test.context})
			if got.Effect != test.want || got.ViaAccount != test.viaAccount {
				t.Errorf("got %+v, want %v, via account %t", got, test.want, test.viaAccount)
			}
			byOwner := p.Evaluate(authz.Request{Action: "kms:PutKeyPolicy", Resource: keyARN, Principal: ownerUser})
			if byOwner.Effect != authz.Allow || !byOwner.ViaAccount {
				t.Errorf("owner's PutKeyPolicy: got %+v, want Allow via account", byOwner)
			}
		})
	}
}

// The IAM policy for Karpenter's role allows a launch in every Region with
// every regional key, and nothing else.
func TestWrittenKarpenterPolicy(t *testing.T) {
	document := policy.Karpenter("aws", policy.WildcardKeyARN("aws", owner, "mrk-0123456789abcdef0123456789abcdef"))
	p := mustParse(t, authz.ParseIdentityPolicy, document.String())
	forAWS := launch(map[string][]string{"kms:GrantIsForAWSResource": {"true"}})
	tests := map[string]struct {
		action, resource string
		context          map[string][]string
		want             authz.Effect
	}{
		"decrypt":             {"kms:Decrypt", keyARN, launch(nil), authz.Allow},
		"data key":            {"kms:GenerateDataKeyWithoutPlaintext", keyARN, launch(nil), authz.Allow},
		"re-encrypt":          {"kms:ReEncryptTo", keyARN, launch(nil), authz.Allow},
		"describe":            {"kms:DescribeKey", keyARN, launch(nil), authz.Allow},
		"grant for a volume":  {"kms:CreateGrant", keyARN, forAWS, authz.Allow},
		"another region":      {"kms:Decrypt", "arn:aws:kms:us-east-1:111111111111:key/mrk-0123456789abcdef0123456789abcdef", launch(nil), authz.Allow},
		"grant for anybody":   {"kms:CreateGrant", keyARN, launch(nil), authz.NoMatch},
		"another key":         {"kms:Decrypt", "arn:aws:kms:eu-west-1:111111111111:key/mrk-0", launch(nil), authz.NoMatch},
		"another account":     {"kms:Decrypt", "arn:aws:kms:eu-west-1:222222222222:key/mrk-0123456789abcdef0123456789abcdef", launch(nil), authz.NoMatch},
		"not through EC2":     {"kms:Decrypt", keyARN, nil, authz.NoMatch},
		"other actions":       {"kms:RevokeGrant", keyARN, launch(nil), authz.NoMatch},
		"another partition's": {"kms:Decrypt", keyARN, launch(map[string][]string{"kms:ViaService": {"ec2.cn-north-1.amazonaws.com.cn"}}), authz.NoMatch},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := p.Evaluate(authz.Request{Action: test.action, Resource: test.resource, Principal: node, Context: test.context})
			if got.Effect != test.want {
				t.Errorf("got %+v, want %v", got, test.want)
			}
		})
	}
}
