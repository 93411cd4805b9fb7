//go:generate packer-sdc struct-markdown

package publish

import (
	"maps"
	"slices"
	"time"

	"github.com/orgami/packer-plugin-orgami/internal/config"
	"github.com/orgami/packer-plugin-orgami/internal/config/pattern"
	"github.com/orgami/packer-plugin-orgami/internal/publish"
)

// The `canary` block launches the image in one account before any other account can see
// it. The image is first shared with that account alone. The plugin launches an
// instance in each Region, and terminates it once it runs and its system status check
// is ok. Then the image is shared as configured, and the account loses its own
// permission, unless `share.accounts` lists it.
//
// If a canary fails, no other account sees the image. A canary runs only for images
// that aren't published yet, and never with `plan_only`. It shows only that a launch
// works in its own account and Regions.
type CanaryConfig struct {
	// ID of the account in which the image is launched. Must have 12 digits. Must not
	// be the publishing account.
	Account string `mapstructure:"account" required:"true"`
	// Path and name of a role in that account, which is assumed to launch the image.
	// `docs/permissions.md` has its policy.
	Role string `mapstructure:"role" required:"true"`
	// Regions to launch in. Must be Regions of the publication. Defaults to all of them.
	Regions []string `mapstructure:"regions"`
	// Type of the instances, for example `t3.nano`. Defaults to the smallest type that
	// each Region offers for the image's architecture.
	InstanceType string `mapstructure:"instance_type"`
	// IDs of subnets by Region, for example `{ us-east-1 = "subnet-…" }`. A Region
	// without one uses a default subnet.
	Subnets map[string]string `mapstructure:"subnets"`
	// IDs of security groups by Region, in the VPC of the subnet. A Region without one
	// uses a temporary group without rules.
	SecurityGroups map[string]string `mapstructure:"security_groups"`
	// Also launch through an Auto Scaling group of one instance. It uses the grant for
	// `AWSServiceRoleForAutoScaling`, so `grants` must cover the account. Defaults to
	// `false`.
	AutoScaling bool `mapstructure:"auto_scaling"`
	// How long to wait for the instances of a Region, for example `15m`. Must be 2
	// minutes to 1 hour. Defaults to `10m`.
	Timeout time.Duration `mapstructure:"timeout"`
	// What to do when a canary is inconclusive, because a Region has no capacity or no
	// default subnet, or doesn't offer the type. `"fail"` stops before the image is
	// shared. `"warn"` reports it and publishes. Defaults to `"fail"`.
	OnInconclusive string `mapstructure:"on_inconclusive"`
}

// Values of canary.on_inconclusive.
const (
	inconclusiveFail = "fail"
	inconclusiveWarn = "warn"
)

// Bounds of canary.timeout.
const (
	defaultCanaryTimeout  = 10 * time.Minute
	shortestCanaryTimeout = 2 * time.Minute
	longestCanaryTimeout  = time.Hour
)

// validate checks the block. Regions are those of the publication, if configured.
func (c *CanaryConfig) validate(p *config.Problems, regions []string) {
	if c == nil {
		return
	}
	if c.Account == "" {
		p.Addf("canary.account is required. Set the ID of the account that launches the image first")
	} else {
		p.Check("canary.account", c.Account, pattern.Account)
	}
	if c.Role == "" {
		p.Addf("canary.role is required. Set the name of a role in account %s that can launch instances", c.Account)
	} else {
		p.Check("canary.role", c.Role, pattern.Role)
	}
	p.List("canary.regions", c.Regions, pattern.Region)
	published := func(field, region string, among []string) {
		if !config.Unknown(region) && len(among) > 0 && !slices.ContainsFunc(among, config.Unknown) && !slices.Contains(among, region) {
			p.Addf("%s: %q is not one of the Regions to launch in. Add it to those, or omit it here", field, region)
		}
	}
	for _, region := range c.Regions {
		published("canary.regions", region, regions)
	}
	among := c.Regions
	if len(among) == 0 {
		among = regions
	}
	byRegion := func(field string, ids map[string]string, form pattern.Pattern) {
		for _, region := range slices.Sorted(maps.Keys(ids)) {
			if p.Check(field, region, pattern.Region) {
				published(field, region, among)
			}
			p.Check(field+"."+region, ids[region], form)
		}
	}
	byRegion("canary.subnets", c.Subnets, pattern.Subnet)
	byRegion("canary.security_groups", c.SecurityGroups, pattern.SecurityGroup)
	if c.InstanceType != "" {
		p.Check("canary.instance_type", c.InstanceType, pattern.InstanceType)
	}
	if c.Timeout != 0 && (c.Timeout < shortestCanaryTimeout || c.Timeout > longestCanaryTimeout) {
		p.Addf("canary.timeout: %s is not from %s to %s. Set, for example, \"15m\"", c.Timeout, shortestCanaryTimeout, longestCanaryTimeout)
	}
	p.OneOf("canary.on_inconclusive", c.OnInconclusive, inconclusiveFail, inconclusiveWarn)
}

func (c *CanaryConfig) spec() *publish.CanarySpec {
	if c == nil {
		return nil
	}
	timeout := c.Timeout
	if timeout == 0 {
		timeout = defaultCanaryTimeout
	}
	return &publish.CanarySpec{
		Account: c.Account, Role: c.Role, Regions: c.Regions, InstanceType: c.InstanceType,
		Subnets: c.Subnets, SecurityGroups: c.SecurityGroups, AutoScaling: c.AutoScaling,
		Timeout: timeout, TolerateInconclusive: c.OnInconclusive == inconclusiveWarn,
	}
}
