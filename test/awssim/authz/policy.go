package authz

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Request asks whether Principal may do Action on Resource.
type Request struct {
	// Action is the service prefix and the operation, for example kms:Decrypt. Letter
	// case does not matter.
	Action string
	// Resource is the ARN of the resource that the request acts on. It is "*"
	// for an action without a specific resource, which matches only "*" in a
	// policy. Role trust policies ignore it.
	Resource  string
	Principal Principal
	// Context holds the condition keys of the request, such as aws:PrincipalOrgID, with
	// their values. Keys are case-insensitive. A key without values, or with only empty
	// ones, counts as absent. Nothing is derived from Principal, so the caller must set
	// keys such as aws:PrincipalArn.
	Context map[string][]string
}

// Effect is the result of a policy for a request.
type Effect int

// The effects of a policy. NoMatch, the zero value, is an implicit denial.
const (
	NoMatch Effect = iota
	Allow
	Deny
)

// String returns the word that a policy document uses for the effect.
func (e Effect) String() string {
	switch e {
	case Allow:
		return "Allow"
	case Deny:
		return "Deny"
	default:
		return "no match"
	}
}

// Decision is the response of one policy to a [Request].
type Decision struct {
	Effect Effect
	// Statement names the deciding statement by its Sid or, if it has no Sid,
	// as "statement 2", counted from 1. It is empty if Effect is NoMatch.
	Statement string
	// ViaAccount means that the request is allowed only because a statement names the
	// caller's account, or its root, which means the same. Such a statement delegates
	// the decision to the account: the caller's identity policies must also allow the
	// request.
	ViaAccount bool
	// Reason says in one line why: the deciding statement or, if none matched, the one
	// that came closest, and the part that didn't match.
	Reason string
}

// Policy is a parsed policy document. It is immutable and safe for concurrent
// use.
type Policy struct {
	statements []statement
}

// Evaluate decides r. A matching Deny statement overrides any Allow. An Allow
// for the principal itself, or for all principals, takes precedence over one
// for its account.
func (p *Policy) Evaluate(r Request) Decision {
	e := newEvaluation(r)
	best := Decision{Reason: "the policy has no statement for " + r.Action}
	var closest progress
	for i := range p.statements {
		s := &p.statements[i]
		m := s.match(e)
		switch {
		case m.reached == complete && s.effect == Deny:
			return Decision{Effect: Deny, Statement: s.name, Reason: fmt.Sprintf("%s denies %s", s.name, r.Action)}
		case m.reached == complete:
			if best.Effect == NoMatch || best.ViaAccount && !m.viaAccount {
				best = Decision{Effect: Allow, Statement: s.name, ViaAccount: m.viaAccount, Reason: fmt.Sprintf("%s allows %s", s.name, r.Action)}
			}
		case best.Effect == NoMatch && s.effect == Allow && m.reached > closest:
			closest = m.reached
			best.Reason = fmt.Sprintf("%s allows %s, but %s", s.name, r.Action, m.lacks)
		}
	}
	return best
}

// Principals returns the AWS principals that the statements name, in Principal and
// NotPrincipal, as they are written there: account IDs, ARNs, unique IDs of deleted
// identities. The list is sorted and free of duplicates; "*" is not in it. KMS rejects
// a key policy that names a principal that doesn't exist. Fact: KMS-KEY-2.
func (p *Policy) Principals() []string {
	names := map[string]bool{}
	for _, s := range p.statements {
		for _, a := range s.principals.aws {
			if a != everyone {
				names[a] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// evaluation is a request prepared for matching.
type evaluation struct {
	Request

	action  string // in lower case
	context requestContext
}

func newEvaluation(r Request) *evaluation {
	e := &evaluation{Request: r, action: strings.ToLower(r.Action), context: requestContext{}}
	for key, values := range r.Context {
		key = strings.ToLower(key)
		for _, v := range values {
			if v != "" {
				e.context[key] = append(e.context[key], v)
			}
		}
	}
	return e
}

// requestContext holds a request's condition keys, in lower case, with their
// values, at least one each.
type requestContext map[string][]string
