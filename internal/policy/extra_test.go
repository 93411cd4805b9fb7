package policy

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/encoding/unicode"
)

// wholeStatement is a statement that KMS accepts and that isn't public.
const wholeStatement = `{"Sid":"Extra","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"kms:Decrypt","Resource":"*"}`

// TestExtraStatementsAsPeopleWriteThem checks that unambiguous input is
// accepted, and that errors name the line, the statement and the element.
func TestExtraStatementsAsPeopleWriteThem(t *testing.T) {
	document := `{"Version":"2012-10-17","Statement":[` + wholeStatement + `]}`
	printed, err := json.Marshal(map[string]string{"Policy": document, "PolicyName": "default"})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"a byte-order mark": "\ufeff" + document, "one before statements": "\ufeff[" + wholeStatement + "]",
		"what get-key-policy prints": string(printed), "with a byte-order mark": "\ufeff" + string(printed),
		"UTF-16LE": utf16Text(t, document, unicode.LittleEndian), "UTF-16BE": utf16Text(t, "["+wholeStatement+"]", unicode.BigEndian),
		"the policy without its name": fmt.Sprintf(`{"Policy":%q}`, document), "an Id": `{"Id":"x","Statement":` + wholeStatement + `}`,
	} {
		if got, err := ParseStatements([]byte(text)); err != nil || string(got) != "["+wholeStatement+"]" {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}

	const principal, condition = `{"AWS":"arn:aws:iam::111111111111:root"}`, `"Action":"kms:Decrypt",`
	replaced := func(old, with string) string {
		if !strings.Contains(wholeStatement, old) {
			t.Fatalf("%s has no %s", wholeStatement, old)
		}
		return "[\n" + strings.Replace(wholeStatement, old, with, 1) + "]"
	}
	everybody := func(condition string) string {
		return replaced(principal+`,`, `"*",`+"\n"+`"Condition":`+condition+`,`)
	}
	for name, test := range map[string]struct{ text, says string }{
		"a misspelled set operator": {
			everybody(`{"ForAnyValues:StringLike":{"aws:PrincipalOrgPaths":["o-exampleorgid/r-ab12/ou-ab12-11111111/*"]}}`),
			`line 3, statement "Extra": Condition: ForAnyValues:StringLike is not a condition operator. Did you mean ForAnyValue:StringLike?`,
		},
		"a misspelled operator": {
			everybody(`{"StringEqual":{"aws:PrincipalOrgID":"o-exampleorgid"}}`),
			`line 3, statement "Extra": Condition: StringEqual is not a condition operator. Did you mean StringEquals?`,
		},
		"any organization": {
			everybody(`{"StringLike":{"aws:PrincipalOrgID":"o-*"}}`),
			`line 3, statement "Extra": Condition: aws:PrincipalOrgID "o-*" can match any organization. Write the ID of one organization`,
		},
		"a role with a wildcard": {
			replaced("root", "role/*"),
			`line 2, statement "Extra": Principal: KMS does not accept the wildcard in arn:aws:iam::111111111111:role/*. Write "AWS": "*" and the condition {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::111111111111:role/*"}}`,
		},
		"a role of any account": {
			replaced("111111111111:root", "*:role/x"),
			`"aws:PrincipalArn": "arn:aws:iam::*:role/x"}}, and one that names your organization: {"StringEquals": {"aws:PrincipalOrgID"`,
		},
		"an empty list of principals": {
			replaced(`"arn:aws:iam::111111111111:root"`, "[]"),
			`line 2, statement "Extra": Principal: the list of AWS principals is empty, which KMS rejects. Name a principal`,
		},
		"a comment": {
			replaced(condition, condition+"\n\n"+`"_comment":"x",`),
			`line 4, statement "Extra": "_comment" is not an element of a policy statement. Remove it`,
		},
		"a comment in the document": {`{"_comment":"x","Statement":` + wholeStatement + `}`, `line 1: "_comment" is not an element of a policy document. Remove it`},
		"a misspelled element":      {replaced("Resource", "Resources"), `"Resources" is not an element of a policy statement. Did you mean "Resource"?`},
		"no resource":               {replaced(`,"Resource":"*"`, ""), `Resource: KMS requires this element in each statement of a key policy. Write "Resource": "*"`},
		"no action":                 {replaced(condition, ""), `Action: KMS requires this element`},
		"no principal":              {replaced(`"Principal":`+principal+`,`, ""), `Principal: KMS requires this element`},
		"a federated principal":     {replaced(principal, `{"Federated":"accounts.google.com"}`), `Principal: without a condition on a key of the identity provider`},
		"a character of another script": {
			replaced("Extra", "Build — decrypt"),
			`line 2, statement "Build — decrypt": Sid: KMS does not accept the character '—' (U+2014) in a policy. Replace it`,
		},
		"such a character further on": {
			everybody(`{"StringEquals":{"aws:PrincipalOrgID":"o-exampleorgid","aws:PrincipalTag/x":"é—"}}`),
			`line 3, statement "Extra": Condition: KMS does not accept the character '—' (U+2014)`,
		},
		"an effect in another case": {replaced(`"Allow"`, `"allow"`), `Effect: "allow" is not an effect. Must be "Allow" or "Deny"`},
		"no effect":                 {replaced(`"Effect":"Allow",`, ""), `Effect is required. Must be "Allow" or "Deny"`},
		"UTF-16 without a mark":     {"{\x00}\x00", "the file is not text in UTF-8. Save it as UTF-8"},
		"no JSON":                   {"[\n{\n'Sid':1}]", `line 3, column 1: this is not valid JSON: JSON needs straight double quotes ("), not '`},
		"a reference of Terraform":  {replaced(condition, "\n"+`"Action":["kms:Decrypt","${var.action}"],`), `line 3, statement "Extra": Action: "${var.action}" was not filled in`},
		"one of CloudFormation":     {replaced("111111111111", "${AWS::AccountId}"), `line 2, statement "Extra": Principal: "${AWS::AccountId}" was not filled in`},
		"one of Go or Jinja":        {replaced("Extra", "{{ sid }}"), `Sid: "{{ sid }}" was not filled in`},
		"another service's action":  {replaced(condition, "\n"+`"Action":"ec2:RunInstances",`), `line 3, statement "Extra": Action: ec2:RunInstances is an action of another service`},
		"not a document":            {`{"Policy":"x","PolicyName":"default"}`, "line 1: Policy: the string is not a policy document"},
		"more beside the policy":    {fmt.Sprintf(`{"Policy":%q,"ResponseMetadata":{}}`, document), `"ResponseMetadata" and "Policy" can't be used together`},
		"a policy as an object":     {`{"Policy":` + document + `}`, `"Policy" is not an element of a policy statement`},
		"a list of lists":           {"[[" + wholeStatement + "]]", "line 1, statement 1: expected a JSON object, not a list"},
		"a number":                  {"1", "line 1, statement 1: expected a JSON object, not a number"},
		"a null":                    {replaced(`"*"`, "null"), `Resource: expected a string or a list of strings, not null`},
		"a later line of a policy":  {fmt.Sprintf(`{"Policy":%q}`, "{\n\n\"Statement\":{\"Sid\":\"A\"}}"), `line 3, statement "A": Effect is required`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseStatements([]byte(test.text))
			if err == nil || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "Go value") {
				t.Errorf("%s, error is %v", got, err)
			}
		})
	}
	t.Run("all problems at once", func(t *testing.T) {
		_, err := ParseStatements([]byte("[\n" + wholeStatement + ",\n{\"Sid\":\"Extra\"},\n" + wholeStatement + ",\n{\"Effect\":\"Deny\"}]"))
		for _, line := range []string{`line 3, statement "Extra": Effect`, `line 4, statement "Extra": Sid: another statement`, "line 5, statement 4: Sid: a Sid is required", "line 5, statement 4: Principal"} {
			if err == nil || !strings.Contains(err.Error(), line) {
				t.Errorf("no %q in %v", line, err)
			}
		}
	})
}

