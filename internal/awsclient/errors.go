package awsclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Error codes of AWS that the stages act on. Fact: 8.
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
	CodeParameterNotFound    = "ParameterNotFound"
	CodeNotInOrganization    = "AWSOrganizationsNotInUseException"
	CodeOptInRequired        = "OptInRequired"
	CodeAuthFailure          = "AuthFailure"
	CodeUnrecognizedClient   = "UnrecognizedClientException"
	CodeInvalidClientToken   = "InvalidClientTokenId"
)

// remedies are what the user can do, by error code.
var remedies = map[string]string{
	CodeAccessDenied:         "allow this action in the caller's IAM policy, and for a key in its key policy; 'aws sts get-caller-identity' says who the caller is, docs/permissions.md what it needs",
	CodeUnauthorized:         "allow this action in the caller's IAM policy; 'aws sts get-caller-identity' says who the caller is, docs/permissions.md what it needs",
	CodeSTSAccessDenied:      "let the role's trust policy name the caller, and the caller's IAM policy allow sts:AssumeRole on it",
	CodeLimitExceeded:        "ask AWS Service Quotas to raise the quota, or free some of it",
	CodeResourceLimit:        "wait for other copies into the region to end, or ask AWS Service Quotas to raise the quota",
	CodeDisabled:             "enable the key with 'aws kms enable-key'",
	CodeNotInOrganization:    "the account belongs to no organisation, as 'aws organizations describe-organization' shows: set share.organization to false and list accounts, or run in a member account",
	CodeOptInRequired:        "enable the region for the account, or leave it out of regions",
	CodeAuthFailure:          "check the credentials, and that the region is enabled for the account",
	CodeUnrecognizedClient:   "check the credentials, and that the region is enabled for the account",
	CodeInvalidClientToken:   "check the credentials, and that the region is enabled for the account",
	CodeUnsupportedOperation: "use a multi-Region primary key: a single-Region key cannot be converted",
	CodeMalformedPolicy:      "check that every principal in administrators and extra_statements_file exists, and that the caller's IAM policy allows kms:PutKeyPolicy",
}

// Code returns the error code that AWS answered with, or "".
func Code(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return ""
}

// Is reports whether AWS answered with one of the codes.
func Is(err error, codes ...string) bool {
	code := Code(err)
	return code != "" && slices.Contains(codes, code)
}

// IsClientError reports whether AWS answered that it did not do what was asked. An
// answer that was lost, or that tells of a failure of AWS's own, says nothing of
// the kind.
func IsClientError(err error) bool {
	answer, ok := errors.AsType[*smithyhttp.ResponseError](err)
	return ok && answer.HTTPStatusCode() >= http.StatusBadRequest && answer.HTTPStatusCode() < http.StatusInternalServerError
}

// Wrap wraps the error of an AWS call: what was being done, as the format and
// its arguments say with region and ids; what AWS answered; and what the user
// can do. It returns nil for nil.
func Wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &callError{doing: fmt.Sprintf(format, args...), err: err}
}

type callError struct {
	doing string
	err   error
}

func (e *callError) Unwrap() error { return e.err }

func (e *callError) Error() string {
	var (
		operation *smithy.OperationError
		api       smithy.APIError
		call      string
	)
	if errors.As(e.err, &operation) {
		call = operation.Service() + " " + operation.Operation()
	}
	switch {
	case errors.Is(e.err, context.Canceled):
		return e.doing + ": cancelled"
	case !errors.As(e.err, &api):
		return fmt.Sprintf("%s: %v", e.doing, e.err)
	}
	text := fmt.Sprintf("%s: %s answered %s: %s", e.doing, call, api.ErrorCode(), api.ErrorMessage())
	if remedy := remedies[api.ErrorCode()]; remedy != "" {
		text += " (" + remedy + ")"
	}
	return text
}
