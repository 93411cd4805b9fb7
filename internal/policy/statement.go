package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
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
}

// parseStatement reads a statement as AWS or a user wrote it.
func parseStatement(raw json.RawMessage) (parsed, error) {
	var wire struct {
		Sid, Effect             string
		Principal, NotPrincipal json.RawMessage
		Action, NotAction       list
		Resource, NotResource   list
		Condition               map[string]map[string]list
	}
	if err := decodeStrict(raw, &wire); err != nil {
		return parsed{}, explainUnknownElement(err)
	}
	if wire.Effect != "Allow" && wire.Effect != "Deny" {
		return parsed{}, fmt.Errorf("its Effect is %q, not Allow or Deny", wire.Effect)
	}
	principal, err := parsePrincipal(wire.Principal)
	if err != nil {
		return parsed{}, err
	}
	notPrincipal, err := parsePrincipal(wire.NotPrincipal)
	if err != nil {
		return parsed{}, err
	}
	p := parsed{
		Sid: wire.Sid, Effect: wire.Effect,
		Principal: principal, NotPrincipal: notPrincipal,
		Action: wire.Action.canonical(strings.ToLower), NotAction: wire.NotAction.canonical(strings.ToLower),
		Resource: wire.Resource.canonical(nil), NotResource: wire.NotResource.canonical(nil),
	}
	for operator, keys := range wire.Condition {
		for key, values := range keys {
			if p.Condition == nil {
				p.Condition = map[string]map[string][]string{}
			}
			if p.Condition[operator] == nil {
				p.Condition[operator] = map[string][]string{}
			}
			p.Condition[operator][strings.ToLower(key)] = values.canonical(nil)
		}
	}
	return p, nil
}

var elements = []string{"Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"}

var unknownElement = regexp.MustCompile(`unknown field "(.*)"$`)

// explainUnknownElement names the element that was meant, as with "Resources".
func explainUnknownElement(err error) error {
	if match := unknownElement.FindStringSubmatch(err.Error()); match != nil {
		if near := nearest(match[1], elements); edits(match[1], near) <= 2 {
			return fmt.Errorf("%w: the element is called %q", err, near)
		}
	}
	return err
}

// list decodes a single value or a list of values; numbers and booleans, which
// AWS accepts in conditions, become strings.
type list []string

func (l *list) UnmarshalJSON(data []byte) error {
	var values []json.RawMessage
	if err := json.Unmarshal(data, &values); err != nil {
		values = []json.RawMessage{data}
	}
	*l = list{}
	for _, value := range values {
		var text string
		if err := json.Unmarshal(value, &text); err != nil {
			text = string(bytes.TrimSpace(value))
			if text == "null" || strings.ContainsAny(text[:1], `{["`) {
				return errors.New("a list of strings is expected")
			}
		}
		*l = append(*l, text)
	}
	return nil
}

func (l list) canonical(fold func(string) string) []string {
	if l == nil {
		return nil
	}
	values := slices.Clone([]string(l))
	if fold != nil {
		for i := range values {
			values[i] = fold(values[i])
		}
	}
	slices.Sort(values)
	return slices.Compact(values)
}

// parsePrincipal reads "*", or kinds of principals with their names. An
// account's number and the ARN of its root user are the same principal.
func parsePrincipal(raw json.RawMessage) (map[string][]string, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	var text string
	if err := json.Unmarshal(raw, &text); err == nil {
		if text != "*" {
			return nil, fmt.Errorf(`its principal is %q, neither "*" nor an object`, text)
		}
		return map[string][]string{"AWS": {"*"}}, nil
	}
	var kinds map[string]list
	if err := json.Unmarshal(raw, &kinds); err != nil {
		return nil, fmt.Errorf("its principal cannot be read: %w", err)
	}
	principals := make(map[string][]string, len(kinds))
	for kind, names := range kinds {
		principals[kind] = names.canonical(func(name string) string {
			if account, ok := rootAccount(name); ok {
				return account
			}
			return name
		})
	}
	return principals, nil
}

// rootAccount returns the account that arn:PARTITION:iam::ACCOUNT:root names.
func rootAccount(principal string) (string, bool) {
	parts := strings.Split(principal, ":")
	if len(parts) == 6 && parts[0] == "arn" && parts[2] == "iam" && parts[5] == "root" {
		return parts[4], true
	}
	return "", false
}
