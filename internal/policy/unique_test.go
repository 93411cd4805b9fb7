package policy

import "testing"

func TestUniqueKeys(t *testing.T) {
	for document, unique := range map[string]bool{
		`{"Version":"2012-10-17","Statement":[{"Sid":"A","Effect":"Allow"},{"Sid":"B","Effect":"Allow"}]}`:   true,
		`{"Sid":"Sid","Action":["Sid","Sid"],"Condition":{"StringEquals":{"a":"b"},"StringLike":{"a":"b"}}}`: true,
		`[{"a":1},{"a":{"a":[{"a":null}]}},"a","a"]`:                                                         true,
		`"a"`:                                true,
		`{"Effect":"Allow","Effect":"Deny"}`: false,
		`{"Principal":{"AWS":"*"},"Action":"kms:*","principal":{"AWS":"arn:aws:iam::111111111111:root"}}`: false,
		`{"Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-1","AWS:principalorgid":"o-2"}}}`:          false,
		`{"Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-1"}},"Sid":"A","Condition":{}}`:            false,
		`{"Statement":[{"Sid":"A"},{"Condition":{"StringEquals":{"a":["b"]},"stringequals":{"a":"c"}}}]}`: false,
		"{\"Re\u017fource\":\"a\",\"Resource\":\"*\"}":                                                    false,
	} {
		if err := uniqueKeys([]byte(document)); (err == nil) != unique {
			t.Errorf("%s: %v", document, err)
		}
	}
}

// TestParseRefusesAmbiguity: a document that has a key twice is not understood,
// neither as a key policy nor as extra statements.
func TestParseRefusesAmbiguity(t *testing.T) {
	const twice = `{"Sid":"A","Effect":"Allow","Principal":{"AWS":"*"},"Action":"kms:Decrypt","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-exampleorgid","aws:principalorgid":"o-*"}}}`
	if _, err := parseStatement([]byte(twice)); err == nil {
		t.Error("the statement was parsed")
	}
	document, err := Parse(`{"Version":"2012-10-17","Statement":[` + twice + `]}`)
	if err == nil && len(document.PublicStatements()) == 0 {
		t.Error("the document was taken for closed")
	}
}