// TestPolicyVariables checks that variables that AWS fills in are accepted.
func TestPolicyVariables(t *testing.T) {
	for _, variable := range []string{"${aws:PrincipalAccount}", "${aws:PrincipalTag/team, 'none'}", "${kms:ViaService}", "${*}", "${$}"} {
		text := strings.Replace(wholeStatement, `"Action"`, fmt.Sprintf(`"Condition":{"StringLike":{"aws:PrincipalTag/team":%q}},"Action"`, variable), 1)
		if _, err := ParseStatements([]byte(text)); err != nil {
			t.Errorf("%s: %v", variable, err)
		}
	}
}

func utf16Text(t *testing.T, content string, endianness unicode.Endianness) string {
	t.Helper()
	encoded, err := unicode.UTF16(endianness, unicode.UseBOM).NewEncoder().String(content)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

// TestProblems checks that statements that KMS no longer accepts, or that we wouldn't
// write, are found in a policy that was read.
func TestProblems(t *testing.T) {
	for name, test := range map[string]struct {
		document string
		want     []string
	}{
		"none":         {`{"Version":"2012-10-17","Id":"x","Statement":` + wholeStatement + `}`, nil},
		"no resource":  {`{"Statement":{"Sid":"AllowAdmins","Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":["kms:Get*"]}}`, []string{`statement "AllowAdmins": Resource: `}},
		"NotResource":  {`{"Statement":{"Effect":"Allow","Principal":{"AWS":"111111111111"},"NotAction":["kms:Get*"],"NotResource":"a"}}`, nil},
		"empty action": {`{"Statement":{"Effect":"Deny","NotPrincipal":{"AWS":"111111111111"},"Action":[],"Resource":"*"}}`, []string{"statement 1: Action: "}},
		"two of them":  {`{"Statement":[` + wholeStatement + `,{"Effect":"Allow","Principal":"*"}]}`, []string{"statement 2: Action: ", "statement 2: Resource: ", "statement 2: Principal: this would open"}},
		"a character":  {`{"Statement":` + strings.Replace(wholeStatement, "Extra", "\u0100", 1) + `}`, []string{"statement \"\u0100\": Sid: KMS does not accept the character '\u0100' (U+0100)"}},
		"Latin 1":      {`{"Statement":` + strings.Replace(wholeStatement, "Extra", "\u00ff", 1) + `}`, nil},
		"in the Id":    {`{"Id":"—","Statement":` + wholeStatement + `}`, []string{"Id: KMS does not accept"}},
		"nothing":      {`{"Statement":[]}`, []string{"the policy has no statement"}},
		"too large":    {`{"Statement":` + strings.Replace(wholeStatement, "Extra", strings.Repeat("x", 32_768), 1) + `}`, []string{"and KMS stores at most 32768"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := mustParse(t, test.document).Problems()
			if len(got) != len(test.want) {
				t.Fatalf("problems: %q", got)
			}
			for i, want := range test.want {
				if !strings.Contains(got[i], want) {
					t.Errorf("%q, not %q", got[i], want)
				}
			}
		})
	}
	if got := (Document{Statements: []json.RawMessage{json.RawMessage(`{"Sid":"A","Effect":1}`)}}).Problems(); !slices.Equal(got, []string{`statement "A": Effect: expected a string, not a number`}) {
		t.Errorf("%q", got)
	}
}

// goType matches the name of a type in an error.
var goType = regexp.MustCompile(`Go value|policy\.\w`)

// FuzzParseStatements checks that ParseStatements returns statements that pass all
// checks, or an error that names no Go type.
func FuzzParseStatements(f *testing.F) {
	f.Add("\ufeff[" + wholeStatement + "]")
	f.Add(`{"Policy":"{\"Statement\":[]}","PolicyName":"default"}`)
	f.Add(`{"Policy":"{\"Policy\":\"{}\"}"}`)
	f.Fuzz(func(t *testing.T, text string) {
		statements, err := ParseStatements([]byte(text))
		if err != nil {
			if goType.MatchString(err.Error()) {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		document := mustParse(t, `{"Statement":`+string(statements)+`}`)
		if problems := document.Problems(); len(problems) > 0 && len(document.String()) <= MaxKeyPolicySize {
			t.Errorf("%q: %q", text, problems)
		}
		if slices.Contains(document.Sids(), "") {
			t.Errorf("%q has no Sid", text)
		}
	})
}
