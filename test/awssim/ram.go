package awssim

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// ramOperations are those of AWS Resource Access Manager. Its protocol is REST with
// JSON: an operation's path is its name in lower case. Source: RAM API reference.
var ramOperations = map[string]operation{
	"CreateResourceShare":              {mutating: true, ownAuthorization: true, handle: createResourceShare},
	"AssociateResourceShare":           {mutating: true, ownAuthorization: true, handle: associateResourceShare},
	"DisassociateResourceShare":        {mutating: true, ownAuthorization: true, handle: disassociateResourceShare},
	"UpdateResourceShare":              {mutating: true, ownAuthorization: true, handle: updateResourceShare},
	"GetResourceShares":                {handle: getResourceShares},
	"GetResourceShareAssociations":     {handle: getResourceShareAssociations},
	"EnableSharingWithAwsOrganization": {mutating: true, handle: enableSharingWithOrganization},
}

// ramTarget names the operation as the target header of the other JSON protocols does.
func ramTarget(r *http.Request) string {
	for name := range ramOperations {
		if strings.EqualFold("/"+name, r.URL.Path) {
			return "ram." + name
		}
	}
	return "ram." + strings.Trim(r.URL.Path, "/")
}

type resourceShare struct {
	arn, name, account, region string
	// external says that accounts outside the organization can be principals.
	external     bool
	created      time.Time
	tags         []ramTag
	associations []shareAssociation
}

type ramTag struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// shareAssociation is a principal or a resource of a share. Fact: RAM-9.
type shareAssociation struct {
	entity    string
	principal bool
	external  bool
	// invited says that the principal has to accept an invitation, which the simulator
	// has no operation for.
	invited bool
	// at is when the association, or its end, is complete.
	at    time.Time
	ended bool
}

func (a shareAssociation) status(now time.Time) string {
	switch {
	case a.ended && a.at.After(now):
		return "DISASSOCIATING"
	case a.ended:
		return "DISASSOCIATED"
	case a.invited || a.at.After(now):
		return "ASSOCIATING"
	default:
		return "ASSOCIATED"
	}
}

// mayShare rejects a caller whose policies don't allow the operation on the share.
// Source: Service Authorization Reference, AWS Resource Access Manager.
func (c *call) mayShare(action, resource, key string, external bool) *Error {
	context := c.requestContext()
	context[key] = []string{map[bool]string{true: "true", false: "false"}[external]}
	if c.w.identityAllows(c.caller, "ram:"+action, resource, context, c.now) {
		return nil
	}
	return badRequest("AccessDeniedException", "User: %s is not authorized to perform: ram:%s on resource: %s", c.caller.ARN, action, resource)
}

type createResourceShareRequest struct {
	Name                    string   `json:"name"`
	AllowExternalPrincipals *bool    `json:"allowExternalPrincipals"`
	ClientToken             string   `json:"clientToken"`
	Principals              []string `json:"principals"`
	ResourceArns            []string `json:"resourceArns"`
	Tags                    []ramTag `json:"tags"`
}

// createResourceShare allows principals outside the organization unless the request
// says otherwise. Fact: RAM-1, RAM-8.
func createResourceShare(c *call) (any, error) {
	r, err := decodeJSON[createResourceShareRequest](c)
	if err != nil {
		return nil, err
	}
	s := &resourceShare{
		name: r.Name, account: c.caller.Account, region: c.region, created: c.now, tags: r.Tags,
		external: r.AllowExternalPrincipals == nil || *r.AllowExternalPrincipals,
	}
	if problem := c.mayShare(c.operation, "*", "ram:RequestedAllowsExternalPrincipals", s.external); problem != nil {
		return nil, problem
	}
	s.arn = c.w.arn("ram", c.region, s.account, "resource-share/"+c.w.newID("", 32))
	if len(r.Tags) > 0 {
		if problem := c.mayShare("TagResource", s.arn, "ram:AllowsExternalPrincipals", s.external); problem != nil {
			return nil, problem
		}
	}
	if r.Name == "" {
		return nil, badRequest("InvalidParameterException", "The name of the resource share is missing.")
	}
	if problem := c.associate(s, r.Principals, r.ResourceArns); problem != nil {
		return nil, problem
	}
	c.w.shares = append(c.w.shares, s)
	return map[string]any{"resourceShare": s.describe()}, nil
}

func (s *resourceShare) describe() map[string]any {
	return map[string]any{
		"resourceShareArn": s.arn, "name": s.name, "owningAccountId": s.account, "allowExternalPrincipals": s.external,
		"status": "ACTIVE", "tags": s.tags, "creationTime": s.created.Unix(), "lastUpdatedTime": s.created.Unix(), "featureSet": "STANDARD",
	}
}

// associate adds principals and resources to a share: all of them, or none.
func (c *call) associate(s *resourceShare, principals, resources []string) *Error {
	var added []shareAssociation
	for _, principal := range principals {
		a, problem := c.principalAssociation(s, principal)
		if problem != nil {
			return problem
		}
		added = append(added, a)
	}
	for _, resource := range resources {
		if problem := c.shareableParameter(resource); problem != nil {
			return problem
		}
		added = append(added, shareAssociation{entity: resource})
	}
	for _, a := range added {
		a.at = c.now.Add(c.w.options.PropagationLag)
		s.associations = append(slices.DeleteFunc(s.associations, func(b shareAssociation) bool { return b.entity == a.entity }), a)
	}
	return nil
}

