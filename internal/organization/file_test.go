package organization_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

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
		"111111111111\n22222222222\nx # y\n":                {nil, `line 2: "22222222222" is not an account ID. Write 12 digits. Programs that read IDs as numbers drop leading zeros` + "\n" + `line 3: "x"`},
		"\ufeff222222222222\n":                              {[]string{"222222222222"}, ""},
		"\ufeff[\"222222222222\"]":                          {[]string{"222222222222"}, ""},
		"\xff\xfe1\x002\x003\x004\x005\x006\x007\x008\x009\x000\x001\x002\x00\r\x00\n\x00": {[]string{"123456789012"}, ""},
		"[\n\"1\",\n\"111111111111\", null\n]":                                             {nil, `line 2: "1" is not an account ID. Write 12 digits. Programs` + " that read IDs as numbers drop leading zeros\n" + `line 3: expected an account ID`},
		"[\n\n111111111111]":                                                               {[]string{"111111111111"}, ""},
		`[11111111111]`:                                                                    {nil, `line 1: "11111111111" is not an account ID. Write 12 digits. Programs`},
		`[1111111111111]`:                                                                  {nil, `line 1: "1111111111111" is not an account ID. Write 12 digits`},
		`[111111111e3, ["111111111111"]]`:                                                  {nil, `line 1: "111111111e3"` + " is not an account ID. Write 12 digits\nline 1: expected an account ID"},
		"[\n\"111111111111\"\n\"222222222222\"]":                                           {nil, "line 3, column 1: this is not valid JSON: expected a comma"},
		`["111111111111"`:                                                                  {nil, "line 1, column 16: this is not valid JSON: the JSON ends"},
		`["111111111111"] x`:                                                               {nil, "line 1, column 18: this is not valid JSON: the JSON is complete"},
		"":                                                                                 {nil, "lists no account"},
		"# none\n":                                                                         {nil, "lists no account"},
		"[]":                                                                               {nil, "lists no account"},
		"{}":                                                                               {nil, "line 1: the object has no list of Accounts"},
		`{"Accounts": "111111111111"}`:                                                     {nil, "line 1: the object has no list of Accounts"},
		`{"Accounts": []}`:                                                                 {nil, "lists no account"},
		"222222222222, 111111111111\t333333333333": {[]string{"111111111111", "222222222222", "333333333333"}, ""},
		strings.Repeat("9", 13):                    {nil, "line 1"},
		"\xe9":                                     {nil, "Save it as UTF-8"},
		// Output of list-accounts, before and after Status was replaced by State.
		listed("333333333333", `"Status": "ACTIVE"`, "111111111111", `"Status": "SUSPENDED"`):                    {[]string{"333333333333"}, ""},
		listed("333333333333", `"State": "ACTIVE"`, "111111111111", `"State": "PENDING_CLOSURE"`):                {[]string{"333333333333"}, ""},
		listed("333333333333", `"State": "SUSPENDED", "Status": "ACTIVE"`, "111111111111", `"Status": "ACTIVE"`): {[]string{"111111111111"}, ""},
		listed("333333333333", `"Name": "x"`, "111111111111", `"State": "CLOSED"`):                               {nil, "line 3: the account has no State"},
		listed("333333333333", `"State": "CLOSED"`, "111111111111", `"State": "CLOSED"`):                         {nil, "lists no active account"},
		strings.Replace(listed("333333333333", `"State": "ACTIVE"`, "1", `"State": "ACTIVE"`), "1", "x", 1):      {nil, `line 4: "x" is not an account ID`},
		`{"NextToken": "abc", "Accounts": [{"Id": "333333333333", "State": "ACTIVE"}]}`:                          {nil, "line 1: NextToken says that accounts are missing"},
		`{"Accounts": [{"Id": "333333333333", "State": "ACTIVE"}], "NextToken": null}`:                           {[]string{"333333333333"}, ""},
		`[{"Id": "333333333333", "State": "ACTIVE"}]`:                                                            {[]string{"333333333333"}, ""},
		`[{"Id": 333333333333, "State": "ACTIVE"}]`:                                                              {nil, "line 1: expected an account ID"},
	} {
		got, err := organization.Parse([]byte(content))
		if diff := cmp.Diff(test.ids, got); diff != "" || (err == nil) != (test.says == "") {
			t.Errorf("%q: %v\n%s", content, err, diff)
		}
		if err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%q: the error does not say %q: %v", content, test.says, err)
		}
	}
}

// listed is the output of list-accounts for two accounts.
func listed(first, firstState, second, secondState string) string {
	return fmt.Sprintf("{\n  \"Accounts\": [\n    {\"Id\": %q, %s},\n    {\"Id\": %q, %s}\n  ]\n}\n", first, firstState, second, secondState)
}

func FuzzParse(f *testing.F) {
	f.Add("111111111111\n# comment\n222222222222")
	f.Add(`["111111111111"]`)
	f.Add(`["\u0031\u0031111111111"]`)
	f.Add("[")
	f.Add(listed("333333333333", `"State": "ACTIVE"`, "111111111111", `"Status": "CLOSED"`))
	f.Add(`{"Accounts":[],"NextToken":"x"}`)
	form := regexp.MustCompile(`^\d{12}$`)
	f.Fuzz(func(t *testing.T, content string) {
		ids, err := organization.Parse([]byte(content))
		if (err == nil) != (len(ids) > 0) || !slices.IsSorted(ids) {
			t.Fatalf("%v, %v", ids, err)
		}
		for _, id := range ids {
			escaped := strings.Contains(content, `\`) || !utf8.ValidString(content) // UTF-16 has other bytes
			if !form.MatchString(id) || !escaped && !strings.Contains(content, id) {
				t.Errorf("%q is not an account ID of the file", id)
			}
		}
	})
}
