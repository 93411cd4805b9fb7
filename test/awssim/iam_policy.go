package awssim

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/orgami/packer-plugin-orgami/test/awssim/authz"
)

// managedPolicy is a customer managed policy of an account. It has one version.
type managedPolicy struct {
	name, path, id, arn, description string
	created                          time.Time
	document                         identityPolicy
}

type iamPolicy struct {
	Policy struct {
		PolicyName       string
		PolicyID         string `xml:"PolicyId"`
		Arn, Path        string
		Description      string
		DefaultVersionID string `xml:"DefaultVersionId"`
		AttachmentCount  int
		IsAttachable     bool
		CreateDate       string
		UpdateDate       string
	}
}

func (a *account) attachments(arn string) int {
	count := 0
	for _, r := range a.roles {
		if r.attached[arn] != nil && r.attached[arn].latest() {
			count++
		}
	}
	return count
}

func describePolicy(a *account, p *managedPolicy) iamPolicy {
	var answer iamPolicy
	answer.Policy.PolicyName, answer.Policy.PolicyID, answer.Policy.Arn, answer.Policy.Path = p.name, p.id, p.arn, p.path
	answer.Policy.Description, answer.Policy.DefaultVersionID = p.description, "v1"
	answer.Policy.AttachmentCount, answer.Policy.IsAttachable = a.attachments(p.arn), true
	answer.Policy.CreateDate = p.created.UTC().Format(time.RFC3339)
	answer.Policy.UpdateDate = answer.Policy.CreateDate
	return answer
}

// createPolicy creates a customer managed policy. Fact: IAM-POLICY-1.
func createPolicy(c *call) (any, error) {
	a := c.w.accounts[c.caller.Account]
	path := c.form.Get("Path")
	if path == "" {
		path = "/"
	}
	p := &managedPolicy{
		name: c.form.Get("PolicyName"), path: path, id: strings.ToUpper(c.w.newID("ANPA", 17)),
		description: c.form.Get("Description"), created: c.now,
	}
	p.arn = c.w.arn("iam", "", a.id, "policy"+path+p.name)
	for _, other := range a.managedPolicies {
		if other.name == p.name {
			return nil, &Error{Status: http.StatusConflict, Code: "EntityAlreadyExists", Message: "A policy called " + p.name + " already exists. Duplicate names are not allowed."}
		}
	}
	text := c.form.Get("PolicyDocument")
	parsed, err := authz.ParseIdentityPolicy(text)
	if err != nil {
		return nil, badRequest("MalformedPolicyDocument", "%v", err)
	}
	p.document = identityPolicy{text, parsed}
	a.managedPolicies[p.arn] = p
	return describePolicy(a, p), nil
}

// findPolicy finds a policy of the caller's account.
func findPolicy(c *call) (*managedPolicy, *Error) {
	arn := c.form.Get("PolicyArn")
	p := c.w.accounts[c.caller.Account].managedPolicies[arn]
	if p == nil {
		return nil, &Error{Status: http.StatusNotFound, Code: "NoSuchEntity", Message: "Policy " + arn + " does not exist or is not attachable."}
	}
	return p, nil
}

func getPolicy(c *call) (any, error) {
	p, problem := findPolicy(c)
	if problem != nil {
		return nil, problem
	}
	return describePolicy(c.w.accounts[c.caller.Account], p), nil
}

type policyVersion struct {
	Document         string `xml:",omitempty"`
	VersionID        string `xml:"VersionId"`
	IsDefaultVersion bool
	CreateDate       string
}

func getPolicyVersion(c *call) (any, error) {
	p, problem := findPolicy(c)
	if problem != nil {
		return nil, problem
	}
	if version := c.form.Get("VersionId"); version != "v1" {
		return nil, &Error{Status: http.StatusNotFound, Code: "NoSuchEntity", Message: "Policy " + p.arn + " version " + version + " does not exist or is not attachable."}
	}
	return struct{ PolicyVersion policyVersion }{policyVersion{url.QueryEscape(p.document.text), "v1", true, p.created.UTC().Format(time.RFC3339)}}, nil
}

