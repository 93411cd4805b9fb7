package authz

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// language is a version of the policy language.
type language string

// The versions of the policy language. A document without a Version uses the older
// language version, which has no policy variables.
const (
	language2008 language = "2008-10-17"
	language2012 language = "2012-10-17"
)

// pattern is a string of a policy with wildcards and policy variables.
type pattern []token

// token is a part of a pattern: a variable if that field is set, otherwise a symbol.
type token struct {
	symbol

	variable string // condition key in lower case
	fallback string // default, if the request has no value
	optional bool   // whether there is a fallback
}

// symbol is a literal or a wildcard of a pattern.
type symbol struct {
	kind symbolKind
	char rune // for literal
}

type symbolKind int

const (
	literal symbolKind = iota
	anyChars
	oneChar
)

// compilePattern compiles s. Without wildcards, * and ? stand for themselves. Policy
// variables are recognized only in language version 2012-10-17. In the older version,
// they are literal text ("Policy variables").
func compilePattern(s string, l language, wildcards bool) (pattern, error) {
	var p pattern
	for s != "" {
		if l == language2012 && strings.HasPrefix(s, "${") {
			body, rest, closed := strings.Cut(s[len("${"):], "}")
			if !closed {
				return nil, errors.New("policy variable is not closed with }")
			}
			t, err := parseVariable(body)
			if err != nil {
				return nil, err
			}
			p, s = append(p, t), rest
			continue
		}
		char, size := firstRune(s)
		s = s[size:]
		p = append(p, token{symbol: wildcardOrLiteral(char, wildcards)})
	}
	return p, nil
}

func firstRune(s string) (char rune, size int) {
	for i, r := range s {
		if i > 0 {
			return char, i
		}
		char = r
	}
	return char, len(s)
}

func wildcardOrLiteral(char rune, wildcards bool) symbol {
	switch {
	case wildcards && char == '*':
		return symbol{kind: anyChars}
	case wildcards && char == '?':
		return symbol{kind: oneChar}
	default:
		return symbol{char: char}
	}
}

// parseVariable parses the text between ${ and }. It is a condition key, a key with a
// default value (aws:PrincipalTag/team, 'none'), or one of the literal characters *, ?
// and $.
func parseVariable(body string) (token, error) {
	switch body {
	case "*", "?", "$":
		return token{symbol: symbol{char: rune(body[0])}}, nil
	}
	key, fallback, optional := strings.Cut(body, ",")
	key, fallback = strings.TrimSpace(key), strings.TrimSpace(fallback)
	if err := checkConditionKey(key); err != nil {
		return token{}, fmt.Errorf("policy variable ${%s}: %w", body, err)
	}
	if optional {
		quoted := len(fallback) >= 2 && fallback[0] == '\'' && fallback[len(fallback)-1] == '\''
		if !quoted {
			return token{}, fmt.Errorf("policy variable ${%s}: the default value must stand in single quotes", body)
		}
		fallback = fallback[1 : len(fallback)-1]
	}
	return token{variable: strings.ToLower(key), fallback: fallback, optional: optional}, nil
}

// variables returns the keys of the variables that have no default value.
func (p pattern) variables() []string {
	var keys []string
	for _, t := range p {
		if t.variable != "" && !t.optional {
			keys = append(keys, t.variable)
		}
	}
	return keys
}

// resolve replaces the variables with their values. Wildcards in the values are literal
// characters.
func (p pattern) resolve(context requestContext) []symbol {
	symbols := make([]symbol, 0, len(p))
	for _, t := range p {
		if t.variable == "" {
			symbols = append(symbols, t.symbol)
			continue
		}
		value := t.fallback
		if values := context[t.variable]; len(values) == 1 {
			value = values[0]
		}
		for _, r := range value {
			symbols = append(symbols, symbol{char: r})
		}
	}
	return symbols
}

// match reports whether the symbols match the whole of s. It backtracks to the last *
// only, so that it takes at most len(symbols)×len(s) steps.
func match(symbols []symbol, s string) bool {
	chars := []rune(s)
	at, star, resume := 0, -1, 0
	for i := 0; i < len(chars); {
		switch {
		case at < len(symbols) && symbols[at].kind == anyChars:
			star, resume = at, i
			at++
		case at < len(symbols) && (symbols[at].kind == oneChar || symbols[at].char == chars[i]):
			at++
			i++
		case star >= 0:
			resume++
			at, i = star+1, resume
		default:
			return false
		}
	}
	for at < len(symbols) && symbols[at].kind == anyChars {
		at++
	}
	return at == len(symbols)
}

// arnSegments is the number of segments of an ARN. The last one may itself
// contain colons.
const arnSegments = 6

// matchARN matches segment by segment. A wildcard doesn't match a colon, except
// inside the last segment ("Condition operators", ARN).
func matchARN(symbols []symbol, arn string) bool {
	segments := strings.SplitN(arn, ":", arnSegments)
	want := splitSymbols(symbols, arnSegments)
	if len(segments) != arnSegments || len(want) != arnSegments {
		return false
	}
	for i, segment := range segments {
		if !match(want[i], segment) {
			return false
		}
	}
	return true
}

// splitSymbols splits at literal colons into at most n segments.
func splitSymbols(symbols []symbol, n int) [][]symbol {
	var segments [][]symbol
	start := 0
	for i, s := range symbols {
		if s.kind == literal && s.char == ':' && len(segments) < n-1 {
			segments = append(segments, symbols[start:i])
			start = i + 1
		}
	}
	return append(segments, symbols[start:])
}

// checkARN rejects a pattern that cannot be an ARN. AWS completes some short ARNs with
// wildcards. Its documentation doesn't say which, so the simulator accepts none.
func checkARN(p pattern) error {
	const scheme = "arn:"
	var written []rune // the text up to the first variable
	colons := 0
	variable := false
	for _, t := range p {
		if t.variable != "" {
			variable = true
			continue
		}
		if t.kind == literal && t.char == ':' {
			colons++
		}
		if !variable {
			written = append(written, t.char)
		}
	}
	if !strings.HasPrefix(string(written), scheme) || colons < arnSegments-1 {
		return errors.New(`must be "*" or an ARN with six segments, arn:partition:service:region:account:resource`)
	}
	return nil
}

// foldCase converts the literals to lower case.
func foldCase(symbols []symbol) []symbol {
	folded := make([]symbol, len(symbols))
	for i, s := range symbols {
		folded[i] = symbol{kind: s.kind, char: unicode.ToLower(s.char)}
	}
	return folded
}
