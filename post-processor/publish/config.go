//go:generate packer-sdc struct-markdown
//go:generate packer-sdc mapstructure-to-hcl2 -type Config,KeyConfig,CanaryConfig,OrganizationConfig,ShareConfig,GrantsConfig,ProtectionConfig,RetireConfig,EC2NodeClassConfig,SSMConfig

// Package publish is Packer's side of the post-processor orgami-publish: its
// configuration, the translation into a [publish.Spec], and the adapter that
// runs it. The package internal/publish does the work.
package publish

import (
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/packer-plugin-sdk/common"

	"github.com/orgami/packer-plugin-orgami/internal/config"
)

// Config is the configuration of orgami-publish. Use HCL templates: functions of
// legacy JSON templates, such as `{{user}}`, are an error. The command
// `packer hcl2_upgrade` converts such a template.
type Config struct {
	common.PackerConfig `mapstructure:",squash"`
	config.Credentials  `mapstructure:",squash"`
	AmazonOptions       `mapstructure:",squash"`

	// Regions to publish the image in. Images of the artifact in other Regions stay
	// as they are. Defaults to the Regions of the artifact's images.
	Regions []string `mapstructure:"regions"`
	// The multi-Region KMS key. See [key](#key).
	Key *KeyConfig `mapstructure:"key" required:"true"`
	// The AWS organization. See [organization](#organization). Defaults to the
	// organization of the caller's account.
	Organization *OrganizationConfig `mapstructure:"organization"`
	// The accounts that can use the image. See [share](#share). Defaults to the
	// whole organization.
	Share *ShareConfig `mapstructure:"share"`
	// The KMS grants for service-linked roles. See [grants](#grants). Defaults to
	// no grants.
	Grants *GrantsConfig `mapstructure:"grants"`

	// Name of the published image in every Region. Must be 3 to 128 letters, digits
	// and `()[] ./-'@_`. Defaults to the source image's name with the suffix
	// `-shared`. There is no suffix if the source is already encrypted with the key,
	// or was published by this post-processor.
	AMIName string `mapstructure:"ami_name"`
	// Tags of the published images. Must be at most 46 tags: AWS allows 50, and the
	// plugin sets up to four. Values can refer to the image that is copied with
	// `{{ .SourceImageID }}`, `{{ .SourceImageName }}`,
	// `{{ .SourceImageCreationDate }}` and `{{ .SourceRegion }}`, and to the published
	// image with `{{ .Region }}`, `{{ .Name }}` and `{{ .Architecture }}`.
	Tags map[string]string `mapstructure:"tags"`
	// Tags of the snapshots of the published images. The rules of `tags` apply.
	SnapshotTags map[string]string `mapstructure:"snapshot_tags"`
	// Copy the tags of the source image to the published images. `tags` overrides
	// tags with the same key. Defaults to `true`.
	CopySourceTags *bool `mapstructure:"copy_source_tags"`

	// Family of the published images, stored in their tag `orgami:family`. Required
	// by `retire`. Defaults to none.
	Family string `mapstructure:"family"`
	// Deprecate published images this long after their creation, for example `2160h`
	// (90 days). Other accounts no longer see a deprecated image in searches but can
	// still launch it by ID, unless their *Allowed AMIs* setting limits the time since
	// deprecation. Must be at most `87600h` (10 years). Defaults to no deprecation.
	DeprecateAfter time.Duration `mapstructure:"deprecate_after"`
	// Protection against deregistration. See
	// [deregistration_protection](#deregistration_protection). Defaults to none.
	Protection *ProtectionConfig `mapstructure:"deregistration_protection"`
	// What to do with older generations of the image. See [retire](#retire). Defaults
	// to nothing.
	Retire *RetireConfig `mapstructure:"retire"`
	// Create [time-based
	// copies](https://docs.aws.amazon.com/ebs/latest/userguide/time-based-copies.html)
	// that complete within this many minutes, at an additional charge. Must be a
	// multiple of 15 from 15 to 2880. Defaults to standard copies, which have no
	// completion guarantee.
	SnapshotCopyDurationMinutes int64 `mapstructure:"snapshot_copy_duration_minutes"`

	// How long to wait for the copies, for example `90m`. Copies of large images are
	// slow. Defaults to `2h`.
	WaitTimeout time.Duration `mapstructure:"wait_timeout"`
	// Print what would change, write it to `orgami-plan.json`, and change nothing. The
	// files of the last publication stay as they are. Defaults to `false`.
	PlanOnly bool `mapstructure:"plan_only"`
	// Fail if the plan has changes or problems, or if a launch check of the published
	// image fails. Use it with `source "orgami-existing"` in a nightly build to detect
	// drift. Requires `plan_only`. Defaults to `false`.
	FailOnDrift bool `mapstructure:"fail_on_drift"`
	// What to do when a launch check fails. The plugin checks twice whether each
	// launcher will be able to launch in each account and Region. The first check uses
	// the planned key policies, before anything is written. The second one uses
	// everything that AWS returns, before the image is shared. `"fail"` stops at a
	// failing check and lists the reasons. `"seen"` also stops if a check in a named
	// account is pending or inconclusive, or rests on an assumption; it requires
	// `grants.member_role`. `"warn"` reports the reasons and publishes. `"off"` checks
	// nothing. With `grants.member_role`, that role reads the settings of each account
	// that gets grants. Settings that it can't read are assumed. Launchers are
	// Karpenter's role with the policy in `karpenter-kms-policy.json`, the roles in
	// `check_roles`, and the roles in `grants`. They cover the accounts in `share` and
	// `grants`, and one account that stands for all others. Accounts that get grants
	// and aren't inspected are assumed to be members of the organization, or of the
	// first unit, that the image is shared with. Defaults to `"fail"`.
	Check string `mapstructure:"check"`
	// Names of additional roles that launch instances in the accounts, with their path
	// if they have one. `*` and `?` are wildcards, as in `KarpenterController*`. In
	// inspected accounts, the checks cover the existing roles with their own policies.
	// Elsewhere, the checks assume that they have Karpenter's policy.
	CheckRoles []string `mapstructure:"check_roles"`
	// Launch the image in one account before it is shared. See [canary](#canary).
	// Defaults to no canary.
	Canary *CanaryConfig `mapstructure:"canary"`
	// Also write `orgami-report.html`, a page that shows which accounts can launch the
	// image in which Regions, why a launch fails, the key, and what the run changed.
	// The page is self-contained. Defaults to `false`.
	Report bool `mapstructure:"report"`
	// Additional files for downstream deploys, written only for a complete
	// publication:
	//
	//   - `"ec2nodeclass"` writes `ec2nodeclass-REGION.json`, a merge patch that makes
	//     a Karpenter EC2NodeClass of that Region select the image. See
	//     [ec2nodeclass](#ec2nodeclass).
	//   - `"terraform"` writes `orgami.tfvars.json`, the values of the variable
	//     `orgami`: images, key, Karpenter's policy, and the grants that accounts
	//     create themselves.
	//   - `"cloudformation"` writes `orgami-member.template.json`, a template for
	//     member accounts that a StackSet can deploy: Karpenter's managed policy, the
	//     role that `grants.member_role` names, the role that `canary.role` names in the canary's account, and, if its parameters are set, the service-linked roles. CloudFormation has no resource for KMS grants.
	//   - `"ssm"` sets a parameter in each Region. See [ssm](#ssm).
	//
	// Defaults to none.
	Outputs []string `mapstructure:"outputs"`
	// The patch of Karpenter's EC2NodeClass. See [ec2nodeclass](#ec2nodeclass).
	NodeClass *EC2NodeClassConfig `mapstructure:"ec2nodeclass"`
	// The parameters that hold the image's ID. See [ssm](#ssm).
	SSM *SSMConfig `mapstructure:"ssm"`
	// Directory for `orgami.json`, `karpenter-kms-policy.json`, `kms-grants.json`,
	// `create-grants.sh` and the other files. It is created if it doesn't exist. Two
	// builds of one run can't share a directory. If a template has several sources,
	// use, for example, `"orgami/${source.type}-${source.name}"`. Defaults to `orgami`.
	OutputDirectory string `mapstructure:"output_directory"`
}

// Defaults.
const (
	defaultWaitTimeout     = 2 * time.Hour
	defaultOutputDirectory = "orgami"
)

// decode reads the configuration, starting from an empty one: Packer configures
// each post-processor twice.
func decode(raws ...any) (Config, error) {
	var c Config
	if err := config.Decode(&c, "orgami-publish", raws...); err != nil {
		if strings.Contains(err.Error(), "unknown unit ") || strings.Contains(err.Error(), "missing unit in duration") {
			err = fmt.Errorf("%w\nWrite durations in hours, minutes and seconds: 30 days are 720h", err)
		}
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

// build names the build that the post-processor belongs to. It is empty if Packer
// doesn't set it.
func (c Config) build() string {
	return strings.Trim(c.PackerBuilderType+"."+c.PackerBuildName, ".")
}

func orDefault(value *bool, fallback bool) bool {
	if value == nil {
		return fallback
	}
	return *value
}