func listPolicyVersions(c *call) (any, error) {
	p, problem := findPolicy(c)
	if problem != nil {
		return nil, problem
	}
	var answer struct {
		IsTruncated bool
		Versions    struct {
			Member []policyVersion `xml:"member"`
		}
	}
	answer.Versions.Member = []policyVersion{{"", "v1", true, p.created.UTC().Format(time.RFC3339)}}
	return answer, nil
}

// deletePolicy rejects while a role has the policy. Fact: IAM-POLICY-2.
func deletePolicy(c *call) (any, error) {
	p, problem := findPolicy(c)
	if problem != nil {
		return nil, problem
	}
	a := c.w.accounts[c.caller.Account]
	if a.attachments(p.arn) > 0 {
		return nil, &Error{Status: http.StatusConflict, Code: "DeleteConflict", Message: "Cannot delete a policy attached to entities."}
	}
	delete(a.managedPolicies, p.arn)
	return nil, nil
}

func attachRolePolicy(c *call) (any, error) { return setAttached(c, true) }

func detachRolePolicy(c *call) (any, error) { return setAttached(c, false) }

// setAttached attaches a policy to a role, or detaches it. Attaching again changes
// nothing. Fact: IAM-POLICY-3, IAM-ROLE-8.
func setAttached(c *call, attached bool) (any, error) {
	r, problem := findRole(c)
	if problem != nil {
		return nil, problem
	}
	if r.serviceLinked {
		return nil, unmodifiable(r)
	}
	p, problem := findPolicy(c)
	if problem != nil {
		return nil, problem
	}
	if !attached && (r.attached[p.arn] == nil || !r.attached[p.arn].latest()) {
		return nil, &Error{Status: http.StatusNotFound, Code: "NoSuchEntity", Message: "Policy " + p.arn + " was not found."}
	}
	if r.attached[p.arn] == nil {
		r.attached[p.arn] = &lagged[bool]{}
	}
	r.attached[p.arn].set(c.now, attached)
	return nil, nil
}

func unmodifiable(r *role) *Error {
	return badRequest("UnmodifiableEntity", "Cannot perform the operation on the protected role '%s' - this role is only modifiable by AWS", r.name)
}

// listAttachedRolePolicies lists the managed policies of a role.
func listAttachedRolePolicies(c *call) (any, error) {
	r, problem := findRole(c)
	if problem != nil {
		return nil, problem
	}
	type attached struct{ PolicyName, PolicyArn string }
	var answer struct {
		IsTruncated      bool
		AttachedPolicies struct {
			Member []attached `xml:"member"`
		}
	}
	policies := c.w.accounts[r.account].managedPolicies
	for _, arn := range slices.Sorted(maps.Keys(r.attached)) {
		if r.attached[arn].latest() {
			answer.AttachedPolicies.Member = append(answer.AttachedPolicies.Member, attached{policies[arn].name, arn})
		}
	}
	return answer, nil
}

// listRolePolicies lists the names of a role's inline policies.
func listRolePolicies(c *call) (any, error) {
	r, problem := findRole(c)
	if problem != nil {
		return nil, problem
	}
	var answer struct {
		IsTruncated bool
		PolicyNames struct {
			Member []string `xml:"member"`
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.policies)) {
		if r.policies[name].latest().parsed != nil {
			answer.PolicyNames.Member = append(answer.PolicyNames.Member, name)
		}
	}
	return answer, nil
}

// listInstanceProfilesForRole returns an empty list, because the simulator has no
// instance profiles.
func listInstanceProfilesForRole(c *call) (any, error) {
	if _, problem := findRole(c); problem != nil {
		return nil, problem
	}
	var answer struct {
		IsTruncated      bool
		InstanceProfiles struct{}
	}
	return answer, nil
}

// identityPolicies returns the policies that IAM applies to the role now.
func (w *World) identityPolicies(r *role, now time.Time) []*authz.Policy {
	asOf := now.Add(-w.options.PropagationLag)
	var policies []*authz.Policy
	for _, inline := range r.policies {
		if policy := inline.asOf(asOf).parsed; policy != nil {
			policies = append(policies, policy)
		}
	}
	for arn, attached := range r.attached {
		if policy := w.accounts[r.account].managedPolicies[arn]; policy != nil && attached.asOf(asOf) {
			policies = append(policies, policy.document.parsed)
		}
	}
	return policies
}
