package authz_test

import (
	"testing"

	"github.com/orgami/packer-plugin-orgami/test/awssim/authz"
)

// values is the request's values of the key that the conditions here test.
type values []string

// evaluateCondition evaluates an Allow statement with the Condition element.
// The request has the values for the condition key t:Key.
func evaluateCondition(t *testing.T, effect, condition string, got values) authz.Effect {
	t.Helper()
	p := mustParse(t, authz.ParseIdentityPolicy,
		`{"Version":"2012-10-17","Statement":{"Effect":"`+effect+`","Action":"kms:Decrypt","Resource":"*","Condition":`+condition+`}}`)
	context := map[string][]string{
		"aws:PrincipalAccount": {member},
		"aws:PrincipalOrgID":   {"o-ours"},
		"aws:PrincipalArn":     {node.RoleARN},
	}
	if got != nil {
		context["t:Key"] = got
	}
	return p.Evaluate(authz.Request{Action: "kms:Decrypt", Resource: keyARN, Principal: node, Context: context}).Effect
}

// "IAM JSON policy elements: Condition operators", one group of tests for each of
// its sections.
func TestConditionOperators(t *testing.T) {
	const role = "arn:aws:iam::222222222222:role/KarpenterNodeRole"
	tests := []struct {
		name, condition string
		got             values
		want            bool
	}{
		{"string same", `{"StringEquals":{"t:Key":"a"}}`, values{"a"}, true},
		{"string one of several", `{"StringEquals":{"t:Key":["b","a"]}}`, values{"a"}, true},
		{"string other", `{"StringEquals":{"t:Key":"a"}}`, values{"b"}, false},
		{"string letter case", `{"StringEquals":{"t:Key":"A"}}`, values{"a"}, false},
		{"string star is literal", `{"StringEquals":{"t:Key":"a*"}}`, values{"abc"}, false},
		{"string star itself", `{"StringEquals":{"t:Key":"a*"}}`, values{"a*"}, true},
		{"string not", `{"StringNotEquals":{"t:Key":"a"}}`, values{"b"}, true},
		{"string not, none of several", `{"StringNotEquals":{"t:Key":["a","b"]}}`, values{"b"}, false},
		{"string fold", `{"StringEqualsIgnoreCase":{"t:Key":"AÉ"}}`, values{"aé"}, true},
		{"string not fold", `{"StringNotEqualsIgnoreCase":{"t:Key":"A"}}`, values{"a"}, false},
		{"string like", `{"StringLike":{"t:Key":"ec2.*.amazonaws.com"}}`, values{"ec2.eu-west-1.amazonaws.com"}, true},
		{"string like is anchored", `{"StringLike":{"t:Key":"ec2.*.amazonaws.com"}}`, values{"ec2.cn-north-1.amazonaws.com.cn"}, false},
		{"string like goes back", `{"StringLike":{"t:Key":"*ab*abc"}}`, values{"xababxabc"}, true},
		{"string like one", `{"StringLike":{"t:Key":"a?c"}}`, values{"aéc"}, true},
		{"string like letter case", `{"StringLike":{"t:Key":"A*"}}`, values{"ab"}, false},
		{"string not like", `{"StringNotLike":{"t:Key":["a*","b*"]}}`, values{"cd"}, true},
		{"string not like one of them", `{"StringNotLike":{"t:Key":["a*","b*"]}}`, values{"bd"}, false},

		{"number same", `{"NumericEquals":{"t:Key":"10"}}`, values{"10.0"}, true},
		{"number unquoted", `{"NumericEquals":{"t:Key":10}}`, values{"10"}, true},
		{"number not", `{"NumericNotEquals":{"t:Key":10}}`, values{"11"}, true},
		{"number less", `{"NumericLessThan":{"t:Key":"10"}}`, values{"9"}, true},
		{"number less, same", `{"NumericLessThan":{"t:Key":"10"}}`, values{"10"}, false},
		{"number at most", `{"NumericLessThanEquals":{"t:Key":"10"}}`, values{"10"}, true},
		{"number greater", `{"NumericGreaterThan":{"t:Key":"9"}}`, values{"10"}, true},
		{"number greater, same", `{"NumericGreaterThan":{"t:Key":"10"}}`, values{"10"}, false},
		{"number at least", `{"NumericGreaterThanEquals":{"t:Key":"-1.5"}}`, values{"-1.5"}, true},
		{"number is none", `{"NumericLessThan":{"t:Key":"10"}}`, values{"x"}, false},
		{"number not, is none", `{"NumericNotEquals":{"t:Key":"10"}}`, values{"x"}, true},

		{"date same instant", `{"DateEquals":{"t:Key":"2026-01-31T12:00:00Z"}}`, values{"2026-01-31T13:00:00+01:00"}, true},
		{"date in seconds", `{"DateEquals":{"t:Key":"1970-01-02"}}`, values{"86400"}, true},
		{"date not", `{"DateNotEquals":{"t:Key":"2026-01-31"}}`, values{"2026-01-30"}, true},
		{"date before", `{"DateLessThan":{"t:Key":"2026-01-31T12:00Z"}}`, values{"2026-01-31T11:59:59Z"}, true},
		{"date until", `{"DateLessThanEquals":{"t:Key":"2026-01-31"}}`, values{"2026-01-31T00:00:01Z"}, false},
		{"date after", `{"DateGreaterThan":{"t:Key":"2026-01"}}`, values{"2026-01-01T00:00:00Z"}, false},
		{"date from", `{"DateGreaterThanEquals":{"t:Key":"2026-01"}}`, values{"2026-01-01T00:00:00Z"}, true},
		{"date is none", `{"DateLessThan":{"t:Key":"2026-01-31"}}`, values{"x"}, false},

		{"Boolean same", `{"Bool":{"t:Key":"true"}}`, values{"true"}, true},
		{"Boolean unquoted", `{"Bool":{"t:Key":true}}`, values{"true"}, true},
		{"Boolean letter case", `{"Bool":{"t:Key":"True"}}`, values{"true"}, true},
		{"Boolean other", `{"Bool":{"t:Key":"false"}}`, values{"true"}, false},
		{"binary same", `{"BinaryEquals":{"t:Key":"QmluYXJ5"}}`, values{"QmluYXJ5"}, true},
		{"binary other", `{"BinaryEquals":{"t:Key":"QmluYXJ5"}}`, values{"Qmlu"}, false},

		{"address in range", `{"IpAddress":{"t:Key":"203.0.113.0/24"}}`, values{"203.0.113.9"}, true},
		{"address out of range", `{"IpAddress":{"t:Key":"203.0.113.0/24"}}`, values{"203.0.114.9"}, false},
		{"address with host bits", `{"IpAddress":{"t:Key":"203.0.113.77/24"}}`, values{"203.0.113.9"}, true},
		{"address alone", `{"IpAddress":{"t:Key":"2001:db8::1"}}`, values{"2001:db8::1"}, true},
		{"address not", `{"NotIpAddress":{"t:Key":"203.0.113.0/24"}}`, values{"203.0.114.9"}, true},
		{"address is none", `{"IpAddress":{"t:Key":"0.0.0.0/0"}}`, values{"ec2"}, false},

		{"ARN same", `{"ArnEquals":{"t:Key":"` + role + `"}}`, values{role}, true},
		{"ARN equals takes wildcards", `{"ArnEquals":{"t:Key":"arn:aws:iam::*:role/*"}}`, values{role}, true},
		{"ARN like", `{"ArnLike":{"t:Key":"arn:*:iam::2222*:role/Karpenter*"}}`, values{role}, true},
		{"ARN star stays in its segment", `{"ArnLike":{"t:Key":"arn:*:*:*:*:role/x"}}`, values{"arn:aws:iam:::a:role/x"}, false},
		{"ARN letter case", `{"ArnLike":{"t:Key":"arn:aws:iam::*:ROLE/*"}}`, values{role}, false},
		{"ARN is none", `{"ArnLike":{"t:Key":"arn:aws:iam::*:*"}}`, values{"KarpenterNodeRole"}, false},
		{"ARN not", `{"ArnNotEquals":{"t:Key":"arn:aws:iam::*:user/*"}}`, values{role}, true},
		{"ARN not like", `{"ArnNotLike":{"t:Key":"arn:aws:iam::*:role/*"}}`, values{role}, false},

		{"null, absent", `{"Null":{"t:Key":"true"}}`, nil, true},
		{"null, present", `{"Null":{"t:Key":"true"}}`, values{"x"}, false},
		{"not null, present", `{"Null":{"t:Key":false}}`, values{"x"}, true},
		{"not null, absent", `{"Null":{"t:Key":"false"}}`, nil, false},
		{"not null, empty", `{"Null":{"t:Key":"false"}}`, values{""}, false},

		{"variable in a string", `{"StringEquals":{"t:Key":"a-${aws:PrincipalAccount}"}}`, values{"a-" + member}, true},
		{"variable in a pattern", `{"StringLike":{"t:Key":"*-${aws:PrincipalAccount}"}}`, values{"a-" + member}, true},
		{"variable in an ARN", `{"ArnLike":{"t:Key":"arn:aws:iam::${aws:PrincipalAccount}:role/*"}}`, values{role}, true},
		{"variable is the ARN", `{"ArnEquals":{"t:Key":"${aws:PrincipalArn}"}}`, values{node.RoleARN}, true},
		{"variable of this key", `{"StringEquals":{"t:Key":"${t:Key}"}}`, values{"x"}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := evaluateCondition(t, "Allow", test.condition, test.got) == authz.Allow; got != test.want {
				t.Errorf("%s with %q: got %t, want %t", test.condition, []string(test.got), got, test.want)
			}
		})
	}
}

