package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/text"
)

// Member is a name and its value in a JSON object, or an item of a JSON list,
// which has no name.
type Member struct {
	Name  string
	Value json.RawMessage

	named, valued int // offsets of the name's end and of the value in the text that was read
}

// defect describes an error in a document and its position. offset counts the
// bytes from the start of the text that was read.
type defect struct {
	offset int
	text   string
	syntax bool // the text is not valid JSON at the offset
}

func (d *defect) Error() string { return text.Printable(d.text) }

func defectf(offset int, format string, args ...any) error {
	return &defect{offset: offset, text: fmt.Sprintf(format, args...)}
}

// inside converts the position of an error within the member's value to a
// position in the text that contains the member.
func (m Member) inside(err error) error {
	words := err.Error()
	if m.Name != "" {
		words = m.Name + ": " + words
	}
	if d, found := errors.AsType[*defect](err); found {
		return &defect{m.valued + d.offset, words, d.syntax}
	}
	return &defect{offset: m.valued, text: words}
}

// valid checks that the content is one JSON value.
func valid(content []byte) error {
	if e, found := errors.AsType[*text.JSONError](text.CheckJSON(content)); found {
		return &defect{e.Offset, "this is not valid JSON: " + e.Problem, true}
	}
	return nil
}

// Object reads a JSON object, with its members in their order. Two names that
// differ at most in their letter case are an error: AWS doesn't document which
// of the two counts, and the object could mean more than was checked.
func Object(text []byte) ([]Member, error) {
	if err := valid(text); err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return nil, defectf(0, "expected a JSON object, not %s", kindOf(text))
	}
	var members []Member
	seen := map[string]bool{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		m := Member{Name: fmt.Sprint(token), named: int(decoder.InputOffset())}
		folded := strings.ToLower(strings.ToUpper(m.Name))
		if seen[folded] {
			return nil, defectf(m.named, "%q appears twice in one object. Remove one", m.Name)
		}
		seen[folded] = true
		if err := decoder.Decode(&m.Value); err != nil {
			return nil, err
		}
		m.valued = int(decoder.InputOffset()) - len(m.Value)
		members = append(members, m)
	}
	return members, nil
}

// Items reads a JSON list, or the one value that may stand in its place.
func Items(text []byte) ([]Member, error) {
	if err := valid(text); err != nil {
		return nil, err
	}
	start := len(text) - len(bytes.TrimLeft(text, " \t\r\n"))
	if text[start] != '[' {
		return []Member{{Value: bytes.TrimSpace(text), named: start, valued: start}}, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	if _, err := decoder.Token(); err != nil {
		return nil, err
	}
	items := []Member{}
	for decoder.More() {
		var item Member
		if err := decoder.Decode(&item.Value); err != nil {
			return nil, err
		}
		item.valued = int(decoder.InputOffset()) - len(item.Value)
		item.named = item.valued
		items = append(items, item)
	}
	return items, nil
}

// Texts reads a string, a number or a Boolean, or a list of them, as strings:
// a policy may say true or "true".
func Texts(text []byte) ([]string, error) {
	items, err := Items(text)
	if err != nil {
		return nil, err
	}
	texts := make([]string, len(items))
	for i, item := range items {
		switch item.Value[0] {
		case '{', '[', 'n':
			return nil, defectf(item.valued, "expected a string or a list of strings, not %s", kindOf(item.Value))
		case '"':
			if err := json.Unmarshal(item.Value, &texts[i]); err != nil {
				return nil, err
			}
		default:
			texts[i] = string(item.Value)
		}
	}
	return texts, nil
}

// stringOf reads a string.
func stringOf(raw []byte) (string, error) {
	var value string
	if raw[0] != '"' {
		return "", defectf(0, "expected a string, not %s", kindOf(raw))
	}
	return value, json.Unmarshal(raw, &value)
}

// kindOf names the kind of a JSON value.
func kindOf(text []byte) string {
	switch text = bytes.TrimSpace(text); text[0] {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "a string"
	case 'n':
		return "null"
	case 't', 'f':
		return "a Boolean"
	default:
		return "a number"
	}
}
