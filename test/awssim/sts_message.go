package awssim

import (
	"encoding/base64"
	"encoding/json"
	"strings"
)

// decision is an encoded authorization message. Fact: STS-5.
type decision struct {
	Allowed      bool `json:"allowed"`
	ExplicitDeny bool `json:"explicitDeny"`
	Context      struct {
		Principal struct {
			ARN string `json:"arn"`
		} `json:"principal"`
		Action   string `json:"action"`
		Resource string `json:"resource"`
	} `json:"context"`
}

// encodedDenial is the end of the message of a call that policies deny.
func (c *call) encodedDenial(action, resource, why string) string {
	d := decision{ExplicitDeny: strings.Contains(why, "explicitly")}
	d.Context.Principal.ARN, d.Context.Action, d.Context.Resource = c.caller.ARN, action, resource
	text, err := json.Marshal(d)
	if err != nil {
		panic(err) // it has only strings and booleans
	}
	return "Encoded authorization failure message: " + base64.RawURLEncoding.EncodeToString(text)
}

type decodedMessage struct {
	DecodedMessage string
}

// decodeAuthorizationMessage decodes the message of a denied call. Fact: STS-5.
func decodeAuthorizationMessage(c *call) (any, error) {
	var d decision
	text, err := base64.RawURLEncoding.DecodeString(c.form.Get("EncodedMessage"))
	if err != nil || json.Unmarshal(text, &d) != nil || d.Context.Action == "" {
		return nil, badRequest("InvalidAuthorizationMessageException", "Message is not valid")
	}
	return decodedMessage{string(text)}, nil
}
