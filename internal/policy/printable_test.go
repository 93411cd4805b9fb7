package policy

import (
	"strings"
	"testing"
)

// The content of a policy neither acts on a terminal nor adds a line to an error or a
// finding.
func TestTextOfPoliciesIsPrintable(t *testing.T) {
	const outside = `x\u001b[31m\ny` // as JSON has it
	statement := func(element, value string) string {
		elements := map[string]string{"Sid": `"A"`, "Effect": `"Allow"`, "Principal": `{"AWS":"*"}`, "Action": `"kms:Decrypt"`, "Resource": `"*"`}
		elements[element] = value
		var members []string
		for name, value := range elements {
			members = append(members, `"`+name+`":`+value)
		}
		return "{" + strings.Join(members, ",") + "}"
	}
	found := 0
	for element, value := range map[string]string{
		"Sid": `"` + outside + `"`, "Effect": `"` + outside + `"`, "Action": `"kms:` + outside + `"`, "Resource": `"` + outside + `"`,
		"Principal": `{"AWS":"arn:aws:iam::*:role/` + outside + `"}`, "Condition": `{"` + outside + `":{"kms:ViaService":"` + outside + `"}}`,
		outside: `"x"`,
	} {
		raw := statement(element, value)
		var texts []string
		if _, err := ParseStatements([]byte(raw)); err != nil {
			texts = append(texts, err.Error())
		}
		document, err := Parse(`{"Version":"2012-10-17","Statement":[` + raw + `]}`)
		if err != nil {
			texts = append(texts, err.Error())
		}
		for _, finding := range Lint(document, someTarget) {
			texts = append(texts, finding.String())
		}
		texts = append(texts, document.Problems()...)
		for _, got := range texts {
			if strings.Contains(got, `\x1b[31m`) {
				found++
			}
			for line := range strings.Lines(got) {
				if strings.Contains(got, "\x1b") || strings.HasPrefix(line, "y") {
					t.Errorf("%s: %q", element, got)
				}
			}
		}
	}
	if found < 5 {
		t.Errorf("%d texts have the value, so this test checks little", found)
	}
}
