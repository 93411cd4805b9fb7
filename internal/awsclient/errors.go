package awsclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/orgami/packer-plugin-orgami/internal/text"
)

// AWS error codes that the stages act on. Fact: ERR-1 to ERR-5.
const (
	CodeAlreadyExists        = "AlreadyExistsException"
	CodeNotFound             = "NotFoundException"
	CodeMalformedPolicy      = "MalformedPolicyDocumentException"
	CodeInvalidArn           = "InvalidArnException"
	CodeKMSInvalidState      = "KMSInvalidStateException"
	CodeKMSInternal          = "KMSInternalException"
	CodeDependencyTimeout    = "DependencyTimeoutException"
	CodeLimitExceeded        = "LimitExceededException"
	CodeDisabled             = "DisabledException"
	CodeUnsupportedOperation = "UnsupportedOperationException"
	CodeAccessDenied         = "AccessDeniedException"
	CodeUnauthorized         = "UnauthorizedOperation"
	CodeSTSAccessDenied      = "AccessDenied"
	CodeImageNotFound        = "InvalidAMIID.NotFound"
	CodeImageUnavailable     = "InvalidAMIID.Unavailable"
	CodeImageNameTaken       = "InvalidAMIName.Duplicate"
	CodeIdempotentMismatch   = "IdempotentParameterMismatch"
	CodeSnapshotNotFound     = "InvalidSnapshot.NotFound"
	CodeSnapshotInUse        = "InvalidSnapshot.InUse"
	CodeResourceLimit        = "ResourceLimitExceeded"
	CodeNoCapacity           = "InsufficientInstanceCapacity"
	CodeNoHostCapacity       = "InsufficientHostCapacity"
	CodeParameterNotFound    = "ParameterNotFound"
	CodeParameterExists      = "ParameterAlreadyExists"
	CodeUnknownResource      = "UnknownResourceException"
	CodeNotInOrganization    = "AWSOrganizationsNotInUseException"
	CodeOptInRequired        = "OptInRequired"
	CodeAuthFailure          = "AuthFailure"
	CodeUnrecognizedClient   = "UnrecognizedClientException"
	CodeInvalidClientToken   = "InvalidClientTokenId"
)

// Code returns the error code that AWS returned, or "".
func Code(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return ""
}

// Is reports whether AWS returned one of the codes.
func Is(err error, codes ...string) bool {
	code := Code(err)
	return code != "" && slices.Contains(codes, code)
}

// IsNotFound reports whether AWS returned that a resource doesn't exist.
func IsNotFound(err error) bool {
	return Is(err, CodeNotFound, CodeImageNotFound, CodeSnapshotNotFound, CodeParameterNotFound)
}

// IsAccessDenied reports whether AWS denied the call.
func IsAccessDenied(err error) bool {
	return Is(err, CodeAccessDenied, CodeUnauthorized, CodeSTSAccessDenied)
}

// IsClientError reports whether AWS rejected the call, so that it had no effect. After
// a lost response or a failure of AWS, the effect is unknown.
func IsClientError(err error) bool {
	answer, ok := errors.AsType[*smithyhttp.ResponseError](err)
	return ok && answer.HTTPStatusCode() >= http.StatusBadRequest && answer.HTTPStatusCode() < http.StatusInternalServerError
}

// IsNoAnswer reports whether the call got no response from AWS. Its effect is unknown,
// and other calls to the same endpoint will fail, too.
func IsNoAnswer(err error) bool {
	_, ok := errors.AsType[*NoAnswerError](err)
	return ok
}

// Incomplete returns the error of a call whose response lacks a value that AWS
// documents as always present. call is the service and operation, for example "KMS
// DescribeKey". field is the missing value, for example "KeyMetadata".
func Incomplete(call, region, field string) error {
	return fmt.Errorf("%s in %s: AWS returned a response without %s. Run again. If the calls go to a custom endpoint or through a proxy, check it", call, region, field)
}

// Wrap wraps the error of an AWS call. The format and its arguments describe what was
// being done, with the Region and IDs. The text adds what AWS returned, made printable,
// and what the user can do. It returns nil for nil.
func Wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &callError{doing: text.Printable(fmt.Sprintf(format, args...)), err: err}
}

type callError struct {
	doing string
	err   error
}

func (e *callError) Unwrap() error { return e.err }

func (e *callError) Error() string {
	call, reason := innermost(e.err)
	if noAnswer, ok := errors.AsType[*NoAnswerError](e.err); ok {
		return fmt.Sprintf("%s: %s got %s", e.doing, call, text.Printable(noAnswer.Error()))
	}
	if errors.Is(e.err, context.Canceled) {
		return e.doing + ": canceled"
	}
	api, ok := errors.AsType[smithy.APIError](e.err)
	switch {
	case !ok && IsNoCredentials(e.err):
		missing, _ := errors.AsType[credentialsError](e.err)
		return fmt.Sprintf("%s: no AWS credentials: %s", e.doing, missing.problem())
	case !ok:
		return strings.Join(nonempty(e.doing, call, text.Printable(reason.Error())), ": ")
	}
	words := fmt.Sprintf("%s: %s returned %s: %s", e.doing, call, text.Printable(api.ErrorCode()), text.Printable(api.ErrorMessage()))
	if remedy := hint(call, api); remedy != "" {
		words = strings.TrimSuffix(words, ".") + ". " + remedy
	}
	return words
}

// innermost returns the service and operation that failed, "" if err is not the
// error of a call, and why. A call fails inside another one when a role is
// assumed for it.
func innermost(err error) (call string, reason error) {
	reason = err
	for {
		operation, ok := errors.AsType[*smithy.OperationError](reason)
		if !ok {
			return call, reason
		}
		call, reason = operation.Service()+" "+operation.Operation(), operation.Err
	}
}

func nonempty(list ...string) []string {
	return slices.DeleteFunc(list, func(s string) bool { return s == "" })
}
