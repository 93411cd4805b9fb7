package awssim

import (
	"cmp"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/orgami/packer-plugin-orgami/test/awssim/authz"
)

// This file is IAM's policy simulator. It knows only what the caller says about a
// request. Fact: IAM-SIM-2 to IAM-SIM-11.

type simulatePosition struct{ Line, Column int }

type simulatedStatement struct {
	SourcePolicyID   string `xml:"SourcePolicyId"`
	SourcePolicyType string
	StartPosition    simulatePosition
	EndPosition      simulatePosition
}

type decisionEntry struct {
	Key   string `xml:"key"`
	Value string `xml:"value"`
}

type decisionDetails struct {
	Entries []decisionEntry `xml:"entry"`
}

type boundaryDetail struct {
	Allowed bool `xml:"AllowedByPermissionsBoundary"`
}

type organizationsDetail struct {
	Allowed bool `xml:"AllowedByOrganizations"`
}

// resourceSimulation is the result for one resource.
type resourceSimulation struct {
	EvalResourceName                  string
	EvalResourceDecision              string
	MatchedStatements                 membersOf[simulatedStatement]
	MissingContextValues              membersOf[string]
	EvalDecisionDetails               *decisionDetails
	PermissionsBoundaryDecisionDetail *boundaryDetail
}

// actionSimulation is the result for one action, over all resources.
type actionSimulation struct {
	EvalActionName                    string
	EvalResourceName                  string
	EvalDecision                      string
	MatchedStatements                 membersOf[simulatedStatement]
	MissingContextValues              membersOf[string]
	OrganizationsDecisionDetail       *organizationsDetail
	PermissionsBoundaryDecisionDetail *boundaryDetail
	ResourceSpecificResults           membersOf[resourceSimulation]
}

type simulateAnswer struct {
	EvaluationResults membersOf[actionSimulation]
	IsTruncated       bool
	Marker            string `xml:",omitempty"`
}

// IAM's decisions.
const (
	simulatedAllow        = "allowed"
	simulatedExplicitDeny = "explicitDeny"
	simulatedImplicitDeny = "implicitDeny"
)

// worst returns the more restrictive decision.
func worst(a, b string) string {
	order := []string{simulatedAllow, simulatedImplicitDeny, simulatedExplicitDeny}
	return order[max(slices.Index(order, a), slices.Index(order, b))]
}

func decisionOf(e authz.Effect) string {
	switch e {
	case authz.Allow:
		return simulatedAllow
	case authz.Deny:
		return simulatedExplicitDeny
	default:
		return simulatedImplicitDeny
	}
}

// formList is the list NAME.member.1, NAME.member.2 and so on.
func formList(form url.Values, name string) []string {
	var list []string
	for n := 1; form.Has(name + ".member." + strconv.Itoa(n)); n++ {
		list = append(list, form.Get(name+".member."+strconv.Itoa(n)))
	}
	return list
}

var contextTypes = []string{
	"string", "stringList", "numeric", "numericList", "boolean", "booleanList", "ip", "ipList", "binary", "binaryList", "date", "dateList",
}

// simulation is the simulation of one call.
type simulation struct {
	c       *call
	role    *role
	context map[string][]string
}

// simulatePrincipalPolicy accepts only roles. Fact: IAM-SIM-2, IAM-SIM-3, IAM-SIM-9.
func simulatePrincipalPolicy(c *call) (any, error) {
	source := c.form.Get("PolicySourceArn")
	if !c.allows("iam:SimulatePrincipalPolicy", source) {
		return nil, denied(c)
	}
	r := c.w.roleByARN(source)
	if r == nil || r.account != c.caller.Account {
		return nil, &Error{Status: http.StatusNotFound, Code: "NoSuchEntity", Message: "The role with name " + source[strings.LastIndexByte(source, '/')+1:] + " cannot be found."}
	}
	if c.form.Has("ResourcePolicy") {
		return nil, badRequest("InvalidInput", "A resource policy can't be simulated for a role.")
	}
	s := simulation{c, r, map[string][]string{}}
	for n := 1; c.form.Has("ContextEntries.member." + strconv.Itoa(n) + ".ContextKeyName"); n++ {
		prefix := "ContextEntries.member." + strconv.Itoa(n) + "."
		if kind := c.form.Get(prefix + "ContextKeyType"); !slices.Contains(contextTypes, kind) {
			return nil, badRequest("InvalidInput", "Invalid context key type: %s", kind)
		}
		s.context[c.form.Get(prefix+"ContextKeyName")] = formList(c.form, prefix+"ContextKeyValues")
	}
	actions, resources := formList(c.form, "ActionNames"), formList(c.form, "ResourceArns")
	if len(actions) == 0 {
		return nil, badRequest("ValidationError", "1 validation error detected: Value null at 'actionNames' failed to satisfy constraint: Member must not be null")
	}
	if len(resources) == 0 {
		resources = []string{"*"}
	}
	var results []actionSimulation
	for _, action := range actions {
		if strings.Count(action, ":") != 1 {
			return nil, badRequest("InvalidInput", "Invalid Action: %s", action)
		}
		results = append(results, s.action(action, resources))
	}
	return pageOfResults(c, results)
}

// pageOfResults returns at most half of what the caller asks for. Fact: IAM-SIM-1.
func pageOfResults(c *call, results []actionSimulation) (any, error) {
	size, err := strconv.Atoi(cmp.Or(c.form.Get("MaxItems"), "100"))
	from, markerErr := strconv.Atoi(cmp.Or(c.form.Get("Marker"), "0"))
	if err != nil || size < 1 || size > 1000 || markerErr != nil || from < 0 || from > len(results) {
		return nil, badRequest("ValidationError", "Invalid MaxItems or Marker.")
	}
	to := min(from+max(size/2, 1), len(results))
	answer := simulateAnswer{EvaluationResults: membersOf[actionSimulation]{results[from:to]}}
	if to < len(results) {
		answer.IsTruncated, answer.Marker = true, strconv.Itoa(to)
	}
	return answer, nil
}

