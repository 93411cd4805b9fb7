package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

var (
	organizationID = regexp.MustCompile(`^o-[a-z0-9]{10,32}$`)
	unitID         = regexp.MustCompile(`^ou-[a-z0-9]{4,32}-[a-z0-9]{8,32}$`)
	accountID      = regexp.MustCompile(`^[0-9]{12}$`)
)

// PublicStatements names the statements that open the key to the world: those
// that allow everybody ("*", or everybody but some) without a condition that
// confines them to organisations or accounts by name. An unreadable statement
// counts as open. The names are Sids, or "statement 2".
func (d Document) PublicStatements() []string {
	var open []string
	for i, raw := range d.Statements {
		s, err := parseStatement(raw)
		if err == nil && !s.open(confinedToNamed) {
			continue
		}
		name := fmt.Sprintf("statement %d", i+1)
		if s.Sid != "" {
			name = s.Sid
		}
		open = append(open, name)
	}
	return open
}

// open reports whether the statement allows everybody and none of its
// conditions confines it.
func (p parsed) open(confines func(operator, key string, values []string) bool) bool {
	everybody := len(p.NotPrincipal) > 0
	for _, names := range p.Principal {
		everybody = everybody || slices.ContainsFunc(names, func(n string) bool { return strings.Contains(n, "*") })
	}
	if p.Effect != "Allow" || !everybody {
		return false
	}
	for operator, keys := range p.Condition {
		for key, values := range keys {
			if confines(operator, key, values) {
				return false
			}
		}
	}
	return true
}

// confinedToOrganization reports whether the condition holds only for
// principals of organisations that it names. Operators that end in IfExists and
// ForAllValues confine nobody: they hold when the key is absent.
func confinedToOrganization(operator, key string, values []string) bool {
	switch key {
	case "aws:principalorgid":
		return positive(operator) && all(values, organizationID.MatchString)
	case "aws:principalorgpaths":
		return positive(operator) && all(values, func(path string) bool {
			id, _, found := strings.Cut(path, "/")
			return found && organizationID.MatchString(id)
		})
	default:
		return false
	}
}

// confinedToNamed is [confinedToOrganization], or the same for accounts: what
// an existing policy may have, AWS's own among them.
func confinedToNamed(operator, key string, values []string) bool {
	switch key {
	case "aws:principalaccount", "kms:calleraccount":
		return positive(operator) && all(values, accountID.MatchString)
	default:
		return confinedToOrganization(operator, key, values)
	}
}

func positive(operator string) bool {
	comparison, found := strings.CutPrefix(operator, "ForAnyValue:")
	return comparison == "StringEquals" || comparison == "StringLike" || (!found && comparison == "StringEqualsIgnoreCase")
}

// all reports whether there are values and every one is good: one that names
// nobody in particular undoes the others.
func all(values []string, good func(string) bool) bool {
	return len(values) > 0 && !slices.ContainsFunc(values, func(v string) bool { return !good(v) })
}

// ParseStatements reads the statements that a user adds to the key policy: one
// statement object, a list of them, or a whole policy document. It returns them
// as a JSON list. It refuses statements that admit everybody without naming an
// organisation, that have no Sid (a run could not find them again), whose Sid
// is one of ours or used twice, or that lack an element which a key policy must
// have; all such problems are in the one error.
func ParseStatements(data []byte) ([]byte, error) {
	statements, err := splitStatements(data)
	if err != nil {
		document, documentErr := Parse(string(data))
		if documentErr != nil {
			return nil, fmt.Errorf("it is neither statements (%w) nor a policy document (%w)", err, documentErr)
		}
		statements = document.Statements
	}
	var problems []error
	if len(statements) == 0 {
		problems = append(problems, errors.New("there is no statement in it"))
	}
	seen := map[string]bool{}
	for i, raw := range statements {
		s, err := parseStatement(raw)
		if err != nil {
			return nil, err
		}
		for _, problem := range s.unfit(seen) {
			problems = append(problems, fmt.Errorf("statement %d %s", i+1, problem))
		}
		seen[s.Sid] = true
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return json.Marshal(statements)
}

// unfit says why a user's statement cannot be added to a key policy.
func (p parsed) unfit(seen map[string]bool) []string {
	var why []string
	switch {
	case p.Sid == "":
		why = append(why, "has no Sid: give it one, so that the next run finds it again")
	case ReservedSid(p.Sid):
		why = append(why, fmt.Sprintf("has the Sid %s, which this plugin sets itself: choose another", p.Sid))
	case seen[p.Sid]:
		why = append(why, fmt.Sprintf("has the Sid %s like another one: Sids are unique", p.Sid))
	}
	if len(p.Principal)+len(p.NotPrincipal) == 0 || len(p.Action)+len(p.NotAction) == 0 || len(p.Resource)+len(p.NotResource) == 0 {
		why = append(why, "needs Principal, Action and Resource, as every statement of a key policy does")
	}
	if p.open(confinedToOrganization) {
		why = append(why, `would open the key to the world: name an organisation, as in "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-exampleorgid"}}`)
	}
	return why
}
