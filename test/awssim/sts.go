package awssim

import (
	"net/http"
	"regexp"
	"strconv"
	"time"

	"github.com/orgami/packer-plugin-orgami/test/awssim/authz"
)

var stsOperations = map[string]operation{
	// GetCallerIdentity requires no permission.
	"GetCallerIdentity": {ownAuthorization: true, handle: getCallerIdentity},
	"AssumeRole":        {mutating: true, ownAuthorization: true, handle: assumeRole},

	"DecodeAuthorizationMessage": {handle: decodeAuthorizationMessage},
}

type callerIdentity struct {
	Arn     string
	UserID  string `xml:"UserId"`
	Account string
}

func getCallerIdentity(c *call) (any, error) {
	return callerIdentity{Arn: c.caller.ARN, UserID: "AIDA" + c.caller.Account, Account: c.caller.Account}, nil
}

var sessionName = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)

// maxSession is the longest session of a role, in seconds: the default of its
// MaxSessionDuration, and the limit for a role that another one assumes.
// Fact: STS-1, STS-2.
const maxSession = 3600

type assumeRoleResult struct {
	Credentials struct {
		AccessKeyID     string `xml:"AccessKeyId"`
		SecretAccessKey string
		SessionToken    string
		Expiration      string
	}
	AssumedRoleUser struct {
		Arn           string
		AssumedRoleID string `xml:"AssumedRoleId"`
	}
}

// assumeRole requires that the role's trust policy allows the caller. The
// caller's own policies must also allow sts:AssumeRole in two cases: the caller
// is in another account, or the trust policy allows it only through its
// account. Fact: STS-1, STS-2, NET-1.
func assumeRole(c *call) (any, error) {
	arn, name := c.form.Get("RoleArn"), c.form.Get("RoleSessionName")
	if !sessionName.MatchString(name) {
		return nil, badRequest("ValidationError", "1 validation error detected: Value '%s' at 'roleSessionName' failed to satisfy constraint", name)
	}
	refused := &Error{Status: http.StatusForbidden, Code: "AccessDenied", Message: "User: " + c.caller.ARN + " is not authorized to perform: sts:AssumeRole on resource: " + arn}
	r := c.w.roleByARN(arn)
	if r == nil || r.trust == nil {
		return nil, refused
	}
	// Fact: NET-1. The error's text is that of the API reference of AssumeRole.
	if region := c.w.regions[c.region]; !c.w.accounts[r.account].enabledIn(region, c.now) {
		return nil, &Error{Status: http.StatusForbidden, Code: "RegionDisabledException", Message: "STS is not activated in this region for account:" + r.account + ". Your account administrator can activate STS in this region using the IAM Console."}
	}
	context := c.requestContext()
	if why := c.w.controlDenial(c.caller, "sts:AssumeRole", arn, context); why != "" {
		refused.Message += " because " + why
		return nil, refused
	}
	if id := c.form.Get("ExternalId"); id != "" {
		context["sts:ExternalId"] = []string{id}
	}
	trust := r.trust.Evaluate(authz.Request{Action: "sts:AssumeRole", Resource: arn, Principal: authzPrincipal(c.caller), Context: context})
	if trust.Effect != authz.Allow {
		return nil, refused
	}
	if (trust.ViaAccount || r.account != c.caller.Account) && !c.w.identityAllows(c.caller, "sts:AssumeRole", arn, context, c.now) {
		return nil, refused
	}
	seconds := maxSession
	if text := c.form.Get("DurationSeconds"); text != "" {
		n, err := strconv.Atoi(text)
		switch {
		case err != nil || n < 900 || n > 43_200:
			return nil, badRequest("ValidationError", "DurationSeconds %s is not between 900 and 43200", text)
		case c.caller.RoleARN != "" && n > maxSession:
			return nil, badRequest("ValidationError", "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining")
		case n > r.maxSession: // Fact: IAM-ROLE-10
			return nil, badRequest("ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
		}
		seconds = n
	}
	key := c.w.newID(sessionKeyPrefix, 12)
	expires := c.now.Add(time.Duration(seconds) * time.Second)
	session := session{
		principal: Principal{Account: r.account, ARN: c.w.arn("sts", "", r.account, "assumed-role/"+r.name+"/"+name), RoleARN: r.arn},
		expires:   expires,
	}
	c.w.sessions[key] = session
	var result assumeRoleResult
	result.Credentials.AccessKeyID = key
	result.Credentials.SecretAccessKey = credentialsOf(key).SecretAccessKey
	result.Credentials.SessionToken = credentialsOf(key).SessionToken
	result.Credentials.Expiration = expires.UTC().Format(time.RFC3339)
	result.AssumedRoleUser.Arn = session.principal.ARN
	result.AssumedRoleUser.AssumedRoleID = r.id + ":" + name
	return result, nil
}
