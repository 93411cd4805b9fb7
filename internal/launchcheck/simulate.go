package launchcheck

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/grant"
	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
)

// launchRoles are the account's roles that the patterns match.
func (i *inspector) launchRoles() []string {
	members := Members{accounts: map[string]memberAccount{i.id: i.found}}
	var found []string
	for _, pattern := range append([]string{karpenterRoles}, i.Roles...) {
		roles, _ := members.Matching(i.id, pattern)
		found = append(found, roles...)
	}
	return slices.Compact(slices.Sorted(slices.Values(found)))
}

// simulate asks IAM, for each role that launches, what its policies, its permissions
// boundary and the organization allow in the Region. It doesn't ask for service-linked
// roles, because none of this limits them. Fact: IAM-SIM-2, IAM-ROLE-8, IAM-EVAL-13.
func (i *inspector) simulate(ctx context.Context, clients *awsclient.Clients, region string) {
	if len(i.Keys[region]) == 0 {
		return
	}
	for _, role := range i.launchRoles() {
		if strings.HasPrefix(role, "aws-service-role/") {
			continue
		}
		simulation := evaluate.Simulation{}
		for _, question := range i.questions(role, region) {
			if err := i.ask(ctx, clients, question, simulation); err != nil {
				i.read("iam:SimulatePrincipalPolicy", awsclient.Wrap(err, "simulating the role %s of account %s", role, i.id), nil)
				return
			}
		}
		i.read("", nil, func() {
			if i.found.settings.Simulations[region] == nil {
				i.found.settings.Simulations[region] = map[string]evaluate.Simulation{}
			}
			i.found.settings.Simulations[region][role] = simulation
		})
	}
}

// question is one simulation: actions with the same context.
type question struct {
	role      string // ARN
	actions   []string
	resources []string
	context   map[string][]string
	// absent are prefixes, in lower case, of context keys that the real request doesn't
	// have.
	absent []string
}

// Context keys that requests don't have: those of AWS services that call for
// themselves, of the tags of a request without tags, of grants, and of other services.
// Fact: IAM-EVAL-12, KMS-COND-1, KMS-COND-6.
var (
	absentAlways   = []string{"aws:sourceaccount", "aws:sourcearn", "aws:sourceorgid", "aws:sourceorgpaths", "aws:principalservicename"}
	absentInKMS    = append([]string{"ec2:", "aws:requesttag/", "aws:tagkeys"}, absentAlways...)
	absentInUse    = append([]string{"kms:grant", "kms:retiringprincipal"}, absentInKMS...)
	absentInLaunch = append([]string{"kms:"}, absentAlways...)
)

// missing are the context keys that IAM misses and that the real request may have.
// Fact: IAM-SIM-10.
func (q question) missing(keys []string) []string {
	return slices.DeleteFunc(slices.Clone(keys), func(key string) bool {
		return slices.ContainsFunc(q.absent, func(prefix string) bool { return strings.HasPrefix(strings.ToLower(key), prefix) })
	})
}

