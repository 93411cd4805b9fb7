package awssim

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing/iotest"
	"time"
)

// answerTimeout is how long a client waits for a missing response before its connection
// times out.
const answerTimeout = time.Minute

// response is an encoded response, or the error of a connection that broke.
type response struct {
	status      int
	contentType string
	body        []byte
	broken      error
	// missing is the number of announced bytes that the body lacks at its end.
	missing int
}

func (r response) header() http.Header {
	header := http.Header{"Content-Type": {r.contentType}, "X-Amzn-Requestid": {requestID}}
	if r.missing > 0 {
		header.Set("Content-Length", strconv.Itoa(r.length()))
	}
	return header
}

// length is the announced length of the body.
func (r response) length() int { return len(r.body) + r.missing }

// reader returns the body as a client reads it.
func (r response) reader() io.Reader {
	body := strings.NewReader(string(r.body))
	if r.missing == 0 {
		return body
	}
	return io.MultiReader(body, iotest.ErrReader(io.ErrUnexpectedEOF))
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
		panic(http.ErrAbortHandler) // net/http breaks the connection then
	}
	maps.Copy(to.Header(), answer.header())
	to.WriteHeader(answer.status)
	_, _ = to.Write(answer.body) // the client may have disconnected
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
		Body:          io.NopCloser(answer.reader()),
		ContentLength: int64(answer.length()), Request: r,
	}, nil
}

// serve handles one request, from its bytes to the response.
func (w *World) serve(r *http.Request) response {
	c, problem := w.decode(r)
	if problem != nil {
		return protocolOfRequest(c.service, r).failure(problem)
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
		case NoAnswer:
			<-r.Context().Done()
			return response{broken: r.Context().Err()}
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

// perform runs the call under the world's mutex: fault, quota, authorization,
// effect, journal.
func (w *World) perform(c *call) (response, *Fault, Entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c.now = time.Now()
	unknown := w.checkCaller(c) // first, because faults and quotas depend on the account
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
	var encoded response
	if err != nil {
		encoded = protocol.failure(err)
	} else {
		encoded = protocol.success(c, answer)
	}
	if fault != nil {
		encoded = fault.alter(protocol, encoded)
	}
	return encoded, fault, entry
}

// run authorizes the call and applies it.
func (w *World) run(c *call) (any, error) {
	w.advanceGroups(c.now)
	op, known := operations[c.service][c.operation]
	if !known {
		code := "InvalidAction"
		if protocolOf(c.service) == jsonProtocol {
			code = "UnknownOperationException"
		}
		return nil, badRequest(code, "the simulator has no operation %s %s", c.service, c.operation) // Fact: ERR-7
	}
	if !op.ownAuthorization && !c.allowsOnTargets(c.service+":"+c.operation) {
		refused := denied(c)
		if why := w.controlDenial(c.caller, c.service+":"+c.operation, "*", c.requestContext()); why != "" {
			refused.Message += ": " + why
		}
		return nil, refused
	}
	return op.handle(c)
}

func entryOf(c *call, err error) Entry {
	e := Entry{
		Time: c.now, Service: c.service, Operation: c.operation, Region: c.region,
		Account: c.caller.Account, Principal: c.caller.ARN, AccessKey: c.accessKey,
		Mutating: operations[c.service][c.operation].mutating && !c.dryRun(), DryRun: c.dryRun(), Body: string(c.body),
	}
	var problem *Error
	switch {
	case errors.As(err, &problem):
		e.Error = problem.Code
	case err != nil:
		e.Error = "InternalError"
	}
	return e
}
