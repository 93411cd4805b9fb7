package evaluate_test

import (
	"encoding/json"
	"testing"

	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
)

// The evaluator returns a verdict with its reason for any policy. A policy that isn't a
// JSON object never allows a launch.
func FuzzPolicies(f *testing.F) {
	base := newScene()
	f.Add(string(base.key.Policy), string(base.launcher.Policy))
	f.Add(`{"Version":"2012-10-17","Statement":{"Effect":"Deny","NotPrincipal":{"AWS":"*"},"NotAction":"kms:*","NotResource":"*"}}`, `{`)
	f.Add(`{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"ForAnyValue:StringLikeIfExists":{"aws:PrincipalOrgPaths":["*",1,true]}}}]}`, ``)
	f.Add(`[]`, `{"Statement":[null]}`)
	f.Add(string(base.key.Policy), `{"Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"ForAllValues:StringEqualsIfExists":{"kms:GrantOperations":"Decrypt"},"StringEquals":{"kms:ViaService":"ec2.eu-west-1.amazonaws.com"}}}}`)
	f.Fuzz(func(t *testing.T, key, identity string) {
		for _, h := range hidings() {
			if !h.never {
				continue
			}
			s := newScene()
			s.key.Policy, s.launcher.Policy = json.RawMessage(key), json.RawMessage(identity)
			if v := s.verdict(h.hide); v.Outcome == evaluate.Launches {
				t.Errorf("launches where %s, by %s and %s", h.name, key, identity)
			}
		}
		s := newScene()
		s.key.Policy, s.launcher.Policy = json.RawMessage(key), json.RawMessage(identity)
		v := s.verdict()
		var object map[string]any
		if v.Outcome == evaluate.Launches && (json.Unmarshal([]byte(key), &object) != nil || json.Unmarshal([]byte(identity), &object) != nil) {
			t.Errorf("launches by %s and %s", key, identity)
		}
		if l, found := v.Broken(); v.Outcome != evaluate.Launches && (!found || l.Because == "") {
			t.Errorf("no reason: %+v", v)
		}
	})
}
