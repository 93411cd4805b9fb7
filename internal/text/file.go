package text

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	byteorder "golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// DecodeFile returns the content of a text file that a user wrote as UTF-8. It removes
// the byte-order mark that editors on Windows write, and decodes UTF-16, in which
// Windows PowerShell writes redirected output. Anything else but UTF-8 is an error.
func DecodeFile(content []byte) ([]byte, error) {
	decoded, _, err := transform.Bytes(byteorder.BOMOverride(encoding.Nop.NewDecoder()), content)
	if err != nil || !utf8.Valid(decoded) || bytes.IndexByte(decoded, 0) >= 0 {
		return nil, errors.New("the file is not text in UTF-8. Save it as UTF-8")
	}
	return decoded, nil
}

// JSONError is the first error of a JSON text.
type JSONError struct {
	// Offset counts the bytes before the error.
	Offset int
	// Problem says what is wrong and how to correct it.
	Problem string
}

func (e *JSONError) Error() string { return Printable(e.Problem) }

// CheckJSON returns a [*JSONError] unless the text is one JSON value.
func CheckJSON(content []byte) error {
	var value json.RawMessage
	err := json.Unmarshal(content, &value)
	if err == nil {
		return nil
	}
	offset := len(content)
	if syntax, found := errors.AsType[*json.SyntaxError](err); found && !strings.Contains(syntax.Error(), "unexpected end") {
		offset = min(max(int(syntax.Offset)-1, 0), len(content)-1)
	}
	return &JSONError{offset, jsonProblem(string(content[:offset]), string(content[offset:]), err)}
}

// jsonProblem words the error of a JSON text, which is between before and rest. It
// suggests what the author probably intended.
func jsonProblem(before, rest string, err error) string {
	if strings.TrimSpace(rest) == "" {
		return "the JSON ends before it is complete. Add what is missing at the end, or export the file again"
	}
	found, _ := utf8.DecodeRuneInString(rest)
	within := func(context string) bool { return strings.Contains(err.Error(), context) }
	switch {
	case within("in string escape"), within("in \\u hexadecimal"):
		return fmt.Sprintf(`%q doesn't follow a backslash in JSON. Write \\ for a backslash`, found)
	case within("in string literal"):
		return fmt.Sprintf("%q can't stand in a string. Close the string, or escape the character", found)
	case strings.HasPrefix(rest, "${"), strings.HasPrefix(rest, "{{"), strings.HasSuffix(before, "{") && found == '{':
		return "a reference of a template was not filled in. Render the template first"
	case strings.ContainsRune("'‘’“”", found):
		return fmt.Sprintf(`JSON needs straight double quotes ("), not %s`, string(found))
	case found == '/', found == '#':
		return "JSON has no comments. Remove the comment"
	case within("after top-level value"):
		return "the JSON is complete before this place. Remove the rest, or combine the values in one list"
	case strings.ContainsRune("}]", found) && strings.HasSuffix(strings.TrimSpace(before), ","):
		return fmt.Sprintf("remove the comma before %q", found)
	case within("after object key:value pair"), within("after array element"):
		return fmt.Sprintf("expected a comma or the closing bracket before %s", word(rest))
	case within("after object key"):
		return fmt.Sprintf("expected a colon before %s", word(rest))
	case within("looking for beginning of object key"):
		return fmt.Sprintf("expected a name in double quotes, not %s", word(rest))
	default:
		return fmt.Sprintf("expected a JSON value, not %s. Write strings in double quotes, and true, false and null in lower case", word(rest))
	}
}

// word quotes the text's first word, or its first character if that is not a letter.
func word(text string) string {
	end := strings.IndexFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' })
	if end < 0 {
		end = len(text)
	}
	if end == 0 {
		_, end = utf8.DecodeRuneInString(text)
	}
	return fmt.Sprintf("%q", text[:end])
}

// Place names the line and the column of an offset in a text, both from 1. The column
// counts characters.
func Place(content []byte, offset int) string {
	before := content[:min(offset, len(content))]
	lineStart := bytes.LastIndexByte(before, '\n') + 1
	return fmt.Sprintf("line %d, column %d", 1+bytes.Count(before, []byte("\n")), 1+utf8.RuneCount(before[lineStart:]))
}
