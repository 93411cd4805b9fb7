//go:generate packer-sdc struct-markdown
//go:generate packer-sdc mapstructure-to-hcl2 -type Config,DatasourceOutput

// Package key is the data source orgami-key: it looks a multi-Region KMS key up,
// so that a template can build under it.
package key

import (
	"errors"
	"fmt"

	sdkconfig "github.com/hashicorp/packer-plugin-sdk/template/config"

	"github.com/orgami/packer-plugin-orgami/internal/config"
	"github.com/orgami/packer-plugin-orgami/internal/config/pattern"
	"github.com/orgami/packer-plugin-orgami/internal/kmskey"
)

// Config is the configuration of orgami-key. Exactly one of `alias` and `id` is
// needed.
type Config struct {
	config.Credentials `mapstructure:",squash"`

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

// decode reads the configuration, starting from an empty one.
func decode(raws ...any) (Config, error) {
	var c Config
	err := sdkconfig.Decode(&c, &sdkconfig.DecodeOpts{PluginType: "orgami-key"}, raws...)
	return c, err
}

// validate finds all that is wrong with the configuration without asking AWS.
func (c Config) validate() error {
	var p config.Problems
	c.Credentials.Validate(&p)
	switch {
	case c.Alias == "" && c.ID == "":
		p.Addf(`alias: it is missing: name the key, as "alias/golden-ami", or its id`)
	case c.Alias != "" && c.ID != "":
		p.Addf("alias: it is set, and id too: leave one out")
	}
	if c.Alias != "" {
		p.Check("alias", c.Alias, pattern.Alias)
	}
	if c.ID != "" {
		p.Check("id", c.ID, pattern.MultiRegionKey)
	}
	if c.Region != "" {
		p.Check("region", c.Region, pattern.Region)
	}
	if len(c.Regions) > 0 { // empty is the key's Regions
		p.List("regions", c.Regions, pattern.Region)
	}
	return p.Err()
}

func (c Config) query() (kmskey.Query, error) {
	if fields := config.UnknownFields(c); len(fields) > 0 {
		return kmskey.Query{}, errors.New("no value for " + fmt.Sprint(fields) + ": the template uses something there that is not known when data sources are read")
	}
	return kmskey.Query{Name: c.Alias + c.ID, Region: c.Region, Regions: c.Regions}, nil
}