// notInOrganization is RAM's text. Source: hashicorp/terraform-provider-aws#7769.
const notInOrganization = "The resource you are attempting to share can only be shared within your AWS Organization. This error may also occur if you have not enabled sharing with your AWS organization, or that onboarding process is still in progress."

// principalAssociation checks a principal. Until sharing with the organization is
// enabled, RAM doesn't find the organization. Fact: RAM-2, RAM-3, RAM-5, RAM-6.
func (c *call) principalAssociation(s *resourceShare, principal string) (shareAssociation, *Error) {
	o := c.w.organization
	member := o != nil && len(c.w.accounts[s.account].organizationalUnits) > 0
	if id, isAccount := principal, len(principal) == 12 && strings.Trim(principal, "0123456789") == ""; isAccount {
		inside := member && o.resourceSharing && c.w.accounts[id] != nil && len(c.w.accounts[id].organizationalUnits) > 0
		if !inside && !s.external {
			return shareAssociation{}, badRequest("OperationNotPermittedException", notInOrganization)
		}
		return shareAssociation{entity: id, principal: true, external: !inside, invited: !inside}, nil
	}
	parts := strings.SplitN(principal, ":", 6)
	if len(parts) != 6 || parts[1] != c.w.partition || parts[2] != "organizations" {
		return shareAssociation{}, badRequest("InvalidParameterException", "Principal ID %s is malformed. Verify the ID and try again.", principal)
	}
	known := member && o.resourceSharing && parts[4] == o.managementAccount
	kind, path, _ := strings.Cut(parts[5], "/")
	organization, unit, _ := strings.Cut(path, "/")
	switch {
	case kind == "organization" && (!known || organization != o.id):
		return shareAssociation{}, badRequest("UnknownResourceException", "Organization %s could not be found.", organization)
	case kind == "ou" && (!known || organization != o.id || o.units[unit] == nil):
		return shareAssociation{}, badRequest("UnknownResourceException", "OrganizationalUnit %s could not be found.", unit)
	case kind != "organization" && kind != "ou":
		return shareAssociation{}, badRequest("InvalidParameterException", "Principal ID %s is malformed. Verify the ID and try again.", principal)
	}
	return shareAssociation{entity: principal, principal: true}, nil
}

// shareableParameter rejects what isn't an advanced parameter of the caller. Fact: SSM-11,
// RAM-10.
func (c *call) shareableParameter(resource string) *Error {
	for key, p := range c.w.ssm.parameters {
		if key.account == c.caller.Account && key.region == c.region && resource == c.parameterARN(key.name) {
			if p.tier != tierAdvanced {
				return badRequest("InvalidParameterException", "Parameter %s is not in the advanced tier.", resource)
			}
			return nil
		}
	}
	return badRequest("UnknownResourceException", "Resource %s could not be found.", resource)
}

type resourceShareRequest struct {
	ResourceShareArn        string   `json:"resourceShareArn"`
	ClientToken             string   `json:"clientToken"`
	Principals              []string `json:"principals"`
	ResourceArns            []string `json:"resourceArns"`
	Name                    string   `json:"name"`
	AllowExternalPrincipals *bool    `json:"allowExternalPrincipals"`
}

// ownShare finds the caller's share and asks for the permission.
func (c *call) ownShare() (*resourceShare, resourceShareRequest, error) {
	r, err := decodeJSON[resourceShareRequest](c)
	if err != nil {
		return nil, r, err
	}
	for _, s := range c.w.shares {
		if s.arn == r.ResourceShareArn && s.account == c.caller.Account && s.region == c.region {
			if problem := c.mayShare(c.operation, s.arn, "ram:AllowsExternalPrincipals", s.external); problem != nil {
				return nil, r, problem
			}
			return s, r, nil
		}
	}
	return nil, r, badRequest("UnknownResourceException", "ResourceShare %s could not be found.", r.ResourceShareArn)
}

func associateResourceShare(c *call) (any, error) {
	s, r, err := c.ownShare()
	if err != nil {
		return nil, err
	}
	if problem := c.associate(s, r.Principals, r.ResourceArns); problem != nil {
		return nil, problem
	}
	return map[string]any{"resourceShareAssociations": s.describeAssociations(c.now)}, nil
}

func disassociateResourceShare(c *call) (any, error) {
	s, r, err := c.ownShare()
	if err != nil {
		return nil, err
	}
	for _, entity := range slices.Concat(r.Principals, r.ResourceArns) {
		i := slices.IndexFunc(s.associations, func(a shareAssociation) bool { return a.entity == entity && !a.ended })
		if i < 0 {
			return nil, badRequest("UnknownResourceException", "%s is not associated with the resource share.", entity)
		}
		s.associations[i].ended, s.associations[i].at = true, c.now.Add(c.w.options.PropagationLag)
	}
	return map[string]any{"resourceShareAssociations": s.describeAssociations(c.now)}, nil
}

func updateResourceShare(c *call) (any, error) {
	s, r, err := c.ownShare()
	if err != nil {
		return nil, err
	}
	if r.Name != "" {
		s.name = r.Name
	}
	if r.AllowExternalPrincipals != nil {
		s.external = *r.AllowExternalPrincipals
	}
	return map[string]any{"resourceShare": s.describe()}, nil
}

// enableSharingWithOrganization is for the management account. Fact: RAM-2.
func enableSharingWithOrganization(c *call) (any, error) {
	if o := c.w.organization; o == nil || c.caller.Account != o.managementAccount {
		return nil, badRequest("OperationNotPermittedException", "Only the management account of the organization can enable sharing.")
	}
	c.w.organization.resourceSharing = true
	return map[string]any{"returnValue": true}, nil
}