// action simulates one action. A denial by the organization ends the simulation of
// all resources. Fact: IAM-SIM-4, IAM-SIM-7, IAM-SIM-8.
func (s simulation) action(name string, resources []string) actionSimulation {
	result := actionSimulation{EvalActionName: name, EvalResourceName: "*", EvalDecision: simulatedAllow}
	decision, subject := s.organization(name, resources)
	if subject {
		result.OrganizationsDecisionDetail = &organizationsDetail{decision == simulatedAllow}
	}
	if decision != simulatedAllow {
		result.EvalDecision = decision
		for _, resource := range resources {
			result.ResourceSpecificResults.Members = append(result.ResourceSpecificResults.Members, resourceSimulation{EvalResourceName: resource, EvalResourceDecision: decision})
		}
		return result
	}
	missing := map[string]bool{}
	for _, resource := range resources {
		r := s.resource(name, resource)
		result.EvalDecision = worst(result.EvalDecision, r.EvalResourceDecision)
		result.MatchedStatements.Members = append(result.MatchedStatements.Members, r.MatchedStatements.Members...)
		for _, key := range r.MissingContextValues.Members {
			missing[key] = true
		}
		if b := r.PermissionsBoundaryDecisionDetail; b != nil {
			before := result.PermissionsBoundaryDecisionDetail
			result.PermissionsBoundaryDecisionDetail = &boundaryDetail{b.Allowed && (before == nil || before.Allowed)}
		}
		result.ResourceSpecificResults.Members = append(result.ResourceSpecificResults.Members, r)
	}
	result.MissingContextValues.Members = slices.Sorted(maps.Keys(missing))
	return result
}

// organization is the decision of the service control policies, and whether the role
// is subject to any.
func (s simulation) organization(action string, resources []string) (decision string, subject bool) {
	a := s.c.w.accounts[s.role.account]
	if s.c.w.organization == nil || len(a.organizationalUnits) == 0 {
		return simulatedAllow, false
	}
	decision = simulatedAllow
	if len(a.controlPolicies) == 0 || s.role.serviceLinked || a.id == s.c.w.organization.managementAccount {
		return decision, true
	}
	for _, resource := range resources {
		found := simulatedImplicitDeny
		for _, p := range a.controlPolicies {
			switch p.Evaluate(s.request(action, resource)).Effect {
			case authz.Deny:
				return simulatedExplicitDeny, true
			case authz.Allow:
				found = simulatedAllow
			}
		}
		decision = worst(decision, found)
	}
	return decision, true
}

func (s simulation) request(action, resource string) authz.Request {
	return authz.Request{
		Action: action, Resource: resource, Context: s.context,
		Principal: authz.Principal{ARN: s.role.arn, RoleARN: s.role.arn, Account: s.role.account},
	}
}

// resource simulates the role's policies on one resource. Without the resource's own
// policy, one of another account allows nothing. Fact: IAM-SIM-3, IAM-SIM-5,
// IAM-SIM-6, IAM-SIM-10, IAM-SIM-11.
func (s simulation) resource(action, resource string) resourceSimulation {
	result := resourceSimulation{EvalResourceName: resource}
	identity := simulatedImplicitDeny
	missing := map[string]bool{}
	lacks := func(p *authz.Policy) {
		for _, key := range p.ContextKeys(action) {
			if !s.has(key) {
				missing[key] = true
			}
		}
	}
	for _, p := range s.c.w.identityPolicies(s.role, s.c.now) {
		lacks(p)
		d := p.Evaluate(s.request(action, resource))
		if d.Effect == authz.NoMatch || identity == simulatedExplicitDeny && d.Effect != authz.Deny {
			continue
		}
		if d.Effect == authz.Deny && identity != simulatedExplicitDeny {
			result.MatchedStatements.Members = nil // the denial is the only entry
		}
		identity = decisionOf(d.Effect)
		result.MatchedStatements.Members = append(result.MatchedStatements.Members, simulatedStatement{
			"role_" + s.role.name, "IAM Policy", simulatePosition{1, 1}, simulatePosition{1, 2},
		})
	}
	result.EvalResourceDecision = identity
	if b := s.role.boundary; b != nil {
		lacks(b)
		d := b.Evaluate(s.request(action, resource))
		result.PermissionsBoundaryDecisionDetail = &boundaryDetail{d.Effect == authz.Allow}
		result.EvalResourceDecision = worst(identity, decisionOf(d.Effect))
	}
	if owner := accountOfARN(resource); owner != "" && owner != s.role.account {
		result.EvalDecisionDetails = &decisionDetails{[]decisionEntry{{"IAM Policy", identity}, {"Resource Policy", simulatedImplicitDeny}}}
		result.EvalResourceDecision = worst(result.EvalResourceDecision, simulatedImplicitDeny)
		if identity == simulatedAllow { // it doesn't contribute to the denial
			result.MatchedStatements.Members = nil
		}
	}
	result.MissingContextValues.Members = slices.Sorted(maps.Keys(missing))
	return result
}

func (s simulation) has(key string) bool {
	for name, values := range s.context {
		if strings.EqualFold(name, key) && len(values) > 0 {
			return true
		}
	}
	return false
}

// accountOfARN returns the account in an ARN, or "".
func accountOfARN(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 {
		return ""
	}
	return parts[4]
}
