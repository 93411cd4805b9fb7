package awssim

import (
	"net/http"
	"reflect"
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
	"DeleteResourceShare":              {mutating: true, ownAuthorization: true, handle: deleteResourceShare},
	"UpdateResourceShare":              {mutating: true, ownAuthorization: true, handle: updateResourceShare},
	"GetResourceShares":                {handle: getResourceShares},
	"GetResourceShareAssociations":     {handle: getResourceShareAssociations},
	"EnableSharingWithAwsOrganization": {mutating: true, handle: enableSharingWithOrganization},
}

// restTarget names the operation as the target header of the other JSON protocols does.
func restTarget(r *http.Request, operations map[string]operation) string {
	for name := range operations {
		if strings.EqualFold("/"+name, r.URL.Path) {
			return "." + name
		}
	}
	return "." + strings.Trim(r.URL.Path, "/")
}

type resourceShare struct {
	arn, name, account, region string
	// token is the client token of the request that created the share, and request is
	// what that asked for. Fact: RAM-11.
	token   string
	request createResourceShareRequest
	// external says that accounts outside the organization can be principals.
	external     bool
	created      time.Time
	deleted      bool
	tags         []ramTag
	associations []shareAssociation
}

type ramTag struct {
	Key   string `json:"key"`
	Value string `json:"value"`
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
// says otherwise. Fact: RAM-1, RAM-8, RAM-11.
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
	if r.ClientToken != "" {
		for _, earlier := range c.w.shares {
			switch {
			case earlier.account != s.account || earlier.region != s.region || earlier.token != r.ClientToken:
			case !reflect.DeepEqual(earlier.request, r):
				return nil, badRequest("IdempotentParameterMismatchException", "The client token was used with other parameters.")
			default:
				return map[string]any{"resourceShare": earlier.describe(), "clientToken": r.ClientToken}, nil
			}
		}
	}
	if problem := c.associate(s, r.Principals, r.ResourceArns); problem != nil {
		return nil, problem
	}
	s.token, s.request = r.ClientToken, r
	c.w.shares = append(c.w.shares, s)
	return map[string]any{"resourceShare": s.describe()}, nil
}

func (s *resourceShare) status() string {
	if s.deleted {
		return "DELETED"
	}
	return "ACTIVE"
}

func (s *resourceShare) describe() map[string]any {
	return map[string]any{
		"resourceShareArn": s.arn, "name": s.name, "owningAccountId": s.account, "allowExternalPrincipals": s.external,
		"status": s.status(), "tags": s.tags, "creationTime": s.created.Unix(), "lastUpdatedTime": s.created.Unix(), "featureSet": "STANDARD",
	}
}

type resourceShareRequest struct {
	ResourceShareArn        string   `json:"resourceShareArn"`
	ClientToken             string   `json:"clientToken"`
	Principals              []string `json:"principals"`
	ResourceArns            []string `json:"resourceArns"`
	Name                    string   `json:"name"`
	AllowExternalPrincipals *bool    `json:"allowExternalPrincipals"`
}

// requestedShare is the caller's share that the request names.
func (c *call) requestedShare() (*resourceShare, resourceShareRequest, error) {
	r, err := decodeJSON[resourceShareRequest](c)
	if err != nil {
		return nil, r, err
	}
	s, err := c.ownShare(r.ResourceShareArn)
	return s, r, err
}

// ownShare finds the caller's share and asks for the permission.
func (c *call) ownShare(arn string) (*resourceShare, error) {
	for _, s := range c.w.shares {
		if s.arn == arn && s.account == c.caller.Account && s.region == c.region && !s.deleted {
			if problem := c.mayShare(c.operation, s.arn, "ram:AllowsExternalPrincipals", s.external); problem != nil {
				return nil, problem
			}
			return s, nil
		}
	}
	return nil, badRequest("UnknownResourceException", "ResourceShare %s could not be found.", arn)
}

func associateResourceShare(c *call) (any, error) {
	s, r, err := c.requestedShare()
	if err != nil {
		return nil, err
	}
	if problem := c.associate(s, r.Principals, r.ResourceArns); problem != nil {
		return nil, problem
	}
	return map[string]any{"resourceShareAssociations": s.describeAssociations(c.now)}, nil
}

func disassociateResourceShare(c *call) (any, error) {
	s, r, err := c.requestedShare()
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

// deleteResourceShare ends the associations. RAM still lists the share, as DELETED. That
// the client token which created it still stands for it is the strictest reading of
// Fact: RAM-11.
func deleteResourceShare(c *call) (any, error) {
	s, err := c.ownShare(c.form.Get("resourceShareArn"))
	if err != nil {
		return nil, err
	}
	s.deleted = true
	for i := range s.associations {
		s.associations[i].ended, s.associations[i].at = true, c.now
	}
	return map[string]any{"returnValue": true}, nil
}

func updateResourceShare(c *call) (any, error) {
	s, r, err := c.requestedShare()
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