// "Condition operators", "…IfExists" and the tables on missing keys.
func TestConditionMissingKey(t *testing.T) {
	tests := map[string]bool{ // operator and value → holds
		`"StringEquals":{"t:Key":"a"}`:                     false,
		`"StringLike":{"t:Key":"*"}`:                       false,
		`"NumericLessThan":{"t:Key":1}`:                    false,
		`"DateLessThan":{"t:Key":1}`:                       false,
		`"Bool":{"t:Key":"false"}`:                         false,
		`"IpAddress":{"t:Key":"0.0.0.0/0"}`:                false,
		`"ArnLike":{"t:Key":"arn:*:iam:*:*:*"}`:            false,
		`"StringNotEquals":{"t:Key":"a"}`:                  true,
		`"StringNotLike":{"t:Key":"*"}`:                    true,
		`"NumericNotEquals":{"t:Key":1}`:                   true,
		`"DateNotEquals":{"t:Key":1}`:                      true,
		`"NotIpAddress":{"t:Key":"0.0.0.0/0"}`:             true,
		`"ArnNotLike":{"t:Key":"arn:*:iam:*:*:*"}`:         true,
		`"StringEqualsIfExists":{"t:Key":"a"}`:             true,
		`"BoolIfExists":{"t:Key":"true"}`:                  true,
		`"StringNotEqualsIfExists":{"t:Key":"a"}`:          true,
		`"ForAllValues:StringEquals":{"t:Key":"a"}`:        true,
		`"ForAllValues:StringNotEquals":{"t:Key":"a"}`:     true,
		`"ForAnyValue:StringEquals":{"t:Key":"a"}`:         false,
		`"ForAnyValue:StringNotEquals":{"t:Key":"a"}`:      false,
		`"ForAnyValue:StringEqualsIfExists":{"t:Key":"a"}`: true,
	}
	for operator, want := range tests {
		t.Run(operator, func(t *testing.T) {
			for _, missing := range []values{nil, {}, {""}} {
				if got := evaluateCondition(t, "Allow", "{"+operator+"}", missing) == authz.Allow; got != want {
					t.Errorf("with %#v: got %t, want %t", missing, got, want)
				}
			}
		})
	}
}

