package authz_test

import (
	"strings"
	"testing"

	"github.com/orgami/packer-plugin-orgami/test/awssim/authz"
)

// allowAll holds the elements of a statement that a key policy accepts; tests
// replace one of them.
const (
	effect    = `"Effect":"Allow"`
	anyone    = `"Principal":{"AWS":"*"}`
	decrypt   = `"Action":"kms:Decrypt"`
	thisKey   = `"Resource":"*"`
	statement = effect + "," + anyone + "," + decrypt + "," + thisKey
)

// keyPolicy makes a policy document of statements, each without its braces.
func keyPolicy(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[{` + strings.Join(statements, "},{") + `}]}`
}

func condition(json string) string { return statement + `,"Condition":` + json }

func TestParseResourcePolicyAccepts(t *testing.T) {
	tests := map[string]string{
		"one statement without a list (Grammar)": `{"Statement":{` + statement + `}}`,
		"the older version (Version)":            `{"Version":"2008-10-17","Statement":[{` + statement + `}]}`,
		"an id (Id)":                             `{"Id":"key-default-1","Statement":[{` + statement + `}]}`,
		"a Sid with spaces (Key policies)":       keyPolicy(`"Sid":"Enable IAM User Permissions",` + statement),
		"two statements without a Sid":           keyPolicy(statement, statement),
		"two empty Sids":                         keyPolicy(`"Sid":"",`+statement, `"Sid":"",`+statement),
		"principal as a bare star (Principal)":   keyPolicy(effect + `,"Principal":"*",` + decrypt + "," + thisKey),
		"an account id":                          keyPolicy(effect + `,"Principal":{"AWS":"111111111111"},` + decrypt + "," + thisKey),
		"a list of principals":                   keyPolicy(effect + `,"Principal":{"AWS":["arn:aws:iam::111111111111:root","arn:aws:iam::222222222222:role/a/b"]},` + decrypt + "," + thisKey),
		"a role session":                         keyPolicy(effect + `,"Principal":{"AWS":"arn:aws:sts::111111111111:assumed-role/Builder/packer"},` + decrypt + "," + thisKey),
		"a deleted role (Fact 1)":                keyPolicy(effect + `,"Principal":{"AWS":"AROAEXAMPLEEXAMPLE000"},` + decrypt + "," + thisKey),
		"a service":                              keyPolicy(effect + `,"Principal":{"Service":"ec2.amazonaws.com"},` + decrypt + "," + thisKey),
		"an identity provider":                   keyPolicy(effect + `,"Principal":{"Federated":"cognito-identity.amazonaws.com"},` + decrypt + "," + thisKey),
		"the partition of China":                 keyPolicy(effect + `,"Principal":{"AWS":"arn:aws-cn:iam::111111111111:root"},` + decrypt + "," + thisKey),
		"an action that does not exist (Fact 9)": keyPolicy(effect + "," + anyone + `,"Action":"kms:ReEncrypt",` + thisKey),
		"NotAction (NotAction)":                  keyPolicy(effect + "," + anyone + `,"NotAction":["kms:Decrypt"],` + thisKey),
		"NotResource (NotResource)":              keyPolicy(effect + "," + anyone + "," + decrypt + `,"NotResource":"arn:aws:kms:*:111111111111:key/*"`),
		"NotPrincipal with Deny (NotPrincipal)":  keyPolicy(`"Effect":"Deny","NotPrincipal":{"AWS":"111111111111"},` + decrypt + "," + thisKey),
		"an empty Condition":                     keyPolicy(condition(`{}`)),
		"numbers and Booleans unquoted (Grammar)": keyPolicy(condition(
			`{"Bool":{"kms:GrantIsForAWSResource":true},"NumericLessThan":{"aws:MultiFactorAuthAge":300}}`)),
		"a tag's key with a slash":           keyPolicy(condition(`{"StringEquals":{"aws:PrincipalTag/a/b c":"x"}}`)),
		"a variable (Policy variables)":      keyPolicy(condition(`{"StringEquals":{"kms:CallerAccount":"${aws:PrincipalAccount}"}}`)),
		"a variable with a default":          keyPolicy(condition(`{"StringEquals":{"aws:PrincipalTag/team":"${aws:ResourceTag/team, 'none'}"}}`)),
		"an open brace in the older version": `{"Statement":{` + condition(`{"StringEquals":{"aws:PrincipalTag/team":"${x"}}`) + `}}`,
	}
	for name, doc := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := authz.ParseResourcePolicy(doc); err != nil {
				t.Errorf("%s: %v", doc, err)
			}
		})
	}
}

func TestParseResourcePolicyRefuses(t *testing.T) {
	tests := map[string]struct{ doc, want string }{
		"no JSON":               {`Version: 2012-10-17`, "JSON object"},
		"empty":                 {``, "JSON object"},
		"a list":                {`[]`, "JSON object"},
		"cut off":               {`{"Statement":[{` + statement, "invalid JSON"},
		"text after it":         {keyPolicy(statement) + `{}`, "after the end"},
		"no statement":          {`{"Version":"2012-10-17"}`, "no Statement"},
		"empty statements":      {`{"Statement":[]}`, "empty list"},
		"statement is text":     {`{"Statement":"x"}`, "statement 1: must be a JSON object"},
		"null statement":        {`{"Statement":[null]}`, "statement 1: must be a JSON object"},
		"unknown version":       {`{"Version":"2024-01-01","Statement":{` + statement + `}}`, `"2024-01-01" is not one of 2012-10-17, 2008-10-17`},
		"version as number":     {`{"Version":2012,"Statement":{` + statement + `}}`, "Version: must be a string"},
		"id as number":          {`{"Id":1,"Statement":{` + statement + `}}`, "Id: must be a string"},
		"element in lower":      {`{"statement":{` + statement + `}}`, `unknown element "statement": write "Statement"`},
		"Statements":            {`{"Statements":{` + statement + `}}`, `unknown element "Statements": write "Statement"`},
		"Resources (Fact 9)":    {keyPolicy(effect + "," + anyone + "," + decrypt + `,"Resources":["*"]`), `statement 1: unknown element "Resources": write "Resource"`},
		"unknown element":       {keyPolicy(statement + `,"Comment":"x"`), `unknown element "Comment": the elements here are Sid, Effect`},
		"duplicate element":     {keyPolicy(statement + `,"Effect":"Deny"`), `duplicate key "Effect"`},
		"duplicate at top":      {`{"Statement":{` + statement + `},"Statement":{` + statement + `}}`, `duplicate key "Statement"`},
		"duplicate operator":    {keyPolicy(condition(`{"StringLike":{"a:b":"x"},"StringLike":{"a:c":"x"}}`)), `duplicate key "StringLike"`},
		"duplicate key":         {keyPolicy(condition(`{"StringLike":{"a:b":"x","a:b":"y"}}`)), `duplicate key "a:b"`},
		"duplicate by case":     {keyPolicy(condition(`{"StringLike":{"a:b":"x","A:B":"y"}}`)), `duplicate key "A:B"`},
		"duplicate principal":   {keyPolicy(effect + `,"Principal":{"AWS":"*","AWS":"*"},` + decrypt + "," + thisKey), `duplicate key "AWS"`},
		"duplicate Sid":         {keyPolicy(`"Sid":"A",`+statement, `"Sid":"A",`+statement), `two statements have the Sid "A"`},
		"second statement":      {keyPolicy(statement, effect), "statement 2: it has neither Action nor NotAction"},
		"no effect":             {keyPolicy(anyone + "," + decrypt + "," + thisKey), "no Effect"},
		"effect in lower":       {keyPolicy(`"Effect":"allow",` + anyone + "," + decrypt + "," + thisKey), `"allow" is neither Allow nor Deny`},
		"effect as Boolean":     {keyPolicy(`"Effect":true,` + anyone + "," + decrypt + "," + thisKey), "in Effect: must be a string"},
		"no action":             {keyPolicy(effect + "," + anyone + "," + thisKey), "neither Action nor NotAction"},
		"both actions":          {keyPolicy(statement + `,"NotAction":"kms:Encrypt"`), "both Action and NotAction"},
		"empty actions":         {keyPolicy(effect + "," + anyone + `,"Action":[],` + thisKey), "action: must not be an empty list"},
		"action as number":      {keyPolicy(effect + "," + anyone + `,"Action":[1],` + thisKey), "action: must be a string"},
		"action bare":           {keyPolicy(effect + "," + anyone + `,"Action":"Decrypt",` + thisKey), `"Decrypt" must be "*" or service:operation`},
		"wildcard service":      {keyPolicy(effect + "," + anyone + `,"Action":"k*:Decrypt",` + thisKey), `"k*:Decrypt" must be`},
		"variable in action":    {keyPolicy(effect + "," + anyone + `,"Action":"kms:${aws:username}",` + thisKey), "must be"},
		"no resource":           {keyPolicy(effect + "," + anyone + "," + decrypt), "neither Resource nor NotResource"},
		"both resources":        {keyPolicy(statement + `,"NotResource":"*"`), "both Resource and NotResource"},
		"empty resources":       {keyPolicy(effect + "," + anyone + "," + decrypt + `,"Resource":[]`), "resource: must not be an empty list"},
		"nested resources":      {keyPolicy(effect + "," + anyone + "," + decrypt + `,"Resource":[["*"]]`), "resource: must be a string"},
		"resource isn't an ARN": {keyPolicy(effect + "," + anyone + "," + decrypt + `,"Resource":"mrk-1"`), "six segments"},
		"short ARN":             {keyPolicy(effect + "," + anyone + "," + decrypt + `,"Resource":"arn:aws:kms:*"`), "six segments"},
		"wildcard in service":   {keyPolicy(effect + "," + anyone + "," + decrypt + `,"Resource":"arn:aws:k*:eu-west-1:111111111111:key/x"`), "service segment"},
		"no principal":          {keyPolicy(effect + "," + decrypt + "," + thisKey), "neither Principal nor NotPrincipal"},
		"both principals":       {keyPolicy(statement + `,"NotPrincipal":"*"`), "both Principal and NotPrincipal"},
		"NotPrincipal allows":   {keyPolicy(effect + `,"NotPrincipal":{"AWS":"111111111111"},` + decrypt + "," + thisKey), "NotPrincipal must stand with Effect Deny"},
		"principal as ARN":      {keyPolicy(effect + `,"Principal":"arn:aws:iam::111111111111:root",` + decrypt + "," + thisKey), `must be "*" or an object`},
		"principal as list":     {keyPolicy(effect + `,"Principal":["*"],` + decrypt + "," + thisKey), "must be a JSON object"},
		"nobody":                {keyPolicy(effect + `,"Principal":{},` + decrypt + "," + thisKey), "it names nobody"},
		"empty principals":      {keyPolicy(effect + `,"Principal":{"AWS":[]},` + decrypt + "," + thisKey), "in AWS: must not be an empty list"},
		"kind of principal":     {keyPolicy(effect + `,"Principal":{"aws":"*"},` + decrypt + "," + thisKey), `unknown element "aws": write "AWS"`},
		"wildcard principal":    {keyPolicy(effect + `,"Principal":{"AWS":"arn:aws:iam::111111111111:role/*"},` + decrypt + "," + thisKey), "without wildcards"},
		"group":                 {keyPolicy(effect + `,"Principal":{"AWS":"arn:aws:iam::111111111111:group/a"},` + decrypt + "," + thisKey), "without wildcards"},
		"short account id":      {keyPolicy(effect + `,"Principal":{"AWS":"1111"},` + decrypt + "," + thisKey), "12-digit account id"},
		"service isn't a name":  {keyPolicy(effect + `,"Principal":{"Service":"*"},` + decrypt + "," + thisKey), "no service principal"},
		"condition is list":     {keyPolicy(condition(`[]`)), "in Condition: must be a JSON object"},
		"unknown operator":      {keyPolicy(condition(`{"StringMatches":{"a:b":"x"}}`)), "StringMatches: unknown condition operator"},
		"operator in lower":     {keyPolicy(condition(`{"stringequals":{"a:b":"x"}}`)), "stringequals: unknown condition operator"},
		"unknown set":           {keyPolicy(condition(`{"ForEach:StringLike":{"a:b":"x"}}`)), "unknown condition operator"},
		"operator without":      {keyPolicy(condition(`{"StringLike":{}}`)), "no condition key"},
		"values empty":          {keyPolicy(condition(`{"StringLike":{"a:b":[]}}`)), "a:b: must not be an empty list"},
		"value null":            {keyPolicy(condition(`{"StringLike":{"a:b":null}}`)), "a string, a number or a Boolean"},
		"value object":          {keyPolicy(condition(`{"StringLike":{"a:b":{}}}`)), "a string, a number or a Boolean"},
		"key without service":   {keyPolicy(condition(`{"StringLike":{"PrincipalOrgID":"x"}}`)), "must have the form service:name"},
		"NullIfExists":          {keyPolicy(condition(`{"NullIfExists":{"a:b":"true"}}`)), "Null operator takes no set operator"},
		"set on Null":           {keyPolicy(condition(`{"ForAnyValue:Null":{"a:b":"true"}}`)), "Null operator takes no set operator"},
		"two values of Null":    {keyPolicy(condition(`{"Null":{"a:b":["true","false"]}}`)), "takes one value"},
		"Bool is no Boolean":    {keyPolicy(condition(`{"Bool":{"a:b":"yes"}}`)), "neither true nor false"},
		"number is none":        {keyPolicy(condition(`{"NumericEquals":{"a:b":"ten"}}`)), "not a number"},
		"date is none":          {keyPolicy(condition(`{"DateLessThan":{"a:b":"tomorrow"}}`)), "neither a date"},
		"address is none":       {keyPolicy(condition(`{"IpAddress":{"a:b":"localhost"}}`)), "no IP address"},
		"range is none":         {keyPolicy(condition(`{"IpAddress":{"a:b":"10.0.0.0/99"}}`)), "no CIDR range"},
		"binary is none":        {keyPolicy(condition(`{"BinaryEquals":{"a:b":"%"}}`)), "base64"},
		"ARN is none":           {keyPolicy(condition(`{"ArnLike":{"a:b":"role/*"}}`)), "six segments"},
		"variable open":         {keyPolicy(condition(`{"StringLike":{"a:b":"${aws:username"}}`)), "not closed"},
		"variable no key":       {keyPolicy(condition(`{"StringLike":{"a:b":"${username}"}}`)), "service:name"},
		"default unquoted":      {keyPolicy(condition(`{"StringLike":{"a:b":"${aws:username, none}"}}`)), "single quotes"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := authz.ParseResourcePolicy(test.doc)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s:\ngot error  %v\nwant one with %q", test.doc, err, test.want)
			}
		})
	}
}

// The kinds of policy differ in the elements that they must and must not have
// ("AWS JSON policy elements: Principal", "IAM roles: trust policy").
func TestParseByKind(t *testing.T) {
	const (
		forKey      = `{"Statement":{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"}}`
		forRole     = `{"Statement":{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}}`
		forIdentity = `{"Statement":{"Effect":"Allow","Action":"kms:*","Resource":"*"}}`
		notForRole  = `{"Statement":{"Effect":"Deny","NotPrincipal":"*","Action":"sts:AssumeRole"}}`
	)
	type parser func(string) (*authz.Policy, error)
	tests := map[string]struct {
		parse parser
		doc   string
		want  string // "" for accepted
	}{
		"key policy":                        {authz.ParseResourcePolicy, forKey, ""},
		"key policy without Resource":       {authz.ParseResourcePolicy, forRole, "neither Resource nor NotResource"},
		"key policy without Principal":      {authz.ParseResourcePolicy, forIdentity, "neither Principal nor NotPrincipal"},
		"trust policy":                      {authz.ParseTrustPolicy, forRole, ""},
		"trust policy with Resource":        {authz.ParseTrustPolicy, forKey, "Resource is not allowed"},
		"trust policy with NotPrincipal":    {authz.ParseTrustPolicy, notForRole, "NotPrincipal is not allowed in a role trust policy"},
		"identity policy":                   {authz.ParseIdentityPolicy, forIdentity, ""},
		"identity policy with Principal":    {authz.ParseIdentityPolicy, forKey, "Principal is not allowed"},
		"identity policy without Resource":  {authz.ParseIdentityPolicy, `{"Statement":{"Effect":"Allow","Action":"kms:*"}}`, "neither Resource nor NotResource"},
		"identity policy with NotPrincipal": {authz.ParseIdentityPolicy, `{"Statement":{"Effect":"Deny","NotPrincipal":"*","Action":"kms:*","Resource":"*"}}`, "NotPrincipal is not allowed"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := test.parse(test.doc)
			switch {
			case test.want == "" && err != nil:
				t.Errorf("%s: %v", test.doc, err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("%s: got error %v, want one with %q", test.doc, err, test.want)
			}
		})
	}
}
