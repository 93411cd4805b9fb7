package awssim

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// maxRequest bounds a request's body; AWS's own limits are near.
const maxRequest = 1 << 20

// dryRun reports whether the call only asks what would happen.
func (c *call) dryRun() bool {
	return c.form.Get("DryRun") == "true" || bytes.Contains(c.body, []byte(`"DryRun":true`))
}

// decode reads the caller and the operation. The returned call has its service even on
// failure, so that the failure can be answered in its protocol.
func (w *World) decode(r *http.Request) (*call, *Error) {
	c := &call{w: w}
	body, err := io.ReadAll(io.LimitReader(bodyOf(r), maxRequest+1))
	if err != nil || len(body) > maxRequest {
		return c, badRequest("RequestEntityTooLarge", "the request is larger than %d bytes", maxRequest)
	}
	c.body = bytes.ReplaceAll(body, []byte(repeatedToken), nil) // see RepeatedToken
	if problem := c.readCredential(r.Header.Get("Authorization")); problem != nil {
		return c, problem
	}
	c.signatureDiffers = !c.signedBy(c.accessKey, r, body)
	if _, known := operations[c.service]; !known {
		return c, badRequest("UnknownService", "the simulator has no service %q", c.service)
	}
	target := r.Header.Get("X-Amz-Target")
	if c.service == "ram" || c.service == "account" {
		target, c.form = restTarget(r, operations[c.service]), r.URL.Query()
	}
	return c, c.readOperation(target)
}

func bodyOf(r *http.Request) io.Reader {
	if r.Body == nil {
		return strings.NewReader("")
	}
	return r.Body
}

// readCredential reads access key, Region and service from the signature's
// credential scope.
func (c *call) readCredential(authorization string) *Error {
	_, rest, found := strings.Cut(authorization, "Credential=")
	scope, _, _ := strings.Cut(rest, ",")
	parts := strings.Split(strings.TrimSpace(scope), "/")
	if !found || len(parts) != 5 || parts[4] != "aws4_request" {
		return &Error{Status: http.StatusForbidden, Code: "MissingAuthenticationToken", Message: "Request is missing Authentication Token"}
	}
	c.accessKey, c.region, c.service = parts[0], parts[2], parts[3]
	return nil
}

// readOperation reads the operation from the target header (JSON protocols) or
// from the form (query protocols).
func (c *call) readOperation(target string) *Error {
	if protocolOf(c.service) == jsonProtocol {
		_, operation, found := strings.Cut(target, ".")
		if !found {
			return badRequest("UnknownOperationException", "no X-Amz-Target")
		}
		c.operation = operation
		return nil
	}
	form, err := url.ParseQuery(string(c.body))
	if err != nil || form.Get("Action") == "" {
		return badRequest("MissingAction", "the request has no readable Action")
	}
	c.form, c.operation = form, form.Get("Action")
	return nil
}

// decodeJSON reads the parameters of a JSON protocol. Unknown ones are rejected,
// so that nothing the simulator ignores goes unnoticed.
func decodeJSON[T any](c *call) (T, error) {
	var input T
	decoder := json.NewDecoder(strings.NewReader(string(c.body)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&input); err != nil {
		return input, badRequest("SerializationException", "%s %s: %v", c.service, c.operation, err)
	}
	return input, nil
}