// IfExists changes nothing if the request has the key.
func TestConditionIfExistsPresent(t *testing.T) {
	tests := map[string]struct {
		got  string
		want authz.Effect
	}{
		"same":  {"a", authz.Allow},
		"other": {"b", authz.NoMatch},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := evaluateCondition(t, "Allow", `{"StringEqualsIfExists":{"t:Key":"a"}}`, values{test.got})
			if got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

// "Multivalued context keys".
func TestConditionSetOperators(t *testing.T) {
	tests := map[string]struct {
		condition string
		got       values
		want      bool
	}{
		"any, one matches":             {`{"ForAnyValue:StringEquals":{"t:Key":["a","b"]}}`, values{"x", "b"}, true},
		"any, none matches":            {`{"ForAnyValue:StringEquals":{"t:Key":["a","b"]}}`, values{"x", "y"}, false},
		"any not, one differs":         {`{"ForAnyValue:StringNotEquals":{"t:Key":["a","b"]}}`, values{"a", "x"}, true},
		"any not, none differs":        {`{"ForAnyValue:StringNotEquals":{"t:Key":["a","b"]}}`, values{"a", "b"}, false},
		"any like (org paths, Fact 1)": {`{"ForAnyValue:StringLike":{"t:Key":["o-ours/r-ab12/ou-ab12-11111111/*"]}}`, values{"o-ours/r-ab12/ou-ab12-11111111/ou-ab12-22222222/"}, true},
		"all match":                    {`{"ForAllValues:StringEquals":{"t:Key":["a","b"]}}`, values{"b", "a"}, true},
		"all, one does not":            {`{"ForAllValues:StringEquals":{"t:Key":["a","b"]}}`, values{"a", "x"}, false},
		"all not, none matches":        {`{"ForAllValues:StringNotEquals":{"t:Key":["a","b"]}}`, values{"x", "y"}, true},
		"all not, one matches":         {`{"ForAllValues:StringNotEquals":{"t:Key":["a","b"]}}`, values{"x", "a"}, false},
		"all, Boolean":                 {`{"ForAllValues:Bool":{"t:Key":"true"}}`, values{"true", "true"}, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := evaluateCondition(t, "Allow", test.condition, test.got) == authz.Allow; got != test.want {
				t.Errorf("%s with %q: got %t, want %t", test.condition, []string(test.got), got, test.want)
			}
		})
	}
}

// A key with several values needs a set operator. AWS doesn't document the effect of a
// plain operator. Here, an Allow grants nothing and a Deny denies.
func TestConditionPlainOperatorOnList(t *testing.T) {
	for _, operator := range []string{"StringEquals", "StringNotEquals"} {
		block := `{"` + operator + `":{"t:Key":["a","b"]}}`
		if got := evaluateCondition(t, "Allow", block, values{"a", "x"}); got != authz.NoMatch {
			t.Errorf("%s in an Allow: got %v, want no match", operator, got)
		}
		if got := evaluateCondition(t, "Deny", block, values{"a", "x"}); got != authz.Deny {
			t.Errorf("%s in a Deny: got %v, want Deny", operator, got)
		}
	}
	// aws:PrincipalOrgPaths is a list even when it holds one path.
	p := mustParse(t, authz.ParseResourcePolicy, keyPolicy(condition(`{"StringLike":{"aws:PrincipalOrgPaths":"o-ours/*"}}`)))
	got := p.Evaluate(authz.Request{
		Action: "kms:Decrypt", Resource: keyARN, Principal: node,
		Context: map[string][]string{"aws:PrincipalOrgPaths": {"o-ours/r-ab12/"}},
	})
	if got.Effect != authz.NoMatch {
		t.Errorf("StringLike on aws:PrincipalOrgPaths: got %+v, want no match", got)
	}
}

// "IAM JSON policy elements: Condition": operators and keys are joined with AND,
// values with OR; letter case of keys does not matter.
func TestConditionsCombine(t *testing.T) {
	tests := map[string]struct {
		condition string
		want      authz.Effect
	}{
		"two operators, both hold": {`{"StringEquals":{"aws:PrincipalOrgID":"o-ours"},"StringLike":{"t:Key":"a*"}}`, authz.Allow},
		"two operators, one holds": {`{"StringEquals":{"aws:PrincipalOrgID":"o-ours"},"StringLike":{"t:Key":"x*"}}`, authz.NoMatch},
		"two keys, both hold":      {`{"StringEquals":{"aws:PrincipalOrgID":"o-ours","t:Key":"abc"}}`, authz.Allow},
		"two keys, one holds":      {`{"StringEquals":{"aws:PrincipalOrgID":["o-theirs","o-other"],"t:Key":"abc"}}`, authz.NoMatch},
		"letter case of keys":      {`{"StringEquals":{"AWS:principalorgid":"o-ours","T:KEY":"abc"}}`, authz.Allow},
		"empty":                    {`{}`, authz.Allow},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := evaluateCondition(t, "Allow", test.condition, values{"abc"}); got != test.want {
				t.Errorf("%s: got %v, want %v", test.condition, got, test.want)
			}
		})
	}
}
