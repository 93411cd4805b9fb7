//go:generate packer-sdc struct-markdown

package publish

import (
	"slices"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/config"
	"github.com/orgami/packer-plugin-orgami/internal/config/pattern"
	"github.com/orgami/packer-plugin-orgami/internal/publish"
	"github.com/orgami/packer-plugin-orgami/internal/record/downstream"
	"github.com/orgami/packer-plugin-orgami/internal/ssmparam"
)

// The `ec2nodeclass` block describes the merge patch of Karpenter's EC2NodeClass. The
// patch replaces the class's list `amiSelectorTerms`. Requires
// `outputs = ["ec2nodeclass"]`.
type EC2NodeClassConfig struct {
	// `amiFamily` of the class: `AL2`, `AL2023`, `Bottlerocket`, `Windows2019`,
	// `Windows2022`, `Windows2025` or `Custom`. It decides how nodes join the cluster.
	// Karpenter requires it for an image that isn't selected by an alias.
	AMIFamily string `mapstructure:"ami_family" required:"true"`
	// Also write `blockDeviceMappings`: a volume of type `gp3` for each EBS device of
	// the image, with the device's name and the size of its snapshot. It replaces the
	// list of the class. Set it if the image has other devices or larger snapshots than
	// Karpenter expects of the family. Defaults to `false`.
	BlockDeviceMappings bool `mapstructure:"block_device_mappings"`
	// Encrypt these volumes with the image's key. Otherwise they are encrypted with the
	// default EBS key of the cluster's account. Requires `block_device_mappings`.
	// Defaults to `false`.
	EncryptWithKey bool `mapstructure:"encrypt_with_key"`
}

// The `ssm` block sets parameters of Parameter Store that hold the image's ID: one in
// each Region, in the publishing account. Requires `outputs = ["ssm"]`.
type SSMConfig struct {
	// Name of the parameter, for example `/golden-ami/x86_64/latest`. It can refer to
	// `{{ .Region }}` and `{{ .Architecture }}`. An existing parameter must have the
	// data type `aws:ec2:image`. Its earlier values stay in its history.
	Name string `mapstructure:"name" required:"true"`
	// Share each parameter through AWS RAM with the principals of the `share` block, so
	// that launch templates, Auto Scaling groups and Karpenter in these accounts can name
	// one ARN per Region: `resolve:ssm:ARN`. The parameters become advanced parameters,
	// which AWS charges for and which can't become standard ones again. RAM's sharing
	// with AWS Organizations must be on. Defaults to `false`.
	Share bool `mapstructure:"share"`
	// Let the parameters be shared with accounts of `share.accounts` that are outside the
	// organization. These accounts must accept RAM's invitation in each Region. Requires
	// `share`. Defaults to `false`: RAM rejects accounts outside the organization.
	ExternalAccounts bool `mapstructure:"external_accounts"`
}

func (c Config) validateOutputs(p *config.Problems) {
	var known []string
	for _, kind := range downstream.Kinds() {
		known = append(known, string(kind))
	}
	if c.Outputs != nil && len(c.Outputs) == 0 {
		p.Addf("outputs: the list is empty. Add an element, or omit the option")
	}
	for i, kind := range c.Outputs {
		p.OneOf("outputs", kind, known...)
		if slices.Index(c.Outputs, kind) < i {
			p.Addf("outputs: the list contains %q twice. Remove one", kind)
		}
	}
	c.validateNodeClass(p)
	wanted := slices.Contains(c.Outputs, string(downstream.SSM))
	switch {
	case c.SSM == nil && wanted:
		p.Addf(`ssm: the output "ssm" requires this block. Add ssm { name = "/golden-ami/{{ .Architecture }}/latest" }`)
	case c.SSM != nil && !wanted:
		p.Addf(`ssm: requires the output "ssm". Add it to outputs, or omit the block`)
	case c.SSM != nil:
		c.SSM.validate(p)
		c.validateSharedParameter(p)
	}
}

func (c Config) validateNodeClass(p *config.Problems) {
	wanted := slices.Contains(c.Outputs, string(downstream.EC2NodeClass))
	switch {
	case c.NodeClass == nil && wanted:
		p.Addf(`ec2nodeclass: the output "ec2nodeclass" requires this block. Add ec2nodeclass { ami_family = "AL2023" }`)
		return
	case c.NodeClass == nil:
		return
	case !wanted:
		p.Addf(`ec2nodeclass: requires the output "ec2nodeclass". Add it to outputs, or omit the block`)
	}
	if c.NodeClass.AMIFamily == "" {
		p.Addf("ec2nodeclass.ami_family is required. Set the amiFamily of the class, for example AL2023")
	} else {
		p.OneOf("ec2nodeclass.ami_family", c.NodeClass.AMIFamily, downstream.AMIFamilies()...)
	}
	if c.NodeClass.EncryptWithKey && !c.NodeClass.BlockDeviceMappings {
		p.Addf("ec2nodeclass.encrypt_with_key: requires `block_device_mappings = true`. Set that, or omit `encrypt_with_key`")
	}
}

func (c *EC2NodeClassConfig) spec() downstream.NodeClass {
	if c == nil {
		return downstream.NodeClass{}
	}
	return downstream.NodeClass{AMIFamily: c.AMIFamily, BlockDevices: c.BlockDeviceMappings, EncryptWithKey: c.EncryptWithKey}
}

func (c SSMConfig) validate(p *config.Problems) {
	if config.Unknown(c.Name) {
		return
	}
	name, err := ssmparam.Name(c.Name, "us-east-1", "x86_64")
	if err != nil {
		p.Addf("ssm.name: %w", err)
		return
	}
	if first, _, _ := strings.Cut(strings.ToLower(strings.TrimPrefix(name, "/")), "/"); strings.HasPrefix(first, "aws") || strings.HasPrefix(first, "ssm") {
		p.Addf("ssm.name: %q: AWS reserves names that begin with aws or ssm. Set another name", c.Name)
	}
	p.Check("ssm.name", name, pattern.Parameter)
}

func (c Config) validateSharedParameter(p *config.Problems) {
	switch {
	case c.SSM.ExternalAccounts && !c.SSM.Share:
		p.Addf("ssm.external_accounts: requires `share = true`. Set that, or omit `external_accounts`")
	case c.SSM.ExternalAccounts && (c.Share == nil || len(c.Share.Accounts) == 0):
		p.Addf("ssm.external_accounts: requires share.accounts. List the accounts there, or omit `external_accounts`")
	}
}

func (c Config) outputs() []downstream.Kind {
	var kinds []downstream.Kind
	for _, kind := range c.Outputs {
		kinds = append(kinds, downstream.Kind(kind))
	}
	return kinds
}

func (c *SSMConfig) spec() publish.ParameterSpec {
	if c == nil {
		return publish.ParameterSpec{}
	}
	return publish.ParameterSpec{Name: c.Name, Share: c.Share, ExternalAccounts: c.ExternalAccounts}
}
