package evaluate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// member is a name and a value of a JSON object.
type member struct {
	name  string
	value json.RawMessage
}

// decodeObject reads a JSON object, and refuses one that has a name twice:
// which of the two counts is not documented.
func decodeObject(raw []byte) ([]member, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if token, err := d.Token(); err != nil || token != json.Delim('{') {
		return nil, errors.New("it is no JSON object")
	}
	var members []member
	seen := map[string]bool{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("it is no JSON: %w", err)
		}
		m := member{name: fmt.Sprint(token)}
		if seen[m.name] {
			return nil, fmt.Errorf("%q stands in it twice", m.name)
		}
		seen[m.name] = true
		if err := d.Decode(&m.value); err != nil {
			return nil, fmt.Errorf("it is no JSON: %w", err)
		}
		members = append(members, m)
	}
	if _, err := d.Token(); err != nil {
		return nil, fmt.Errorf("it is no JSON: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("text follows the JSON object")
	}
	return members, nil
}

// decodeList reads a list, or the one value that may stand for it.
func decodeList(raw json.RawMessage) ([]json.RawMessage, error) {
	items := []json.RawMessage{raw}
	if bytes.HasPrefix(bytes.TrimSpace(raw), []byte("[")) {
		items = nil
		if err := json.Unmarshal(raw, &items); err != nil {
			return nil, fmt.Errorf("it is no list: %w", err)
		}
	}
	if len(items) == 0 {
		return nil, errors.New("a list is empty")
	}
	return items, nil
}

// decodeTexts reads strings, numbers and Booleans, one or a list of them, as
// text: policies may write true and "true".
func decodeTexts(raw json.RawMessage) ([]string, error) {
	items, err := decodeList(raw)
	if err != nil {
		return nil, err
	}
	texts := make([]string, len(items))
	for i, item := range items {
		if len(item) > 0 && strings.IndexByte(`{[n`, item[0]) >= 0 { // an object, a list, null
			return nil, fmt.Errorf("%s is no text", item)
		}
		if json.Unmarshal(item, &texts[i]) != nil {
			texts[i] = string(item)
		}
	}
	return texts, nil
}
