package awssim_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// simulated returns the policy simulator's result for the member's Karpenter role.
func simulated(t *testing.T, change func(*awssim.AccountFile, *awssim.RoleFile), action, resource string, context map[string]string) (types.EvaluationResult, types.ResourceSpecificResult) {
	t.Helper()
	file := awssim.DefaultWorld()
	for i := range file.Accounts {
		a := &file.Accounts[i]
		if a.ID != factMember {
			continue
		}
		for j := range a.Roles {
			if r := &a.Roles[j]; r.Name == awssim.LauncherRole {
				r.Policies = maps.Clone(r.Policies)
				change(a, r)
			}
		}
	}
	w := must(awssim.New(file, awssim.Options{}))(t)
	input := &iam.SimulatePrincipalPolicyInput{
		PolicySourceArn: aws.String("arn:aws:iam::" + factMember + ":role/" + awssim.LauncherRole), ActionNames: []string{action}, ResourceArns: []string{resource},
	}
	for key, value := range context {
		input.ContextEntries = append(input.ContextEntries, types.ContextEntry{ContextKeyName: &key, ContextKeyType: types.ContextKeyTypeEnumString, ContextKeyValues: []string{value}})
	}
	answer := must(iam.NewFromConfig(config(w, factMember, "us-east-1")).SimulatePrincipalPolicy(t.Context(), input))(t)
	if len(answer.EvaluationResults) != 1 || len(answer.EvaluationResults[0].ResourceSpecificResults) != 1 {
		t.Fatalf("%+v", answer)
	}
	result := answer.EvaluationResults[0]
	if result.OrganizationsDecisionDetail == nil {
		t.Error("no detail of the organization")
	}
	return result, result.ResourceSpecificResults[0]
}

// Fact: IAM-SIM-2 to IAM-SIM-11.
func TestSimulatePrincipalPolicy(t *testing.T) {
	const (
		own    = "arn:aws:kms:us-east-1:" + factMember + ":key/1"
		theirs = "arn:aws:kms:us-east-1:111111111111:key/1"
	)
	policy := func(statements string) func(*awssim.AccountFile, *awssim.RoleFile) {
		return func(_ *awssim.AccountFile, r *awssim.RoleFile) {
			r.Policies["kms"] = json.RawMessage(`{"Version":"2012-10-17","Statement":[` + statements + `]}`)
		}
	}
	const (
		allow   = `{"Effect":"Allow","Action":"kms:*","Resource":"*"}`
		deny    = `{"Effect":"Deny","Action":"kms:Decrypt","Resource":"*"}`
		via     = `{"Effect":"Allow","Action":"kms:*","Resource":"*","Condition":{"StringEquals":{"kms:ViaService":"ec2.us-east-1.amazonaws.com"}}}`
		another = `{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/team":"web"}}}`
	)
	bounded := func(actions string) func(*awssim.AccountFile, *awssim.RoleFile) {
		return func(a *awssim.AccountFile, r *awssim.RoleFile) {
			policy(allow)(a, r)
			r.PermissionsBoundary = json.RawMessage(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"` + actions + `","Resource":"*"}}`)
		}
	}
	controlled := func(documents ...string) func(*awssim.AccountFile, *awssim.RoleFile) {
		return func(a *awssim.AccountFile, r *awssim.RoleFile) {
			policy(allow)(a, r)
			for _, d := range documents {
				a.ServiceControlPolicies = append(a.ServiceControlPolicies, json.RawMessage(d))
			}
		}
	}
	tests := map[string]struct {
		change       func(*awssim.AccountFile, *awssim.RoleFile)
		resource     string
		context      map[string]string
		decision     types.PolicyEvaluationDecisionType
		identity     types.PolicyEvaluationDecisionType // of another account's key
		statements   int
		missing      string
		boundary     *bool
		organization bool
	}{
		"no policy":                          {func(*awssim.AccountFile, *awssim.RoleFile) {}, own, nil, "implicitDeny", "", 0, "", nil, true},
		"a policy":                           {policy(allow), own, nil, "allowed", "", 1, "", nil, true},
		"a denial is the only entry":         {policy(allow + "," + deny), own, nil, "explicitDeny", "", 1, "", nil, true},
		"another account's key":              {policy(allow), theirs, nil, "implicitDeny", "allowed", 0, "", nil, true},
		"another account's key, no policy":   {func(*awssim.AccountFile, *awssim.RoleFile) {}, theirs, nil, "implicitDeny", "implicitDeny", 0, "", nil, true},
		"another account's key, denied":      {policy(deny), theirs, nil, "explicitDeny", "explicitDeny", 1, "", nil, true},
		"a key that is missing":              {policy(via), own, nil, "implicitDeny", "", 0, "kms:ViaService", nil, true},
		"a key that is given":                {policy(via), own, map[string]string{"KMS:viaservice": "ec2.us-east-1.amazonaws.com"}, "allowed", "", 1, "", nil, true},
		"a key of another action":            {policy(allow + "," + another), own, nil, "allowed", "", 1, "", nil, true},
		"a boundary that allows":             {bounded("kms:*"), own, nil, "allowed", "", 1, "", aws.Bool(true), true},
		"a boundary that doesn't":            {bounded("ec2:*"), own, nil, "implicitDeny", "", 1, "", aws.Bool(false), true},
		"the organization allows":            {controlled(awssim.FullAWSAccess), own, nil, "allowed", "", 1, "", nil, true},
		"the organization doesn't allow":     {controlled(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["ec2:*","iam:*"],"Resource":"*"}}`), own, nil, "implicitDeny", "", 0, "", nil, false},
		"the organization denies, unnoticed": {controlled(awssim.FullAWSAccess, `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"kms:*","Resource":"*","Condition":{"StringNotEquals":{"aws:RequestedRegion":"us-east-1"}}}}`), own, nil, "explicitDeny", "", 0, "", nil, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result, r := simulated(t, test.change, "kms:Decrypt", test.resource, test.context)
			if result.EvalDecision != test.decision || r.EvalResourceDecision != test.decision || *r.EvalResourceName != test.resource {
				t.Errorf("%s, %s on %s", result.EvalDecision, r.EvalResourceDecision, *r.EvalResourceName)
			}
			if got := r.EvalDecisionDetails["IAM Policy"]; got != test.identity {
				t.Errorf("details: %v", r.EvalDecisionDetails)
			}
			if len(r.MatchedStatements) != test.statements || strings.Join(r.MissingContextValues, " ") != test.missing {
				t.Errorf("statements %v, missing %v", r.MatchedStatements, r.MissingContextValues)
			}
			if got := r.PermissionsBoundaryDecisionDetail; (got == nil) != (test.boundary == nil) || got != nil && got.AllowedByPermissionsBoundary != *test.boundary {
				t.Errorf("boundary %+v", got)
			}
			if result.OrganizationsDecisionDetail.AllowedByOrganizations != test.organization {
				t.Errorf("organization %+v", result.OrganizationsDecisionDetail)
			}
		})
	}
}

