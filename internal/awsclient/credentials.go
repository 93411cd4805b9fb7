package awsclient

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/processcreds"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/smithy-go/middleware"

	"github.com/orgami/packer-plugin-orgami/internal/text"
)

// credentialsError is the error of a call that wasn't sent because there are no
// credentials to sign it. The SDK has no type for this error.
type credentialsError struct {
	error
	profile string // "" if it isn't known
}

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

// problem returns a sentence about why there are no credentials, and another one about
// what to do. It never contains the output of a credential_process, which may hold a
// secret.
func (e credentialsError) problem() string {
	of, login := "", "aws sso login"
	if e.profile != "" {
		of, login = fmt.Sprintf(" of profile %q", e.profile), login+" --profile "+text.ShellQuote(e.profile)
	}
	if process, ok := errors.AsType[*processcreds.ProviderError](e.error); ok {
		const run = "Run its command from the AWS config file by hand, and correct it"
		exit, exited := errors.AsType[*exec.ExitError](process)
		switch {
		case exited:
			return fmt.Sprintf("the credential_process%s failed (%s). %s", of, exit, run)
		case strings.Contains(process.Error(), "process output"):
			return fmt.Sprintf("the credential_process%s printed something other than credentials. %s: it must print JSON with Version, AccessKeyId and SecretAccessKey", of, run)
		}
		return fmt.Sprintf("the credential_process%s failed. %s", of, run)
	}
	_, reason := innermost(e.error)
	if _, ok := errors.AsType[*ssocreds.InvalidTokenError](e.error); ok || strings.Contains(reason.Error(), "SSO token") {
		return fmt.Sprintf("the sign-in%s to IAM Identity Center (SSO) is missing or has expired. Run '%s'", of, login)
	}
	return text.Printable(reason.Error()) + ". " + signInFirst
}

// loadingError is the error of loading the configuration.
func loadingError(err error, profile string) error {
	if _, ok := errors.AsType[config.AssumeRoleTokenProviderNotSetError](err); ok {
		return fmt.Errorf("loading the AWS configuration: profile %q needs an MFA code, and a build can't ask for one. Sign in first and pass the credentials in the environment, or use a profile without mfa_serial", profile)
	}
	if _, ok := errors.AsType[config.SharedConfigProfileNotExistError](err); ok {
		return fmt.Errorf("loading the AWS configuration: %w. Check AWS_PROFILE, the option `profile`, and the AWS config file", err)
	}
	return fmt.Errorf("loading the AWS configuration: %w", err)
}

// checkCredentials marks the errors of the step that loads the credentials.
func checkCredentials(stack *middleware.Stack, profile string) error {
	before := middleware.FinalizeMiddlewareFunc("OrgamiBeforeIdentity", func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
		identified := false
		out, metadata, err := next.HandleFinalize(middleware.WithStackValue(ctx, identifiedKey{}, &identified), in)
		if err != nil && !identified && ctx.Err() == nil {
			err = credentialsError{err, profile}
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
