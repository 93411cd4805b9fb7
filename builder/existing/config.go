//go:generate packer-sdc struct-markdown
//go:generate packer-sdc mapstructure-to-hcl2 -type Config

// Package existing is the builder orgami-existing: it brings an AMI that exists
// already into a build, so that post-processors can work on it.
package existing

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/hashicorp/packer-plugin-sdk/common"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	"github.com/hashicorp/packer-plugin-sdk/template/config"

	"github.com/orgami/packer-plugin-orgami/internal/access"
	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/placeholder"
)

// Config is the configuration of orgami-existing. Exactly one of `image_id` and
// `filters` is needed. Template functions of the old JSON templates are not
// interpolated: use HCL.
type Config struct {
	common.PackerConfig `mapstructure:",squash"`
	access.Config       `mapstructure:",squash"`

	// The region of the image.
	Region string `mapstructure:"region" required:"true"`
	// The id of the image, `ami-…`. Conflicts with `filters`, `owners` and
	// `most_recent`.
	ImageID string `mapstructure:"image_id"`
	// Filters that the image fits, by name: those of EC2's
	// [DescribeImages](https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeImages.html),
	// as `name`, `architecture` or `tag:NAME`; values may hold the wildcards `*`
	// and `?`. Needs `owners`.
	Filters map[string]string `mapstructure:"filters"`
	// Whose images are looked at: account ids, `self`, `amazon` or
	// `aws-marketplace`. Needed with `filters`: a name without an owner can be
	// anybody's.
	Owners []string `mapstructure:"owners"`
	// Take the newest of several images that fit. By default `false`: several
	// are an error, which lists them.
	MostRecent bool `mapstructure:"most_recent"`
}

var (
	regionForm = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]+){1,3}-[0-9]{1,2}$`)
	imageForm  = regexp.MustCompile(`^ami-[0-9a-f]{8}([0-9a-f]{9})?$`)
	ownerForm  = regexp.MustCompile(`^([0-9]{12}|self|amazon|aws-marketplace)$`)
)

// decode reads the configuration, starting from an empty one.
func decode(raws ...any) (Config, error) {
	var c Config
	err := config.Decode(&c, &config.DecodeOpts{PluginType: "orgami-existing"}, raws...)
	return c, err
}

// validate finds all that is wrong with the configuration without asking AWS.
func (c Config) validate() error {
	problems := c.Config.Validate()
	add := func(format string, arguments ...any) { problems = append(problems, fmt.Errorf(format, arguments...)) }
	wrong := func(value string, form *regexp.Regexp) bool {
		return !placeholder.In(value) && !form.MatchString(value)
	}
	switch {
	case c.Region == "":
		add("region: it is missing: name the region of the image, as us-east-1")
	case wrong(c.Region, regionForm):
		add("region: %q is not the name of a region: write it as us-east-1", c.Region)
	}
	switch {
	case c.ImageID == "" && len(c.Filters) == 0:
		add(`image_id: it is missing: name the image, or describe it with filters and owners`)
	case c.ImageID != "" && len(c.Filters) > 0:
		add("image_id: it is set, and filters too: leave one out")
	case c.ImageID != "" && (len(c.Owners) > 0 || c.MostRecent):
		add("image_id: owners and most_recent belong to filters: leave them out")
	case len(c.Filters) > 0 && len(c.Owners) == 0:
		add(`owners: the list is missing or empty: a name without an owner can be anybody's; write owners = ["self"], or account ids`)
	}
	if c.ImageID != "" && wrong(c.ImageID, imageForm) {
		add("image_id: %q is not the id of an image: write ami- and 8 or 17 hexadecimal digits", c.ImageID)
	}
	for i, owner := range c.Owners {
		switch {
		case wrong(owner, ownerForm):
			add("owners: %q is unknown: write an account id of 12 digits in quotes, self, amazon or aws-marketplace", owner)
		case slices.Index(c.Owners, owner) < i && !placeholder.In(owner):
			add("owners: %q is in the list twice: remove one", owner)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Filters)) {
		if name == "" || c.Filters[name] == "" {
			add("filters: %q = %q: name and value are needed; leave the filter out, or complete it", name, c.Filters[name])
		}
	}
	if len(problems) == 0 {
		return nil
	}
	return &packersdk.MultiError{Errors: problems}
}

func (c Config) query() (ami.Query, error) {
	if fields := placeholder.Fields(c); len(fields) > 0 {
		return ami.Query{}, errors.New("no value for " + fmt.Sprint(fields) + ": the template uses something there that is not known when the build starts")
	}
	return ami.Query{Region: c.Region, ID: c.ImageID, Filters: c.Filters, Owners: c.Owners, MostRecent: c.MostRecent}, nil
}
