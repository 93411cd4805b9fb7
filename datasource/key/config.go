//go:generate packer-sdc struct-markdown
//go:generate packer-sdc mapstructure-to-hcl2 -type Config,DatasourceOutput

// Package key is the data source orgami-key: it looks a multi-Region KMS key up,
// so that a template can build under it.
package key

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	"github.com/hashicorp/packer-plugin-sdk/template/config"

	"github.com/orgami/packer-plugin-orgami/internal/access"
	"github.com/orgami/packer-plugin-orgami/internal/kmskey"
	"github.com/orgami/packer-plugin-orgami/internal/placeholder"
)

// Config is the configuration of orgami-key. Exactly one of `alias` and `id` is
// needed.
type Config struct {
	access.Config `mapstructure:",squash"`

	// The alias of the key, `alias/…`. Conflicts with `id`.
	Alias string `mapstructure:"alias"`
	// The id of the key, `mrk-…`, or the ARN of its primary or of a replica.
	// Conflicts with `alias`.
	ID string `mapstructure:"id"`
	// The region in which the key is looked for. By default the one that the
	// AWS SDK finds, in `AWS_REGION` for instance; an ARN as `id` names it too.
	Region string `mapstructure:"region"`
	// The regions in which the key must be usable, and that `regional_arns` has.
	// By default all in which the key has a primary or a replica.
	Regions []string `mapstructure:"regions"`
}

// What the data source finds out.
type DatasourceOutput struct {
	// The id of the key, `mrk-…`, which is the same in all regions.
	KeyID string `mapstructure:"key_id"`
	// The ARN of the primary.
	ARN string `mapstructure:"arn"`
	// The region of the primary.
	PrimaryRegion string `mapstructure:"primary_region"`
	// The ARN of each regional key, by region: what amazon-ebs takes as
	// `region_kms_key_ids`.
	RegionalARNs map[string]string `mapstructure:"regional_arns"`
	// The ARN that stands for the key in all regions, for IAM policies.
	WildcardARN string `mapstructure:"wildcard_arn"`
}

var (
	aliasForm  = regexp.MustCompile(`^alias/[a-zA-Z0-9/_-]{1,250}$`)
	idForm     = regexp.MustCompile(`^(arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/)?mrk-[0-9a-f]{32}$`)
	regionForm = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]+){1,3}-[0-9]{1,2}$`)
)

// decode reads the configuration, starting from an empty one.
func decode(raws ...any) (Config, error) {
	var c Config
	err := config.Decode(&c, &config.DecodeOpts{PluginType: "orgami-key"}, raws...)
	return c, err
}

// validate finds all that is wrong with the configuration without asking AWS.
func (c Config) validate() error {
	problems := c.Config.Validate()
	add := func(format string, arguments ...any) { problems = append(problems, fmt.Errorf(format, arguments...)) }
	wrong := func(value string, form *regexp.Regexp) bool {
		return value != "" && !placeholder.In(value) && !form.MatchString(value)
	}
	switch {
	case c.Alias == "" && c.ID == "":
		add(`alias: it is missing: name the key, as "alias/golden-ami", or its id`)
	case c.Alias != "" && c.ID != "":
		add("alias: it is set, and id too: leave one out")
	}
	if wrong(c.Alias, aliasForm) {
		add("alias: %q is not an alias: write alias/ and a name of letters, digits and /_-", c.Alias)
	}
	if wrong(c.ID, idForm) {
		add("id: %q is not the id of a multi-Region key: write mrk- and 32 hexadecimal digits, or its ARN", c.ID)
	}
	if wrong(c.Region, regionForm) {
		add("region: %q is not the name of a region: write it as us-east-1", c.Region)
	}
	for i, region := range c.Regions {
		switch {
		case region == "" || wrong(region, regionForm):
			add("regions: %q is not the name of a region: write it as us-east-1", region)
		case slices.Index(c.Regions, region) < i && !placeholder.In(region):
			add("regions: %q is in the list twice: remove one", region)
		}
	}
	if len(problems) == 0 {
		return nil
	}
	return &packersdk.MultiError{Errors: problems}
}

func (c Config) query() (kmskey.Query, error) {
	if fields := placeholder.Fields(c); len(fields) > 0 {
		return kmskey.Query{}, errors.New("no value for " + fmt.Sprint(fields) + ": the template uses something there that is not known when data sources are read")
	}
	return kmskey.Query{Name: c.Alias + c.ID, Region: c.Region, Regions: c.Regions}, nil
}
