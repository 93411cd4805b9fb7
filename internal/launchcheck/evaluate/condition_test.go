package evaluate_test

import (
	"strings"
	"testing"

	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
)

// The conditions that hold for a launch. Each one is in the only Allow statement of the
// key policy.
func TestConditions(t *testing.T) {
	under := func(condition string) func(*scene) {
		return func(s *scene) {
			s.keyPolicy(allow + `,"Principal":"*","Condition":{` + strings.ReplaceAll(condition, "'", `"`) + `}}`)
		}
	}
	outside := func(condition string) func(*scene) {
		return func(s *scene) {
			under(condition)(s)
			s.account.Organization, s.account.Path = "none", ""
			s.region.Image.Accounts = []string{member}
		}
	}
	somewhere := func(condition string) func(*scene) {
		return func(s *scene) {
			outside(condition)(s)
			s.account.Organization = ""
		}
	}
	holds := func(name, condition string) ruling { return ruling{name, under(condition), evaluate.Launches, ""} }
	broken := func(name, condition string) ruling {
		return ruling{name, under(condition), evaluate.Fails, "key-policy"}
	}
	odd := func(name, condition string) ruling {
		return ruling{name, under(condition), evaluate.Inconclusive, "key-policy"}
	}
	check(t, []ruling{
		holds("the organization", `'StringEquals':{'aws:PrincipalOrgID':'o-exampleorgid'}`),
		broken("another organization", `'StringEquals':{'aws:PrincipalOrgID':'o-other'}`),
		holds("one of several values", `'StringEquals':{'aws:PrincipalOrgID':['o-other','o-exampleorgid']}`),
		broken("all of several operators", `'StringEquals':{'aws:PrincipalOrgID':'o-exampleorgid'},'StringLike':{'kms:ViaService':'rds.*'}`),
		broken("all of several keys", `'StringEquals':{'aws:PrincipalOrgID':'o-exampleorgid','kms:CallerAccount':'`+other+`'}`),
		holds("keys have no letter case", `'StringEquals':{'AWS:principalorgID':'o-exampleorgid'}`),
		broken("StringEquals has letter case", `'StringEquals':{'aws:PrincipalOrgID':'O-exampleorgid'}`),
		holds("StringEqualsIgnoreCase has none", `'StringEqualsIgnoreCase':{'aws:PrincipalOrgID':'O-exampleorgid'}`),
		broken("StringNotEqualsIgnoreCase has none", `'StringNotEqualsIgnoreCase':{'aws:PrincipalOrgID':'O-exampleorgid'}`),
		broken("StringLike has letter case", `'StringLike':{'aws:PrincipalOrgID':'O-*'}`),
		holds("StringLike has wildcards", `'StringLike':{'aws:PrincipalOrgID':'o-exam?le*'}`),
		broken("StringEquals has none", `'StringEquals':{'aws:PrincipalOrgID':'o-exam?le*'}`),
		broken("StringNotLike is the contrary", `'StringNotLike':{'aws:PrincipalOrgID':['o-x','o-*']}`),
		holds("StringNotEquals is the contrary", `'StringNotEquals':{'aws:PrincipalOrgID':['o-x','o-*']}`),
		odd("an operator in another letter case", `'stringequals':{'aws:PrincipalOrgID':'o-exampleorgid'}`),
		odd("an operator for numbers", `'NumericEquals':{'aws:PrincipalAccount':'`+member+`'}`),
		odd("a condition key for which nothing is known", `'StringEquals':{'aws:PrincipalTag/team':'images'}`),
		odd("whether a key is there for which nothing is known", `'Null':{'aws:PrincipalTag/team':'true'}`),
		odd("a policy variable", `'StringEquals':{'aws:PrincipalAccount':'${kms:CallerAccount}'}`),
		odd("a value that is an object", `'StringEquals':{'aws:PrincipalOrgID':{}}`),

		{"no organization: the key is not there", outside(`'StringEquals':{'aws:PrincipalOrgID':'o-exampleorgid'}`), evaluate.Fails, "key-policy"},
		{"no organization: a contrary holds", outside(`'StringNotEquals':{'aws:PrincipalOrgID':'o-exampleorgid'}`), evaluate.Launches, ""},
		{"no organization: IfExists holds", outside(`'StringEqualsIfExists':{'aws:PrincipalOrgID':'o-exampleorgid'}`), evaluate.Launches, ""},
		{"no organization: ForAllValues holds", outside(`'ForAllValues:StringEquals':{'aws:PrincipalOrgID':'o-exampleorgid'}`), evaluate.Launches, ""},
		{"no organization: ForAnyValue does not hold", outside(`'ForAnyValue:StringLike':{'aws:PrincipalOrgPaths':'*'}`), evaluate.Fails, "key-policy"},
		{"no organization: ForAnyValue of a contrary does not hold", outside(`'ForAnyValue:StringNotLike':{'aws:PrincipalOrgPaths':'x'}`), evaluate.Fails, "key-policy"},
		{"no organization: ForAnyValue with IfExists is inconclusive", outside(`'ForAnyValue:StringLikeIfExists':{'aws:PrincipalOrgPaths':'x'}`), evaluate.Inconclusive, "key-policy"},
		{"no organization: ForAllValues with IfExists is inconclusive", outside(`'ForAllValues:StringLikeIfExists':{'aws:PrincipalOrgPaths':'x'}`), evaluate.Inconclusive, "key-policy"},
		{"no organization: ForAnyValue of a contrary with IfExists is inconclusive", outside(`'ForAnyValue:StringNotLikeIfExists':{'aws:PrincipalOrgPaths':'x'}`), evaluate.Inconclusive, "key-policy"},
		holds("an organization: ForAnyValue with IfExists compares", `'ForAnyValue:StringLikeIfExists':{'aws:PrincipalOrgPaths':'o-exampleorgid/*'}`),
		broken("an organization: ForAllValues with IfExists compares", `'ForAllValues:StringLikeIfExists':{'aws:PrincipalOrgPaths':'x'}`),
		odd("an operator without a key", `'StringEquals':{}`),
		odd("the endpoint that EC2 calls through", `'StringEquals':{'aws:SourceVpce':'vpce-0a1b2c3d'}`),
		odd("the network that EC2 calls from", `'StringNotEquals':{'aws:SourceVpc':'vpc-0a1b2c3d'}`),
		odd("whether EC2 calls through an endpoint", `'Null':{'aws:SourceVpce':'true'}`),
		odd("an endpoint, if there is one", `'StringEqualsIfExists':{'aws:SourceVpce':'vpce-0a1b2c3d'}`),
		holds("the call comes by a service", `'Bool':{'aws:ViaAWSService':'true'}`),
		broken("the call doesn't come by a service", `'Bool':{'aws:ViaAWSService':'false'}`),
		holds("the Region of the launch", `'StringEquals':{'aws:RequestedRegion':'eu-west-1'}`),
		broken("another Region", `'StringEquals':{'aws:RequestedRegion':'us-east-1'}`),
		{"no organization: Null is true", outside(`'Null':{'aws:PrincipalOrgID':true}`), evaluate.Launches, ""},
		{"an organization: Null is false", under(`'Null':{'aws:PrincipalOrgPaths':'false'}`), evaluate.Launches, ""},
		{"an organization: Null is not true", under(`'Null':{'aws:PrincipalOrgID':'true'}`), evaluate.Fails, "key-policy"},
		{"an organization that is not known", somewhere(`'StringEquals':{'aws:PrincipalOrgID':'o-exampleorgid'}`), evaluate.Inconclusive, "key-policy"},
		{"an organization that is not known: IfExists", somewhere(`'StringEqualsIfExists':{'aws:PrincipalOrgID':'o-exampleorgid'}`), evaluate.Inconclusive, "key-policy"},
		{"an organization that is not known: Null", somewhere(`'Null':{'aws:PrincipalOrgID':'false'}`), evaluate.Inconclusive, "key-policy"},

		holds("a path below", `'ForAnyValue:StringLike':{'aws:PrincipalOrgPaths':'o-exampleorgid/*/`+unit+`/*'}`),
		broken("a path elsewhere", `'ForAnyValue:StringLike':{'aws:PrincipalOrgPaths':'o-exampleorgid/*/`+apart+`/*'}`),
		holds("the path itself", `'ForAllValues:StringEquals':{'aws:PrincipalOrgPaths':'`+unitPath+`'}`),
		odd("a list under a plain operator", `'StringLike':{'aws:PrincipalOrgPaths':'*'}`),

		holds("the account", `'StringEquals':{'aws:PrincipalAccount':'`+member+`','kms:CallerAccount':['`+other+`','`+member+`']}`),
		broken("another account", `'StringEquals':{'kms:CallerAccount':'`+other+`'}`),
		holds("the role, not its session", `'ArnEquals':{'aws:PrincipalArn':'`+roleARN(member, karpenter)+`'}`),
		holds("a pattern for roles", `'ArnLike':{'aws:PrincipalArn':'arn:aws:iam::*:role/Karp*'}`),
		holds("a string's wildcard reaches over a colon", `'StringLike':{'aws:PrincipalArn':'arn:*:role/Karp*'}`),
		broken("ArnNotLike is the contrary", `'ArnNotLike':{'aws:PrincipalArn':'arn:aws:iam::*:role/*'}`),
		holds("ArnNotEquals is the contrary", `'ArnNotEquals':{'aws:PrincipalArn':'`+roleARN(other, "*")+`'}`),
		{"a wildcard in an ARN does not reach over a colon", func(s *scene) {
			under(`'ArnLike':{'aws:PrincipalArn':'arn:aws:*:` + member + `:role/a:b/` + karpenter + `'}`)(s)
			s.launcher.Role = "a:b/" + karpenter
		}, evaluate.Fails, "key-policy"},
		odd("a pattern that is not an ARN", `'ArnLike':{'aws:PrincipalArn':'*'}`),
		holds("a role's session is an assumed role", `'StringEquals':{'aws:PrincipalType':'AssumedRole'},'Bool':{'aws:PrincipalIsAWSService':'false'}`),
		broken("a role is no AWS service", `'Bool':{'aws:PrincipalIsAWSService':'true'}`),
		broken("no service calls for itself", `'StringEquals':{'aws:SourceAccount':'`+member+`'}`),

		holds("by EC2 in the region", `'StringEquals':{'kms:ViaService':'ec2.eu-west-1.amazonaws.com'}`),
		broken("by EC2 in another region", `'StringEquals':{'kms:ViaService':'ec2.us-east-1.amazonaws.com'}`),
		holds("by EC2 in any region", `'StringLike':{'kms:ViaService':'ec2.*.amazonaws.com'}`),

		broken("only CreateGrant says what the grant is for", `'Bool':{'kms:GrantIsForAWSResource':true}`),
		holds("what only CreateGrant says, if it does", `'BoolIfExists':{'kms:GrantIsForAWSResource':'True'}`),
		broken("the grant is for an AWS resource", `'BoolIfExists':{'kms:GrantIsForAWSResource':'false'}`),
		odd("a Boolean that is none", `'BoolIfExists':{'kms:GrantIsForAWSResource':'yes'}`),
		holds("the grant is to decrypt", `'ForAllValues:StringEquals':{'kms:GrantOperations':['Decrypt','Encrypt']}`),
		broken("the grant is not to encrypt", `'ForAllValues:StringEquals':{'kms:GrantOperations':['Encrypt']}`),
		odd("whom the grant is for", `'StringLikeIfExists':{'kms:GranteePrincipal':'arn:aws:iam::*:role/*'}`),
	})
}

