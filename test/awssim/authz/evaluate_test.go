package authz_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/orgami/packer-plugin-orgami/test/awssim/authz"
)

const (
	owner  = "111111111111"
	member = "222222222222"
	keyARN = "arn:aws:kms:eu-west-1:111111111111:key/mrk-0123456789abcdef0123456789abcdef"
)

var (
	ownerUser = authz.Principal{ARN: "arn:aws:iam::111111111111:user/admin", Account: owner}
	ownerRoot = authz.Principal{ARN: "arn:aws:iam::111111111111:root", Account: owner, Root: true}
	node      = authz.Principal{
		ARN:     "arn:aws:sts::222222222222:assumed-role/KarpenterNodeRole/i-1",
		RoleARN: "arn:aws:iam::222222222222:role/karpenter/KarpenterNodeRole",
		Account: member,
	}
	ec2Service = authz.Principal{Service: "ec2.amazonaws.com"}
)

func mustParse(t *testing.T, parse func(string) (*authz.Policy, error), doc string) *authz.Policy {
	t.Helper()
	p, err := parse(doc)
	if err != nil {
		t.Fatalf("%s: %v", doc, err)
	}
	return p
}

// "AWS JSON policy elements: Principal", "NotPrincipal".
func TestEvaluatePrincipal(t *testing.T) {
	const (
		nodeRole    = `"arn:aws:iam::222222222222:role/karpenter/KarpenterNodeRole"`
		nodeSession = `"arn:aws:sts::222222222222:assumed-role/KarpenterNodeRole/i-1"`
		memberRoot  = `"arn:aws:iam::222222222222:root"`
	)
	tests := map[string]struct {
		principal  string // the element
		caller     authz.Principal
		want       authz.Effect
		viaAccount bool
	}{
		"bare star":                         {`"Principal":"*"`, node, authz.Allow, false},
		"star":                              {`"Principal":{"AWS":"*"}`, node, authz.Allow, false},
		"account id delegates":              {`"Principal":{"AWS":"222222222222"}`, node, authz.Allow, true},
		"account root delegates":            {`"Principal":{"AWS":` + memberRoot + `}`, node, authz.Allow, true},
		"root itself needs no delegation":   {`"Principal":{"AWS":"arn:aws:iam::111111111111:root"}`, ownerRoot, authz.Allow, false},
		"another account":                   {`"Principal":{"AWS":"333333333333"}`, node, authz.NoMatch, false},
		"root in another partition":         {`"Principal":{"AWS":"arn:aws-cn:iam::222222222222:root"}`, node, authz.NoMatch, false},
		"user":                              {`"Principal":{"AWS":"arn:aws:iam::111111111111:user/admin"}`, ownerUser, authz.Allow, false},
		"another user":                      {`"Principal":{"AWS":"arn:aws:iam::111111111111:user/Admin"}`, ownerUser, authz.NoMatch, false},
		"a session matches its role":        {`"Principal":{"AWS":` + nodeRole + `}`, node, authz.Allow, false},
		"a role without its path":           {`"Principal":{"AWS":"arn:aws:iam::222222222222:role/KarpenterNodeRole"}`, node, authz.NoMatch, false},
		"the session itself":                {`"Principal":{"AWS":` + nodeSession + `}`, node, authz.Allow, false},
		"another session of the role":       {`"Principal":{"AWS":"arn:aws:sts::222222222222:assumed-role/KarpenterNodeRole/i-2"}`, node, authz.NoMatch, false},
		"account and role in one list":      {`"Principal":{"AWS":[` + memberRoot + `,` + nodeRole + `]}`, node, authz.Allow, false},
		"a deleted role":                    {`"Principal":{"AWS":"AROAEXAMPLEEXAMPLE000"}`, node, authz.NoMatch, false},
		"service":                           {`"Principal":{"Service":["ecs.amazonaws.com","ec2.amazonaws.com"]}`, ec2Service, authz.Allow, false},
		"another service":                   {`"Principal":{"Service":"ecs.amazonaws.com"}`, ec2Service, authz.NoMatch, false},
		"a service is no caller":            {`"Principal":{"Service":"ec2.amazonaws.com"}`, node, authz.NoMatch, false},
		"federated":                         {`"Principal":{"Federated":"accounts.google.com"}`, node, authz.NoMatch, false},
		"canonical user":                    {`"Principal":{"CanonicalUser":"79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"}`, node, authz.NoMatch, false},
		"not another account":               {`"NotPrincipal":{"AWS":"333333333333"}`, node, authz.Deny, false},
		"not the role alone":                {`"NotPrincipal":{"AWS":` + nodeRole + `}`, node, authz.Deny, false},
		"not the account alone":             {`"NotPrincipal":{"AWS":` + memberRoot + `}`, node, authz.Deny, false},
		"not the account and role":          {`"NotPrincipal":{"AWS":[` + memberRoot + `,` + nodeRole + `]}`, node, authz.Deny, false},
		"not the account, role and session": {`"NotPrincipal":{"AWS":[` + memberRoot + `,` + nodeRole + `,` + nodeSession + `]}`, node, authz.NoMatch, false},
		"not the account and user":          {`"NotPrincipal":{"AWS":["111111111111","arn:aws:iam::111111111111:user/admin"]}`, ownerUser, authz.NoMatch, false},
		"not root":                          {`"NotPrincipal":{"AWS":"111111111111"}`, ownerRoot, authz.NoMatch, false},
		"not the service":                   {`"NotPrincipal":{"Service":"ec2.amazonaws.com"}`, ec2Service, authz.NoMatch, false},
		"not everybody":                     {`"NotPrincipal":"*"`, node, authz.NoMatch, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			effect := `"Effect":"Allow"`
			if strings.HasPrefix(test.principal, `"Not`) {
				effect = `"Effect":"Deny"`
			}
			p := mustParse(t, authz.ParseResourcePolicy, keyPolicy(effect+","+test.principal+","+decrypt+","+thisKey))
			got := p.Evaluate(authz.Request{Action: "kms:Decrypt", Resource: keyARN, Principal: test.caller})
			if got.Effect != test.want || got.ViaAccount != test.viaAccount {
				t.Errorf("%s for %+v: got %+v, want %v, via account %t", test.principal, test.caller, got, test.want, test.viaAccount)
			}
		})
	}
}

