package evaluate_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
)

// How the elements of a statement match, in a key policy without another Allow
// statement.
func TestStatements(t *testing.T) {
	statement := func(principal, action, resource string) func(*scene) {
		return func(s *scene) {
			s.keyPolicy(strings.NewReplacer("'", `"`).Replace(fmt.Sprintf(`{'Effect':'Allow',%s,%s,%s}`, principal, action, resource)))
		}
	}
	const everybody, everything, here = `'Principal':'*'`, `'Action':'kms:*'`, `'Resource':'*'`
	who := func(principal string) func(*scene) { return statement(principal, everything, here) }
	action := func(action string) func(*scene) { return statement(everybody, action, here) }
	resource := func(resource string) func(*scene) { return statement(everybody, everything, resource) }
	role, root := roleARN(member, karpenter), "arn:aws:iam::"+member+":root"
	check(t, []ruling{
		{"a principal * is everybody", who(`'Principal':'*'`), evaluate.Launches, ""},
		{"an AWS principal * is everybody", who(`'Principal':{'AWS':'*'}`), evaluate.Launches, ""},
		{"an account is named by its id", who(`'Principal':{'AWS':['` + other + `','` + member + `']}`), evaluate.Launches, ""},
		{"an account is named by its root", who(`'Principal':{'AWS':'` + root + `'}`), evaluate.Launches, ""},
		{"an account's root in another partition is another", who(`'Principal':{'AWS':'` + strings.Replace(root, "aws", "aws-cn", 1) + `'}`), evaluate.Fails, "key-policy"},
		{"another account is another", who(`'Principal':{'AWS':'` + other + `'}`), evaluate.Fails, "key-policy"},
		{"a role is named by its ARN", who(`'Principal':{'AWS':'` + role + `'}`), evaluate.Launches, ""},
		{"a role's ARN has its letter case", who(`'Principal':{'AWS':'` + strings.Replace(role, "Karp", "karp", 1) + `'}`), evaluate.Fails, "key-policy"},
		{"a role's ARN has its path", who(`'Principal':{'AWS':'` + roleARN(member, "team/"+karpenter) + `'}`), evaluate.Fails, "key-policy"},
		{"a principal with a wildcard is no principal of AWS", who(`'Principal':{'AWS':'` + roleARN(member, "*") + `'}`), evaluate.Inconclusive, "key-policy"},
		{"a session of another role is another", who(`'Principal':{'AWS':'arn:aws:sts::` + member + `:assumed-role/Other/me'}`), evaluate.Fails, "key-policy"},
		{"a user is no role", who(`'Principal':{'AWS':'arn:aws:iam::` + member + `:user/` + karpenter + `'}`), evaluate.Fails, "key-policy"},
		{"a service is no role", who(`'Principal':{'Service':'ec2.amazonaws.com'}`), evaluate.Fails, "key-policy"},
		{"a deleted role is nobody", who(`'Principal':{'AWS':'AROAEXAMPLE1234567'}`), evaluate.Fails, "key-policy"},
		{"a federated user is no role", who(`'Principal':{'Federated':'cognito-identity.amazonaws.com'}`), evaluate.Fails, "key-policy"},
		{"a kind of principal that there is not is inconclusive", who(`'Principal':{'Aws':'*'}`), evaluate.Inconclusive, "key-policy"},
		{"a principal that is not a name is inconclusive", who(`'Principal':{'AWS':'somebody'}`), evaluate.Inconclusive, "key-policy"},
		{"a statement without principal is inconclusive", who(`'Sid':'Nobody'`), evaluate.Inconclusive, "key-policy"},
		{"NotPrincipal cannot allow", who(`'NotPrincipal':{'AWS':'` + other + `'}`), evaluate.Inconclusive, "key-policy"},
		{"Principal and NotPrincipal exclude each other", who(everybody + `,'NotPrincipal':{'AWS':'` + other + `'}`), evaluate.Inconclusive, "key-policy"},

		{"actions have wildcards", action(`'Action':['kms:D*','kms:ReEncrypt??????','kms:*Plaintext']`), evaluate.Fails, "key-policy"},
		{"actions have wildcards of one character", action(`'Action':['kms:D*','kms:ReEncrypt????','kms:ReEncryptT?','kms:*Plaintext','kms:?reateGrant']`), evaluate.Launches, ""},
		{"actions have no letter case", action(`'Action':'KMS:*'`), evaluate.Launches, ""},
		{"every action is *", action(`'Action':'*'`), evaluate.Launches, ""},
		{"kms:ReEncrypt is no action", action(`'Action':['kms:Describe*','kms:GenerateDataKey*','kms:Decrypt','kms:ReEncrypt','kms:CreateGrant']`), evaluate.Fails, "key-policy"},
		{"actions of other services are others", action(`'Action':'ec2:*'`), evaluate.Fails, "key-policy"},
		{"NotAction allows the rest", action(`'NotAction':['kms:Delete*','kms:Encrypt']`), evaluate.Launches, ""},
		{"NotAction does not allow what it names", action(`'NotAction':'kms:CreateGrant'`), evaluate.Fails, "key-policy"},
		{"an action without a service is inconclusive", action(`'Action':'Decrypt'`), evaluate.Inconclusive, "key-policy"},
		{"an action of a service with a wildcard is inconclusive", action(`'Action':'k*:Decrypt'`), evaluate.Inconclusive, "key-policy"},
		{"an empty list of actions is inconclusive", action(`'Action':[]`), evaluate.Inconclusive, "key-policy"},
		{"a statement without action is inconclusive", action(`'Sid':'Nothing'`), evaluate.Inconclusive, "key-policy"},
		{"a statement that is not supported but is not for all actions fails", statement(everybody, `'Action':'kms:Decrypt'`, `'Condition':{'NumericEquals':{'aws:EpochTime':1}},`+here), evaluate.Fails, "key-policy"},

		{"a resource may be the key", resource(`'Resource':'` + keyARN(region) + `'`), evaluate.Launches, ""},
		{"a resource may have wildcards", resource(`'Resource':'arn:aws:kms:eu-*-?:*:key/mrk-*'`), evaluate.Launches, ""},
		{"a wildcard does not reach over a colon", resource(`'Resource':'arn:aws:kms:*:key/*:x'`), evaluate.Fails, "key-policy"},
		{"another key is another", resource(`'Resource':['` + keyARN("us-east-1") + `','arn:aws:kms:*:*:alias/*']`), evaluate.Fails, "key-policy"},
		{"NotResource is the rest", resource(`'NotResource':'` + keyARN("us-east-1") + `'`), evaluate.Launches, ""},
		{"NotResource is not what it names", resource(`'NotResource':'arn:aws:kms:*:*:key/*'`), evaluate.Fails, "key-policy"},
		{"a resource that is not an ARN is inconclusive", resource(`'Resource':'key/*'`), evaluate.Inconclusive, "key-policy"},
		{"a resource with a policy variable is inconclusive", resource(`'Resource':'arn:aws:kms:*:${aws:PrincipalAccount}:key/*'`), evaluate.Inconclusive, "key-policy"},
		{"Resources is no element", resource(`'Resources':'*'`), evaluate.Inconclusive, "key-policy"},

		{"an element that there is not is inconclusive", resource(here + `,'Conditions':{}`), evaluate.Inconclusive, "key-policy"},
		{"an element that stands twice is inconclusive", resource(here + `,'Resource':'*'`), evaluate.Inconclusive, "key-policy"},
		{"an effect that there is not is inconclusive", func(s *scene) { s.keyPolicy(strings.Replace(to("*"), "Allow", "allow", 1)) }, evaluate.Inconclusive, "key-policy"},
		{"an effect that there is not may be a denial", func(s *scene) { s.keyPolicy(to("*"), strings.Replace(to("*"), "Allow", "Forbid", 1)) }, evaluate.Inconclusive, "key-policy"},
	})
}

