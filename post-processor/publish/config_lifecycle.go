//go:generate packer-sdc struct-markdown

package publish

import (
	"cmp"
	"time"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/config"
	"github.com/orgami/packer-plugin-orgami/internal/retention"
)

// The `deregistration_protection` block protects the published images from accidental
// deregistration.
type ProtectionConfig struct {
	// Turn on protection. `false` doesn't turn off the protection of an image that has
	// it. Defaults to `false`.
	Enabled bool `mapstructure:"enabled"`
	// Keep the protection for 24 hours after it is turned off. Requires
	// `enabled = true`. Defaults to `false`.
	WithCooldown bool `mapstructure:"with_cooldown"`
}

// The `retire` block retires older generations of the image after the new one is
// published: images of the same `family` and architecture, in the Regions of this
// publication, that this post-processor published.
//
// The plugin disables or deregisters an image only if it finds no use of it. In the
// publishing account, the plugin checks instances (including stopped ones), every
// version of launch templates (including those that name the image through a
// parameter), parameters, and Image Builder recipes. For other accounts, it reads the
// instances and launch templates in an EC2 image usage report. The first run that finds
// an old image without a report of the last 7 days creates a report and keeps the
// image. A later run retires it. Images that were launched in the last 8 days and
// images with deregistration protection are kept, too. With `ssm.share`, so are images
// that one of the last 100 versions of the parameter names: a launch template of another
// account can name a version, and the publishing account can't read it. The plan lists
// every image that is kept, with the reason.
//
// Ages are counted from the image's creation. At least one age is required, and each
// age must be greater than the one before. Requires `family`.
type RetireConfig struct {
	// Number of the newest generations to keep, including the one that is published.
	// Must be at least 1.
	Keep int `mapstructure:"keep" required:"true"`
	// Age at which an image is deprecated, for example `720h`. Other accounts no longer
	// see it in searches but can still launch it by ID.
	DeprecateAfter time.Duration `mapstructure:"deprecate_after"`
	// Age at which an image is disabled. It is no longer shared and can't be launched.
	// The publishing account can enable it again.
	DisableAfter time.Duration `mapstructure:"disable_after"`
	// Age at which an image is deregistered and its snapshots are deleted. This can't
	// be undone.
	DeleteAfter time.Duration `mapstructure:"delete_after"`
}

// maxCopyDuration is EC2's limit for time-based copies, in minutes.
const maxCopyDuration = 48 * 60

// maxDeprecation is how far in the future EC2 accepts a deprecation time. Fact:
// EC2-IMG-16.
const maxDeprecation = 10 * 365 * 24 * time.Hour

func (c Config) validateLifecycle(p *config.Problems) {
	if c.Family != "" && len(c.Family) > maxTagValueLength {
		p.Addf("family: must be at most %d characters. Shorten it", maxTagValueLength)
	}
	if c.DeprecateAfter < 0 {
		p.Addf("deprecate_after: %s is negative. Set an age, for example 2160h", c.DeprecateAfter)
	}
	if c.DeprecateAfter > maxDeprecation {
		p.Addf("deprecate_after: %s is more than 10 years (87600h), which EC2 rejects. Shorten it, or omit it", c.DeprecateAfter)
	}
	if d := c.SnapshotCopyDurationMinutes; d != 0 && (d < 15 || d > maxCopyDuration || d%15 != 0) {
		p.Addf("snapshot_copy_duration_minutes: %d is not a multiple of 15 from 15 to %d. Set such a number, or omit the option", d, maxCopyDuration)
	}
	if c.Protection != nil && c.Protection.WithCooldown && !c.Protection.Enabled {
		p.Addf("deregistration_protection.with_cooldown: requires `enabled = true`. Set that, or omit `with_cooldown`")
	}
	if c.Retire == nil {
		return
	}
	if c.Family == "" {
		p.Addf(`retire: requires family, which identifies the generations of an image. Set family = "NAME"`)
	}
	if c.Retire.Keep < 1 {
		p.Addf("retire.keep: must be at least 1, not %d, because the published image is kept. Correct it", c.Retire.Keep)
	}
	c.Retire.validateAges(p)
}

func (c RetireConfig) validateAges(p *config.Problems) {
	ages := []struct {
		field string
		age   time.Duration
	}{{"retire.deprecate_after", c.DeprecateAfter}, {"retire.disable_after", c.DisableAfter}, {"retire.delete_after", c.DeleteAfter}}
	var before int
	some := false
	for n, a := range ages {
		switch {
		case a.age < 0:
			p.Addf("%s: %s is negative. Set an age, for example 720h", a.field, a.age)
		case a.age > 0 && some && a.age <= ages[before].age:
			p.Addf("%s: must be greater than %[3]s (%[4]s), not %[2]s. Increase it", a.field, a.age, ages[before].field, ages[before].age)
		}
		if a.age > 0 {
			before, some = n, true
		}
	}
	if !some {
		p.Addf("retire: no age is set. Set deprecate_after, disable_after or delete_after, or omit the block")
	}
}

func (c Config) lifecycle() retention.Lifecycle {
	life := retention.Lifecycle{DeprecateAfter: c.DeprecateAfter}
	if c.Protection != nil && c.Protection.Enabled {
		life.Protection = ami.ProtectedWithoutCooldown
		if c.Protection.WithCooldown {
			life.Protection = ami.ProtectedWithCooldown
		}
	}
	return life
}

func (c Config) retirement() *retention.RetentionPolicy {
	if c.Retire == nil {
		return nil
	}
	return &retention.RetentionPolicy{
		Family: c.Family, Keep: cmp.Or(c.Retire.Keep, 1),
		DeprecateAfter: c.Retire.DeprecateAfter, DisableAfter: c.Retire.DisableAfter, DeleteAfter: c.Retire.DeleteAfter,
	}
}
