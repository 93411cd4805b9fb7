package authz_test

import (
	"testing"

	"github.com/orgami/packer-plugin-orgami/test/awssim/authz"
)

// FuzzEvaluate checks that no document and no request makes the package panic or
// hang, and two laws: a decision names a statement exactly if it has an effect,
// and no document is both a key policy and an identity policy.
func FuzzEvaluate(f *testing.F) {
	f.Add(keyPolicy(statement), "kms:Decrypt", keyARN, node.ARN, "aws:PrincipalOrgID", "o-ours")
	f.Add(keyPolicy(condition(`{"ForAnyValue:StringLike":{"aws:PrincipalOrgPaths":"o-*/r-*/*"}}`)), "kms:Decrypt", keyARN, node.ARN, "aws:PrincipalOrgPaths", "o-a/r-b/")
	f.Add(keyPolicy(condition(`{"ArnLike":{"t:Key":"arn:aws:iam::${aws:PrincipalAccount, '*'}:role/*"}}`)), "kms:Decrypt", "*", "", "t:Key", "arn:aws:iam::1:role/x")
	f.Fuzz(func(t *testing.T, doc, action, resource, arn, key, value string) {
		request := authz.Request{
			Action: action, Resource: resource,
			Principal: authz.Principal{ARN: arn, Account: member},
			Context:   map[string][]string{key: {value}},
		}
		for _, parse := range []func(string) (*authz.Policy, error){authz.ParseIdentityPolicy, authz.ParseTrustPolicy, authz.ParseResourcePolicy} {
			p, err := parse(doc)
			if (p == nil) == (err == nil) {
				t.Fatalf("parsing %q gave policy %v and error %v", doc, p, err)
			}
			if err != nil {
				continue
			}
			d := p.Evaluate(request)
			if (d.Statement == "") != (d.Effect == authz.NoMatch) || d.ViaAccount && d.Effect != authz.Allow || d.Reason == "" {
				t.Errorf("%q: inconsistent decision %+v", doc, d)
			}
		}
		if _, err := authz.ParseResourcePolicy(doc); err == nil {
			if _, err := authz.ParseIdentityPolicy(doc); err == nil {
				t.Errorf("%q is both a key policy and an identity policy", doc)
			}
		}
	})
}