// The forms of a whole policy.
func TestDocuments(t *testing.T) {
	key := func(text string) func(*scene) { return func(s *scene) { s.key.Policy = []byte(text) } }
	check(t, []ruling{
		{"one statement may stand without a list", key(`{"Statement":` + to("*") + `}`), evaluate.Launches, ""},
		{"the old version is understood", key(`{"Version":"2008-10-17","Id":"x","Statement":[` + to("*") + `]}`), evaluate.Launches, ""},
		{"the old version has no policy variables", key(`{"Version":"2008-10-17","Statement":[` + strings.Replace(to("*"), `"Resource":"*"`, `"NotResource":"arn:aws:kms:${x}:a:b:c"`, 1) + `]}`), evaluate.Launches, ""},
		{"another version is inconclusive", key(`{"Version":"2030-01-01","Statement":[` + to("*") + `]}`), evaluate.Inconclusive, "key-policy"},
		{"an element that there is not is inconclusive", key(`{"Statements":[],"Statement":[` + to("*") + `]}`), evaluate.Inconclusive, "key-policy"},
		{"a policy without statements is inconclusive", key(`{"Version":"2012-10-17"}`), evaluate.Inconclusive, "key-policy"},
		{"what is not JSON is inconclusive", key(`{`), evaluate.Inconclusive, "key-policy"},
		{"what follows the JSON is inconclusive", key(`{"Statement":[` + to("*") + `]} x`), evaluate.Inconclusive, "key-policy"},
		{"a statement that is not an object is inconclusive", key(`{"Statement":["Allow"]}`), evaluate.Inconclusive, "key-policy"},
	})
}

// The principals that a denial with NotPrincipal exempts.
func TestNotPrincipal(t *testing.T) {
	deny := func(names ...string) func(*scene) {
		return func(s *scene) {
			s.keyPolicy(to("*"), `{"Effect":"Deny","Action":"kms:*","Resource":"*","NotPrincipal":{"AWS":["`+strings.Join(names, `","`)+`"]}}`)
		}
	}
	session := "arn:aws:sts::" + member + ":assumed-role/" + karpenter + "/me"
	check(t, []ruling{
		{"everybody is exempted by *", deny("*"), evaluate.Launches, ""},
		{"nobody is exempted by another's name", deny(other), evaluate.Fails, "key-policy"},
		{"a role is not exempted by its account's name", deny(member), evaluate.Fails, "key-policy"},
		{"a role is not exempted by its name", deny(member, roleARN(member, karpenter)), evaluate.Fails, "key-policy"},
		{"a session is exempted by all three names, of which one is not known", deny(member, roleARN(member, karpenter), session), evaluate.Inconclusive, "key-policy"},
	})
}
