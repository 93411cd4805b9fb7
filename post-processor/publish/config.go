//go:generate packer-sdc struct-markdown
//go:generate packer-sdc mapstructure-to-hcl2 -type Config,KeyConfig,OrganizationConfig,ShareConfig,GrantsConfig,ProtectionConfig,RetireConfig,SSMConfig

// Package publish is Packer's side of the post-processor orgami-publish: its
// configuration, the translation into a [publish.Spec], and the adapter that
// runs it. What it does is told in the package internal/publish.
package publish

import (
	"strings"
	"time"

	"github.com/hashicorp/packer-plugin-sdk/common"
	sdkconfig "github.com/hashicorp/packer-plugin-sdk/template/config"

	"github.com/orgami/packer-plugin-orgami/internal/config"
)

// Config is the configuration of orgami-publish. Template functions of the old
// JSON templates are not interpolated: use HCL.
type Config struct {
	common.PackerConfig `mapstructure:",squash"`
	config.Credentials  `mapstructure:",squash"`

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
	// `-shared`, or as it is if the source is under the key already, or was
	// published by this post-processor.
	AMIName string `mapstructure:"ami_name"`
	// Tags of the published images. At most 46: AWS allows 50, and up to four are
	// this plugin's. Values can refer to what HCL does not know:
	// `{{ .SourceImageID }}`, `{{ .SourceImageName }}`,
	// `{{ .SourceImageCreationDate }}` (when the image was built),
	// `{{ .SourceRegion }}`, `{{ .Region }}`, `{{ .Name }}` and
	// `{{ .Architecture }}`. The source image is the one that is copied.
	Tags map[string]string `mapstructure:"tags"`
	// Tags of the published images' snapshots. At most 46, as `tags`.
	SnapshotTags map[string]string `mapstructure:"snapshot_tags"`
	// Copy the tags of the source image to the published images; `tags` wins
	// over them. By default `true`.
	CopySourceTags *bool `mapstructure:"copy_source_tags"`

	// The family that the published images belong to, kept in their tag
	// `orgami:family`. Needed with `retire`. By default none.
	Family string `mapstructure:"family"`
	// How long after it was made a published image is deprecated, as in `2160h`:
	// other accounts do not find it any more, and can still launch it. At most 10
	// years, `87600h`. By default never.
	DeprecateAfter time.Duration `mapstructure:"deprecate_after"`
	// Protection against being deregistered. See
	// [deregistration_protection](#deregistration_protection); by default none.
	Protection *ProtectionConfig `mapstructure:"deregistration_protection"`
	// What becomes of older generations of the image. See [retire](#retire); by
	// default nothing.
	Retire *RetireConfig `mapstructure:"retire"`
	// Make the copies
	// [time-based](https://docs.aws.amazon.com/ebs/latest/userguide/time-based-copies.html):
	// done within so many minutes, a multiple of 15 up to 2880. AWS charges for
	// that. By default copies take what time they take.
	SnapshotCopyDurationMinutes int64 `mapstructure:"snapshot_copy_duration_minutes"`

	// How long to wait for the copies, as in `90m`. By default `2h`: copies of
	// large images are slow.
	WaitTimeout time.Duration `mapstructure:"wait_timeout"`
	// Say what would change, and change nothing. By default `false`. The plan is
	// also written to `orgami-plan.json`, and the files of an earlier run stay.
	PlanOnly bool `mapstructure:"plan_only"`
	// With `plan_only`: fail when something would change, or when somebody cannot
	// launch the image that is published already. By default `false`. A nightly
	// build with `source "orgami-existing"` notices like this what has drifted.
	FailOnDrift bool `mapstructure:"fail_on_drift"`
	// What to do when a launch check fails. Before the image is shared, the plugin
	// reads back from AWS everything that launches depend on, and checks for each
	// account, Region and launcher whether it will be able to launch. `"fail"` stops
	// before sharing and lists the reasons. `"warn"` reports the reasons and
	// publishes. `"off"` checks nothing. Launchers are Karpenter's role with the
	// policy in `karpenter-kms-policy.json`, the roles in `check_roles`, and the
	// roles in `grants`. Accounts are those in `share` and `grants`, and one that
	// stands for all others. Accounts that get grants are assumed to be members of
	// the organization, or of the first unit, that the image is shared with.
	// Defaults to `"fail"`.
	Check string `mapstructure:"check"`
	// Names of additional roles that launch instances in the accounts, with their
	// path if they have one. They are assumed to have Karpenter's policy.
	CheckRoles []string `mapstructure:"check_roles"`
	// Also write `orgami-report.html`: a page for people that shows who can
	// launch what where and why not, the key, and what this run changed. It is one
	// file that loads nothing from elsewhere. By default `false`.
	Report bool `mapstructure:"report"`
	// Additional files for downstream deploys, written only for a complete
	// publication:
	//
	//   - `"ec2nodeclass"` writes `ec2nodeclass-REGION.json`, a merge patch that makes
	//     a Karpenter EC2NodeClass of that Region select the image.
	//   - `"terraform"` writes `orgami.tfvars.json`, the values of the variable
	//     `orgami`: images, key, Karpenter's policy, and the grants that accounts
	//     create themselves.
	//   - `"cloudformation"` writes `orgami-member.template.json`, a template for
	//     member accounts that a StackSet can deploy: Karpenter's managed policy, the
	//     role that `grants.member_role` names, and, if its parameters ask for them,
	//     the service-linked roles. CloudFormation has no resource for KMS grants.
	//   - `"ssm"` sets a parameter in each Region. See [ssm](#ssm).
	//
	// Defaults to none.
	Outputs []string `mapstructure:"outputs"`
	// The parameters that name the image. See [ssm](#ssm).
	SSM *SSMConfig `mapstructure:"ssm"`
	// Directory for `orgami.json`, `karpenter-kms-policy.json`, `kms-grants.json` and
	// `create-grants.sh`. It is created if it doesn't exist. Defaults to `orgami`.
	// Builds of several sources need one each, for example `"orgami/${source.type}-${source.name}"`:
	// two of the same run that write to one directory are an error.
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
	if err := sdkconfig.Decode(&c, &sdkconfig.DecodeOpts{PluginType: "orgami-publish"}, raws...); err != nil {
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

// build names the build that the post-processor belongs to, "" if Packer does not
// say.
func (c Config) build() string {
	return strings.Trim(c.PackerBuilderType+"."+c.PackerBuildName, ".")
}

func orDefault(value *bool, fallback bool) bool {
	if value == nil {
		return fallback
	}
	return *value
}
