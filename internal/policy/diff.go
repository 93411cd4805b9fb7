package policy

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	texts "github.com/orgami/packer-plugin-orgami/internal/text"
)

// DiffLines describes how before becomes after, statement by statement. It
// returns a line that begins with "- " for each removed statement and one with
// "+ " for each added statement, in the order of the documents. It omits
// statements that are equivalent in both.
func DiffLines(before, after Document) []string {
	var lines []string
	for _, raw := range missing(before, after) {
		lines = append(lines, "- "+compact(raw))
	}
	for _, raw := range missing(after, before) {
		lines = append(lines, "+ "+compact(raw))
	}
	return lines
}

// missing are the statements of d that other doesn't have.
func missing(d, other Document) []json.RawMessage {
	have := map[string]bool{}
	for _, raw := range other.Statements {
		have[canonicalStatement(raw)] = true
	}
	return slices.DeleteFunc(slices.Clone(d.Statements), func(raw json.RawMessage) bool { return have[canonicalStatement(raw)] })
}

// compact returns the statement on one line, with spaces after colons and commas.
func compact(raw json.RawMessage) string {
	var line bytes.Buffer
	if err := json.Indent(&line, raw, "", ""); err != nil {
		return texts.Printable(string(raw)) // it was read as JSON before
	}
	fields := strings.FieldsFunc(line.String(), func(r rune) bool { return r == '\n' })
	joined := strings.Join(fields, " ")
	return texts.Printable(strings.NewReplacer("{ ", "{", " }", "}", "[ ", "[", " ]", "]").Replace(joined))
}
