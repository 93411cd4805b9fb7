package awssim

import (
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// call is one decoded request.
type call struct {
	w         *World
	now       time.Time
	service   string // ec2, kms, sts, organizations, iam
	operation string // CopyImage
	region    string // from the signature's credential scope
	accessKey string
	// signatureDiffers means that the request wasn't signed with the secret of
	// accessKey.
	signatureDiffers bool
	caller           Principal
	form             url.Values // parameters of the query protocols (ec2, sts, iam), and of a URL (ram)
	body             []byte     // document of the JSON protocols (kms, organizations)
}

// Principal identifies the caller.
type Principal struct {
	Account string
	// ARN is the ARN that GetCallerIdentity returns: …:user/admin, or
	// …:assumed-role/NAME/SESSION.
	ARN string
	// RoleARN is the ARN of the role behind a session, with its path; empty
	// for users.
	RoleARN string
}

// operation is one API operation.
type operation struct {
	// mutating means that a successful call changes the world.
	mutating bool
	// ownAuthorization means that the handler authorizes the call itself (KMS: key
	// policies and grants). Otherwise the caller's identity policies must allow
	// service:Operation on "*" before the handler runs.
	ownAuthorization bool
	// handle runs with the world's mutex held. The response is encoded in the service's
	// protocol; an [*Error] is returned as it is, and any other error is a bug of the
	// simulator, returned as HTTP 500.
	handle func(*call) (any, error)
}

// Error is an error that AWS returns.
type Error struct {
	Status  int    // HTTP status
	Code    string // InvalidAMIID.NotFound, AccessDeniedException, …
	Message string
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// badRequest returns an AWS error with status 400, which most API errors have.
func badRequest(code, format string, args ...any) *Error {
	return &Error{Status: http.StatusBadRequest, Code: code, Message: fmt.Sprintf(format, args...)}
}
