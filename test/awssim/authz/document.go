package authz

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// member is one name and value of a JSON object.
type member struct {
	name  string
	value json.RawMessage
}

// decodeObject decodes a JSON object in its written order. Unlike encoding/json, it
// rejects duplicate names, as AWS does ("Grammar": "duplicate keys are not allowed").
func decodeObject(raw []byte) ([]member, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("must be a JSON object")
	}
	var members []member
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("invalid JSON: %w", err)
		}
		name, _ := t.(string)
		if seen[name] {
			return nil, fmt.Errorf("duplicate key %q", name)
		}
		seen[name] = true
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, fmt.Errorf("invalid JSON after %q: %w", name, err)
		}
		members = append(members, member{name, value})
	}
	if _, err := d.Token(); err != nil {
		return nil, fmt.Errorf("invalid JSON: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("text after the end of the JSON object")
	}
	return members, nil
}

// decodeElements decodes an object whose names must be among the allowed ones,
// in exactly that letter case.
func decodeElements(raw []byte, allowed ...string) (map[string]json.RawMessage, error) {
	members, err := decodeObject(raw)
	if err != nil {
		return nil, err
	}
	elements := make(map[string]json.RawMessage, len(members))
	for _, m := range members {
		if !slices.Contains(allowed, m.name) {
			return nil, unknownElement(m.name, allowed)
		}
		elements[m.name] = m.value
	}
	return elements, nil
}

// unknownElement names the element that the author probably meant, if the spelling of
// one is similar.
func unknownElement(name string, allowed []string) error {
	for _, a := range allowed {
		if strings.EqualFold(a, name) || strings.EqualFold(a+"s", name) {
			return fmt.Errorf("unknown element %q: write %q", name, a)
		}
	}
	return fmt.Errorf("unknown element %q: the elements here are %s", name, strings.Join(allowed, ", "))
}

// decodeString decodes a JSON string.
func decodeString(raw json.RawMessage) (string, error) {
	if len(raw) == 0 || raw[0] != '"' {
		return "", errors.New("must be a string")
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", fmt.Errorf("invalid string: %w", err)
	}
	return s, nil
}

// decodeOneOrMore decodes a single value or a list of at least one, each with
// decode.
func decodeOneOrMore[T any](raw json.RawMessage, decode func(json.RawMessage) (T, error)) ([]T, error) {
	items := []json.RawMessage{raw}
	if len(raw) > 0 && raw[0] == '[' {
		if err := json.Unmarshal(raw, &items); err != nil {
			return nil, fmt.Errorf("invalid list: %w", err)
		}
		if len(items) == 0 {
			return nil, errors.New("must not be an empty list")
		}
	}
	values := make([]T, 0, len(items))
	for _, item := range items {
		v, err := decode(item)
		if err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	return values, nil
}

// decodeScalar decodes a string, number or Boolean to its text. Numbers and Booleans
// can be quoted or not ("Grammar").
func decodeScalar(raw json.RawMessage) (string, error) {
	text := string(raw)
	switch {
	case text == "" || text == "null" || text[0] == '{' || text[0] == '[':
		return "", errors.New("must be a string, a number or a Boolean")
	case text[0] == '"':
		return decodeString(raw)
	default:
		return text, nil
	}
}
