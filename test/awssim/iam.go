package awssim

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/orgami/packer-plugin-orgami/test/awssim/authz"
)

var iamOperations = map[string]operation{
	"CreateRole":              {mutating: true, handle: createRole},
	"CreateServiceLinkedRole": {mutating: true, handle: createServiceLinkedRole},
	"GetRole":                 {handle: getRole},
	"ListRoles":               {handle: listRoles},
	"SimulatePrincipalPolicy": {ownAuthorization: true, handle: simulatePrincipalPolicy},
	"DeleteRole":              {mutating: true, handle: deleteRole},
	"PutRolePolicy":           {mutating: true, handle: putRolePolicy},
	"DeleteRolePolicy":        {mutating: true, handle: deleteRolePolicy},

	"DeleteRolePermissionsBoundary": {mutating: true, handle: deleteRolePermissionsBoundary},

	"GetRolePolicy":    {handle: getRolePolicy},
	"ListRolePolicies": {handle: listRolePolicies},

	"CreatePolicy":             {mutating: true, handle: createPolicy},
	"GetPolicy":                {handle: getPolicy},
	"GetPolicyVersion":         {handle: getPolicyVersion},
	"ListPolicyVersions":       {handle: listPolicyVersions},
	"DeletePolicy":             {mutating: true, handle: deletePolicy},
	"AttachRolePolicy":         {mutating: true, handle: attachRolePolicy},
	"DetachRolePolicy":         {mutating: true, handle: detachRolePolicy},
	"ListAttachedRolePolicies": {handle: listAttachedRolePolicies},

	"ListInstanceProfilesForRole":        {handle: listInstanceProfilesForRole},
	"DeleteServiceLinkedRole":            {mutating: true, handle: deleteServiceLinkedRole},
	"GetServiceLinkedRoleDeletionStatus": {handle: serviceLinkedRoleDeletion},
}

type iamRole struct {
	Role struct {
		Path                     string
		RoleName                 string
		RoleID                   string `xml:"RoleId"`
		Arn                      string
		CreateDate               string
		AssumeRolePolicyDocument string
		Description              string `xml:",omitempty"`
		MaxSessionDuration       int
		PermissionsBoundary      *attachedBoundary
	}
}

// attachedBoundary names a role's permissions boundary. Source: IAM API reference,
// AttachedPermissionsBoundary.
type attachedBoundary struct {
	PermissionsBoundaryType string
	PermissionsBoundaryArn  string
}

func describeRole(r *role) iamRole {
	var answer iamRole
	answer.Role.Path, answer.Role.RoleName, answer.Role.RoleID, answer.Role.Arn = r.path, r.name, r.id, r.arn
	answer.Role.CreateDate = r.created.UTC().Format(time.RFC3339)
	answer.Role.AssumeRolePolicyDocument = url.QueryEscape(r.trustText)
	answer.Role.Description, answer.Role.MaxSessionDuration = r.description, r.maxSession
	return answer
}

// deleteRolePermissionsBoundary removes the boundary, so that only the role's own
// policies limit it.
func deleteRolePermissionsBoundary(c *call) (any, error) {
	r, problem := findRole(c)
	if problem != nil {
		return nil, problem
	}
	if r.boundary == nil {
		return nil, &Error{Status: http.StatusNotFound, Code: "NoSuchEntity", Message: "The role " + r.name + " has no permissions boundary."}
	}
	r.boundary = nil
	return nil, nil
}

// addRole adds a role to the account. trust is "" for a service-linked role.
func (w *World) addRole(a *account, path, name, trust string, now time.Time) (*role, *Error) {
	r := &role{
		name: name, path: path, account: a.id, id: strings.ToUpper(w.newID("AROA", 17)), created: now, maxSession: 3600,
		serviceLinked: strings.HasPrefix(path, "/aws-service-role/"), trustText: trust,
		policies: map[string]*lagged[identityPolicy]{}, attached: map[string]*lagged[bool]{},
	}
	r.arn = w.arn("iam", "", a.id, "role/"+r.pathName())
	for _, other := range a.roles {
		if other.name == name {
			return nil, &Error{Status: http.StatusConflict, Code: "EntityAlreadyExists", Message: "Role with name " + name + " already exists."}
		}
	}
	if !r.serviceLinked {
		parsed, err := authz.ParseTrustPolicy(trust)
		if err != nil {
			return nil, badRequest("MalformedPolicyDocument", "%v", err)
		}
		r.trust = parsed
	}
	a.roles[r.pathName()] = r
	return r, nil
}

func createRole(c *call) (any, error) {
	path := c.form.Get("Path")
	if path == "" {
		path = "/"
	}
	if strings.HasPrefix(path, "/aws-service-role/") {
		return nil, badRequest("ValidationError", "the path /aws-service-role/ is reserved")
	}
	seconds := 3600
	if text := c.form.Get("MaxSessionDuration"); text != "" {
		var err error
		if seconds, err = strconv.Atoi(text); err != nil || seconds < 3600 || seconds > 43200 {
			return nil, badRequest("ValidationError", "MaxSessionDuration must be 3600 to 43200 seconds, not %q", text)
		}
	}
	r, problem := c.w.addRole(c.w.accounts[c.caller.Account], path, c.form.Get("RoleName"), c.form.Get("AssumeRolePolicyDocument"), c.now)
	if problem != nil {
		return nil, problem
	}
	r.description, r.maxSession = c.form.Get("Description"), seconds
	return describeRole(r), nil
}

