package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"github.com/orgami/packer-plugin-orgami/internal/config/pattern"
)

var (
	endpointID = regexp.MustCompile(`^vpce-[0-9a-f]{8,17}$`)
	networkID  = regexp.MustCompile(`^vpc-[0-9a-f]{8,17}$`)
)

// PublicStatements names the statements that may be open to the public. These
// allow all principals ("*", or all with exceptions), or any identity of an
// identity provider, and have no condition that restricts them to named
// organizations, accounts or networks. An unreadable statement counts as
// public. The names are Sids, or "statement 2".
func (d Document) PublicStatements() []string {
	var open []string
	for i, raw := range d.Statements {
		s, err := parseStatement(raw)
		if err == nil && !s.public() {
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

// public reports whether the statement may allow anyone. A statement is closed
// if one of its conditions confines it, since all of them must hold.
func (p parsed) public() bool {
	if p.Effect != "Allow" {
		return false
	}
	everybody := len(p.NotPrincipal) > 0
	for _, names := range p.Principal {
		everybody = everybody || slices.ContainsFunc(names, func(n string) bool { return strings.Contains(n, "*") })
	}
	federated := len(p.Principal["Federated"]) > 0
	return everybody && !p.confined(confines) || federated && !p.confined(confinesFederated)
}

func (p parsed) confined(by func(operator, key string, values []string) bool) bool {
	for operator, keys := range p.Condition {
		for key, values := range keys {
			if by(operator, key, values) {
				return true
			}
		}
	}
	return false
}

// namedValue decides which values of a condition key name a specific account,
// organization or network. Its keys are the condition keys whose values
// distinguish these from all others. The part of a pattern that names one must
// be fixed. (IAM guide, global condition context keys; S3 guide, "The meaning
// of public").
var namedValue = map[string]func(value string) bool{
	"aws:principalaccount":  pattern.Account.Match,
	"kms:calleraccount":     pattern.Account.Match,
	"aws:sourceaccount":     pattern.Account.Match,
	"aws:principalorgid":    pattern.Organization.Match,
	"aws:sourceorgid":       pattern.Organization.Match,
	"aws:principalorgpaths": ofOneOrganization,
	"aws:sourceorgpaths":    ofOneOrganization,
	"aws:sourcevpce":        endpointID.MatchString,
	"aws:sourcevpc":         networkID.MatchString,
}

// confines reports whether the condition holds only for accounts, organizations
// or networks that it names. The operator must require the key with one of the
// values, and every value must name one.
func confines(operator, key string, values []string) bool {
	comparison, positive := positiveOperator(operator)
	if !positive {
		return false
	}
	named := namedValue[key]
	if key == "aws:principalarn" || key == "aws:sourcearn" {
		named = func(value string) bool { return ofOneAccount(value, strings.HasPrefix(comparison, "Arn")) }
	} else if !strings.HasPrefix(comparison, "String") {
		return false
	}
	return named != nil && all(values, named)
}

// confinesFederated is like [confines], but also accepts the keys of identity
// providers, for example accounts.google.com:aud.
func confinesFederated(operator, key string, values []string) bool {
	service, _, found := strings.Cut(key, ":")
	if _, positive := positiveOperator(operator); positive && found && service != "aws" && service != "kms" {
		return all(values, func(value string) bool { return value != "" && !strings.ContainsAny(value, wild) })
	}
	return confines(operator, key, values)
}

// positiveOperators hold only if the request has the key with one of the values.
// IfExists and ForAllValues hold also where the key is absent.
var positiveOperators = []string{"StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike"}

func positiveOperator(operator string) (comparison string, positive bool) {
	comparison = strings.TrimPrefix(operator, "ForAnyValue:")
	return comparison, slices.Contains(positiveOperators, comparison)
}

// wild are the characters of wildcards and policy variables.
const wild = "*?$"

// ofOneOrganization reports whether all paths that match the pattern begin with
// the ID of one organization.
func ofOneOrganization(path string) bool {
	id, _, found := strings.Cut(path, "/")
	return found && pattern.Organization.Match(id)
}

// ofOneAccount reports whether all ARNs that match the pattern have one account.
// Wildcards of ARN operators stay within their segment. Those of string operators
// don't: they may reach from the partition into a role's path, which can have
// colons.
func ofOneAccount(like string, bySegment bool) bool {
	parsed, err := arn.Parse(like)
	if err != nil || !pattern.Account.Match(parsed.AccountID) {
		return false
	}
	before := parsed.Partition + parsed.Service + parsed.Region
	if bySegment {
		return !strings.Contains(before, "$")
	}
	return !strings.ContainsAny(before, wild)
}

// all reports whether there are values and each of them passes. One value that doesn't
// name specific principals makes the others irrelevant.
func all(values []string, good func(string) bool) bool {
	return len(values) > 0 && !slices.ContainsFunc(values, func(v string) bool { return !good(v) })
}
