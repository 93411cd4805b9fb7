package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
)

// Statement is one statement of a policy document that we emit.
type Statement struct {
	Sid       string
	Effect    string
	Principal Principal `json:",omitempty"`
	Action    Values
	Resource  Values
	Condition Condition `json:",omitempty"`
}

// Principal maps a kind of principal (AWS, Service) to its names.
type Principal map[string]Values

// Condition maps an operator to condition keys and their values.
type Condition map[string]map[string]Values

// Values is a list that is written as a single string when it has one element.
type Values []string

// MarshalJSON writes one value as a string and several as a list.
func (v Values) MarshalJSON() ([]byte, error) {
	if len(v) == 1 {
		return json.Marshal(v[0])
	}
	return json.Marshal([]string(v))
}

func (s Statement) raw() json.RawMessage {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(s); err != nil {
		panic(fmt.Sprintf("encoding statement %s: %v", s.Sid, err)) // strings, lists and maps of them
	}
	return bytes.TrimSpace(buffer.Bytes())
}

// parsed is a statement in canonical form: lists sorted and without
// duplicates, principals by account, condition keys in lower case. Two
// statements mean the same when their canonical forms are equal.
type parsed struct {
	Sid          string                         `json:",omitempty"`
	Effect       string                         `json:",omitempty"`
	Principal    map[string][]string            `json:",omitempty"`
	NotPrincipal map[string][]string            `json:",omitempty"`
	Action       []string                       `json:",omitempty"`
	NotAction    []string                       `json:",omitempty"`
	Resource     []string                       `json:",omitempty"`
	NotResource  []string                       `json:",omitempty"`
	Condition    map[string]map[string][]string `json:",omitempty"`

	raw []byte
	at  map[string]int // offset of each element in raw
}

var elements = []string{"Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"}

// parseStatement reads a statement as AWS or a user wrote it. With an error, it
// returns what it read so far.
func parseStatement(raw json.RawMessage) (parsed, error) {
	p := parsed{raw: raw, at: map[string]int{}}
	members, err := Object(raw)
	if err != nil {
		return p, err
	}
	for _, m := range members { // first of all, so that errors can name the statement
		if elementOf(m.Name, elements) == "Sid" {
			if p.Sid, err = stringOf(m.Value); err != nil {
				return p, m.inside(err)
			}
		}
	}
	for _, m := range members {
		element := elementOf(m.Name, elements)
		if element == "" {
			return p, unknownElement(m, "a policy statement", elements)
		}
		p.at[element] = m.named
		if err := p.parseElement(element, m.Value); err != nil {
			return p, m.inside(err)
		}
	}
	if p.Effect == "" {
		return p, defectf(0, `Effect is required. Must be "Allow" or "Deny"`)
	}
	return p, nil
}

func (p *parsed) parseElement(element string, raw json.RawMessage) (err error) {
	switch element {
	case "Effect":
		if p.Effect, err = stringOf(raw); err == nil && p.Effect != "Allow" && p.Effect != "Deny" {
			err = defectf(0, `%q is not an effect. Must be "Allow" or "Deny"`, p.Effect)
		}
	case "Principal":
		p.Principal, err = parsePrincipal(raw)
	case "NotPrincipal":
		p.NotPrincipal, err = parsePrincipal(raw)
	case "Action":
		p.Action, err = canonicalTexts(raw, strings.ToLower)
	case "NotAction":
		p.NotAction, err = canonicalTexts(raw, strings.ToLower)
	case "Resource":
		p.Resource, err = canonicalTexts(raw, nil)
	case "NotResource":
		p.NotResource, err = canonicalTexts(raw, nil)
	case "Condition":
		p.Condition, err = parseCondition(raw)
	}
	return err
}

// elementOf returns the known element with the name, ignoring case, or "" if
// there is none.
func elementOf(name string, known []string) string {
	i := slices.IndexFunc(known, func(k string) bool { return strings.EqualFold(k, name) })
	if i < 0 {
		return ""
	}
	return known[i]
}

// unknownElement returns an error that suggests the intended element, for
// example Resource for "Resources".
func unknownElement(m Member, of string, known []string) error {
	correction := "Remove it"
	if near := nearest(m.Name, known); edits(m.Name, near) <= 2 {
		correction = fmt.Sprintf("Did you mean %q?", near)
	}
	return defectf(m.named, "%q is not an element of %s. %s", m.Name, of, correction)
}

func parseCondition(raw json.RawMessage) (map[string]map[string][]string, error) {
	operators, err := Object(raw)
	if err != nil {
		return nil, err
	}
	var condition map[string]map[string][]string
	for _, operator := range operators {
		keys, err := Object(operator.Value)
		if err != nil {
			return nil, operator.inside(err)
		}
		for _, key := range keys {
			values, err := canonicalTexts(key.Value, nil)
			if err != nil {
				return nil, operator.inside(key.inside(err))
			}
			if condition == nil {
				condition = map[string]map[string][]string{}
			}
			if condition[operator.Name] == nil {
				condition[operator.Name] = map[string][]string{}
			}
			condition[operator.Name][strings.ToLower(key.Name)] = values
		}
	}
	return condition, nil
}

// canonicalTexts reads a list of texts, sorts them and removes duplicates. It
// folds each text if a fold function is given.
func canonicalTexts(raw json.RawMessage, fold func(string) string) ([]string, error) {
	values, err := Texts(raw)
	if err != nil {
		return nil, err
	}
	if fold != nil {
		for i := range values {
			values[i] = fold(values[i])
		}
	}
	slices.Sort(values)
	return slices.Compact(values), nil
}

// parsePrincipal reads "*", or kinds of principals with their names. An
// account's number and the ARN of its root user are the same principal.
func parsePrincipal(raw json.RawMessage) (map[string][]string, error) {
	if raw[0] == '"' {
		name, err := stringOf(raw)
		if err == nil && name != "*" {
			err = defectf(0, `expected "*" or an object like {"AWS": %q}, not %[1]q`, name)
		}
		return map[string][]string{"AWS": {"*"}}, err
	}
	kinds, err := Object(raw)
	if err != nil {
		return nil, err
	}
	principals := make(map[string][]string, len(kinds))
	for _, kind := range kinds {
		names, err := canonicalTexts(kind.Value, func(name string) string {
			if account, ok := rootAccount(name); ok {
				return account
			}
			return name
		})
		if err != nil {
			return nil, kind.inside(err)
		}
		principals[kind.Name] = names
	}
	return principals, nil
}

// rootAccount returns the account that arn:PARTITION:iam::ACCOUNT:root names.
func rootAccount(principal string) (string, bool) {
	a, err := arn.Parse(principal)
	if err != nil || a.Service != "iam" || a.Resource != "root" {
		return "", false
	}
	return a.AccountID, true
}
