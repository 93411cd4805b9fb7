package awssim

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
)

var organizationsOperations = map[string]operation{
	"DescribeOrganization":             {handle: describeOrganization},
	"ListRoots":                        {handle: listRoots},
	"ListAccounts":                     {handle: listAccounts},
	"ListAccountsForParent":            {handle: listAccountsForParent},
	"ListOrganizationalUnitsForParent": {handle: listOrganizationalUnitsForParent},
	"DescribeAccount":                  {handle: describeAccount},
	"ListParents":                      {handle: listParents},
	"ListPoliciesForTarget":            {handle: listPoliciesForTarget},
}

// organizationsRegions are the Regions of the service's endpoint, by partition. Fact:
// ORG-11, ORG-12.
var organizationsRegions = map[string]string{"aws": "us-east-1", "aws-us-gov": "us-gov-west-1", "aws-cn": "cn-northwest-1"}

// organizationOf returns the caller's organization. Only the management account
// and delegated administrators may list it. Fact: ORG-1, ORG-2.
func organizationOf(c *call, administrators bool) (*organization, *Error) {
	if c.region != organizationsRegions[c.w.partition] {
		return nil, badRequest("InvalidSignatureException", "Credential should be scoped to a valid region: %s", organizationsRegions[c.w.partition])
	}
	o := c.w.organization
	if o == nil || len(c.w.accounts[c.caller.Account].organizationalUnits) == 0 {
		return nil, badRequest("AWSOrganizationsNotInUseException", "Your account is not a member of an organization.")
	}
	if administrators && c.caller.Account != o.managementAccount && !o.delegatedAdmins[c.caller.Account] {
		return nil, badRequest("AccessDeniedException", "You don't have permissions to access this resource.")
	}
	return o, nil
}

func (w *World) organizationARN() string {
	o := w.organization
	return w.arn("organizations", "", o.managementAccount, "organization/"+o.id)
}

func describeOrganization(c *call) (any, error) {
	o, problem := organizationOf(c, false)
	if problem != nil {
		return nil, problem
	}
	return map[string]any{"Organization": map[string]any{
		"Id": o.id, "Arn": c.w.organizationARN(), "FeatureSet": "ALL",
		"MasterAccountId":  o.managementAccount,
		"MasterAccountArn": c.w.arn("organizations", "", o.managementAccount, "account/"+o.id+"/"+o.managementAccount),
	}}, nil
}

// administratorRequest decodes a request of the management account or a delegated
// administrator. Fact: ORG-2.
func administratorRequest[T any](c *call) (T, *organization, error) {
	r, err := decodeJSON[T](c)
	if err != nil {
		return r, nil, err
	}
	o, problem := organizationOf(c, true)
	if problem != nil {
		return r, nil, problem
	}
	return r, o, nil
}

type listRequest struct {
	ParentID  string `json:"ParentId"`
	ChildID   string `json:"ChildId"`
	AccountID string `json:"AccountId"`
	listPage
}

type listPage struct {
	NextToken  string
	MaxResults int
}

// page returns one page of a list, with at most 20 elements. Organizations may return
// an empty page with a token. Here, the first page is empty. Fact: ORG-3.
func page[T any](key string, all []T, r listPage) (any, error) {
	size := min(cmp.Or(r.MaxResults, 20), 20)
	if r.NextToken == "" {
		return map[string]any{key: []T{}, "NextToken": "0"}, nil
	}
	from, err := strconv.Atoi(r.NextToken)
	if err != nil || from < 0 || from > len(all) {
		return nil, badRequest("InvalidInputException", "You provided an invalid NextToken.")
	}
	to := min(from+size, len(all))
	answer := map[string]any{key: all[from:to]}
	if to < len(all) {
		answer["NextToken"] = strconv.Itoa(to)
	}
	return answer, nil
}

