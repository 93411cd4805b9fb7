package evaluate

import (
	"fmt"
	"strings"
)

// editKeyPolicy is [EditKeyPolicy] for the key. The link's reason names the statement
// to change.
func (a *admission) editKeyPolicy() string { return EditKeyPolicy(a.in.Name, a.ARN) }

// getKeyPolicy shows the key policy.
func (a *admission) getKeyPolicy() string { return getKeyPolicy(a.in.Name, a.ARN) }

// EditKeyPolicy returns the command that opens the policy of the Region's key in an
// editor and then sets it.
func EditKeyPolicy(region, keyARN string) string {
	return fmt.Sprintf(`%s > key-policy.json && "${EDITOR:-vi}" key-policy.json && aws kms put-key-policy --region %s --key-id %s --policy-name default --policy file://key-policy.json`,
		getKeyPolicy(region, keyARN), region, keyARN)
}

func getKeyPolicy(region, keyARN string) string {
	return fmt.Sprintf("aws kms get-key-policy --region %s --key-id %s --policy-name default --query Policy --output text", region, keyARN)
}

// listRolePolicies returns the command that shows the role's policies, one of
// which denies the request.
func (a *admission) listRolePolicies() string {
	return "aws iam list-role-policies --role-name " + a.by.name
}

// createGrant creates the grant that a service-linked role launches with, with
// the operations that AWS lists. Fact: GRANT-10, GRANT-13.
func (a *admission) createGrant() string {
	return fmt.Sprintf("aws kms create-grant --region %s --key-id %s --grantee-principal %s --operations %s",
		a.in.Name, a.ARN, a.by.arn, strings.Join(listedOperations, " "))
}

// credentials says that a remedy needs the credentials of the caller's account;
// empty if it is the account that owns the image.
func (a *admission) credentials() string { return a.in.credentials(a.by.account) }

func (r *Region) credentials(account string) string {
	if account == r.Image.Owner {
		return ""
	}
	return CredentialsOf(account)
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
		if a.from.via.there == yes {
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
