// Package downstream builds the documents that tools downstream of a publication
// take: Karpenter, Terraform, CloudFormation. It is pure.
package downstream

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/policy"
	"github.com/orgami/packer-plugin-orgami/internal/record/manifest"
)

// Kind is one of the outputs that a user can ask for.
type Kind string

// The kinds.
const (
	EC2NodeClass   Kind = "ec2nodeclass"
	Terraform      Kind = "terraform"
	CloudFormation Kind = "cloudformation"
	// SSM is no document: it sets parameters.
	SSM Kind = "ssm"
)

// Kinds lists all kinds.
func Kinds() []Kind { return []Kind{EC2NodeClass, Terraform, CloudFormation, SSM} }

// Names of the files. A NodeClass is a region's, as images are.
const (
	TerraformFile      = "orgami.tfvars.json"
	CloudFormationFile = "karpenter-kms-policy.template.json"
)

// EC2NodeClassFile is the name of the region's file.
func EC2NodeClassFile(region string) string { return "ec2nodeclass-" + region + ".json" }

// Publication is what the documents are made of. It is complete.
type Publication struct {
	Manifest manifest.Manifest
	Policy   policy.Document // Karpenter's
	// Grants are those that somebody else is to make; none where this plugin
	// made them.
	Grants iter.Seq[manifest.Grant]
}

// Documents are the documents of the kinds, by the names of their files.
func Documents(p Publication, kinds []Kind) (map[string]any, error) {
	documents := map[string]any{}
	for _, kind := range kinds {
		switch kind {
		case EC2NodeClass:
			for region, image := range p.Manifest.Images {
				documents[EC2NodeClassFile(region)] = nodeClass(image)
			}
		case Terraform:
			documents[TerraformFile] = terraform(p)
		case CloudFormation:
			documents[CloudFormationFile] = cloudFormation(p)
		case SSM:
		default:
			return nil, fmt.Errorf("output %q is unknown: use %v", kind, Kinds())
		}
	}
	return documents, nil
}

// nodeClassPatch is a merge patch of Karpenter's EC2NodeClass (karpenter.k8s.aws/v1).
type nodeClassPatch struct {
	APIVersion string        `json:"apiVersion"`
	Kind       string        `json:"kind"`
	Spec       nodeClassSpec `json:"spec"`
}

type nodeClassSpec struct {
	AMISelectorTerms []amiSelectorTerm `json:"amiSelectorTerms"`
}

type amiSelectorTerm struct {
	ID string `json:"id"`
}

// nodeClass selects the region's image by its id, which nobody else's image can
// have: a name can be anybody's.
func nodeClass(image manifest.Image) nodeClassPatch {
	return nodeClassPatch{APIVersion: "karpenter.k8s.aws/v1", Kind: "EC2NodeClass", Spec: nodeClassSpec{[]amiSelectorTerm{{image.ImageID}}}}
}

// variables are the values of Terraform's variable "orgami".
type variables struct {
	Orgami terraformVariable `json:"orgami"`
}

type terraformVariable struct {
	Partition string            `json:"partition"`
	Account   string            `json:"account"` // the owner of key and images
	Images    map[string]string `json:"images"`  // ids by region
	Key       terraformKey      `json:"key"`
	// KarpenterPolicy is the policy document as text.
	KarpenterPolicy string `json:"karpenter_policy"`
	// Grants are by region and name, which are the same in every run.
	Grants map[string]terraformGrant `json:"grants"`
}

type terraformKey struct {
	ID          string            `json:"id"`
	WildcardARN string            `json:"wildcard_arn"`
	ARNs        map[string]string `json:"arns"` // by region
}

type terraformGrant struct {
	Region           string   `json:"region"`
	KeyARN           string   `json:"key_arn"`
	Name             string   `json:"name"`
	GranteePrincipal string   `json:"grantee_principal"`
	Operations       []string `json:"operations"`
}

func terraform(p Publication) variables {
	m := p.Manifest
	v := terraformVariable{
		Partition: m.Partition, Account: m.Account, Images: map[string]string{}, KarpenterPolicy: p.Policy.String(),
		Key: terraformKey{ID: m.Key.ID, WildcardARN: m.Key.WildcardARN, ARNs: map[string]string{}}, Grants: map[string]terraformGrant{},
	}
	for region, image := range m.Images {
		v.Images[region] = image.ImageID
	}
	for region, key := range m.Key.Regions {
		v.Key.ARNs[region] = key.ARN
	}
	for g := range p.Grants {
		v.Grants[g.Region+"/"+g.Name] = terraformGrant{g.Region, g.KeyARN, g.Name, g.Role, g.Operations}
	}
	return variables{v}
}

// template is a CloudFormation template. It has no transform and names nothing
// unless told to, so that a StackSet can put it into every account.
type template struct {
	Version     string               `json:"AWSTemplateFormatVersion"`
	Description string               `json:"Description"`
	Parameters  map[string]parameter `json:"Parameters"`
	Conditions  map[string]any       `json:"Conditions"`
	Resources   map[string]resource  `json:"Resources"`
	Outputs     map[string]any       `json:"Outputs"`
}

type parameter struct {
	Type        string `json:"Type"`
	Default     string `json:"Default"`
	Description string `json:"Description"`
}

type resource struct {
	Type       string         `json:"Type"`
	Properties map[string]any `json:"Properties"`
}

func cloudFormation(p Publication) template {
	regions := slices.Sorted(maps.Keys(p.Manifest.Images))
	return template{
		Version:     "2010-09-09",
		Description: fmt.Sprintf("Lets Karpenter launch from AMIs under key %s of account %s. IAM is global: deploy it in one region of each account. Regions of the key: %s.", p.Manifest.Key.ID, p.Manifest.Account, strings.Join(regions, ", ")),
		Parameters: map[string]parameter{
			"KarpenterRoleNames": {Type: "CommaDelimitedList", Default: "", Description: "Names of roles to attach the policy to; empty attaches it to none."},
		},
		Conditions: map[string]any{
			"HasRoles": map[string]any{"Fn::Not": []any{map[string]any{"Fn::Equals": []any{map[string]any{"Fn::Join": []any{"", map[string]string{"Ref": "KarpenterRoleNames"}}}, ""}}}},
		},
		Resources: map[string]resource{
			"KarpenterKMSPolicy": {Type: "AWS::IAM::ManagedPolicy", Properties: map[string]any{
				"Description":    "Lets Karpenter launch from AMIs under key " + p.Manifest.Key.ID,
				"PolicyDocument": p.Policy,
				"Roles":          map[string]any{"Fn::If": []any{"HasRoles", map[string]string{"Ref": "KarpenterRoleNames"}, map[string]string{"Ref": "AWS::NoValue"}}},
			}},
		},
		Outputs: map[string]any{
			"PolicyArn": map[string]any{"Description": "The ARN of the policy", "Value": map[string]string{"Ref": "KarpenterKMSPolicy"}},
		},
	}
}
