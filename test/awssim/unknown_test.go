package awssim_test

import (
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// Unknown operations are rejected in the protocol of the service. Fact: ERR-7.
func TestUnknownOperations(t *testing.T) {
	w, err := awssim.New(awssim.DefaultWorld(), awssim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	const form, document = "application/x-www-form-urlencoded; charset=utf-8", "application/x-amz-json-1.1"
	for service, test := range map[string]struct{ contentType, code string }{
		"ec2":            {form, "InvalidAction"},
		"iam":            {form, "InvalidAction"},
		"kms":            {document, "UnknownOperationException"},
		"cloudformation": {form, "UnknownService"},
		"cloudtrail":     {document, "UnknownService"},
		"eks":            {"application/json", "UnknownService"},
	} {
		body := "{}"
		if test.contentType == form {
			body = "Action=Dance&Version=2010-05-08"
		}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://localhost/", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", test.contentType)
		request.Header.Set("X-Amz-Target", "Service.Dance")
		sign(t, request, w, service, "us-east-1", body)
		answer, err := w.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		if err := answer.Body.Close(); err != nil {
			t.Fatal(err)
		}
		var code string
		if test.contentType == form {
			var failure struct {
				Code  string `xml:"Error>Code"`
				Codes string `xml:"Errors>Error>Code"` // EC2's
			}
			if err := xml.Unmarshal(content, &failure); err != nil {
				t.Errorf("%s: %v: %s", service, err, content)
			}
			code = failure.Code + failure.Codes
		} else {
			var failure struct {
				Type string `json:"__type"`
			}
			if err := json.Unmarshal(content, &failure); err != nil {
				t.Errorf("%s: %v: %s", service, err, content)
			}
			code = failure.Type
		}
		if answer.StatusCode != http.StatusBadRequest || code != test.code {
			t.Errorf("%s: %d %s", service, answer.StatusCode, content)
		}
	}
}
