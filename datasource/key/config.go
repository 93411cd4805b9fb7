//go:generate packer-sdc struct-markdown
//go:generate packer-sdc mapstructure-to-hcl2 -type Config,DatasourceOutput

// Package key is the data source orgami-key. It looks up a multi-Region KMS key, so
// that a template can build an image that is encrypted with it.
package key

import (
	"errors"
	"fmt"

	"github.com/orgami/packer-plugin-orgami/internal/config"
	"github.com/orgami/packer-plugin-orgami/internal/config/pattern"
	"github.com/orgami/packer-plugin-orgami/internal/kmskey"
)

// Config is the configuration of orgami-key. Exactly one of `alias` and `id` is
// required.
type Config struct {
	config.Credentials `mapstructure:",squash"`

	// Alias of the key, `alias/…`. Conflicts with `id`.
	Alias string `mapstructure:"alias"`
	// ID of the key, `mrk-…`, or ARN of its primary or of a replica. Conflicts with
	// `alias`.
	ID string `mapstructure:"id"`
	// Region in which to look up the key. Defaults to the Region in the ARN, or to the
	// Region that the AWS SDK finds, for example in `AWS_REGION`.
	Region string `mapstructure:"region"`
	// Regions in which the key must be usable, and which `regional_arns` contains.
	// Defaults to all Regions in which the key has a primary or a replica.
	Regions []string `mapstructure:"regions"`
}

// The outputs of the data source.
type DatasourceOutput struct {
	// ID of the key, `mrk-…`, the same in all Regions.
	KeyID string `mapstructure:"key_id"`
	// ARN of the primary.
	ARN string `mapstructure:"arn"`
	// Region of the primary.
	PrimaryRegion string `mapstructure:"primary_region"`
	// ARN of each regional key, by Region. Use it as `region_kms_key_ids` of
	// `amazon-ebs`.
	RegionalARNs map[string]string `mapstructure:"regional_arns"`
	// ARN with a wildcard for the Region, for IAM policies.
	WildcardARN string `mapstructure:"wildcard_arn"`
}

// decode reads the configuration, starting from an empty one.
func decode(raws ...any) (Config, error) {
	var c Config
	err := config.Decode(&c, "orgami-key", raws...)
	return c, err
}

// validate reports everything that is wrong with the configuration, without calls to
// AWS.
func (c Config) validate() error {
	var p config.Problems
	p.Rendered(c)
	c.Credentials.Validate(&p)
	switch {
	case c.Alias == "" && c.ID == "":
		p.Addf(`alias or id is required. Set the alias of the key, for example "alias/golden-ami", or its ID`)
	case c.Alias != "" && c.ID != "":
		p.Addf("alias conflicts with id. Remove one of them")
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
		return kmskey.Query{}, errors.New("no value for " + fmt.Sprint(fields) + ": the value isn't known when data sources are read")
	}
	return kmskey.Query{Name: c.Alias + c.ID, Region: c.Region, Regions: c.Regions}, nil
}
