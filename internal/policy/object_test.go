package policy

import "testing"

// TestObjectsAreUnambiguous checks that an object that has a name twice is read
// nowhere.
func TestObjectsAreUnambiguous(t *testing.T) {
	const rest = `"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"`
	for statement, unique := range map[string]bool{
		`{"Sid":"A",` + rest + `}`: true,
		`{"Sid":"Sid",` + rest + `,"Condition":{"StringEquals":{"a":"b"},"StringLike":{"a":"b"}}}`: true,
		`{"Effect":"Deny",` + rest + `}`:                                                                      false,
		`{"principal":{"AWS":"arn:aws:iam::111111111111:root"},` + rest + `}`:                                 false,
		`{` + rest + `,"Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-1","AWS:principalorgid":"o-2"}}}`: false,
		`{"Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-1"}},"Sid":"A","Condition":{},` + rest + `}`:   false,
		`{` + rest + `,"Condition":{"StringEquals":{"a":["b"]},"stringequals":{"a":"c"}}}`:                    false,
		`{"Effect":"Allow","Principal":{"AWS":"1","aws":"2"},"Action":"kms:*","Resource":"*"}`:                false,
		"{\"Re\u017fource\":\"a\"," + rest + "}":                                                              false,
	} {
		if _, err := Parse(`{"Statement":[` + statement + `]}`); (err == nil) != unique {
			t.Errorf("%s: %v", statement, err)
		}
	}
	if _, err := Parse(`{"Version":"2012-10-17","version":"2008-10-17","Statement":[{` + rest + `}]}`); err == nil {
		t.Error("a document with two versions was read")
	}
}

// TestParseRefusesAmbiguity checks that a document that has a key twice is rejected,
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
