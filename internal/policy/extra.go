package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/text"
)

// ParseStatements reads the statements that a user adds to the key policy. The
// input is one statement, a list of statements, a policy document, or the
// output of `aws kms get-key-policy`, in which the document is a string within
// JSON. It returns the statements as a JSON list.
//
// It rejects statements without a Sid, because a later run finds them by Sid.
// It also rejects statements with a Sid of ours or of another statement, and
// those that [Document.Problems] would report. The error has a line for each
// problem, with the line in data, the statement and the element.
func ParseStatements(data []byte) ([]byte, error) {
	content, err := text.DecodeFile(data)
	if err != nil {
		return nil, err
	}
	e := extra{text: content}
	items, err := e.statements()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", placeOf(e.text, err), err)
	}
	if len(items) == 0 {
		return nil, errors.New("the file has no statement. Add one, or remove the option")
	}
	statements := make([]json.RawMessage, len(items))
	seen := map[string]bool{}
	var problems []error
	for i, item := range items {
		statements[i] = item.Value
		s, err := parseStatement(item.Value)
		if err != nil {
			err = item.inside(err)
			problems = append(problems, fmt.Errorf("%s, %s: %w", placeOf(e.text, err), nameOf(s.Sid, i), err))
			continue
		}
		for _, p := range s.extraProblems(seen) {
			at := &defect{offset: item.valued + s.at[p.element]}
			problems = append(problems, fmt.Errorf("%s, %s: %s", placeOf(e.text, at), nameOf(s.Sid, i), p))
		}
		seen[s.Sid] = true
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return json.Marshal(statements)
}

// extra is a file of extra statements. Its text is the text that contains them,
// even if that is a string within the file.
type extra struct{ text []byte }

// statements returns the statements with their places in the text.
func (e *extra) statements() ([]Member, error) {
	if err := valid(e.text); err != nil {
		return nil, err
	}
	if kindOf(e.text) != "an object" {
		return Items(e.text)
	}
	members, err := Object(e.text)
	if err != nil {
		return nil, err
	}
	for _, m := range members {
		switch {
		case elementOf(m.Name, documentElements) == "Statement":
			if _, _, err := documentOf(members); err != nil {
				return nil, err
			}
			items, err := Items(m.Value)
			for i := range items {
				items[i].valued += m.valued
			}
			return items, err
		case m.Name == "Policy" && kindOf(m.Value) == "a string":
			return e.within(m, members)
		}
	}
	return []Member{{Value: bytes.TrimSpace(e.text), valued: bytes.IndexByte(e.text, '{')}}, nil
}

// within reads the output of `aws kms get-key-policy`.
func (e *extra) within(policy Member, members []Member) ([]Member, error) {
	for _, m := range members {
		if m.Name != "Policy" && m.Name != "PolicyName" {
			return nil, defectf(m.named, "%q and %q can't be used together. Write only the policy document", m.Name, "Policy")
		}
	}
	document, err := stringOf(policy.Value)
	if err != nil {
		return nil, policy.inside(err)
	}
	if kind := kindIfValid(document); kind != "an object" {
		return nil, defectf(policy.valued, "Policy: the string is not a policy document")
	}
	e.text = []byte(document)
	return e.statements()
}

func kindIfValid(document string) string {
	if valid([]byte(document)) != nil {
		return ""
	}
	return kindOf([]byte(document))
}

// problem is the reason why KMS or the plugin rejects a statement.
type problem struct{ element, text string }

func (p problem) String() string { return text.Printable(p.element + ": " + p.text) }

// extraProblems lists what is wrong with a user's statement: its Sid, references that
// were not filled in, what KMS rejects, and what can never work for any key.
func (p parsed) extraProblems(seen map[string]bool) []problem {
	all := append(p.sidProblems(seen), p.unrendered()...)
	if all = append(all, p.problems()...); len(all) > 0 {
		return all
	}
	for _, f := range p.lint("", Target{}) {
		all = append(all, problem{f.Element, f.Problem + "; " + f.Correction})
	}
	return all
}

// reference is what a template should have filled in, or a policy variable.
var reference = regexp.MustCompile(`\$\{[^}]*\}|\{\{.*?\}\}`)

// variable is a policy variable, which AWS fills in: a condition key with an optional
// default, or an escaped character. (IAM User Guide, "IAM policy elements: Variables
// and tags").
var variable = regexp.MustCompile(`^\$\{([*?$]|[A-Za-z0-9.-]+:[A-Za-z0-9][^:}]*)\}$`)

// unrendered finds references that a template left in the statement.
func (p parsed) unrendered() []problem {
	for _, at := range reference.FindAllIndex(p.raw, -1) {
		found := string(p.raw[at[0]:at[1]])
		if variable.MatchString(found) {
			continue
		}
		return []problem{{p.elementAt(at[0]), fmt.Sprintf("%q was not filled in. Render the file before the build, or write the value", found)}}
	}
	return nil
}

// sidProblems explains why a later run couldn't find a user's statement.
func (p parsed) sidProblems(seen map[string]bool) []problem {
	switch {
	case p.Sid == "":
		return []problem{{"Sid", "a Sid is required, so that the next run finds the statement again. Set one"}}
	case ReservedSid(p.Sid):
		return []problem{{"Sid", "this plugin sets a statement with this Sid itself. Choose another Sid"}}
	case seen[p.Sid]:
		return []problem{{"Sid", "another statement has this Sid, and Sids must be unique. Choose another Sid"}}
	default:
		return nil
	}
}

func isOurs(sid string) bool {
	base := strings.TrimSuffix(strings.TrimSuffix(sid, suffixCreateGrant), suffixRoleGrants)
	return slices.Contains([]string{SidOwner, SidAdministrators, SidOrganization, SidUnits, SidAccounts}, base)
}

// ReservedSid reports whether the Sid is one of ours, which extra statements
// must not use.
func ReservedSid(sid string) bool { return isOurs(sid) }

// whyPublic suggests a change to a public statement, based on its probable
// intent.
func (p parsed) whyPublic() problem {
	for _, operator := range inOrder(p.Condition) {
		if near, known := nearestOperator(operator); !known {
			return problem{"Condition", fmt.Sprintf("%s is not a condition operator. Did you mean %s?", operator, near)}
		}
		for _, key := range inOrder(p.Condition[operator]) {
			for _, value := range p.Condition[operator][key] {
				if key == "aws:principalorgid" && strings.ContainsAny(value, "*?") {
					return problem{"Condition", fmt.Sprintf("aws:PrincipalOrgID %q can match any organization. Write the ID of one organization, for example \"o-exampleorgid\"", value)}
				}
			}
		}
	}
	for _, name := range p.Principal["AWS"] {
		if name != "*" && strings.Contains(name, "*") {
			return problem{"Principal", fmt.Sprintf(`KMS does not accept the wildcard in %s. Write "AWS": "*" and the condition {"ArnLike": {"aws:PrincipalArn": %[1]q}}%s`, name, withOrganization(name))}
		}
	}
	if len(p.Principal["Federated"]) > 0 {
		return problem{"Principal", "without a condition on a key of the identity provider, such as accounts.google.com:aud, anyone with a token of the provider can use the key. Add the condition"}
	}
	return problem{"Principal", `this would open the key to the world. Name an organization or accounts, for example "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-exampleorgid"}}`}
}

// withOrganization adds the condition that is needed if the role's account is
// not fixed.
func withOrganization(role string) string {
	if ofOneAccount(role, true) {
		return ""
	}
	return `, and one that names your organization: {"StringEquals": {"aws:PrincipalOrgID": "o-exampleorgid"}}`
}
