package authz

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// policyKind is the kind of a policy. It determines the elements that the policy must
// and must not have.
type policyKind int

const (
	resourcePolicy policyKind = iota
	trustPolicy
	identityPolicy
)

// ParseResourcePolicy parses a KMS key policy, or another policy that is attached to a
// resource and names it. Every statement needs a Principal and a Resource. The error
// names the malformed element and its statement.
func ParseResourcePolicy(doc string) (*Policy, error) {
	return parse(doc, resourcePolicy)
}

// ParseTrustPolicy parses a role's trust policy: every statement needs a Principal and
// must not have a Resource, because the resource is the role.
func ParseTrustPolicy(doc string) (*Policy, error) {
	return parse(doc, trustPolicy)
}

// ParseIdentityPolicy parses a policy of a user or role: every statement needs a
// Resource and must not have a Principal, because the principal is the bearer.
func ParseIdentityPolicy(doc string) (*Policy, error) {
	return parse(doc, identityPolicy)
}

func parse(doc string, kind policyKind) (*Policy, error) {
	elements, err := decodeElements([]byte(doc), "Version", "Id", "Statement")
	if err != nil {
		return nil, fmt.Errorf("malformed policy document: %w", err)
	}
	l, err := parseVersion(elements["Version"])
	if err != nil {
		return nil, fmt.Errorf("malformed policy document: Version: %w", err)
	}
	if id, ok := elements["Id"]; ok {
		if _, err := decodeString(id); err != nil {
			return nil, fmt.Errorf("malformed policy document: Id: %w", err)
		}
	}
	if elements["Statement"] == nil {
		return nil, errors.New("malformed policy document: it has no Statement")
	}
	number := 0
	statements, err := decodeOneOrMore(elements["Statement"], func(raw json.RawMessage) (statement, error) {
		number++
		s, err := parseStatement(raw, kind, l, fmt.Sprintf("statement %d", number))
		if err != nil {
			return s, fmt.Errorf("statement %d: %w", number, err)
		}
		return s, nil
	})
	if err != nil {
		return nil, fmt.Errorf("malformed policy document: %w", err)
	}
	if err := checkNames(statements); err != nil {
		return nil, fmt.Errorf("malformed policy document: %w", err)
	}
	return &Policy{statements: statements}, nil
}

func parseVersion(raw json.RawMessage) (language, error) {
	if raw == nil {
		return language2008, nil
	}
	s, err := decodeString(raw)
	if err != nil {
		return "", err
	}
	l := language(s)
	if l != language2008 && l != language2012 {
		return "", fmt.Errorf("%q is not one of %s, %s", s, language2012, language2008)
	}
	return l, nil
}

// checkNames rejects duplicate Sids ("IAM JSON policy elements: Sid").
func checkNames(statements []statement) error {
	seen := map[string]bool{}
	for _, s := range statements {
		if seen[s.name] {
			return fmt.Errorf("two statements have the Sid %q", s.name)
		}
		seen[s.name] = true
	}
	return nil
}

// parseStatement parses one statement. Errors call it name unless it has a Sid.
func parseStatement(raw json.RawMessage, kind policyKind, l language, name string) (statement, error) {
	s := statement{name: name}
	elements, err := decodeElements(raw, "Sid", "Effect", "Principal", "NotPrincipal",
		"Action", "NotAction", "Resource", "NotResource", "Condition")
	if err != nil {
		return s, err
	}
	if sid, ok := elements["Sid"]; ok {
		text, err := decodeString(sid)
		if err != nil {
			return s, fmt.Errorf("in Sid: %w", err)
		}
		if text != "" {
			s.name = text
		}
	}
	if s.effect, err = parseEffect(elements["Effect"]); err != nil {
		return s, err
	}
	if err := s.parseAction(elements); err != nil {
		return s, err
	}
	if err := s.parseResource(elements, kind, l); err != nil {
		return s, err
	}
	if err := s.parsePrincipal(elements, kind); err != nil {
		return s, err
	}
	if s.conditions, err = parseConditions(elements["Condition"], l); err != nil {
		return s, fmt.Errorf("in Condition: %w", err)
	}
	s.collectVariables()
	return s, nil
}

