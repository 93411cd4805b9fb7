//go:generate packer-sdc struct-markdown
//go:generate packer-sdc mapstructure-to-hcl2 -type Config

// Package existing is the builder orgami-existing. It brings an existing AMI into a
// build, so that post-processors can work on it.
package existing

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/packer-plugin-sdk/common"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/config"
	"github.com/orgami/packer-plugin-orgami/internal/config/pattern"
)

// Config is the configuration of orgami-existing. Exactly one of `image_id` and
// `filters` is required. Use HCL templates: functions of legacy JSON templates, such as
// `{{user}}`, are an error. The command `packer hcl2_upgrade` converts such a template.
type Config struct {
	common.PackerConfig `mapstructure:",squash"`
	config.Credentials  `mapstructure:",squash"`

	// Region of the image.
	Region string `mapstructure:"region" required:"true"`
	// ID of the image, `ami-…`. Conflicts with `filters`, `owners` and `most_recent`.
	ImageID string `mapstructure:"image_id"`
	// Filters of EC2's
	// [DescribeImages](https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeImages.html)
	// by name, for example `name`, `architecture` or `tag:NAME`. Values can contain the
	// wildcards `*` and `?`. Requires `owners`.
	Filters map[string]string `mapstructure:"filters"`
	// Owners of the images to search: account IDs, `self`, `amazon` or
	// `aws-marketplace`. Required with `filters`, because any account can use a name.
	Owners []string `mapstructure:"owners"`
	// Use the newest image if several match the filters. With `false`, several matches
	// are an error that lists them. Defaults to `false`.
	MostRecent bool `mapstructure:"most_recent"`
}

// decode reads the configuration, starting from an empty one.
func decode(raws ...any) (Config, error) {
	var c Config
	err := config.Decode(&c, "orgami-existing", raws...)
	return c, err
}

// validate reports everything that is wrong with the configuration, without calls to
// AWS.
func (c Config) validate() error {
	var p config.Problems
	p.Rendered(c)
	c.Credentials.Validate(&p)
	if c.Region == "" {
		p.Addf("region is required. Set the Region of the image, for example us-east-1")
	} else {
		p.Check("region", c.Region, pattern.Region)
	}
	switch {
	case c.ImageID == "" && len(c.Filters) == 0:
		p.Addf(`image_id or filters is required. Set the ID of the image, or filters and owners`)
	case c.ImageID != "" && len(c.Filters) > 0:
		p.Addf("image_id conflicts with filters. Remove one of them")
	case c.ImageID != "" && (len(c.Owners) > 0 || c.MostRecent):
		p.Addf("image_id conflicts with owners and most_recent, which apply to filters. Remove them")
	case len(c.Filters) > 0 && len(c.Owners) == 0:
		p.Addf(`owners is required with filters, because any account can use a name. Set owners = ["self"] or a list of account IDs`)
	}
	if c.ImageID != "" {
		p.Check("image_id", c.ImageID, pattern.Image)
	}
	if len(c.Owners) > 0 {
		p.List("owners", c.Owners, pattern.ImageOwner)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Filters)) {
		if name == "" || c.Filters[name] == "" {
			p.Addf("filters: %q = %q: a filter must have a name and a value. Complete the filter or remove it", name, c.Filters[name])
		}
	}
	return p.Err()
}

func (c Config) query() (ami.Query, error) {
	if fields := config.UnknownFields(c); len(fields) > 0 {
		return ami.Query{}, errors.New("no value for " + fmt.Sprint(fields) + ": the value isn't known when the build starts")
	}
	return ami.Query{Region: c.Region, ID: c.ImageID, Filters: c.Filters, Owners: c.Owners, MostRecent: c.MostRecent}, nil
}
