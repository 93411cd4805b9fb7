package text_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/encoding/unicode"

	"github.com/orgami/packer-plugin-orgami/internal/text"
)

func TestDecodeFile(t *testing.T) {
	const content = "é — ✓ 𝄞\r\n"
	encoded := map[string]string{"UTF-8": content, "UTF-8 with a byte-order mark": "\ufeff" + content, "empty": ""}
	for name, endianness := range map[string]unicode.Endianness{"UTF-16LE": unicode.LittleEndian, "UTF-16BE": unicode.BigEndian} {
		text, err := unicode.UTF16(endianness, unicode.UseBOM).NewEncoder().String(content)
		if err != nil {
			t.Fatal(err)
		}
		encoded[name] = text
	}
	for name, bytes := range encoded {
		want := content
		if name == "empty" {
			want = ""
		}
		if got, err := text.DecodeFile([]byte(bytes)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for name, bytes := range map[string]string{
		"UTF-16 without a mark": "1\x001\x00", "Latin 1": "\xe9", "a binary file": "\x7fELF\x00", "UTF-32": "\x00\x00\xfe\xff\x00\x00\x001",
	} {
		if got, err := text.DecodeFile([]byte(bytes)); err == nil || !strings.Contains(err.Error(), "Save it as UTF-8") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// TestCheckJSON checks the place and the correction for mistakes in JSON as people
// write it.
func TestCheckJSON(t *testing.T) {
	for content, want := range map[string]string{
		`{"a": [1, {}], "b": "é"}`:  "",
		"[\n  \"é\", 'a'\n]":        `line 2, column 8: JSON needs straight double quotes ("), not '`,
		`{“a”: 1}`:                  `line 1, column 2: JSON needs straight double quotes ("), not “`,
		"[1,\n]":                    `line 2, column 1: remove the comma before ']'`,
		"{\"a\": 1,\n\n}":           `line 3, column 1: remove the comma before '}'`,
		"[1 // one\n]":              "line 1, column 4: JSON has no comments",
		"# none\n[]":                "line 1, column 1: JSON has no comments",
		"{\"a\": 1\n\"b\": 2}":      `line 2, column 1: expected a comma or the closing bracket before "\""`,
		"[1 2]":                     `line 1, column 4: expected a comma or the closing bracket before "2"`,
		`{"a" = 1}`:                 `line 1, column 6: expected a colon before "="`,
		`{a: 1}`:                    `line 1, column 2: expected a name in double quotes, not "a"`,
		`[True]`:                    `line 1, column 2: expected a JSON value, not "True". Write strings in double quotes, and true, false and null in lower case`,
		`{"Resource": ${var.arn}}`:  "line 1, column 14: a reference of a template was not filled in",
		`[{{account}}]`:             "line 1, column 3: a reference of a template was not filled in",
		"[\"a\nb\"]":                `line 1, column 4: '\n' can't stand in a string`,
		`["a\d"]`:                   `line 1, column 5: 'd' doesn't follow a backslash in JSON. Write \\ for a backslash`,
		"{}\n{}":                    "line 2, column 1: the JSON is complete before this place",
		"[1,":                       "line 1, column 4: the JSON ends before it is complete",
		"":                          "line 1, column 1: the JSON ends before it is complete",
		"{\"a\": \"x":               "line 1, column 9: the JSON ends before it is complete",
		"version: 1":                `line 1, column 1: expected a JSON value, not "version"`,
		"[\x1b[31m]":                `line 1, column 2: expected a JSON value, not "\x1b"`,
		"[1e]":                      `line 1, column 4: expected a JSON value, not "]"`,
		"<html>":                    `line 1, column 1: expected a JSON value, not "<"`,
		"{\"Statement\": [\n},\n]}": `line 2, column 1: expected a JSON value, not "}"`,
	} {
		got := ""
		if defect, found := errors.AsType[*text.JSONError](text.CheckJSON([]byte(content))); found {
			got = text.Place([]byte(content), defect.Offset) + ": " + defect.Error()
		}
		if (want == "") != (got == "") || !strings.HasPrefix(got, want) {
			t.Errorf("%q:\n got %s\nwant %s", content, got, want)
		}
	}
}

func FuzzCheckJSON(f *testing.F) {
	for _, seed := range []string{`{"a":[1,"b"]}`, `[1,]`, `{'a'}`, "\"\xff\"", "${x}", "1 ", " "} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		err := text.CheckJSON(content)
		if json.Valid(content) != (err == nil) {
			t.Fatalf("%q: %v", content, err)
		}
		if err == nil {
			return
		}
		defect, found := errors.AsType[*text.JSONError](err)
		if !found || defect.Offset < 0 || defect.Offset > len(content) || !utf8.ValidString(err.Error()) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %#v", content, err)
		}
		_ = text.Place(content, defect.Offset)
	})
}
