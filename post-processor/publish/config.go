//go:generate packer-sdc struct-markdown
//go:generate packer-sdc mapstructure-to-hcl2 -type Config,KeyConfig,OrganizationConfig,ShareConfig,GrantsConfig

// Package publish is Packer's side of the post-processor orgami-publish: its
// configuration, the translation into a [publish.Spec], and the adapter that
// runs it. What it does is told in the package internal/publish.
package publish

import (
	"time"

	"github.com/hashicorp/packer-plugin-sdk/common"
	"github.com/hashicorp/packer-plugin-sdk/template/config"

	"github.com/orgami/packer-plugin-orgami/internal/access"
)

// Config is the configuration of orgami-publish. Template functions of the old
// JSON templates are not interpolated: use HCL.
type Config struct {
	common.PackerConfig `mapstructure:",squash"`
	access.Config       `mapstructure:",squash"`

	// The regions in which the image is published. By default the regions in
	// which the artifact has an image. An image in a region that is not named
	// is left as it is.
	Regions []string `mapstructure:"regions"`
	// The multi-Region KMS key. See [key](#key).
	Key *KeyConfig `mapstructure:"key" required:"true"`
	// The AWS organisation. See [organization](#organization); by default asked
	// of AWS.
	Organization *OrganizationConfig `mapstructure:"organization"`
	// With whom the image is shared. See [share](#share); by default with the
	// whole organisation.
	Share *ShareConfig `mapstructure:"share"`
	// The KMS grants for service-linked roles. See [grants](#grants); by default
	// none.
	Grants *GrantsConfig `mapstructure:"grants"`

	// The name of the published image, the same in all regions: 3 to 128
	// letters, digits and `()[] ./-'@_`. By default the source image's name with
	// `-shared`.
	AMIName string `mapstructure:"ami_name"`
	// Tags of the published images. At most 47: AWS allows 50, and three are
	// this plugin's.
	Tags map[string]string `mapstructure:"tags"`
	// Tags of the published images' snapshots. At most 47.
	SnapshotTags map[string]string `mapstructure:"snapshot_tags"`
	// Copy the tags of the source image to the published images; `tags` wins
	// over them. By default `true`.
	CopySourceTags *bool `mapstructure:"copy_source_tags"`

	// How long to wait for the copies, as in `90m`. By default `2h`: copies of
	// large images are slow.
	WaitTimeout time.Duration `mapstructure:"wait_timeout"`
	// Keep the copies of a run that failed, to look at them. They are not
	// shared, and the next run uses those that are right. By default `false`:
	// they are deregistered and their snapshots deleted.
	KeepOnFailure bool `mapstructure:"keep_on_failure"`
	// Say what would change, and change nothing. By default `false`. The plan is
	// also written to `orgami-plan.json`, and the files of an earlier run stay.
	PlanOnly bool `mapstructure:"plan_only"`
	// The directory for `orgami.json`, `karpenter-kms-policy.json` and
	// `kms-grants.json`; made when it is missing. By default `orgami`. Builds of
	// several sources need one each, for instance
	// `"orgami/${source.name}"`.
	OutputDirectory string `mapstructure:"output_directory"`
}

// What is used where the configuration says nothing.
const (
	defaultWaitTimeout     = 2 * time.Hour
	defaultOutputDirectory = "orgami"
)

// decode reads the configuration, starting from an empty one: Packer configures
// each post-processor twice.
func decode(raws ...any) (Config, error) {
	var c Config
	if err := config.Decode(&c, &config.DecodeOpts{PluginType: "orgami-publish"}, raws...); err != nil {
		return Config{}, err
	}
	if c.WaitTimeout == 0 {
		c.WaitTimeout = defaultWaitTimeout
	}
	if c.OutputDirectory == "" {
		c.OutputDirectory = defaultOutputDirectory
	}
	return c, nil
}

func orDefault(value *bool, fallback bool) bool {
	if value == nil {
		return fallback
	}
	return *value
}