// "IAM JSON policy elements: Action", "NotAction".
func TestEvaluateAction(t *testing.T) {
	tests := map[string]struct {
		element, action string
		want            authz.Effect
	}{
		"same":                               {`"Action":"kms:Decrypt"`, "kms:Decrypt", authz.Allow},
		"letter case does not matter":        {`"Action":"KMS:decrypt"`, "kms:Decrypt", authz.Allow},
		"everything":                         {`"Action":"*"`, "kms:Decrypt", authz.Allow},
		"all of a service":                   {`"Action":"kms:*"`, "kms:Decrypt", authz.Allow},
		"all of another service":             {`"Action":"ec2:*"`, "kms:Decrypt", authz.NoMatch},
		"star at the end":                    {`"Action":"kms:ReEncrypt*"`, "kms:ReEncryptFrom", authz.Allow},
		"star in the middle":                 {`"Action":"kms:Re*From"`, "kms:ReEncryptFrom", authz.Allow},
		"star for nothing":                   {`"Action":"kms:GenerateDataKey*"`, "kms:GenerateDataKey", authz.Allow},
		"two stars":                          {`"Action":"kms:*Data*Plaintext"`, "kms:GenerateDataKeyWithoutPlaintext", authz.Allow},
		"kms:ReEncrypt is no action, Fact 9": {`"Action":"kms:ReEncrypt"`, "kms:ReEncryptFrom", authz.NoMatch},
		"question mark":                      {`"Action":"kms:?ecrypt"`, "kms:Decrypt", authz.Allow},
		"question mark for nothing":          {`"Action":"kms:Decrypt?"`, "kms:Decrypt", authz.NoMatch},
		"list":                               {`"Action":["kms:Encrypt","kms:Decrypt"]`, "kms:Decrypt", authz.Allow},
		"prefix is not enough":               {`"Action":"kms:Dec"`, "kms:Decrypt", authz.NoMatch},
		"NotAction names it":                 {`"NotAction":["kms:Encrypt","kms:D*"]`, "kms:Decrypt", authz.NoMatch},
		"NotAction names others":             {`"NotAction":"kms:Encrypt"`, "kms:Decrypt", authz.Allow},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := mustParse(t, authz.ParseResourcePolicy, keyPolicy(effect+","+anyone+","+test.element+","+thisKey))
			got := p.Evaluate(authz.Request{Action: test.action, Resource: keyARN, Principal: node})
			if got.Effect != test.want {
				t.Errorf("%s for %s: got %+v, want %v", test.element, test.action, got, test.want)
			}
		})
	}
}