// questions returns those about a role: the use of the keys through EC2, the grant
// that EC2 asks for, and the launch itself. Their context keys differ: a key that the
// real request doesn't have could let a condition hold. Fact: IAM-EVAL-9 to
// IAM-EVAL-11, IAM-EVAL-16, KMS-COND-1, KMS-COND-6, LAUNCH-4, IAM-SIM-9.
func (i *inspector) questions(role, region string) []question {
	roleARN := grant.RoleARN(i.Partition, i.id, role)
	with := func(more map[string][]string) map[string][]string {
		all := map[string][]string{
			"aws:PrincipalAccount": {i.id}, "aws:PrincipalArn": {roleARN}, "aws:PrincipalType": {"AssumedRole"},
			"aws:PrincipalIsAWSService": {"false"}, "aws:RequestedRegion": {region},
		}
		if o := i.found.organization; o != "" && o != "none" {
			all["aws:PrincipalOrgID"] = []string{o}
		}
		maps.Copy(all, more)
		return all
	}
	throughEC2 := map[string][]string{"aws:ViaAWSService": {"true"}, "kms:CallerAccount": {i.id}}
	if service, confirmed := policy.EC2Service(i.Partition, region); confirmed {
		throughEC2["kms:ViaService"] = []string{service}
	}
	granting := map[string][]string{"kms:GrantIsForAWSResource": {"true"}, "kms:GrantOperations": {"Decrypt"}}
	maps.Copy(granting, throughEC2)
	// The organization's policies are asked about all resources that a launch needs.
	// Fact: IAM-EVAL-18.
	ofEC2 := "arn:" + i.Partition + ":ec2:" + region + ":" + i.id
	image := evaluate.ImageARN(i.Partition, region, cmp.Or(i.Images[region], evaluate.UnknownImage))
	launching := map[string][]string{"aws:ViaAWSService": {"false"}, "ec2:Region": {region}, "ec2:Owner": {i.Owner}, "ec2:Public": {"false"}}
	resources := []string{image}
	for _, kind := range []string{"instance", "network-interface", "security-group", "subnet", "volume"} {
		resources = append(resources, ofEC2+":"+kind+"/*")
	}
	use, grants, launch := evaluate.SimulatedActions()
	keys := i.keys(region)
	return []question{
		{roleARN, use, keys, with(throughEC2), absentInUse},
		{roleARN, grants, keys, with(granting), absentInKMS},
		{roleARN, launch, resources, with(launching), absentInLaunch},
	}
}

// keys are the images' keys and the account's default EBS key.
func (i *inspector) keys(region string) []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	volumes := i.found.settings.DefaultEBSKeys[region].ARN
	if !strings.Contains(volumes, ":key/") {
		volumes = evaluate.AWSManagedKeyARN(i.Partition, region, i.id)
	}
	return append(slices.Clone(i.Keys[region]), volumes)
}

// ask adds what IAM returns to the simulation.
func (i *inspector) ask(ctx context.Context, clients *awsclient.Clients, q question, to evaluate.Simulation) error {
	input := &iam.SimulatePrincipalPolicyInput{PolicySourceArn: &q.role, ActionNames: q.actions, ResourceArns: q.resources}
	for key, values := range q.context {
		input.ContextEntries = append(input.ContextEntries, types.ContextEntry{
			ContextKeyName: aws.String(key), ContextKeyType: typeOf(key), ContextKeyValues: values,
		})
	}
	answered := map[string]bool{}
	for client, more := clients.IAM(), true; more; {
		page, err := client.SimulatePrincipalPolicy(ctx, input)
		if err != nil {
			return err
		}
		for _, result := range page.EvaluationResults {
			answered[aws.ToString(result.EvalActionName)] = true
			i.add(q, result, to)
		}
		input.Marker = page.Marker
		more = page.IsTruncated && aws.ToString(page.Marker) != ""
	}
	for _, action := range q.actions {
		if !answered[action] {
			return awsclient.Incomplete("IAM SimulatePrincipalPolicy", clients.Region(), "the action "+action)
		}
	}
	return nil
}

// typeOf is the type of a context key's value.
func typeOf(key string) types.ContextKeyTypeEnum {
	switch key {
	case "aws:ViaAWSService", "aws:PrincipalIsAWSService", "kms:GrantIsForAWSResource", "ec2:Public":
		return types.ContextKeyTypeEnumBoolean
	case "kms:GrantOperations":
		return types.ContextKeyTypeEnumStringList
	default:
		return types.ContextKeyTypeEnumString
	}
}

