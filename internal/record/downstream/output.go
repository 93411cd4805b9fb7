// Package downstream generates the documents that Karpenter, Terraform and
// CloudFormation read after a publication. It is pure.
package downstream

import (
	"fmt"
	"iter"

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
	// SSM isn't a document: it sets parameters.
	SSM Kind = "ssm"
)

// Kinds lists all kinds.
func Kinds() []Kind { return []Kind{EC2NodeClass, Terraform, CloudFormation, SSM} }

// Names of the files. There is one EC2NodeClass for each Region, because images differ.
const (
	TerraformFile      = "orgami.tfvars.json"
	CloudFormationFile = "orgami-member.template.json"
)

// EC2NodeClassFile is the name of the Region's file.
func EC2NodeClassFile(region string) string { return "ec2nodeclass-" + region + ".json" }

// Publication is a complete publication, from which the documents are
// generated.
type Publication struct {
	Manifest manifest.Manifest
	Policy   policy.Document // Karpenter's
	// Grants are those that the accounts create themselves, existing ones included.
	Grants iter.Seq[manifest.Grant]
	// MemberRole is the path and name of the role that the plugin assumes in member
	// accounts; empty if it assumes none.
	MemberRole string
	// GrantRoles are the paths and names of the roles that get grants.
	GrantRoles []string
	// GrantOperations are the operations of these grants.
	GrantOperations []string
	// Canary is the role that launches canaries; nil without a canary.
	Canary *Canary
	// Devices are the EBS devices of the images, by Region.
	Devices map[string][]Device
	// NodeClass is for the output [EC2NodeClass].
	NodeClass NodeClass
}

// Canary is the role that launches canaries in an account.
type Canary struct {
	Account string
	// Role is its path and name.
	Role string
	// AutoScaling means that it also launches through an Auto Scaling group.
	AutoScaling bool
}

// Documents are the documents of the kinds, by the names of their files.
func Documents(p Publication, kinds []Kind) (map[string]any, error) {
	documents := map[string]any{}
	for _, kind := range kinds {
		switch kind {
		case EC2NodeClass:
			for region, image := range p.Manifest.Images {
				documents[EC2NodeClassFile(region)] = nodeClass(image, p.Devices[region], p.NodeClass)
			}
		case Terraform:
			documents[TerraformFile] = terraform(p)
		case CloudFormation:
			documents[CloudFormationFile] = cloudFormation(p)
		case SSM:
		default:
			return nil, fmt.Errorf("output %q is not supported. Use %v", kind, Kinds())
		}
	}
	return documents, nil
}

// NodeClass is what the patch of an EC2NodeClass contains in addition to the image.
type NodeClass struct {
	// AMIFamily is the class's family. Karpenter requires one of an image that isn't
	// selected by an alias. Fact: LAUNCH-28.
	AMIFamily string
	// BlockDevices writes block device mappings that fit the image's snapshots.
	BlockDevices bool
	// EncryptWithKey makes these mappings name the image's key.
	EncryptWithKey bool
}

// AMIFamilies are the families that Karpenter knows.
func AMIFamilies() []string {
	return []string{"AL2", "AL2023", "Bottlerocket", "Windows2019", "Windows2022", "Windows2025", "Custom"}
}

// Device is an EBS device of an image.
type Device struct {
	Name string // /dev/xvda
	Size int32  // of its snapshot, in GiB
}

// nodeClassPatch is a merge patch of Karpenter's EC2NodeClass (karpenter.k8s.aws/v1).
type nodeClassPatch struct {
	APIVersion string        `json:"apiVersion"`
	Kind       string        `json:"kind"`
	Spec       nodeClassSpec `json:"spec"`
}

type nodeClassSpec struct {
	AMIFamily           string               `json:"amiFamily"`
	AMISelectorTerms    []amiSelectorTerm    `json:"amiSelectorTerms"`
	BlockDeviceMappings []blockDeviceMapping `json:"blockDeviceMappings,omitempty"`
}

type amiSelectorTerm struct {
	ID string `json:"id"`
}

type blockDeviceMapping struct {
	DeviceName string         `json:"deviceName"`
	EBS        blockDeviceEBS `json:"ebs"`
}

