package awssim

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/orgami/packer-plugin-orgami/test/awssim/authz"
)

// role is an IAM role of an account.
type role struct {
	name, path, arn, id string
	account             string
	serviceLinked       bool
	created             time.Time
	description         string
	maxSession          int // seconds; sessions don't end earlier for it
	// trust names the principals that can assume the role. It is nil for
	// service-linked roles, which only their service can assume.
	trust     *authz.Policy
	trustText string
	policies  map[string]*lagged[identityPolicy]
	// boundary is the permissions boundary; nil for none. Fact: IAM-SIM-6.
	boundary *authz.Policy
	attached map[string]*lagged[bool] // managed policies, by ARN
}

// identityPolicy is an inline policy of a role; the zero value is a deleted one.
type identityPolicy struct {
	text   string
	parsed *authz.Policy
}

// pathName is the role's path and name without the leading slash, as it follows
// "role/" in the ARN.
func (r *role) pathName() string { return strings.TrimPrefix(r.path, "/") + r.name }

// session is the identity of an access key.
type session struct {
	principal Principal
	expires   time.Time // zero for users
}

// accessKeyPrefix is followed by the account in its administrator's access key.
const accessKeyPrefix = "AKIASIMU"

// AccessKey returns the access key of the account's administrator, whose
// identity policy allows everything.
func (w *World) AccessKey(account string) (id, secret string) {
	id = accessKeyPrefix + account
	return id, credentialsOf(id).SecretAccessKey
}

func (w *World) administrator(account string) Principal {
	return Principal{Account: account, ARN: w.arn("iam", "", account, "user/admin")}
}

// arn builds an ARN of the world's partition.
func (w *World) arn(service, region, account, resource string) string {
	return fmt.Sprintf("arn:%s:%s:%s:%s:%s", w.partition, service, region, account, resource)
}

// checkCaller determines the caller, and whether the account can use the Region.
func (w *World) checkCaller(c *call) *Error {
	unknown := &Error{Status: http.StatusForbidden, Code: "InvalidClientTokenId", Message: "The security token included in the request is invalid."}
	expired := &Error{Status: http.StatusForbidden, Code: "ExpiredToken", Message: "The security token included in the request is expired"}
	switch c.service {
	case "ec2":
		unknown = &Error{Status: http.StatusUnauthorized, Code: "AuthFailure", Message: "AWS was not able to validate the provided access credentials"}
		expired = badRequest("RequestExpired", "Request has expired.")
	case "kms", "organizations":
		unknown = badRequest("UnrecognizedClientException", "The security token included in the request is invalid.")
		expired = badRequest("ExpiredTokenException", "The security token included in the request is expired")
	}
	var caller Principal
	if account, ok := strings.CutPrefix(c.accessKey, accessKeyPrefix); ok && w.accounts[account] != nil {
		caller = w.administrator(account)
	} else {
		s, ok := w.sessions[c.accessKey]
		if !ok {
			return unknown
		}
		if c.now.After(s.expires) {
			return expired
		}
		caller = s.principal
	}
	if c.signatureDiffers {
		return wrongSignature(c.service)
	}
	c.caller = caller
	if c.service == "iam" {
		return nil // a global service: its signatures may name a Region that the world doesn't have
	}
	region := w.regions[c.region]
	if region == nil || !w.accounts[c.caller.Account].enabledIn(region, c.now) {
		return unknown
	}
	return nil
}

// identityAllows reports whether the principal's own policies, and the service control
// policies of its account, allow the action. An account's administrator may do
// everything. A service-linked role has only the permissions from its service, none of
// them for KMS. Fact: IAM-ROLE-8, IAM-EVAL-13.
func (w *World) identityAllows(p Principal, action, resource string, context map[string][]string, now time.Time) bool {
	return w.identityDecision(p, action, resource, context, now).Effect == authz.Allow
}

func (w *World) identityDecision(p Principal, action, resource string, context map[string][]string, now time.Time) authz.Decision {
	if why := w.controlDenial(p, action, resource, context); why != "" {
		return authz.Decision{Effect: authz.Deny, Statement: "a service control policy", Reason: why}
	}
	return w.ownDecision(p, action, resource, context, now)
}

