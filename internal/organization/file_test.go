package organization_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/internal/organization"
)

func TestParse(t *testing.T) {
	for content, test := range map[string]struct {
		ids  []string
		says string
	}{
		"222222222222\n111111111111\n":                      {[]string{"111111111111", "222222222222"}, ""},
		"# all\r\n 012345678901 # zero\r\n\r\n012345678901": {[]string{"012345678901"}, ""},
		` ["222222222222", "111111111111"] `:                {[]string{"111111111111", "222222222222"}, ""},
		"111111111111\n22222222222\nx # y\n":                {nil, `line 2: "22222222222" is not an account ID. Write 12 digits` + "\n" + `line 3: "x"`},
		"\ufeff222222222222\n":                              {[]string{"222222222222"}, ""},
		"\ufeff[\"222222222222\"]":                          {[]string{"222222222222"}, ""},
		"[\n\"1\",\n\"111111111111\", null\n]":              {nil, `line 2: "1" is not an account ID. Write 12 digits` + "\n" + `line 3: ""`},
		"[\n\n111111111111]":                                {nil, "line 3: it is not a JSON list of strings"},
		`[111111111111]`:                                    {nil, "Quote the IDs"},
		"[\n\"111111111111\"\n\"222222222222\"]":            {nil, "line 3: it is not a JSON list"},
		`["111111111111"`:                                   {nil, "line 1: it is not a JSON list"},
		`["111111111111"] x`:                                {nil, "line 1: it is not a JSON list"},
		"":                                                  {nil, "lists no account"},
		"# none\n":                                          {nil, "lists no account"},
		"[]":                                                {nil, "lists no account"},
		"111111111111,222222222222":                         {nil, "line 1"},
		strings.Repeat("9", 13):                             {nil, "line 1"},
	} {
		got, err := organization.Parse(content)
		if diff := cmp.Diff(test.ids, got); diff != "" || (err == nil) != (test.says == "") {
			t.Errorf("%q: %v\n%s", content, err, diff)
		}
		if err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%q: the error does not say %q: %v", content, test.says, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("111111111111\n# comment\n222222222222")
	f.Add(`["111111111111"]`)
	f.Add(`["\u0031\u0031111111111"]`)
	f.Add("[")
	form := regexp.MustCompile(`^\d{12}$`)
	f.Fuzz(func(t *testing.T, content string) {
		ids, err := organization.Parse(content)
		if (err == nil) != (len(ids) > 0) || !slices.IsSorted(ids) {
			t.Fatalf("%v, %v", ids, err)
		}
		for _, id := range ids {
			escaped := strings.Contains(content, `\`)
			if !form.MatchString(id) || !escaped && !strings.Contains(content, id) {
				t.Errorf("%q is no account id of the file", id)
			}
		}
	})
}
