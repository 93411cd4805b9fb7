package authz

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"strings"
	"time"
)

// comparison reports whether one value of the request meets one value of the
// policy.
type comparison func(got string, context requestContext) bool

// operator is a condition operator without its set operator and IfExists.
type operator struct {
	// negated means that the condition holds if no value compares true.
	negated bool
	// null marks the Null operator, which tests for the key's absence.
	null bool
	// variables means that the policy's values can contain policy variables.
	variables bool
	// wildcards means that * and ? in the policy's values are wildcards.
	wildcards bool
	// compile returns the comparison for a policy's value, which it gets as text and as
	// a pattern.
	compile func(text string, p pattern) (comparison, error)
}

// operators are AWS's condition operators ("IAM JSON policy elements: Condition
// operators"). Their letter case matters here, although AWS ignores it.
var operators = map[string]operator{
	"StringEquals":              {variables: true, compile: stringComparison},
	"StringNotEquals":           {variables: true, compile: stringComparison, negated: true},
	"StringEqualsIgnoreCase":    {variables: true, compile: foldedComparison},
	"StringNotEqualsIgnoreCase": {variables: true, compile: foldedComparison, negated: true},
	"StringLike":                {variables: true, wildcards: true, compile: stringComparison},
	"StringNotLike":             {variables: true, wildcards: true, compile: stringComparison, negated: true},

	"ArnEquals":    {variables: true, wildcards: true, compile: arnComparison},
	"ArnLike":      {variables: true, wildcards: true, compile: arnComparison},
	"ArnNotEquals": {variables: true, wildcards: true, compile: arnComparison, negated: true},
	"ArnNotLike":   {variables: true, wildcards: true, compile: arnComparison, negated: true},

	"NumericEquals":            {compile: numeric(func(c int) bool { return c == 0 })},
	"NumericNotEquals":         {compile: numeric(func(c int) bool { return c == 0 }), negated: true},
	"NumericLessThan":          {compile: numeric(func(c int) bool { return c < 0 })},
	"NumericLessThanEquals":    {compile: numeric(func(c int) bool { return c <= 0 })},
	"NumericGreaterThan":       {compile: numeric(func(c int) bool { return c > 0 })},
	"NumericGreaterThanEquals": {compile: numeric(func(c int) bool { return c >= 0 })},

	"DateEquals":            {compile: date(func(c int) bool { return c == 0 })},
	"DateNotEquals":         {compile: date(func(c int) bool { return c == 0 }), negated: true},
	"DateLessThan":          {compile: date(func(c int) bool { return c < 0 })},
	"DateLessThanEquals":    {compile: date(func(c int) bool { return c <= 0 })},
	"DateGreaterThan":       {compile: date(func(c int) bool { return c > 0 })},
	"DateGreaterThanEquals": {compile: date(func(c int) bool { return c >= 0 })},

	"Bool":         {compile: boolComparison},
	"BinaryEquals": {compile: binaryComparison},
	"IpAddress":    {compile: addressComparison},
	"NotIpAddress": {compile: addressComparison, negated: true},
	"Null":         {compile: boolComparison, null: true},
}

func stringComparison(_ string, p pattern) (comparison, error) {
	return func(got string, context requestContext) bool {
		return match(p.resolve(context), got)
	}, nil
}

func foldedComparison(_ string, p pattern) (comparison, error) {
	return func(got string, context requestContext) bool {
		return match(foldCase(p.resolve(context)), strings.ToLower(got))
	}, nil
}

func arnComparison(text string, p pattern) (comparison, error) {
	whole := len(p) == 1 && p[0].variable != "" // the variable holds the ARN
	if err := checkARN(p); err != nil && !whole {
		return nil, fmt.Errorf("%q: %w", text, err)
	}
	return func(got string, context requestContext) bool {
		return matchARN(p.resolve(context), got)
	}, nil
}

// numeric returns the compile function of a numeric operator. It passes to holds the
// sign of the comparison of the request's value with the policy's value.
func numeric(holds func(sign int) bool) func(string, pattern) (comparison, error) {
	return func(text string, _ pattern) (comparison, error) {
		want, ok := parseNumber(text)
		if !ok {
			return nil, fmt.Errorf("%q is not a number", text)
		}
		return func(got string, _ requestContext) bool {
			value, ok := parseNumber(got)
			return ok && holds(value.Cmp(want))
		}, nil
	}
}

// maxNumberLength prevents the expansion of a number such as 1e999999999.
const maxNumberLength = 64

func parseNumber(s string) (*big.Rat, bool) {
	if len(s) > maxNumberLength || strings.ContainsAny(s, "eEpPxXoObB/_") {
		return nil, false
	}
	return new(big.Rat).SetString(s)
}

// date returns the compile function of a date operator, as numeric does for numbers.
func date(holds func(sign int) bool) func(string, pattern) (comparison, error) {
	return func(text string, _ pattern) (comparison, error) {
		want, ok := parseDate(text)
		if !ok {
			return nil, fmt.Errorf("%q is neither a date as 2026-01-31T12:00:00Z nor seconds since 1970", text)
		}
		return func(got string, _ requestContext) bool {
			value, ok := parseDate(got)
			return ok && holds(value.Compare(want))
		}, nil
	}
}

// parseDate parses a W3C form of ISO 8601, or seconds since 1970.
func parseDate(s string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00", time.DateOnly, "2006-01"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	seconds, ok := parseNumber(s)
	if !ok || !seconds.IsInt() || !seconds.Num().IsInt64() {
		return time.Time{}, false
	}
	return time.Unix(seconds.Num().Int64(), 0), true
}

func boolComparison(text string, _ pattern) (comparison, error) {
	if !strings.EqualFold(text, "true") && !strings.EqualFold(text, "false") {
		return nil, fmt.Errorf("%q is neither true nor false", text)
	}
	return func(got string, _ requestContext) bool {
		return strings.EqualFold(got, text)
	}, nil
}

func binaryComparison(text string, _ pattern) (comparison, error) {
	if _, err := base64.StdEncoding.DecodeString(text); err != nil {
		return nil, errors.New("a binary value must be in base64")
	}
	return func(got string, _ requestContext) bool { return got == text }, nil
}

func addressComparison(text string, _ pattern) (comparison, error) {
	want, err := parsePrefix(text)
	if err != nil {
		return nil, err
	}
	return func(got string, _ requestContext) bool {
		value, err := netip.ParseAddr(got)
		return err == nil && want.Contains(value)
	}, nil
}

// parsePrefix parses a CIDR range, or a single address as a range of one.
func parsePrefix(text string) (netip.Prefix, error) {
	if strings.Contains(text, "/") {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return p, fmt.Errorf("%q is no CIDR range", text)
		}
		return p.Masked(), nil
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is no IP address", text)
	}
	return netip.PrefixFrom(a, a.BitLen()), nil
}
