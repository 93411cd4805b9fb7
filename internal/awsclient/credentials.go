package awsclient

import (
	"context"
	"errors"

	"github.com/aws/smithy-go/middleware"
)

// credentialsError is the error of a call that wasn't sent because there are no
// credentials to sign it. The SDK's error for it has no type of its own.
type credentialsError struct{ error }

func (e credentialsError) Unwrap() error { return e.error }

// RetryableError tells the SDK not to load the credentials again: their provider
// has done its own retries.
func (e credentialsError) RetryableError() bool { return false }

// IsNoCredentials reports whether a call wasn't sent because no credentials were
// found, or those that were found couldn't be loaded or renewed.
func IsNoCredentials(err error) bool {
	_, ok := errors.AsType[credentialsError](err)
	return ok
}

type identifiedKey struct{}

// checkCredentials marks the errors of the step that loads the credentials.
func checkCredentials(stack *middleware.Stack) error {
	before := middleware.FinalizeMiddlewareFunc("OrgamiBeforeIdentity", func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
		identified := false
		out, metadata, err := next.HandleFinalize(middleware.WithStackValue(ctx, identifiedKey{}, &identified), in)
		if err != nil && !identified && ctx.Err() == nil {
			err = credentialsError{err}
		}
		return out, metadata, err
	})
	after := middleware.FinalizeMiddlewareFunc("OrgamiAfterIdentity", func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
		if identified, ok := middleware.GetStackValue(ctx, identifiedKey{}).(*bool); ok {
			*identified = true
		}
		return next.HandleFinalize(ctx, in)
	})
	return errors.Join(
		stack.Finalize.Insert(before, "GetIdentity", middleware.Before),
		stack.Finalize.Insert(after, "GetIdentity", middleware.After),
	)
}
