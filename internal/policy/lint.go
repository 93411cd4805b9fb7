package policy

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"github.com/orgami/packer-plugin-orgami/internal/text"
)

// Target describes the key that a key policy belongs to. Fields that aren't
// known yet are empty, and checks that depend on them are skipped.
type Target struct {
	Partition string // aws, aws-cn, aws-us-gov
	Region    string
	KeyARN    string // the regional key's
}

// Finding is a part of a statement that can't work.
type Finding struct {
	// Statement is its Sid, or "2" for the second one.
	Statement string
	// Element is the element of the statement, for example Action.
	Element string
	// Problem and Correction are clauses, in this order.
	Problem    string
	Correction string
}

// String is one line: `statement "Use": kms:ReEncrypt is not an action of KMS;
// write kms:ReEncryptFrom and kms:ReEncryptTo`.
func (f Finding) String() string {
	return text.Printable(fmt.Sprintf("statement %q: %s; %s", f.Statement, f.Problem, f.Correction))
}

// Lint reports what can never work in a key policy, in the order of its statements:
// actions that KMS doesn't have, principals and services of another partition,
// resources other than the key, and conditions that no launch can meet. It doesn't
// report style or anything uncertain. [Parse] reports statements that can't be read.
// Fact: KMS-KEY-13, KMS-KEY-20.
func Lint(document Document, target Target) []Finding {
	var all []Finding
	for i, raw := range document.Statements {
		s, err := parseStatement(raw)
		if err != nil {
			continue
		}
		all = append(all, s.lint(cmp.Or(s.Sid, fmt.Sprint(i+1)), target)...)
	}
	return all
}

// lint is [Lint] for one statement. name identifies it in the findings.
func (p parsed) lint(name string, target Target) []Finding {
	l := linter{parsed: p, name: name, target: target}
	for _, rule := range []struct {
		element string
		check   func()
	}{
		{"Action", l.actions},
		{"Principal", l.principals},
		{"Resource", l.resources},
		{"Condition", l.conditions},
	} {
		l.element = rule.element
		rule.check()
	}
	return l.findings
}

// linter collects the findings of one statement.
type linter struct {
	parsed
	name     string
	element  string
	target   Target
	findings []Finding
}

func (l *linter) found(problem, correction string) {
	l.findings = append(l.findings, Finding{l.name, l.element, problem, correction})
}

// spelled is a folded action or condition key as the statement spells it.
func (l *linter) spelled(folded string) string {
	quoted := regexp.MustCompile(`(?i)` + regexp.QuoteMeta(`"`+folded+`"`)).FindString(string(l.raw))
	if quoted == "" {
		return folded // spelled with escapes
	}
	return strings.Trim(quoted, `"`)
}

func (l *linter) principals() {
	for _, names := range []map[string][]string{l.Principal, l.NotPrincipal} {
		for _, name := range names["AWS"] {
			parsed, err := arn.Parse(name)
			if err != nil {
				continue
			}
			switch {
			case strings.ContainsAny(name, "*?"):
				l.found(fmt.Sprintf("the principal %s has a wildcard, which KMS doesn't support there", name),
					`write "AWS": "*" and an ArnLike condition on aws:PrincipalArn in addition to one on aws:PrincipalOrgID`)
			case l.target.Partition != "" && parsed.Partition != l.target.Partition:
				l.found(fmt.Sprintf("the principal %s is in the partition %s, but the key is in %s", name, parsed.Partition, l.target.Partition),
					"write arn:"+l.target.Partition+": and name a principal that exists there")
			}
		}
	}
}

// resources checks the resources. In a key policy, "*" is the key that the
// policy belongs to. Fact: KMS-KEY-12.
func (l *linter) resources() {
	for _, resource := range l.Resource {
		if resource == "*" {
			continue
		}
		possible := strings.HasPrefix(resource, "arn:") && (strings.Contains(resource, ":key/") || strings.Contains(resource, "*"))
		if l.target.KeyARN != "" {
			possible = Match(resource, l.target.KeyARN)
		}
		if !possible {
			l.found(fmt.Sprintf("the resource %s is not the key that has this policy", resource), `write "Resource": "*", which is this key in every Region`)
		}
	}
}

func inOrder[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