// add converts the results of one action.
func (i *inspector) add(q question, result types.EvaluationResult, to evaluate.Simulation) {
	var organization *bool
	if detail := result.OrganizationsDecisionDetail; detail != nil {
		organization = &detail.AllowedByOrganizations
	}
	for _, r := range result.ResourceSpecificResults {
		resource := aws.ToString(r.EvalResourceName)
		if strings.Contains(resource, ":ec2:") && !strings.Contains(resource, ":image/") {
			continue // only the organization's policies are asked about it
		}
		one := evaluate.SimulatedResult{Organization: organization, Missing: q.missing(r.MissingContextValues), Identity: i.identityOf(resource, r)}
		if organization != nil && !*organization {
			one.Identity = "" // the simulation ended. Fact: IAM-SIM-8.
			if r.EvalResourceDecision == types.PolicyEvaluationDecisionTypeExplicitDeny && len(r.MatchedStatements) > 0 {
				one.Identity = evaluate.SimulatedExplicitDeny
			}
		}
		for _, s := range r.MatchedStatements {
			one.Policies = append(one.Policies, aws.ToString(s.SourcePolicyId))
		}
		if detail := r.PermissionsBoundaryDecisionDetail; detail != nil {
			one.Boundary = &detail.AllowedByPermissionsBoundary
		}
		to[evaluate.SimulatedRequest{Action: aws.ToString(result.EvalActionName), Resource: resource}] = one
	}
}

// identityOf is the decision of the role's identity policies. For a resource of
// another account, it's a part of the decision; without that part, a denial can be
// that of the resource's policy, which the simulation doesn't have. A boundary that
// doesn't allow it hides what they decide. Fact: IAM-SIM-3, IAM-SIM-5, IAM-SIM-11.
func (i *inspector) identityOf(resource string, r types.ResourceSpecificResult) evaluate.SimulatedDecision {
	for key, decision := range r.EvalDecisionDetails {
		if name := strings.ToLower(key); strings.Contains(name, "iam") || strings.Contains(name, "identity") {
			return evaluate.SimulatedDecision(decision)
		}
	}
	parsed, err := arn.Parse(resource)
	ofOther := err != nil || parsed.AccountID != "" && parsed.AccountID != i.id
	bounded := r.PermissionsBoundaryDecisionDetail != nil && !r.PermissionsBoundaryDecisionDetail.AllowedByPermissionsBoundary
	if r.EvalResourceDecision == types.PolicyEvaluationDecisionTypeImplicitDeny && (ofOther || bounded) ||
		r.EvalResourceDecision == types.PolicyEvaluationDecisionTypeExplicitDeny && bounded && len(r.MatchedStatements) == 0 {
		return ""
	}
	return evaluate.SimulatedDecision(r.EvalResourceDecision)
}

// unattached adds the verdicts on launchers with policies. A launch that lacks only the
// policy that the plugin writes is pending: the account has to attach it.
func unattached(to *found, input evaluate.Input, region evaluate.Region) {
	now, attached := input.In(region), input.In(region)
	keys := slices.Collect(maps.Keys(region.Keys))
	withPolicy := func(a evaluate.Account) []evaluate.Verdict { return attached.Verdicts(withPolicies(a, keys)) }
	to.look(input.Accounts, now, withPolicy, func(v evaluate.Verdict, then func() evaluate.Verdict) evaluate.Verdict {
		broken, _ := v.Broken()
		if v.Outcome != evaluate.Fails || broken.Name != evaluate.LinkIdentityPolicy || broken.Evidence != evaluate.Simulated {
			return v
		}
		if with := then(); with.Outcome == evaluate.Launches {
			return waiting(with, broken)
		}
		return v
	})
	to.assume(now)
}

// withPolicies is the account with the policy that the plugin writes in every role.
func withPolicies(a evaluate.Account, keys []string) evaluate.Account {
	simulations := map[string]map[string]evaluate.Simulation{}
	for region, roles := range a.Simulations {
		simulations[region] = map[string]evaluate.Simulation{}
		for role, s := range roles {
			simulations[region][role] = s.WithPolicy(keys)
		}
	}
	a.Simulations = simulations
	return a
}
