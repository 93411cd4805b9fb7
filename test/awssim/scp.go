package awssim

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/orgami/packer-plugin-orgami/test/awssim/authz"
)

// FullAWSAccess is the service control policy that AWS attaches to every account
// until it is replaced.
const FullAWSAccess = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`

// controlDenial returns why the service control policies of the principal's account
// deny the request, or returns "". They don't affect service-linked roles or the
// management account. Fact: IAM-EVAL-13.
func (w *World) controlDenial(p Principal, action, resource string, context map[string][]string) string {
	a := w.accounts[p.Account]
	if a == nil || len(a.controlPolicies) == 0 || a.id == w.organization.managementAccount {
		return ""
	}
	if r := w.roleByARN(p.RoleARN); r != nil && r.serviceLinked {
		return ""
	}
	all := w.principalContext(p)
	maps.Copy(all, context)
	request := authz.Request{Action: action, Resource: resource, Principal: authzPrincipal(p), Context: all}
	allowed := false
	for n, policy := range a.controlPolicies {
		switch decision := policy.Evaluate(request); decision.Effect {
		case authz.Deny:
			return fmt.Sprintf("%s denies %s explicitly (%s)", controlPolicyName(a.id, n), action, decision.Statement)
		case authz.Allow:
			allowed = true
		}
	}
	if !allowed {
		return fmt.Sprintf("no service control policy of account %s allows %s", a.id, action)
	}
	return ""
}

// launchDenial evaluates the service control policies for the resources that
// RunInstances is authorized on, with some of their condition keys. Fact:
// IAM-EVAL-18.
func (c *call) launchDenial(p launchPlan, instanceType string, volumes []volumePlan) *Error {
	type resource struct {
		arn     string
		context map[string][]string
	}
	owner := p.image.owner
	if owner == amazonAccount {
		owner = "amazon"
	}
	resources := []resource{
		{c.w.arn("ec2", c.region, "", "image/"+p.image.id), map[string][]string{"ec2:Owner": {owner}, "ec2:Public": {fmt.Sprint(p.image.public)}}},
		{c.w.arn("ec2", c.region, c.caller.Account, "instance/*"), map[string][]string{"ec2:InstanceType": {instanceType}}},
	}
	for _, kind := range []string{"network-interface", "security-group", "subnet"} {
		resources = append(resources, resource{arn: c.w.arn("ec2", c.region, c.caller.Account, kind+"/*")})
	}
	for _, v := range volumes {
		resources = append(resources, resource{
			c.w.arn("ec2", c.region, c.caller.Account, "volume/*"),
			map[string][]string{"ec2:Encrypted": {fmt.Sprint(v.key != nil)}, "ec2:VolumeType": {v.volumeType}},
		})
	}
	for _, r := range resources {
		context := c.requestContext()
		maps.Copy(context, r.context)
		context["ec2:Region"] = []string{c.region}
		if why := c.w.controlDenial(c.caller, actionRunInstances, r.arn, context); why != "" {
			return &Error{
				Status: http.StatusForbidden, Code: "UnauthorizedOperation",
				Message: "You are not authorized to perform this operation. User: " + c.caller.ARN + " is not authorized to perform: ec2:RunInstances on resource: " + r.arn + " because " + why +
					". " + c.encodedDenial(actionRunInstances, r.arn, why),
			}
		}
	}
	return nil
}

// requestContext are the global condition keys of a call that the caller makes
// itself.
func (c *call) requestContext() map[string][]string {
	context := c.w.principalContext(c.caller)
	context["aws:RequestedRegion"] = []string{c.region}
	context["aws:ViaAWSService"] = []string{"false"}
	return context
}

// allows reports whether the caller's own policies, and the service control
// policies of its account, allow the action.
func (c *call) allows(action, resource string) bool {
	return c.w.identityAllows(c.caller, action, resource, c.requestContext(), c.now)
}

// addControlPolicies parses the service control policies of a world file. They
// have the elements of an identity policy.
func (w *World) addControlPolicies(a *account, file AccountFile) error {
	if len(file.ServiceControlPolicies) > 0 && !slices.Contains(a.organizationalUnits, w.rootID()) {
		return fmt.Errorf("service control policies require an account of the organization")
	}
	for n, text := range file.ServiceControlPolicies {
		parsed, err := authz.ParseIdentityPolicy(string(text))
		if err != nil {
			return fmt.Errorf("service control policy %d: %w", n+1, err)
		}
		a.controlPolicies = append(a.controlPolicies, parsed)
	}
	return nil
}

func (w *World) rootID() string {
	if w.organization == nil {
		return ""
	}
	return w.organization.rootID
}

// SetServiceControlPolicies replaces the service control policies of an account, as
// the organization's management account can. They take effect immediately.
func (w *World) SetServiceControlPolicies(account string, documents ...json.RawMessage) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	a := w.accounts[account]
	if a == nil {
		return fmt.Errorf("account %s does not exist", account)
	}
	a.controlPolicies = nil
	return w.addControlPolicies(a, AccountFile{ServiceControlPolicies: documents})
}
