package awssim

import (
	"net/http"
	"slices"
	"time"
)

// FaultKind is a way in which a call goes wrong.
type FaultKind string

// The kinds of faults. With kinds whose name ends in After, the call takes effect
// first.
const (
	Throttle     FaultKind = "throttle"      // the service's throttling error
	ServerError  FaultKind = "server-error"  // 500
	Unavailable  FaultKind = "unavailable"   // 503
	Denied       FaultKind = "denied"        // the service's access denied error
	ResetBefore  FaultKind = "reset-before"  // the connection breaks, no effect
	ResetAfter   FaultKind = "reset-after"   // the connection breaks after the effect
	TimeoutAfter FaultKind = "timeout-after" // the response never comes
	CustomError  FaultKind = "error"         // Fault.Error
	// Stale routes a read to an endpoint that is Fault.Behind behind the others. Fact:
	// EC2-API-1.
	Stale FaultKind = "stale"
)

// The kinds of faults that alter the response of a call that took effect as usual.
// [AnswerFaults] lists them all but the last two, which need parameters. Kinds that
// change the content alter only successful responses. [HTMLGatewayError],
// [TruncatedBody] and [NoAnswer] also replace errors.
//
// For MissingMembers and the kinds after it, the top level of a response is its
// JSON document, the root element of EC2, or the result element of STS and IAM.
const (
	// EmptyBody is status 200 with a body of no bytes.
	EmptyBody FaultKind = "empty-body"
	// EmptyAnswer is {} or a response without elements.
	EmptyAnswer FaultKind = "empty-answer"
	// MissingMembers empties every object below the top level: the lists have
	// their elements, and the elements have no members. Values of the top level
	// itself stay.
	MissingMembers FaultKind = "missing-members"
	// MissingInnerMembers empties every object one level deeper: an image has
	// its ID and state, and block device mappings without members.
	MissingInnerMembers FaultKind = "missing-inner-members"
	// MissingDetails leaves in every object below the top level only what
	// identifies it (its own ID, ARN and name) and its state: an image without
	// block device mappings, a snapshot without its key.
	MissingDetails FaultKind = "missing-details"
	// EmptyLists empties every list.
	EmptyLists FaultKind = "empty-lists"
	// EmptyInnerLists empties the lists within the elements of lists.
	EmptyInnerLists FaultKind = "empty-inner-lists"
	// UnknownStates replaces every state and status by [UnknownState].
	UnknownStates FaultKind = "unknown-states"
	// RepeatedToken adds the token of a next page, the same one every time. A call
	// with that token gets the first page.
	RepeatedToken FaultKind = "repeated-token"
	// HTMLPage is an HTML page with status 200. The SDK for Go reads it as an empty
	// answer of EC2.
	HTMLPage FaultKind = "html-page"
	// HTMLGatewayError is an HTML page with status 502.
	HTMLGatewayError FaultKind = "html-gateway-error"
	// TruncatedBody ends the body in its middle, before the announced length.
	TruncatedBody FaultKind = "truncated-body"
	// NoAnswer keeps the connection open without a response until the request's
	// context ends.
	NoAnswer FaultKind = "no-answer"

	// OmitItems leaves out the list elements that are identified by one of
	// Fault.IDs.
	OmitItems FaultKind = "omit-items"
	// OmitMembers leaves out the members named in Fault.Members of the list
	// elements identified by one of Fault.IDs, or of every object if there are no
	// IDs.
	OmitMembers FaultKind = "omit-members"
)

// AnswerFaults returns the kinds of faults that alter a response and need no
// parameters, for tests that try all of them.
func AnswerFaults() []FaultKind {
	return []FaultKind{
		EmptyBody, EmptyAnswer, MissingMembers, MissingInnerMembers, MissingDetails, EmptyLists, EmptyInnerLists,
		UnknownStates, RepeatedToken, HTMLPage, HTMLGatewayError, TruncatedBody, NoAnswer,
	}
}

