package organization

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/config/pattern"
)

// Parse reads the IDs in a file, which is a JSON list of strings, or has one ID
// on each line and comments that start with #. The error lists every invalid ID
// with its line. The IDs are sorted, without duplicates.
func Parse(content string) ([]string, error) {
	content = strings.TrimPrefix(content, "\ufeff") // as editors of Windows write it
	if strings.HasPrefix(strings.TrimSpace(content), "[") {
		return parseJSON(content)
	}
	var ids []string
	var problems []error
	number := 0
	for line := range strings.Lines(content) {
		number++
		id, _, _ := strings.Cut(line, "#")
		switch id = strings.TrimSpace(id); {
		case id == "":
		case !pattern.Account.Match(id):
			problems = append(problems, fmt.Errorf("line %d: %q is not an account ID. Write 12 digits", number, id))
		default:
			ids = append(ids, id)
		}
	}
	return ordered(ids, problems)
}

func parseJSON(content string) ([]string, error) {
	var ids []string
	if err := json.Unmarshal([]byte(content), &ids); err != nil {
		return nil, fmt.Errorf("line %d: it is not a JSON list of strings: %w. Quote the IDs to keep leading zeros", lineOf(content, errorOffset(err)), err)
	}
	var problems []error
	positions := json.NewDecoder(strings.NewReader(content))
	next := func() { _, _ = positions.Token() } // the content is known to be valid
	next()
	for _, id := range ids {
		if next(); !pattern.Account.Match(id) {
			problems = append(problems, fmt.Errorf("line %d: %q is not an account ID. Write 12 digits", lineOf(content, positions.InputOffset()), id))
		}
	}
	return ordered(ids, problems)
}

// errorOffset is the number of bytes that the JSON decoder had read.
func errorOffset(err error) int64 {
	var syntax *json.SyntaxError
	var wrongType *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return syntax.Offset
	case errors.As(err, &wrongType):
		return wrongType.Offset
	default:
		return 0
	}
}

// lineOf returns the line of the byte at the offset, from 1.
func lineOf(content string, offset int64) int {
	return 1 + strings.Count(content[:max(offset-1, 0)], "\n")
}

func ordered(ids []string, problems []error) ([]string, error) {
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	if len(ids) == 0 {
		return nil, errors.New("it lists no account")
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}
