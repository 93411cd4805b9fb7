package awsclient

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"syscall"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

const (
	// responseTimeout is how long an attempt of a call waits for the response. AWS
	// answers these calls within seconds.
	responseTimeout = 30 * time.Second
	// stallAfter is how long a call is silent before the first warning. The
	// intervals between warnings double.
	stallAfter = 10 * time.Second
	// lostLimit bounds the attempts without a response between two responses. An
	// attempt counts once, twice when the connection was refused because nothing
	// listens, and slowCount times when it waited long. So a call to a dead endpoint
	// fails after about 90 s, and after at most 3 s when connections are refused.
	lostLimit    = 12
	refusedCount = 2
	slowCount    = 4
)

// watch observes every attempt of every call. It bounds the time without a response and
// the calls that are under way, and warns when a call stalls.
type watch struct {
	timeout  time.Duration // of an attempt
	endpoint string        // the configured one, "" for AWS's own
	profile  string        // of the AWS configuration, "" if it isn't known
	pages    pages
	calls    chan struct{} // those that are under way

	mu     sync.Mutex
	warn   func(message string)
	warned map[string]time.Time // by operation and Region
}

// silence is the time since a call began or last got a response.
type silence struct {
	mu    sync.Mutex
	since time.Time
	next  time.Duration // the age at which to warn
	lost  int           // counted as lostLimit says
}

type silenceKey struct{}

func newWatch(timeout time.Duration) *watch {
	return &watch{timeout: timeout, calls: make(chan struct{}, CallsAtOnce), pages: pages{before: map[page]page{}}, warn: func(string) {}, warned: map[string]time.Time{}}
}

// add adds the steps to an operation's stack.
func (w *watch) add(stack *middleware.Stack) error {
	_, added := stack.Initialize.Get("OrgamiCall")
	// The SDK's client of the instance metadata service sets its own timeouts.
	if _, metadata := stack.Initialize.Get("OperationTimeout"); added || metadata {
		return nil
	}
	call := middleware.InitializeMiddlewareFunc("OrgamiCall", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		return next.HandleInitialize(middleware.WithStackValue(ctx, silenceKey{}, &silence{}), in)
	})
	// At the end of the step, the context knows the Region.
	listing := middleware.InitializeMiddlewareFunc("OrgamiListing", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		out, metadata, err := next.HandleInitialize(ctx, in)
		if err == nil {
			err = w.pages.check(stack.ID(), awsmiddleware.GetRegion(ctx), in.Parameters, out.Result)
		}
		return out, metadata, err
	})
	if err := errors.Join(
		stack.Initialize.Add(call, middleware.Before),
		stack.Initialize.Add(listing, middleware.After),
		checkCredentials(stack, w.profile),
	); err != nil {
		return err
	}
	// The SDK's retry step calls the deserialize step once for each attempt.
	return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("OrgamiAttempt", w.attempt), middleware.Before)
}

func (w *watch) attempt(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
	s, ok := middleware.GetStackValue(ctx, silenceKey{}).(*silence)
	if !ok {
		return next.HandleDeserialize(ctx, in)
	}
	leave, err := w.enter(ctx)
	if err != nil {
		return middleware.DeserializeOutput{}, middleware.Metadata{}, err
	}
	defer leave()
	limited, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	stop := w.start(s, fmt.Sprintf("%s %s in %s", awsmiddleware.GetServiceID(ctx), awsmiddleware.GetOperationName(ctx), awsmiddleware.GetRegion(ctx)))
	start := time.Now()
	out, metadata, err := next.HandleDeserialize(limited, in)
	stop()
	switch {
	case err == nil, ctx.Err() != nil:
		return out, metadata, err
	case limited.Err() != nil:
		err = fmt.Errorf("waited %s", w.timeout) // hides the cancellation, which the SDK doesn't retry
	case hasAnswer(err):
		s.answered()
		return out, metadata, err
	}
	return out, metadata, w.lost(s, err, time.Since(start))
}

// lost decides whether to retry a call without a response.
func (w *watch) lost(s *silence, err error, took time.Duration) error {
	count := 1
	switch {
	case took >= w.timeout/3:
		count = slowCount
	case errors.Is(err, syscall.ECONNREFUSED):
		count = refusedCount
	}
	s.mu.Lock()
	s.lost += count
	giveUp := s.lost >= lostLimit
	s.mu.Unlock()
	err = &NoAnswerError{Endpoint: w.endpoint, err: err}
	switch {
	case giveUp:
		return retryable{err, false}
	case took >= w.timeout:
		return retryable{err, true}
	}
	return err // the SDK decides
}

// start begins an attempt. The caller calls stop at its end.
func (w *watch) start(s *silence, name string) (stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.since.IsZero() {
		s.since, s.next = time.Now(), stallAfter
	}
	ended := false
	var timer *time.Timer
	timer = time.AfterFunc(time.Until(s.since.Add(s.next)), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if ended {
			return
		}
		w.stalled(name, time.Since(s.since))
		s.next *= 2
		timer.Reset(time.Until(s.since.Add(s.next)))
	})
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		ended = true
		timer.Stop()
	}
}

func (s *silence) answered() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since, s.lost = time.Time{}, 0
}

// stalled warns about a call, unless it just did about another one of the same
// operation and Region.
func (w *watch) stalled(name string, silent time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if last, ok := w.warned[name]; ok && time.Since(last) < stallAfter {
		return
	}
	w.warned[name] = time.Now()
	w.warn(fmt.Sprintf("%s hasn't responded for %s", name, silent.Round(time.Second)))
}

// hasAnswer reports whether an error has an HTTP response.
func hasAnswer(err error) bool {
	response, ok := errors.AsType[*smithyhttp.ResponseError](err)
	return ok && response.HTTPStatusCode() != 0
}

// NoAnswerError is the error of a call without a response from AWS. Whether the call
// had an effect is unknown.
type NoAnswerError struct {
	// Endpoint is the configured endpoint, "" for those of AWS.
	Endpoint string
	err      error
}

func (e *NoAnswerError) Unwrap() error { return e.err }

func (e *NoAnswerError) Error() string {
	reason := e.err.Error()
	if request, ok := errors.AsType[*url.Error](e.err); ok {
		reason = request.Err.Error() // the SDK's text has empty placeholders around it
	}
	remedy := "Check the network connection and the proxy settings"
	if e.Endpoint != "" {
		remedy = "Check that endpoint_url (" + e.Endpoint + ") is correct and reachable"
	}
	return "no answer: " + reason + ". " + remedy
}

// retryable tells the SDK whether to retry.
type retryable struct {
	error
	retry bool
}

func (r retryable) Unwrap() error { return r.error }

// RetryableError implements the SDK's interface.
func (r retryable) RetryableError() bool { return r.retry }