// "IAM JSON policy elements: Resource", "NotResource", "Policy variables".
func TestEvaluateResource(t *testing.T) {
	const version2012, version2008 = "2012-10-17", "2008-10-17"
	account := map[string][]string{"aws:PrincipalAccount": {owner}}
	tests := map[string]struct {
		version, element, resource string
		context                    map[string][]string
		want                       authz.Effect
	}{
		"star":                              {version2012, `"Resource":"*"`, keyARN, nil, authz.Allow},
		"star for no resource":              {version2012, `"Resource":"*"`, "*", nil, authz.Allow},
		"an ARN is not for no resource":     {version2012, `"Resource":"arn:aws:kms:*:*:*"`, "*", nil, authz.NoMatch},
		"whole ARN":                         {version2012, `"Resource":"` + keyARN + `"`, keyARN, nil, authz.Allow},
		"region wildcarded, Fact 2":         {version2012, `"Resource":"arn:aws:kms:*:111111111111:key/mrk-0123456789abcdef0123456789abcdef"`, keyARN, nil, authz.Allow},
		"another account":                   {version2012, `"Resource":"arn:aws:kms:*:222222222222:key/*"`, keyARN, nil, authz.NoMatch},
		"alias is not its key":              {version2012, `"Resource":"arn:aws:kms:*:111111111111:alias/*"`, keyARN, nil, authz.NoMatch},
		"star stays in its segment":         {version2012, `"Resource":"arn:aws:kms:*:*:key/x"`, "arn:aws:kms:eu-west-1:111111111111:a:key/x", nil, authz.NoMatch},
		"star in the last takes colons":     {version2012, `"Resource":"arn:aws:kms:*:*:*x"`, "arn:aws:kms:eu-west-1:111111111111:a:key/x", nil, authz.Allow},
		"letter case matters":               {version2012, `"Resource":"arn:aws:kms:*:*:KEY/*"`, keyARN, nil, authz.NoMatch},
		"list":                              {version2012, `"Resource":["arn:aws:kms:*:*:key/x","arn:aws:kms:*:*:key/mrk-*"]`, keyARN, nil, authz.Allow},
		"NotResource names it":              {version2012, `"NotResource":"arn:aws:kms:*:*:key/*"`, keyARN, nil, authz.NoMatch},
		"NotResource names others":          {version2012, `"NotResource":"arn:aws:kms:*:*:alias/*"`, keyARN, nil, authz.Allow},
		"variable":                          {version2012, `"Resource":"arn:aws:kms:*:${aws:PrincipalAccount}:key/*"`, keyARN, account, authz.Allow},
		"variable in any letter case":       {version2012, `"Resource":"arn:aws:kms:*:${AWS:principalaccount}:key/*"`, keyARN, account, authz.Allow},
		"variable of another value":         {version2012, `"Resource":"arn:aws:kms:*:${aws:PrincipalAccount}:key/*"`, keyARN, map[string][]string{"aws:PrincipalAccount": {member}}, authz.NoMatch},
		"variable's wildcard is literal":    {version2012, `"Resource":"arn:aws:kms:*:${aws:PrincipalAccount}:key/*"`, keyARN, map[string][]string{"aws:PrincipalAccount": {"*"}}, authz.NoMatch},
		"variable of two values":            {version2012, `"Resource":"arn:aws:kms:*:${aws:PrincipalAccount}:key/*"`, keyARN, map[string][]string{"aws:PrincipalAccount": {owner, member}}, authz.NoMatch},
		"variable without a value":          {version2012, `"Resource":"arn:aws:kms:*:${aws:PrincipalAccount}:key/*"`, keyARN, nil, authz.NoMatch},
		"variable's absence voids all":      {version2012, `"NotResource":"arn:aws:kms:*:${aws:PrincipalAccount}:key/*"`, keyARN, nil, authz.NoMatch},
		"default value":                     {version2012, `"Resource":"arn:aws:kms:*:${aws:PrincipalAccount, '111111111111'}:key/*"`, keyARN, nil, authz.Allow},
		"value over default":                {version2012, `"Resource":"arn:aws:kms:*:${aws:PrincipalAccount, '333333333333'}:key/*"`, keyARN, account, authz.Allow},
		"escaped star is literal":           {version2012, `"Resource":"arn:aws:kms:*:*:key/${*}"`, keyARN, nil, authz.NoMatch},
		"escaped star matches a star":       {version2012, `"Resource":"arn:aws:kms:*:*:key/${*}"`, "arn:aws:kms:eu-west-1:111111111111:key/*", nil, authz.Allow},
		"no variables in the older version": {version2008, `"Resource":"arn:aws:kms:*:${aws}:key/*"`, keyARN, account, authz.NoMatch},
		"literal text in the older version": {version2008, `"Resource":"arn:aws:kms:*:*:key/${aws:username}"`, "arn:aws:kms:eu-west-1:111111111111:key/${aws:username}", nil, authz.Allow},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := mustParse(t, authz.ParseIdentityPolicy,
				`{"Version":"`+test.version+`","Statement":{`+effect+","+decrypt+","+test.element+`}}`)
			got := p.Evaluate(authz.Request{Action: "kms:Decrypt", Resource: test.resource, Principal: node, Context: test.context})
			if got.Effect != test.want {
				t.Errorf("%s on %s with %v: got %+v, want %v", test.element, test.resource, test.context, got, test.want)
			}
		})
	}
}

