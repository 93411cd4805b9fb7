//go:generate packer-sdc struct-markdown

package publish

import (
	"slices"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/config"
	"github.com/orgami/packer-plugin-orgami/internal/config/pattern"
	"github.com/orgami/packer-plugin-orgami/internal/record/downstream"
	"github.com/orgami/packer-plugin-orgami/internal/ssmparam"
)

// The `ssm` block sets parameters of Parameter Store that hold the image's ID: one in
// each Region, in the publishing account. Requires `outputs = ["ssm"]`.
type SSMConfig struct {
	// Name of the parameter, for example `/golden-ami/latest`. It can refer to
	// `{{ .Region }}` and `{{ .Architecture }}`. An existing parameter must have the
	// data type `aws:ec2:image`. Its earlier values stay in its history.
	Name string `mapstructure:"name" required:"true"`
}

func (c Config) validateOutputs(p *config.Problems) {
	var known []string
	for _, kind := range downstream.Kinds() {
		known = append(known, string(kind))
	}
	if c.Outputs != nil && len(c.Outputs) == 0 {
		p.Addf("outputs: the list is empty: name at least one element, or leave the field out")
	}
	for i, kind := range c.Outputs {
		p.OneOf("outputs", kind, known...)
		if slices.Index(c.Outputs, kind) < i {
			p.Addf("outputs: %q is in the list twice: remove one", kind)
		}
	}
	wanted := slices.Contains(c.Outputs, string(downstream.SSM))
	switch {
	case c.SSM == nil && wanted:
		p.Addf(`ssm: the block is missing, and outputs asks for "ssm": write ssm { name = "/golden-ami/latest" }`)
	case c.SSM != nil && !wanted:
		p.Addf(`ssm: requires the output "ssm". Add it to outputs, or omit the block`)
	case c.SSM != nil:
		c.SSM.validate(p)
	}
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
		p.Addf("ssm.name: %q: names that begin with aws or ssm are AWS's own: choose another", c.Name)
	}
	p.Check("ssm.name", name, pattern.Parameter)
}

func (c Config) outputs() []downstream.Kind {
	var kinds []downstream.Kind
	for _, kind := range c.Outputs {
		kinds = append(kinds, downstream.Kind(kind))
	}
	return kinds
}

func (c Config) parameterName() string {
	if c.SSM == nil {
		return ""
	}
	return c.SSM.Name
}