// Fault makes calls go wrong. Empty fields match every call.
type Fault struct {
	Service   string    `json:"service,omitempty"`
	Operation string    `json:"operation,omitempty"`
	Region    string    `json:"region,omitempty"`
	Account   string    `json:"account,omitempty"`
	Kind      FaultKind `json:"kind"`
	Error     *Error    `json:"error,omitempty"`
	// Behind is how far the endpoint of a Stale call is behind, in nanoseconds.
	Behind time.Duration `json:"behind,omitempty"`
	// IDs and Members are the parameters of OmitItems and OmitMembers. Members
	// are named as in the encoded response, for example kmsKeyId; case doesn't
	// matter.
	IDs     []string `json:"ids,omitempty"`
	Members []string `json:"members,omitempty"`
	// Skip is how many matching calls succeed first.
	Skip int `json:"skip,omitempty"`
	// Times is how often the fault applies; 0 means once, -1 always.
	Times int `json:"times,omitempty"`
}

func (f *Fault) matches(c *call) bool {
	return (f.Service == "" || f.Service == c.service) && (f.Operation == "" || f.Operation == c.operation) &&
		(f.Region == "" || f.Region == c.region) && (f.Account == "" || f.Account == c.caller.Account)
}

type faultPlan struct {
	faults []*Fault
	// interposed decides on calls that no fault matches.
	interposed func(Entry) *Fault
}

// Interpose calls f before every call. f returns the fault that applies to the call, or
// nil. f runs with the world's mutex held, so calls come one at a time, and f must not
// use the world. It replaces an earlier f.
func (w *World) Interpose(f func(Entry) *Fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults.interposed = f
}

// ClearFaults removes all faults.
func (w *World) ClearFaults() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = faultPlan{}
}

// Inject adds a fault. Faults strike in the order in which they were added, one
// a call.
func (w *World) Inject(f Fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if f.Times == 0 {
		f.Times = 1
	}
	w.faults.faults = append(w.faults.faults, &f)
}

// strike returns the fault of this call, nil for none.
func (p *faultPlan) strike(c *call) *Fault {
	for i, f := range p.faults {
		if !f.matches(c) {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		struck := *f
		if f.Times > 0 {
			if f.Times--; f.Times == 0 {
				p.faults = slices.Delete(p.faults, i, i+1)
			}
		}
		return &struck
	}
	if p.interposed != nil {
		return p.interposed(entryOf(c, nil))
	}
	return nil
}

// before returns the response that the fault gives instead of the call's effect,
// nil for faults that strike after it.
func (f *Fault) before(c *call) *Error {
	switch f.Kind {
	case Throttle:
		return throttled(c.service)
	case ServerError:
		return &Error{Status: http.StatusInternalServerError, Code: "InternalError", Message: "An internal error has occurred"}
	case Unavailable:
		return &Error{Status: http.StatusServiceUnavailable, Code: "ServiceUnavailable", Message: "The service is unavailable. Please try again shortly."}
	case Denied:
		return denied(c)
	case CustomError:
		return f.Error
	default:
		return nil
	}
}

// throttled is the service's response to too many requests. Fact: QUOTA-9,
// EC2-API-3.
func throttled(service string) *Error {
	switch service {
	case "ec2":
		return &Error{Status: http.StatusServiceUnavailable, Code: "RequestLimitExceeded", Message: "Request limit exceeded."}
	case "sts", "iam", "autoscaling":
		return badRequest("Throttling", "Rate exceeded")
	case "organizations":
		return badRequest("TooManyRequestsException", "You have sent too many requests in too short a period of time.")
	default:
		return badRequest("ThrottlingException", "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.")
	}
}

// denied is the service's response to a caller whose policies don't allow the call.
func denied(c *call) *Error { return deniedAction(c, c.service+":"+c.operation) }

// deniedAction rejects a call because the caller lacks a permission that the service
// needs on the caller's behalf.
func deniedAction(c *call, action string) *Error {
	switch c.service {
	case "ec2":
		return &Error{Status: http.StatusForbidden, Code: "UnauthorizedOperation", Message: "You are not authorized to perform this operation. User: " + c.caller.ARN + " is not authorized to perform: " + action + " because no identity-based policy allows the " + action + " action"}
	case "sts", "iam", "autoscaling":
		return &Error{Status: http.StatusForbidden, Code: "AccessDenied", Message: "User: " + c.caller.ARN + " is not authorized to perform: " + action}
	default:
		return badRequest("AccessDeniedException", "User: %s is not authorized to perform: %s because no identity-based policy allows the %[2]s action", c.caller.ARN, action)
	}
}