// "Policy evaluation logic": an explicit denial wins; without an Allow the response
// is an implicit denial.
func TestEvaluateCombinesStatements(t *testing.T) {
	const (
		allowAll     = `"Sid":"Everybody","Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"`
		allowAccount = `"Sid":"Account","Effect":"Allow","Principal":{"AWS":"222222222222"},"Action":"kms:*","Resource":"*"`
		denyDecrypt  = `"Effect":"Deny","Principal":"*","Action":"kms:Decrypt","Resource":"*"`
		wrongOrg     = `"Sid":"Org","Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-ours"}}`
	)
	tests := map[string]struct {
		doc  string
		want authz.Decision
	}{
		"a denial after an Allow": {
			keyPolicy(allowAll, denyDecrypt),
			authz.Decision{Effect: authz.Deny, Statement: "statement 2", Reason: "statement 2 denies kms:Decrypt"},
		},
		"a denial before an Allow": {
			keyPolicy(denyDecrypt, allowAll),
			authz.Decision{Effect: authz.Deny, Statement: "statement 1", Reason: "statement 1 denies kms:Decrypt"},
		},
		"a direct Allow over delegation": {
			keyPolicy(allowAccount, allowAll),
			authz.Decision{Effect: authz.Allow, Statement: "Everybody", Reason: "Everybody allows kms:Decrypt"},
		},
		"the first of two Allows": {
			keyPolicy(allowAll, allowAccount),
			authz.Decision{Effect: authz.Allow, Statement: "Everybody", Reason: "Everybody allows kms:Decrypt"},
		},
		"delegation alone": {
			keyPolicy(allowAccount),
			authz.Decision{Effect: authz.Allow, Statement: "Account", ViaAccount: true, Reason: "Account allows kms:Decrypt"},
		},
		"the closest reason": {
			keyPolicy(
				`"Sid":"Owner","Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":"kms:*","Resource":"*"`, wrongOrg),
			authz.Decision{Reason: "Org allows kms:Decrypt, but its condition StringEquals aws:PrincipalOrgID wants o-ours, and the request has o-theirs"},
		},
		"not to this principal": {
			keyPolicy(
				`"Sid":"Owner","Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":"kms:*","Resource":"*"`),
			authz.Decision{Reason: "Owner allows kms:Decrypt, but not to " + node.RoleARN},
		},
		"not on this key": {
			keyPolicy(`"Sid":"Other","Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"arn:aws:kms:us-east-1:111111111111:key/x"`),
			authz.Decision{Reason: "Other allows kms:Decrypt, but not on " + keyARN},
		},
		"no statement at all": {
			keyPolicy(`"Effect":"Allow","Principal":"*","Action":"kms:Encrypt","Resource":"*"`),
			authz.Decision{Reason: "the policy has no statement for kms:Decrypt"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := mustParse(t, authz.ParseResourcePolicy, test.doc).Evaluate(authz.Request{
				Action: "kms:Decrypt", Resource: keyARN, Principal: node,
				Context: map[string][]string{"aws:PrincipalOrgID": {"o-theirs"}},
			})
			if got != test.want {
				t.Errorf("got  %+v\nwant %+v", got, test.want)
			}
		})
	}
}

// A role's trust policy names the principals that can assume it, and has no
// resource.
func TestEvaluateTrustPolicy(t *testing.T) {
	p := mustParse(t, authz.ParseTrustPolicy, `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"},
		{"Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"secret"}}}]}`)
	tests := map[string]struct {
		caller  authz.Principal
		context map[string][]string
		want    authz.Effect
	}{
		"service":             {ec2Service, nil, authz.Allow},
		"account with the id": {ownerUser, map[string][]string{"sts:ExternalId": {"secret"}}, authz.Allow},
		"account without it":  {ownerUser, nil, authz.NoMatch},
		"another account":     {node, map[string][]string{"sts:ExternalId": {"secret"}}, authz.NoMatch},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := p.Evaluate(authz.Request{Action: "sts:AssumeRole", Principal: test.caller, Context: test.context})
			if got.Effect != test.want {
				t.Errorf("got %+v, want %v", got, test.want)
			}
		})
	}
}

func TestPrincipals(t *testing.T) {
	p := mustParse(t, authz.ParseResourcePolicy, keyPolicy(
		`"Effect":"Allow","Principal":{"AWS":["arn:aws:iam::222222222222:role/b","111111111111","*"],"Service":"ec2.amazonaws.com"},"Action":"*","Resource":"*"`,
		`"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"`,
		`"Effect":"Deny","NotPrincipal":{"AWS":["111111111111","AROAEXAMPLEEXAMPLE000"]},"Action":"*","Resource":"*"`))
	want := []string{"111111111111", "AROAEXAMPLEEXAMPLE000", "arn:aws:iam::222222222222:role/b"}
	if got := p.Principals(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