// Lists of roles and results are returned in pages, which can be shorter than
// requested. Only roles of the account itself are simulated. Fact: IAM-SIM-1.
func TestRolesInPages(t *testing.T) {
	t.Parallel()
	w := must(awssim.New(awssim.DefaultWorld(), awssim.Options{}))(t)
	client := iam.NewFromConfig(config(w, factMember, "us-east-1"))
	var names []string
	pages := 0
	for p := iam.NewListRolesPaginator(client, &iam.ListRolesInput{MaxItems: aws.Int32(2)}); p.HasMorePages(); pages++ {
		for _, r := range must(p.NextPage(t.Context()))(t).Roles {
			names = append(names, *r.Path+*r.RoleName)
		}
	}
	want := []string{
		"/aws-service-role/ecs.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_ECSService",
		"/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling", "/" + awssim.LauncherRole, "/" + awssim.GrantRole,
	}
	for _, name := range want {
		if !slices.Contains(names, name) {
			t.Errorf("%s is not among %v", name, names)
		}
	}
	if pages != len(names) {
		t.Errorf("%d pages of %d roles", pages, len(names))
	}
	_, err := client.ListRoles(t.Context(), &iam.ListRolesInput{MaxItems: aws.Int32(0)})
	wantCode(t, err, "ValidationError")
	role := aws.String("arn:aws:iam::" + factMember + ":role/" + awssim.LauncherRole)
	actions := 0
	for p := iam.NewSimulatePrincipalPolicyPaginator(client, &iam.SimulatePrincipalPolicyInput{
		PolicySourceArn: role, ActionNames: []string{"kms:Decrypt", "kms:CreateGrant", "ec2:RunInstances"}, MaxItems: aws.Int32(2),
	}); p.HasMorePages(); {
		actions += len(must(p.NextPage(t.Context()))(t).EvaluationResults)
	}
	if actions != 3 {
		t.Errorf("%d actions", actions)
	}
	_, err = client.SimulatePrincipalPolicy(t.Context(), &iam.SimulatePrincipalPolicyInput{PolicySourceArn: aws.String("arn:aws:iam::333333333333:role/" + awssim.LauncherRole), ActionNames: []string{"kms:Decrypt"}})
	wantCode(t, err, "NoSuchEntity")
	_, err = client.SimulatePrincipalPolicy(t.Context(), &iam.SimulatePrincipalPolicyInput{PolicySourceArn: role, ActionNames: []string{"kms:Decrypt"}, ResourcePolicy: aws.String("{}")})
	wantCode(t, err, "InvalidInput")
}