func parseEffect(raw json.RawMessage) (Effect, error) {
	if raw == nil {
		return NoMatch, errors.New("it has no Effect")
	}
	s, err := decodeString(raw)
	if err != nil {
		return NoMatch, fmt.Errorf("in Effect: %w", err)
	}
	switch s {
	case "Allow":
		return Allow, nil
	case "Deny":
		return Deny, nil
	default:
		return NoMatch, fmt.Errorf("effect %q is neither Allow nor Deny", s)
	}
}

// exactlyOne returns the value of the element or of its negation, whichever the
// statement has.
func exactlyOne(elements map[string]json.RawMessage, name string) (raw json.RawMessage, negated bool, err error) {
	positive, has := elements[name]
	negative, hasNot := elements["Not"+name]
	switch {
	case has && hasNot:
		return nil, false, fmt.Errorf("it has both %s and Not%s", name, name)
	case has:
		return positive, false, nil
	case hasNot:
		return negative, true, nil
	default:
		return nil, false, fmt.Errorf("it has neither %s nor Not%s", name, name)
	}
}

func forbid(elements map[string]json.RawMessage, why string, names ...string) error {
	for _, name := range names {
		if _, ok := elements[name]; ok {
			return fmt.Errorf("%s is not allowed: %s", name, why)
		}
	}
	return nil
}

// actionForm matches a service prefix and an operation. The prefix can't have wildcards
// ("IAM JSON policy elements: Action").
var actionForm = regexp.MustCompile(`^(\*|[A-Za-z0-9-]+:[A-Za-z0-9*?]+)$`)

func (s *statement) parseAction(elements map[string]json.RawMessage) error {
	raw, negated, err := exactlyOne(elements, "Action")
	if err != nil {
		return err
	}
	s.notAction = negated
	s.actions, err = decodeOneOrMore(raw, func(item json.RawMessage) (pattern, error) {
		text, err := decodeString(item)
		if err != nil {
			return nil, err
		}
		if !actionForm.MatchString(text) {
			return nil, fmt.Errorf(`%q must be "*" or service:operation, as kms:Decrypt or kms:ReEncrypt*`, text)
		}
		return compilePattern(strings.ToLower(text), language2008, true)
	})
	if err != nil {
		return fmt.Errorf("action: %w", err)
	}
	return nil
}

func (s *statement) parseResource(elements map[string]json.RawMessage, kind policyKind, l language) error {
	if kind == trustPolicy {
		return forbid(elements, "the resource of a role trust policy is the role", "Resource", "NotResource")
	}
	raw, negated, err := exactlyOne(elements, "Resource")
	if err != nil {
		return err
	}
	s.notResource = negated
	s.resources, err = decodeOneOrMore(raw, func(item json.RawMessage) (resourcePattern, error) {
		text, err := decodeString(item)
		if err != nil {
			return resourcePattern{}, err
		}
		return parseResource(text, l)
	})
	if err != nil {
		return fmt.Errorf("resource: %w", err)
	}
	return nil
}

func (s *statement) parsePrincipal(elements map[string]json.RawMessage, kind policyKind) error {
	if kind == identityPolicy {
		return forbid(elements, "the principal of an identity policy is who it is attached to", "Principal", "NotPrincipal")
	}
	raw, negated, err := exactlyOne(elements, "Principal")
	if err != nil {
		return err
	}
	switch {
	case negated && kind == trustPolicy:
		return errors.New("NotPrincipal is not allowed in a role trust policy")
	case negated && s.effect == Allow:
		return errors.New("NotPrincipal must stand with Effect Deny")
	}
	s.notPrincipal = negated
	if s.principals, err = parsePrincipals(raw); err != nil {
		return fmt.Errorf("principal: %w", err)
	}
	return nil
}

// collectVariables collects the variables that a request must have values for.
func (s *statement) collectVariables() {
	for _, r := range s.resources {
		s.variables = append(s.variables, r.arn.variables()...)
	}
	for _, c := range s.conditions {
		s.variables = append(s.variables, c.variables...)
	}
	slices.Sort(s.variables)
	s.variables = slices.Compact(s.variables)
}