func (w *World) organizationAccount(a *account) map[string]any {
	return map[string]any{
		"Id": a.id, "Name": a.name, "Status": a.status, "State": a.status, "Email": a.id + "@example.com",
		"Arn": w.arn("organizations", "", w.organization.managementAccount, "account/"+w.organization.id+"/"+a.id),
	}
}

func listRoots(c *call) (any, error) {
	r, o, err := administratorRequest[listRequest](c)
	if err != nil {
		return nil, err
	}
	return page("Roots", []map[string]any{{
		"Id": o.rootID, "Name": "Root", "Arn": c.w.arn("organizations", "", o.managementAccount, "root/"+o.id+"/"+o.rootID),
	}}, r.listPage)
}

func listAccounts(c *call) (any, error) {
	r, _, err := administratorRequest[listRequest](c)
	if err != nil {
		return nil, err
	}
	return accountsWhere(c, r, func(*account) bool { return true })
}

func listAccountsForParent(c *call) (any, error) {
	r, _, err := parentRequest(c)
	if err != nil {
		return nil, err
	}
	return accountsWhere(c, r, func(a *account) bool {
		return a.organizationalUnits[len(a.organizationalUnits)-1] == r.ParentID
	})
}

// parentRequest is a request for the children of a root or unit, which must exist.
// Fact: ORG-4.
func parentRequest(c *call) (listRequest, *organization, error) {
	r, o, err := administratorRequest[listRequest](c)
	if err != nil {
		return r, nil, err
	}
	if r.ParentID != o.rootID && o.units[r.ParentID] == nil {
		return r, nil, badRequest("ParentNotFoundException", "We can't find a root or OU with the ParentId that you specified.")
	}
	return r, o, nil
}

func accountsWhere(c *call, r listRequest, keep func(*account) bool) (any, error) {
	list := []map[string]any{}
	for _, id := range slices.Sorted(maps.Keys(c.w.accounts)) {
		if a := c.w.accounts[id]; len(a.organizationalUnits) > 0 && keep(a) {
			list = append(list, c.w.organizationAccount(a))
		}
	}
	return page("Accounts", list, r.listPage)
}

func listOrganizationalUnitsForParent(c *call) (any, error) {
	r, o, err := parentRequest(c)
	if err != nil {
		return nil, err
	}
	list := []map[string]any{}
	for _, id := range slices.Sorted(maps.Keys(o.units)) {
		if unit := o.units[id]; unit.parent == r.ParentID {
			list = append(list, map[string]any{"Id": unit.id, "Name": unit.name, "Arn": c.w.arn("organizations", "", o.managementAccount, "ou/"+o.id+"/"+unit.id)})
		}
	}
	return page("OrganizationalUnits", list, r.listPage)
}

func describeAccount(c *call) (any, error) {
	r, _, err := administratorRequest[listRequest](c)
	if err != nil {
		return nil, err
	}
	a := c.w.accounts[r.AccountID]
	if a == nil || len(a.organizationalUnits) == 0 {
		return nil, badRequest("AccountNotFoundException", "You specified an account that doesn't exist.")
	}
	return map[string]any{"Account": c.w.organizationAccount(a)}, nil
}

func listParents(c *call) (any, error) {
	r, o, err := administratorRequest[listRequest](c)
	if err != nil {
		return nil, err
	}
	var parent string
	if a := c.w.accounts[r.ChildID]; a != nil && len(a.organizationalUnits) > 0 {
		parent = a.organizationalUnits[len(a.organizationalUnits)-1]
	} else if unit := o.units[r.ChildID]; unit != nil {
		parent = unit.parent
	} else {
		return nil, badRequest("ChildNotFoundException", "We can't find an organizational unit (OU) or AWS account with the ChildId that you specified.")
	}
	kind := "ORGANIZATIONAL_UNIT"
	if parent == o.rootID {
		kind = "ROOT"
	}
	return page("Parents", []map[string]any{{"Id": parent, "Type": kind}}, r.listPage)
}
