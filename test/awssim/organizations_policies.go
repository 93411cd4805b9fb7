package awssim

import (
	"fmt"
	"slices"
)

type listPoliciesRequest struct {
	TargetID string `json:"TargetId"`
	Filter   string
	listPage
}

// listPoliciesForTarget lists the service control policies that are attached to an
// account, root or unit itself. A world file attaches all policies that apply to an
// account to the account. Fact: ORG-13.
func listPoliciesForTarget(c *call) (any, error) {
	r, o, err := administratorRequest[listPoliciesRequest](c)
	if err != nil {
		return nil, err
	}
	if r.Filter != "SERVICE_CONTROL_POLICY" {
		return nil, badRequest("InvalidInputException", "the simulator knows the policy type SERVICE_CONTROL_POLICY only, not %q", r.Filter)
	}
	a := c.w.accounts[r.TargetID]
	isAccount := a != nil && slices.Contains(a.organizationalUnits, o.rootID)
	if !isAccount && r.TargetID != o.rootID && o.units[r.TargetID] == nil {
		return nil, badRequest("TargetNotFoundException", "We can't find a root, OU, or account with the TargetId that you specified.")
	}
	full := map[string]any{
		"Id": "p-FullAWSAccess", "Name": "FullAWSAccess", "Type": r.Filter, "AwsManaged": true,
		"Arn": "arn:" + c.w.partition + ":organizations::aws:policy/service_control_policy/p-FullAWSAccess",
	}
	list := []map[string]any{full}
	if isAccount && len(a.controlPolicies) > 0 {
		list = nil
		for n := range a.controlPolicies {
			id := fmt.Sprintf("p-%s%02d", a.id, n+1)
			list = append(list, map[string]any{
				"Id": id, "Name": controlPolicyName(a.id, n), "Type": r.Filter, "AwsManaged": false,
				"Arn": c.w.arn("organizations", "", o.managementAccount, "policy/"+o.id+"/service_control_policy/"+id),
			})
		}
	}
	return page("Policies", list, r.listPage)
}

// controlPolicyName names the policies of a world file, which have no names there.
func controlPolicyName(account string, n int) string {
	return fmt.Sprintf("service control policy %d of account %s", n+1, account)
}