// serviceLinkedRoleNames by service. Fact: IAM-ROLE-2 to IAM-ROLE-7.
var serviceLinkedRoleNames = map[string]string{
	"autoscaling.amazonaws.com":                 "AWSServiceRoleForAutoScaling",
	"ecs.application-autoscaling.amazonaws.com": "AWSServiceRoleForApplicationAutoScaling_ECSService",
	"spot.amazonaws.com":                        "AWSServiceRoleForEC2Spot",
	"spotfleet.amazonaws.com":                   "AWSServiceRoleForEC2SpotFleet",
	"ec2fleet.amazonaws.com":                    "AWSServiceRoleForEC2Fleet",
	"eks-nodegroup.amazonaws.com":               "AWSServiceRoleForAmazonEKSNodegroup",
}

func createServiceLinkedRole(c *call) (any, error) {
	service := c.form.Get("AWSServiceName")
	name, known := serviceLinkedRoleNames[service]
	if !known {
		return nil, badRequest("InvalidInput", "the simulator knows no service-linked role of %s", service)
	}
	if suffix := c.form.Get("CustomSuffix"); suffix != "" {
		if service != "autoscaling.amazonaws.com" {
			return nil, badRequest("InvalidInput", "%s takes no custom suffix", service)
		}
		name += "_" + suffix
	}
	r, problem := c.w.addRole(c.w.accounts[c.caller.Account], "/aws-service-role/"+service+"/", name, "", c.now)
	if problem != nil {
		return nil, badRequest("InvalidInput", "%s", problem.Message)
	}
	return describeRole(r), nil
}

// deleteServiceLinkedRole starts a task that succeeds immediately, because the
// simulator's services don't record uses of the role. Fact: IAM-POLICY-4.
func deleteServiceLinkedRole(c *call) (any, error) {
	r, problem := findRole(c)
	if problem != nil {
		return nil, problem
	}
	if !r.serviceLinked {
		return nil, badRequest("InvalidInput", "role %s is not a service-linked role", r.name)
	}
	delete(c.w.accounts[c.caller.Account].roles, r.pathName())
	return struct {
		DeletionTaskID string `xml:"DeletionTaskId"`
	}{"task" + r.path + r.name + "/" + r.id}, nil
}

func serviceLinkedRoleDeletion(*call) (any, error) {
	return struct{ Status string }{"SUCCEEDED"}, nil
}

// findRole finds a role of the caller's account by name.
func findRole(c *call) (*role, *Error) {
	name := c.form.Get("RoleName")
	for _, r := range c.w.accounts[c.caller.Account].roles {
		if r.name == name {
			return r, nil
		}
	}
	return nil, &Error{Status: http.StatusNotFound, Code: "NoSuchEntity", Message: "The role with name " + name + " cannot be found."}
}

func getRole(c *call) (any, error) {
	r, problem := findRole(c)
	if problem != nil {
		return nil, problem
	}
	answer := describeRole(r)
	if r.boundary != nil { // a world file's boundary has no name
		answer.Role.PermissionsBoundary = &attachedBoundary{"PermissionsBoundaryPolicy", c.w.arn("iam", "", c.caller.Account, "policy/boundary-of-"+r.name)}
	}
	return answer, nil
}

// deleteRole rejects while the role has policies. Fact: IAM-POLICY-2, IAM-ROLE-8.
func deleteRole(c *call) (any, error) {
	r, problem := findRole(c)
	if problem != nil {
		return nil, problem
	}
	if r.serviceLinked {
		return nil, unmodifiable(r)
	}
	conflict := func(kind string) error {
		return &Error{Status: http.StatusConflict, Code: "DeleteConflict", Message: "Cannot delete entity, must " + kind + " policies first."}
	}
	for _, policy := range r.policies {
		if policy.latest().parsed != nil {
			return nil, conflict("delete")
		}
	}
	for _, attached := range r.attached {
		if attached.latest() {
			return nil, conflict("detach all")
		}
	}
	delete(c.w.accounts[c.caller.Account].roles, r.pathName())
	return nil, nil
}

func putRolePolicy(c *call) (any, error) {
	r, problem := findRole(c)
	if problem != nil {
		return nil, problem
	}
	if r.serviceLinked {
		return nil, unmodifiable(r)
	}
	text := c.form.Get("PolicyDocument")
	parsed, err := authz.ParseIdentityPolicy(text)
	if err != nil {
		return nil, badRequest("MalformedPolicyDocument", "%v", err)
	}
	r.setPolicy(c.form.Get("PolicyName"), identityPolicy{text, parsed}, c.now)
	return nil, nil
}

func (r *role) setPolicy(name string, policy identityPolicy, now time.Time) {
	if r.policies[name] == nil {
		r.policies[name] = &lagged[identityPolicy]{}
	}
	r.policies[name].set(now, policy)
}

func deleteRolePolicy(c *call) (any, error) {
	r, problem := findRole(c)
	if problem != nil {
		return nil, problem
	}
	name := c.form.Get("PolicyName")
	if r.policies[name] == nil || r.policies[name].latest().parsed == nil {
		return nil, &Error{Status: http.StatusNotFound, Code: "NoSuchEntity", Message: "The role policy with name " + name + " cannot be found."}
	}
	r.setPolicy(name, identityPolicy{}, c.now)
	return nil, nil
}

type rolePolicy struct{ RoleName, PolicyName, PolicyDocument string }

func getRolePolicy(c *call) (any, error) {
	r, problem := findRole(c)
	if problem != nil {
		return nil, problem
	}
	name := c.form.Get("PolicyName")
	if r.policies[name] == nil || r.policies[name].latest().parsed == nil {
		return nil, &Error{Status: http.StatusNotFound, Code: "NoSuchEntity", Message: "The role policy with name " + name + " cannot be found."}
	}
	return rolePolicy{r.name, name, url.QueryEscape(r.policies[name].latest().text)}, nil
}