// ownDecision is the decision of the principal's own policies, without service control
// policies.
func (w *World) ownDecision(p Principal, action, resource string, context map[string][]string, now time.Time) authz.Decision {
	if p.RoleARN == "" {
		return authz.Decision{Effect: authz.Allow, Reason: "the account's administrator"}
	}
	r := w.roleByARN(p.RoleARN)
	if r == nil {
		return authz.Decision{Reason: "the role does not exist"}
	}
	if r.serviceLinked {
		if strings.HasPrefix(strings.ToLower(action), "ec2:") || action == "ssm:GetParameters" && strings.HasPrefix(r.name, "AWSServiceRoleForAutoScaling") { // Fact: ASG-11
			return authz.Decision{Effect: authz.Allow, Reason: "the service-linked role's own policy"}
		}
		return authz.Decision{Reason: "a service-linked role's policy cannot be changed, and has no " + action}
	}
	request := authz.Request{Action: action, Resource: resource, Principal: authzPrincipal(p), Context: context}
	if r.boundary != nil {
		if within := r.boundary.Evaluate(request); within.Effect != authz.Allow {
			return authz.Decision{Effect: authz.Deny, Statement: "the permissions boundary", Reason: "the permissions boundary doesn't allow " + action}
		}
	}
	best := authz.Decision{Reason: "no policy of role " + r.name + " has a statement for " + action}
	for _, policy := range w.identityPolicies(r, now) {
		switch decision := policy.Evaluate(request); {
		case decision.Effect == authz.Deny:
			return decision
		case decision.Effect == authz.Allow:
			best = decision
		case best.Effect == authz.NoMatch:
			best.Reason = decision.Reason
		}
	}
	return best
}

func authzPrincipal(p Principal) authz.Principal {
	return authz.Principal{ARN: p.ARN, RoleARN: p.RoleARN, Account: p.Account, Root: strings.HasSuffix(p.ARN, ":root")}
}

// roleByARN returns nil if the role doesn't exist.
func (w *World) roleByARN(arn string) *role {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[2] != "iam" || w.accounts[parts[4]] == nil {
		return nil
	}
	return w.accounts[parts[4]].roles[strings.TrimPrefix(parts[5], "role/")]
}

// principalExists reports whether KMS would know the principal: an account, its
// root, or a user or role of it. A role that was just created is not visible to KMS
// until the propagation lag is over. Fact: KMS-KEY-2, KMS-KEY-3, GRANT-8.
func (w *World) principalExists(principal string, now time.Time) bool {
	if principal == "*" || w.accounts[principal] != nil {
		return true
	}
	parts := strings.SplitN(principal, ":", 6)
	if len(parts) != 6 || parts[1] != w.partition || w.accounts[parts[4]] == nil {
		return false
	}
	switch {
	case parts[5] == "root", parts[5] == "user/admin":
		return parts[2] == "iam"
	case strings.HasPrefix(parts[5], "role/"):
		r := w.roleByARN(principal)
		return r != nil && !r.created.After(now.Add(-w.options.PropagationLag))
	default:
		return false
	}
}

// principalContext returns the global condition keys of a request. In the
// simulator, no principal is an AWS service that calls for itself. A service
// that uses its service-linked role isn't one either. Fact: IAM-EVAL-1,
// IAM-EVAL-3, IAM-EVAL-9 to IAM-EVAL-12.
func (w *World) principalContext(p Principal) map[string][]string {
	context := map[string][]string{
		"aws:PrincipalAccount": {p.Account}, "aws:PrincipalArn": {p.ARN}, "aws:PrincipalType": {"User"}, "aws:PrincipalIsAWSService": {"false"},
	}
	if p.RoleARN != "" {
		context["aws:PrincipalArn"] = []string{p.RoleARN}
		context["aws:PrincipalType"] = []string{"AssumedRole"}
	}
	a := w.accounts[p.Account]
	if w.organization != nil && a != nil && len(a.organizationalUnits) > 0 {
		context["aws:PrincipalOrgID"] = []string{w.organization.id}
		context["aws:PrincipalOrgPaths"] = []string{w.organization.id + "/" + strings.Join(a.organizationalUnits, "/") + "/"}
	}
	return context
}
