package downstream

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/policy"
)

// template is a CloudFormation template. It has no transform, and it names nothing
// but the member role, so that a StackSet can deploy it to every account.
type template struct {
	Version     string               `json:"AWSTemplateFormatVersion"`
	Description string               `json:"Description"`
	Parameters  map[string]parameter `json:"Parameters"`
	Conditions  map[string]any       `json:"Conditions"`
	Resources   map[string]resource  `json:"Resources"`
	Outputs     map[string]any       `json:"Outputs"`
}

type parameter struct {
	Type          string   `json:"Type"`
	Default       string   `json:"Default"`
	AllowedValues []string `json:"AllowedValues,omitempty"`
	Description   string   `json:"Description"`
}

type resource struct {
	Type       string         `json:"Type"`
	Condition  string         `json:"Condition,omitempty"`
	Metadata   map[string]any `json:"Metadata,omitempty"`
	Properties map[string]any `json:"Properties"`
}

// cloudFormation is the template of a member account: Karpenter's managed policy, the
// role that creates the account's grants, and, if the parameters ask for them, the
// service-linked roles that get these grants. It has no grants, because AWS::KMS has no
// resource type for them.
func cloudFormation(p Publication) template {
	regions := slices.Sorted(maps.Keys(p.Manifest.Images))
	t := template{
		Version:     "2010-09-09",
		Description: fmt.Sprintf("Lets an account launch from AMIs that account %s publishes, encrypted with key %s. IAM is global: deploy it in one Region of each account. Regions of the key: %s.", p.Manifest.Account, p.Manifest.Key.ID, strings.Join(regions, ", ")),
		Parameters: map[string]parameter{
			"KarpenterRoleNames": {Type: "CommaDelimitedList", Default: "", Description: "Names of roles to attach Karpenter's policy to. Defaults to no role."},
		},
		Conditions: map[string]any{
			"HasRoles": fn("Not", []any{fn("Equals", []any{fn("Join", []any{"", ref("KarpenterRoleNames")}), ""})}),
		},
		Resources: map[string]resource{
			"KarpenterKMSPolicy": {Type: "AWS::IAM::ManagedPolicy", Properties: map[string]any{
				"Description":    "Lets Karpenter launch from AMIs encrypted with key " + p.Manifest.Key.ID,
				"PolicyDocument": p.Policy,
				"Roles":          fn("If", []any{"HasRoles", ref("KarpenterRoleNames"), ref("AWS::NoValue")}),
			}},
		},
		Outputs: map[string]any{
			"PolicyArn": map[string]any{"Description": "The ARN of Karpenter's policy", "Value": ref("KarpenterKMSPolicy")},
		},
	}
	if p.MemberRole != "" && len(p.GrantRoles) > 0 {
		t.Resources["MemberRole"] = memberRole(p)
		t.Outputs["MemberRoleArn"] = map[string]any{"Description": "The ARN of the role that creates this account's grants", "Value": fn("GetAtt", []string{"MemberRole", "Arn"})}
	}
	if p.Canary != nil {
		t.Conditions["IsCanaryAccount"] = fn("Equals", []any{ref("AWS::AccountId"), p.Canary.Account})
		t.Resources["CanaryRole"] = canaryRole(p)
	}
	for _, role := range p.GrantRoles {
		t.addServiceLinkedRole(role)
	}
	return t
}

// canaryRole is the role that the publisher assumes to launch canaries, in the
// canary's account only.
func canaryRole(p Publication) resource {
	directory, name := path.Split("/" + p.Canary.Role)
	return resource{
		Type: "AWS::IAM::Role", Condition: "IsCanaryAccount",
		Properties: map[string]any{
			"Path": directory, "RoleName": name,
			"Description":              "Launches canaries of AMIs of account " + p.Manifest.Account + ", and terminates them",
			"AssumeRolePolicyDocument": map[string]any{"Version": "2012-10-17", "Statement": []any{publisherTrust(p)}},
			"Policies": []any{map[string]any{
				"PolicyName":     "launch-canaries",
				"PolicyDocument": policy.Canary(p.Manifest.Partition, p.Manifest.Key.WildcardARN, p.Canary.AutoScaling),
			}},
		},
	}
}

