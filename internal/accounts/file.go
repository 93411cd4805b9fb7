package accounts

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

var idForm = regexp.MustCompile(`^[0-9]{12}$`)

// Parse reads the ids in a file: a JSON list of strings, or one id a line, where
// # begins a comment. Every problem is reported, with its line or element. The
// ids are sorted, each once.
func Parse(content string) ([]string, error) {
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
		case !idForm.MatchString(id):
			problems = append(problems, fmt.Errorf("line %d: %q is no account id: write 12 digits", number, id))
		default:
			ids = append(ids, id)
		}
	}
	return ordered(ids, problems)
}

func parseJSON(content string) ([]string, error) {
	var ids []string
	if err := json.Unmarshal([]byte(content), &ids); err != nil {
		return nil, fmt.Errorf("it is no JSON list of strings: %w: write the ids in quotes, a number would lose a leading zero", err)
	}
	var problems []error
	for i, id := range ids {
		if !idForm.MatchString(id) {
			problems = append(problems, fmt.Errorf("element %d: %q is no account id: write 12 digits", i+1, id))
		}
	}
	return ordered(ids, problems)
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
