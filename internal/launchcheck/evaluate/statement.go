package evaluate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/policy"
)

// statement is one statement of a policy, as far as it is about one key.
type statement struct {
	name string // statement "Sid", or statement 2
	// allow and deny are both set if it isn't known which one applies.
	allow, deny bool
	odd         string // the part of it that is not supported; empty if there is none
	actions     operations
	onKey       bool // whether its resource is the key
	// runs reports whether ec2:RunInstances is one of its actions. Its resources, or
	// if butResources all others, are those of the statement; nil if not known.
	runs         bool
	resources    []string
	butResources bool
	who          principals
	everybodies  bool // an identity policy's statement is about its bearer
	butWho       bool // NotPrincipal
	conditions   []condition
}

// document is a policy as far as it is about one key.
type document struct {
	name       string // the key policy of …, the policy of …
	statements []statement
}

// unread returns a document of which nothing is known. It may allow or deny
// anything.
func unread(name, why string) *document {
	return &document{name: name, statements: []statement{{
		name: name, allow: true, deny: true, odd: why, actions: allNeeded, runs: true, onKey: true, everybodies: true,
	}}}
}

// unknownAllow returns a document that may allow everything about a key. It denies
// nothing.
func unknownAllow(name, why string) *document {
	d := unread(name, why)
	d.statements[0].deny = false
	return d
}

// parseKeyPolicy reads the policy of the key.
func parseKeyPolicy(name string, raw []byte, key string) *document {
	return parseDocument(name, raw, key, "Principal")
}

// parseIdentityPolicy reads a role's policy for what it says of the key.
func parseIdentityPolicy(name string, raw []byte, key string) *document {
	return parseDocument(name, raw, key, "")
}

// version2012 is the version of the policy language that has policy variables.
// Fact: IAM-EVAL-5.
const version2012 = "2012-10-17"

func parseDocument(name string, raw []byte, key, principal string) *document {
	elements, err := policy.Object(raw)
	if err != nil {
		return unread(name, err.Error())
	}
	version, list := "2008-10-17", []policy.Member(nil)
	for _, e := range elements {
		switch e.Name {
		case "Version":
			version = strings.Trim(string(e.Value), `"`) // the known ones have no escapes
		case "Statement":
			list, err = policy.Items(e.Value)
		case "Id":
		default:
			err = fmt.Errorf("its element %s is not supported", e.Name)
		}
		if err != nil {
			return unread(name, err.Error())
		}
	}
	if len(list) == 0 || version != version2012 && version != "2008-10-17" {
		return unread(name, "it has no Statement, or a Version that is not supported")
	}
	d := &document{name: name}
	for i, item := range list {
		s := statement{name: fmt.Sprintf("statement %d", i+1), allow: true, deny: true, actions: allNeeded, runs: true, onKey: true}
		s.everybodies = principal == ""
		if err := s.parse(item.Value, key, version == version2012); err != nil {
			s.odd = err.Error()
		}
		d.statements = append(d.statements, s)
	}
	return d
}

// parse reads the parts of a statement that are supported. What a supported part
// excludes is excluded, whatever the other parts say.
func (s *statement) parse(raw json.RawMessage, key string, variables bool) error {
	members, err := policy.Object(raw)
	if err != nil {
		s.everybodies = true
		return err
	}
	identity := s.everybodies
	var problems []error
	var has []string
	for _, m := range members {
		has = append(has, strings.TrimPrefix(m.Name, "Not"))
		if err := s.parseElement(m, key, variables); err != nil {
			problems = append(problems, err)
		}
	}
	slices.Sort(has)
	wanted := []string{"Action", "Effect", "Resource"}
	if !identity {
		wanted = append(wanted, "Principal")
	}
	for _, name := range wanted {
		if i, found := slices.BinarySearch(has, name); !found || i+1 < len(has) && has[i+1] == name {
			problems = append(problems, fmt.Errorf("it does not have one element %s or Not%s", name, name))
			s.everybodies = s.everybodies || name == "Principal"
		}
	}
	if s.butWho && s.allow {
		problems = append(problems, errors.New("NotPrincipal is supported only with Deny"))
	}
	if len(problems) > 0 {
		return problems[0]
	}
	return nil
}

func (s *statement) parseElement(m policy.Member, key string, variables bool) error {
	var err error
	switch m.Name {
	case "Sid":
		var sid string
		if json.Unmarshal(m.Value, &sid) == nil && sid != "" {
			s.name = fmt.Sprintf("statement %q", sid)
		}
	case "Effect":
		allow, deny := bytes.Equal(m.Value, []byte(`"Allow"`)), bytes.Equal(m.Value, []byte(`"Deny"`))
		if allow == deny {
			return fmt.Errorf("its Effect %s is not supported", m.Value)
		}
		s.allow, s.deny = allow, deny
	case "Action", "NotAction":
		return s.parseActions(m)
	case "Resource", "NotResource":
		return s.parseResources(m, key, variables)
	case "Principal", "NotPrincipal":
		if s.everybodies {
			return errors.New("an identity policy has no Principal")
		}
		s.butWho = m.Name == "NotPrincipal"
		s.who, err = parsePrincipals(m.Value)
		s.everybodies = err != nil // its principals aren't known
	case "Condition":
		s.conditions, err = parseConditions(m.Value, variables)
	default:
		err = fmt.Errorf("its element %s is not supported", m.Name)
	}
	return err
}

// actionForm is a service and an operation; the service takes no wildcards.
var actionForm = regexp.MustCompile(`^(\*|[a-z0-9-]+:[a-z0-9*?]+)$`)

func (s *statement) parseActions(m policy.Member) error {
	patterns, err := texts(m.Value)
	if err != nil {
		return err
	}
	found, runs := none, false
	for _, p := range patterns {
		p = strings.ToLower(p) // the letter case of actions does not matter
		if !actionForm.MatchString(p) {
			return fmt.Errorf("the action %q is not supported", p)
		}
		runs = runs || policy.Match(p, "ec2:runinstances")
		for i, name := range operationNames {
			if policy.Match(p, "kms:"+strings.ToLower(name)) {
				found |= 1 << i
			}
		}
	}
	if m.Name == "NotAction" {
		found, runs = allNeeded&^found, !runs
	}
	s.actions, s.runs = found, runs
	return nil
}

func (s *statement) parseResources(m policy.Member, key string, variables bool) error {
	patterns, err := texts(m.Value)
	if err != nil {
		return err
	}
	found := false
	for _, p := range patterns {
		switch {
		case variables && strings.Contains(p, "${"):
			return fmt.Errorf("the policy variable in %q is not supported", p)
		case p != "*" && !isARN(p):
			return fmt.Errorf("the resource %q is not a valid ARN", p)
		}
		found = found || p == "*" || matchesARN(p, key)
	}
	s.onKey = found == (m.Name == "Resource")
	s.resources, s.butResources = patterns, m.Name == "NotResource"
	return nil
}

// about reports whether the statement covers the caller itself, or only its account,
// whose own policies then decide. Fact: KMS-KEY-24.
func (s *statement) about(by *caller) (itself, account answer) {
	switch {
	case s.everybodies:
		return yes, no
	case s.butWho:
		return yes - s.who.exempts(by), no
	default:
		return s.who.named(by)
	}
}

// meets reports whether the request meets all conditions.
func (s *statement) meets(r *request) answer {
	all := yes
	if s.odd != "" {
		all = unsure
	}
	for i := range s.conditions {
		if all = min(all, s.conditions[i].holds(r)); all == no {
			return no
		}
	}
	return all
}