// publisherTrust lets the publisher assume a role.
func publisherTrust(p Publication) map[string]any {
	trust := map[string]any{
		"Effect": "Allow", "Action": "sts:AssumeRole",
		"Principal": map[string]any{"AWS": sub("arn:${AWS::Partition}:iam::" + p.Manifest.Account + ":root")},
	}
	if o := p.Manifest.Organization; o != nil {
		trust["Condition"] = map[string]any{"StringEquals": map[string]string{"aws:PrincipalOrgID": o.ID}}
	}
	return trust
}

// memberRole is the role that the publisher assumes to create the account's grants, and
// to read what launches there depend on. It has no other permissions. Fact: GRANT-9.
func memberRole(p Publication) resource {
	directory, name := path.Split("/" + p.MemberRole)
	grantees := make([]any, len(p.GrantRoles))
	for i, role := range p.GrantRoles {
		grantees[i] = sub("arn:${AWS::Partition}:iam::${AWS::AccountId}:role/" + role)
	}
	return resource{
		Type:     "AWS::IAM::Role",
		Metadata: map[string]any{"Statements": memberStatements(p.Manifest.Partition)},
		Properties: map[string]any{
			"Path": directory, "RoleName": name,
			"Description":              "Creates this account's KMS grants for AMIs of account " + p.Manifest.Account + ", and reads what launches of them depend on",
			"AssumeRolePolicyDocument": map[string]any{"Version": "2012-10-17", "Statement": []any{publisherTrust(p)}},
			"Policies": []any{map[string]any{"PolicyName": "create-grants", "PolicyDocument": map[string]any{
				"Version": "2012-10-17",
				"Statement": []any{map[string]any{
					"Sid": "CreateGrants", "Effect": "Allow", "Action": "kms:CreateGrant", "Resource": p.Manifest.Key.WildcardARN,
					"Condition": map[string]any{
						"StringEquals":              map[string]any{"kms:GranteePrincipal": grantees},
						"ForAllValues:StringEquals": map[string]any{"kms:GrantOperations": p.GrantOperations},
						"Null":                      map[string]any{"kms:GrantOperations": "false"},
					},
				}},
			}}, map[string]any{"PolicyName": "inspect-account", "PolicyDocument": policy.MemberPolicy(p.Manifest.Partition)}},
		},
	}
}

// memberStatements returns why the role has each statement.
func memberStatements(partition string) map[string]string {
	why := map[string]string{
		"CreateGrants": "creates the grants on the publisher's key for this account's service-linked roles, which must be created by this account",
	}
	for _, read := range policy.MemberReads(partition) {
		why[read.Statement.Sid] = read.Why + ". Can be removed: the launch checks then assume it"
	}
	return why
}

// addServiceLinkedRole adds the role, disabled by default: AWS creates it when the
// account first uses the service, and creating it again fails.
func (t *template) addServiceLinkedRole(role string) {
	directory, name := path.Split(role)
	service, linked := strings.CutPrefix(strings.TrimSuffix(directory, "/"), "aws-service-role/")
	if !linked {
		return
	}
	id := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, name)
	t.Parameters["Create"+id] = parameter{
		Type: "String", Default: "false", AllowedValues: []string{"true", "false"},
		Description: "Create " + name + ". Keep false if the account has the role, because creating it again fails.",
	}
	t.Conditions["Creates"+id] = fn("Equals", []any{ref("Create" + id), "true"})
	properties := map[string]any{"AWSServiceName": service}
	if suffix, found := strings.CutPrefix(name, "AWSServiceRoleForAutoScaling_"); found {
		properties["CustomSuffix"] = suffix
	}
	t.Resources[id] = resource{Type: "AWS::IAM::ServiceLinkedRole", Condition: "Creates" + id, Properties: properties}
}

func fn(name string, arguments any) map[string]any { return map[string]any{"Fn::" + name: arguments} }

func ref(name string) map[string]any { return map[string]any{"Ref": name} }

func sub(text string) map[string]any { return fn("Sub", text) }
