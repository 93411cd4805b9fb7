package awssim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"
)

// maxRequest bounds a request's body; AWS's own limits are near.
const maxRequest = 1 << 20

// answerTimeout is how long a client waits for an answer that never comes
// before its connection times out.
const answerTimeout = time.Minute

// response is an encoded answer, or the error of a connection that broke.
type response struct {
	status      int
	contentType string
	body        []byte
	broken      error
}

func (r response) header() http.Header {
	return http.Header{"Content-Type": {r.contentType}, "X-Amzn-Requestid": {requestID}}
}

// ServeHTTP answers AWS's wire protocols, and below /_awssim/ the control calls
// of tests and the demo.
func (w *World) ServeHTTP(to http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, controlPrefix) {
		w.control(to, r)
		return
	}
	answer := w.serve(r)
	if answer.broken != nil {
		panic(http.ErrAbortHandler) // net/http's way to break the connection
	}
	maps.Copy(to.Header(), answer.header())
	to.WriteHeader(answer.status)
	_, _ = to.Write(answer.body) // a client that is gone wants no answer
}

// Client returns an HTTP client that calls the world without a socket: inside
// testing/synctest everything then happens in virtual time.
func (w *World) Client() *http.Client { return &http.Client{Transport: transport{w}} }

type transport struct{ world *World }

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := t.world.serve(r)
	if answer.broken != nil {
		return nil, answer.broken
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: answer.status, Status: http.StatusText(answer.status),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        answer.header(),
		Body:          io.NopCloser(strings.NewReader(string(answer.body))),
		ContentLength: int64(len(answer.body)), Request: r,
	}, nil
}

// serve runs one request from its bytes to its answer.
func (w *World) serve(r *http.Request) response {
	c, problem := w.decode(r)
	protocol := protocolOf(c.service)
	if problem != nil {
		return protocol.failure(problem)
	}
	if err := sleep(r.Context(), w.options.Latency); err != nil {
		return response{broken: err}
	}
	answer, fault, entry := w.perform(c)
	if w.afterCall(entry); fault != nil {
		switch fault.Kind {
		case ResetBefore, ResetAfter:
			return response{broken: &connectionError{syscall.ECONNRESET}}
		case TimeoutAfter:
			if err := sleep(r.Context(), answerTimeout); err != nil {
				return response{broken: err}
			}
			return response{broken: &connectionError{os.ErrDeadlineExceeded}}
		}
	}
	return answer
}

func (w *World) afterCall(e Entry) {
	w.mu.Lock()
	f := w.onCall
	w.mu.Unlock()
	if f != nil {
		f(e)
	}
}

// connectionError is what net/http reports of a broken connection.
type connectionError struct{ err error }

func (e *connectionError) Error() string   { return "read tcp 127.0.0.1: " + e.err.Error() }
func (e *connectionError) Unwrap() error   { return e.err }
func (e *connectionError) Timeout() bool   { return errors.Is(e.err, os.ErrDeadlineExceeded) }
func (e *connectionError) Temporary() bool { return true }

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// perform runs the call under the world's mutex: fault, quota, authorisation,
// effect, journal.
func (w *World) perform(c *call) (response, *Fault, Entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c.now = time.Now()
	unknown := w.checkCaller(c) // before all else: faults and quotas go by account
	fault := w.faults.strike(c)
	var answer any
	var err error
	switch {
	case fault != nil && fault.Kind == ResetBefore:
		err = &Error{Status: http.StatusBadGateway, Code: "ConnectionReset"}
	case fault != nil && fault.before(c) != nil:
		err = fault.before(c)
	case unknown != nil:
		err = unknown
	case !w.quotas.take(w.options.Quotas, c):
		err = throttled(c.service)
	case fault != nil && fault.Kind == Stale && !operations[c.service][c.operation].mutating:
		answer, err = w.runBehind(c, fault.Behind)
	default:
		answer, err = w.run(c)
	}
	entry := w.journal.add(entryOf(c, err))
	protocol := protocolOf(c.service)
	if err != nil {
		return protocol.failure(err), fault, entry
	}
	return protocol.success(c, answer), fault, entry
}

// run authorises the call and lets it take effect.
func (w *World) run(c *call) (any, error) {
	op, known := operations[c.service][c.operation]
	if !known {
		return nil, badRequest("InvalidAction", "the simulator has no operation %s %s", c.service, c.operation)
	}
	if !op.ownAuthorization && !w.identityAllows(c.caller, c.service+":"+c.operation, "*", nil, c.now) {
		return nil, denied(c)
	}
	return op.handle(c)
}

func entryOf(c *call, err error) Entry {
	e := Entry{
		Time: c.now, Service: c.service, Operation: c.operation, Region: c.region,
		Account: c.caller.Account, Principal: c.caller.ARN, AccessKey: c.accessKey,
		Mutating: operations[c.service][c.operation].mutating && !c.dryRun(), DryRun: c.dryRun(), Body: string(c.body),
	}
	var answered *Error
	switch {
	case errors.As(err, &answered):
		e.Error = answered.Code
	case err != nil:
		e.Error = "InternalError"
	}
	return e
}

// dryRun reports whether the call only asks what would happen.
func (c *call) dryRun() bool {
	return c.form.Get("DryRun") == "true" || bytes.Contains(c.body, []byte(`"DryRun":true`))
}

// decode reads who calls what. The returned call has its service even on
// failure, so that the failure can be answered in its protocol.
func (w *World) decode(r *http.Request) (*call, *Error) {
	c := &call{w: w}
	body, err := io.ReadAll(io.LimitReader(bodyOf(r), maxRequest+1))
	if err != nil || len(body) > maxRequest {
		return c, badRequest("RequestEntityTooLarge", "the request is larger than %d bytes", maxRequest)
	}
	c.body = body
	if problem := c.readCredential(r.Header.Get("Authorization")); problem != nil {
		return c, problem
	}
	if _, known := operations[c.service]; !known {
		return c, badRequest("UnknownService", "the simulator has no service %q", c.service)
	}
	return c, c.readOperation(r.Header.Get("X-Amz-Target"))
}

func bodyOf(r *http.Request) io.Reader {
	if r.Body == nil {
		return strings.NewReader("")
	}
	return r.Body
}

// readCredential reads access key, region and service from the signature's
// credential scope. Signatures themselves are not checked.
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

// decodeJSON reads the parameters of a JSON protocol. Unknown ones are refused,
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
