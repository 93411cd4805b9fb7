package evaluate_test

import (
	"slices"
	"testing"

	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
)

// The result of IAM's simulator for a role replaces its assumed policy.
func TestSimulations(t *testing.T) {
	image := evaluate.ImageARN("aws", region, "ami-0a0a0a0a0a0a0a0a0")
	use, grant, launch := evaluate.SimulatedActions()
	keys := slices.Concat(use, grant)
	simulate := func(alter func(evaluate.SimulatedRequest, *evaluate.SimulatedResult)) func(*scene) {
		return func(s *scene) {
			simulation := evaluate.Simulation{}
			add := func(action, resource string) {
				allowed := true
				r, result := evaluate.SimulatedRequest{Action: action, Resource: resource}, evaluate.SimulatedResult{Identity: evaluate.SimulatedAllow, Policies: []string{"mine"}, Organization: &allowed}
				alter(r, &result)
				simulation[r] = result
			}
			for _, action := range keys {
				add(action, s.key.ARN)
			}
			for _, action := range launch {
				add(action, image)
			}
			s.launcher.Policy = nil // nothing requests it
			s.account.Simulations = map[string]map[string]evaluate.Simulation{region: {s.launcher.Role: simulation}}
		}
	}
	one := func(action string, alter func(*evaluate.SimulatedResult)) func(*scene) {
		return simulate(func(r evaluate.SimulatedRequest, result *evaluate.SimulatedResult) {
			if r.Action == action {
				alter(result)
			}
		})
	}
	decision := func(d evaluate.SimulatedDecision) func(*evaluate.SimulatedResult) {
		return func(r *evaluate.SimulatedResult) { r.Identity = d }
	}
	boundary := func(allowed bool) func(*evaluate.SimulatedResult) {
		return func(r *evaluate.SimulatedResult) { r.Boundary = &allowed }
	}
	denied := func(r *evaluate.SimulatedResult) {
		no := false
		r.Organization, r.Identity, r.Policies = &no, "", nil
	}
	missing := func(r *evaluate.SimulatedResult) { r.Missing = []string{"aws:PrincipalTag/team"} }
	nothing := func(evaluate.SimulatedRequest, *evaluate.SimulatedResult) {}
	fleet := func(s *scene) { s.launcher.Fleet = true }
	check(t, []ruling{
		{"everything is allowed", simulate(nothing), evaluate.Launches, ""},
		{"an operation is not allowed", one("kms:CreateGrant", decision(evaluate.SimulatedImplicitDeny)), evaluate.Fails, "identity-policy"},
		{"an operation is denied", one("kms:Decrypt", decision(evaluate.SimulatedExplicitDeny)), evaluate.Fails, "identity-policy"},
		{"an operation is not known", one("kms:Decrypt", decision("")), evaluate.Inconclusive, "identity-policy"},
		{"a decision of tomorrow is not allowed", one("kms:Decrypt", decision("maybe")), evaluate.Fails, "identity-policy"},
		{"a context key is missing where it's allowed", one("kms:Decrypt", missing), evaluate.Inconclusive, "identity-policy"},
		{"a context key is missing where it's denied", steps(one("kms:Decrypt", func(r *evaluate.SimulatedResult) { missing(r); r.Identity = evaluate.SimulatedExplicitDeny })), evaluate.Inconclusive, "identity-policy"},
		{"the launch is not allowed", one("ec2:RunInstances", decision(evaluate.SimulatedImplicitDeny)), evaluate.Fails, "identity-policy"},
		{"the launch is not known", one("ec2:RunInstances", missing), evaluate.Inconclusive, "identity-policy"},
		{"a fleet is not allowed, and not needed", one("ec2:CreateFleet", decision(evaluate.SimulatedImplicitDeny)), evaluate.Launches, ""},
		{"a fleet is not allowed, and needed", steps(one("ec2:CreateFleet", decision(evaluate.SimulatedImplicitDeny)), fleet), evaluate.Fails, "identity-policy"},
		{"the boundary allows it", one("kms:Decrypt", boundary(true)), evaluate.Launches, ""},
		{"the boundary doesn't", one("kms:Decrypt", boundary(false)), evaluate.Fails, "permission-boundary"},
		{"the boundary needs a context key", one("kms:Decrypt", func(r *evaluate.SimulatedResult) { boundary(true)(r); missing(r) }), evaluate.Inconclusive, "permission-boundary"},
		{"the organization denies, and nothing says why", one("kms:Decrypt", denied), evaluate.Inconclusive, "scp"},
		{"the organization denies by a statement", one("kms:Decrypt", func(r *evaluate.SimulatedResult) {
			denied(r)
			r.Identity, r.Policies = evaluate.SimulatedExplicitDeny, []string{"p-1"}
		}), evaluate.Fails, "scp"},
		{"the key policy still decides", steps(simulate(nothing), func(s *scene) { s.keyPolicy(to(other)) }), evaluate.Fails, "key-policy"},
		{"a key that wasn't simulated is not known", func(s *scene) {
			arn := s.key.ARN
			s.key.ARN += "0"
			simulate(nothing)(s)
			s.key.ARN = arn
		}, evaluate.Inconclusive, "identity-policy"},
		{"a simulation of another role counts for nothing", func(s *scene) {
			simulate(nothing)(s)
			s.account.Simulations[region] = map[string]evaluate.Simulation{"Another": s.account.Simulations[region][s.launcher.Role]}
		}, evaluate.Fails, "identity-policy"},
	})
	evidence := func(alter func(*scene)) evaluate.Evidence {
		s := newScene()
		alter(s)
		s.account.DefaultEBSKeys = map[string]evaluate.Key{region: {ARN: "alias/aws/ebs", AWSManaged: true}}
		s.account.AllowedAMIs = map[string]evaluate.AllowedAMIs{region: {State: "disabled"}}
		return s.verdict().Evidence()
	}
	if got := evidence(simulate(nothing)); got != evaluate.Simulated {
		t.Errorf("what is simulated rests on %q", got)
	}
	if got := evidence(simulate(func(_ evaluate.SimulatedRequest, r *evaluate.SimulatedResult) { r.Organization = nil })); got != evaluate.Assumed {
		t.Errorf("without the organization's decision it rests on %q", got)
	}
	if got := evidence(func(s *scene) { s.asService(); s.grant(whole()...) }); got != evaluate.Seen {
		t.Errorf("a service-linked role rests on %q", got)
	}
	if got := evidence(func(s *scene) { s.asService(); s.grant(whole()...); s.account.MembershipAssumed = true }); got != evaluate.Assumed {
		t.Errorf("an account whose organization is assumed rests on %q", got)
	}
	if got := evidence(func(*scene) {}); got != evaluate.Assumed {
		t.Errorf("an assumed policy rests on %q", got)
	}
}