// The least-privilege statements: one for use, and one for grants.
func TestLeastPrivilege(t *testing.T) {
	use := `{"Sid":"Use","Effect":"Allow","Principal":"*","Action":["kms:Decrypt","kms:ReEncrypt*","kms:GenerateDataKey*","kms:DescribeKey"],"Resource":"*"}`
	grants := func(condition string) string {
		return `{"Sid":"Grants","Effect":"Allow","Principal":"*","Action":"kms:CreateGrant","Resource":"*","Condition":{` + condition + `}}`
	}
	key := func(statements ...string) func(*scene) { return func(s *scene) { s.keyPolicy(statements...) } }
	check(t, []ruling{
		{"use and grants launch", key(use, grants(`"Bool":{"kms:GrantIsForAWSResource":"true"}`)), evaluate.Launches, ""},
		{"use alone fails", key(use), evaluate.Fails, "key-policy"},
		{"grants of operations that EC2's grant has not fail", key(use, grants(`"ForAllValues:StringEquals":{"kms:GrantOperations":"Encrypt"}`)), evaluate.Fails, "key-policy"},
		{"grants for a grantee are unknown", key(use, grants(`"StringLike":{"kms:GranteePrincipal":"*"}`)), evaluate.Inconclusive, "key-policy"},
	})
}

// EC2 has the same name in all confirmed partitions. Fact: KMS-COND-2.
func TestPartitions(t *testing.T) {
	china := func(via string) func(*scene) {
		return func(s *scene) {
			s.partition = "aws-cn"
			s.launcher.Policy = document(allow + "}")
			s.keyPolicy(allow + `,"Principal":{"AWS":"arn:aws-cn:iam::` + member + `:root"},"Condition":{"StringEquals":{"kms:ViaService":"` + via + `"}}}`)
		}
	}
	check(t, []ruling{
		{"the suffix of all partitions launches", china("ec2.eu-west-1.amazonaws.com"), evaluate.Launches, ""},
		{"the suffix of China's endpoints fails", china("ec2.eu-west-1.amazonaws.com.cn"), evaluate.Fails, "key-policy"},
	})
}