type blockDeviceEBS struct {
	DeleteOnTermination bool   `json:"deleteOnTermination"`
	Encrypted           bool   `json:"encrypted"`
	KMSKeyID            string `json:"kmsKeyID,omitempty"`
	VolumeSize          string `json:"volumeSize"`
	VolumeType          string `json:"volumeType"`
}

// nodeClass selects the Region's image by its ID, which no other image has. Any
// account can use the image's name.
func nodeClass(image manifest.Image, devices []Device, options NodeClass) nodeClassPatch {
	spec := nodeClassSpec{AMIFamily: options.AMIFamily, AMISelectorTerms: []amiSelectorTerm{{image.ImageID}}}
	if options.BlockDevices {
		for _, d := range devices {
			ebs := blockDeviceEBS{DeleteOnTermination: true, Encrypted: true, VolumeSize: fmt.Sprintf("%dGi", d.Size), VolumeType: "gp3"}
			if options.EncryptWithKey {
				ebs.KMSKeyID = image.KMSKeyARN
			}
			spec.BlockDeviceMappings = append(spec.BlockDeviceMappings, blockDeviceMapping{d.Name, ebs})
		}
	}
	return nodeClassPatch{APIVersion: "karpenter.k8s.aws/v1", Kind: "EC2NodeClass", Spec: spec}
}

// variables are the values of Terraform's variable "orgami".
type variables struct {
	Orgami terraformVariable `json:"orgami"`
}

type terraformVariable struct {
	Partition string `json:"partition"`
	Account   string `json:"account"` // the owner of key and images
	// OrganizationID is empty if the image isn't shared with an organization.
	OrganizationID string            `json:"organization_id"`
	Images         map[string]string `json:"images"` // IDs by Region
	// Parameters are the ARNs of the parameters that name the images, by Region; empty
	// if none are set.
	Parameters map[string]string `json:"parameters"`
	Key        terraformKey      `json:"key"`
	// KarpenterPolicy is the policy document as text.
	KarpenterPolicy string `json:"karpenter_policy"`
	// MemberRole is the path and name of the role that creates the grants of a member
	// account; empty if the accounts create them in another way.
	MemberRole string `json:"member_role"`
	// MemberPolicy is the policy document, as text, that lets the role read what
	// launches depend on.
	MemberPolicy string `json:"member_policy"`
	// GrantRoles are the paths and names of the roles that get grants.
	GrantRoles []string `json:"grant_roles"`
	// GrantOperations are the operations of these grants.
	GrantOperations []string `json:"grant_operations"`
	// Grants are by Region and name, which are the same in every run.
	Grants map[string]terraformGrant `json:"grants"`
}

type terraformKey struct {
	ID          string            `json:"id"`
	WildcardARN string            `json:"wildcard_arn"`
	ARNs        map[string]string `json:"arns"` // by Region
}

type terraformGrant struct {
	Account          string   `json:"account"` // the account whose credentials create the grant
	Region           string   `json:"region"`
	KeyARN           string   `json:"key_arn"`
	Name             string   `json:"name"`
	GranteePrincipal string   `json:"grantee_principal"`
	Operations       []string `json:"operations"`
}

func terraform(p Publication) variables {
	m := p.Manifest
	v := terraformVariable{
		Partition: m.Partition, Account: m.Account, Images: map[string]string{}, Parameters: map[string]string{}, KarpenterPolicy: p.Policy.String(),
		Key: terraformKey{ID: m.Key.ID, WildcardARN: m.Key.WildcardARN, ARNs: map[string]string{}}, Grants: map[string]terraformGrant{},
		MemberRole: p.MemberRole, MemberPolicy: policy.MemberPolicy(m.Partition).String(), GrantRoles: append([]string{}, p.GrantRoles...), GrantOperations: append([]string{}, p.GrantOperations...),
	}
	if m.Organization != nil {
		v.OrganizationID = m.Organization.ID
	}
	for region, image := range m.Images {
		v.Images[region] = image.ImageID
	}
	for region, p := range m.Parameters {
		v.Parameters[region] = p.ARN
	}
	for region, key := range m.Key.Regions {
		v.Key.ARNs[region] = key.ARN
	}
	for g := range p.Grants {
		v.Grants[g.Region+"/"+g.Name] = terraformGrant{g.Account, g.Region, g.KeyARN, g.Name, g.Role, g.Operations}
	}
	return variables{v}
}
