package evaluate

import (
	"fmt"
	"strings"
)

// putKeyPolicy sets a key policy in which the statements do not deny.
func (a *admission) putKeyPolicy(statements string) string {
	return fmt.Sprintf("aws kms put-key-policy --region %s --key-id %s --policy-name default --policy file://key-policy.json # with %s changed to spare %s",
		a.in.Name, a.ARN, statements, a.by.arn)
}

// getKeyPolicy shows the key policy.
func (a *admission) getKeyPolicy() string {
	return fmt.Sprintf("aws kms get-key-policy --region %s --key-id %s --policy-name default --output text", a.in.Name, a.ARN)
}

// listRolePolicies shows the policies of the role, one of which denies.
func (a *admission) listRolePolicies(statements string, o operations) string {
	return fmt.Sprintf("aws iam list-role-policies --role-name %s # and change %s, which denies %s", a.by.name, statements, o.actions())
}

// createGrant makes the grant that a service-linked role launches with. Fact: GRANT-13.
func (a *admission) createGrant() string {
	return fmt.Sprintf("aws kms create-grant --region %s --key-id %s --grantee-principal %s --operations %s",
		a.in.Name, a.ARN, a.by.arn, strings.Join(allNeeded.names(""), " "))
}

// keyPolicySnippet are statements that let the caller's account, or a
// service-linked role, do the operations through EC2.
func (a *admission) keyPolicySnippet(o operations) string {
	who := a.by.root
	if a.by.launcher.ServiceLinked {
		who = a.by.arn
	}
	return a.snippet(fmt.Sprintf(`"Principal":{"AWS":%q},`, who), "*", o)
}

// identityPolicySnippet are statements that let the role do the operations
// through EC2.
func (a *admission) identityPolicySnippet(o operations) string { return a.snippet("", a.ARN, o) }

// snippet are statements for the list of a policy: kms:CreateGrant has one of its
// own, for AWS's resources only. Fact: LAUNCH-4.
func (a *admission) snippet(who, resource string, o operations) string {
	var statements []string
	for _, granting := range []bool{false, true} {
		some := o & operationsOf(granting)
		if some == none {
			continue
		}
		var conditions []string
		if a.via.there == yes {
			conditions = append(conditions, fmt.Sprintf(`"StringEquals":{"kms:ViaService":%q}`, a.service))
		}
		if granting {
			conditions = append(conditions, `"Bool":{"kms:GrantIsForAWSResource":"true"}`)
		}
		condition := ""
		if len(conditions) > 0 {
			condition = `,"Condition":{` + strings.Join(conditions, ",") + "}"
		}
		statements = append(statements, fmt.Sprintf(`{"Effect":"Allow",%s"Action":["%s"],"Resource":%q%s}`,
			who, strings.Join(some.names("kms:"), `","`), resource, condition))
	}
	return strings.Join(statements, ", ")
}
