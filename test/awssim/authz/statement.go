package authz

import (
	"fmt"
	"strings"
)

// statement is one statement of a policy.
type statement struct {
	name   string // its Sid, or "statement 2"
	effect Effect

	actions   []pattern
	notAction bool

	// resources is empty in a role trust policy, whose resource is the role.
	resources   []resourcePattern
	notResource bool

	// principals is empty in an identity policy, whose principal is the bearer.
	principals   principals
	notPrincipal bool

	conditions []condition

	// variables are the policy variables without a default value, in lower
	// case.
	variables []string
}

// progress is the part of a statement at which a request failed, in the order of
// testing.
type progress int

const (
	atAction progress = iota
	atPrincipal
	atResource
	atCondition
	complete
)

// outcome is the result of matching a request against a statement.
type outcome struct {
	reached    progress
	viaAccount bool
	lacks      string // why the statement doesn't match, for reached > atAction
}

// match tests the parts of the statement one after another.
func (s *statement) match(e *evaluation) outcome {
	if s.matchesAction(e) == s.notAction {
		return outcome{reached: atAction}
	}
	admitted, viaAccount := s.admits(e.Principal)
	if !admitted {
		return outcome{reached: atPrincipal, lacks: "not to " + e.Principal.describe()}
	}
	for _, name := range s.variables {
		// "If AWS cannot resolve a variable this might cause the entire statement to be
		// invalid" ("Policy variables"). The simulator always treats it as invalid.
		if len(e.context[name]) != 1 {
			return outcome{reached: atResource, lacks: fmt.Sprintf("the request has no single value for ${%s}", name)}
		}
	}
	if len(s.resources) > 0 && s.matchesResource(e) == s.notResource {
		return outcome{reached: atResource, lacks: "not on " + e.Resource}
	}
	for _, c := range s.conditions {
		if !c.holds(e.context, s.effect) {
			return outcome{reached: atCondition, lacks: c.describe(e.context)}
		}
	}
	return outcome{reached: complete, viaAccount: viaAccount}
}

func (s *statement) matchesAction(e *evaluation) bool {
	for _, p := range s.actions {
		if match(p.resolve(nil), e.action) {
			return true
		}
	}
	return false
}

func (s *statement) matchesResource(e *evaluation) bool {
	for _, p := range s.resources {
		if p.matches(e.Resource, e.context) {
			return true
		}
	}
	return false
}

// admits reports whether the statement matches the principal, and whether it matches
// only because it names the principal's account.
func (s *statement) admits(p Principal) (admitted, viaAccount bool) {
	switch {
	case s.principals.empty():
		return true, false
	case s.notPrincipal:
		return !s.principals.nameEveryLevelOf(p), false
	default:
		return s.principals.match(p)
	}
}

// resourcePattern is a value of the Resource element: "*", or an ARN whose
// segments may hold wildcards.
type resourcePattern struct {
	all bool
	arn pattern
}

func (r resourcePattern) matches(resource string, context requestContext) bool {
	return r.all || matchARN(r.arn.resolve(context), resource)
}

// parseResource parses a value of the Resource or NotResource element.
func parseResource(s string, l language) (resourcePattern, error) {
	if s == "*" {
		return resourcePattern{all: true}, nil
	}
	p, err := compilePattern(s, l, true)
	if err != nil {
		return resourcePattern{}, err
	}
	if err := checkARN(p); err != nil {
		return resourcePattern{}, fmt.Errorf("resource %q: %w", s, err)
	}
	// "Resource": wildcards are allowed in every segment but the service's.
	if service := strings.SplitN(s, ":", 4)[2]; strings.ContainsAny(service, "*?") {
		return resourcePattern{}, fmt.Errorf("resource %q: the service segment of an ARN cannot hold a wildcard", s)
	}
	return resourcePattern{arn: p}, nil
}
