//go:generate packer-sdc struct-markdown

package publish

import (
	"cmp"
	"time"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/config"
	"github.com/orgami/packer-plugin-orgami/internal/retention"
)

// The `deregistration_protection` block protects the published images against
// being deregistered by mistake.
type ProtectionConfig struct {
	// Switch the protection on. By default `false`; an image that is protected
	// stays so.
	Enabled bool `mapstructure:"enabled"`
	// Hold the protection for 24 hours after somebody disabled it. By default
	// `false`.
	WithCooldown bool `mapstructure:"with_cooldown"`
}

// The `retire` block says what happens to older generations of the image after the
// new one is published: images of the same `family` and architecture, in the Regions
// of this publication, that this post-processor published itself. An image is disabled
// or deregistered only if nothing is known to use it. In the owner's account, these
// are instances, including stopped ones, every version of launch templates, also of
// those that name the image through a parameter, parameters, and Image Builder
// recipes. In other accounts, these are the instances and launch templates in an EC2
// image usage report. The first run that finds an old image without a report of the
// last 7 days creates one and keeps the image; a later run retires it. Images that
// were launched in the last 8 days and images with deregistration protection are kept,
// too. The plan names every image that is kept, with the reason. To see it, set
// `plan_only`.
//
// The ages are counted from the image's creation. Each step can be omitted.
type RetireConfig struct {
	// How many of the newest generations stay as they are, the one that is
	// published among them. At least 1.
	Keep int `mapstructure:"keep" required:"true"`
	// The age, as in `720h`, at which an image is deprecated: other accounts do
	// not find it any more, and can still launch it.
	DeprecateAfter time.Duration `mapstructure:"deprecate_after"`
	// The age at which an image is disabled: it is not shared any more, and
	// nobody can launch it. The owner can enable it again.
	DisableAfter time.Duration `mapstructure:"disable_after"`
	// The age at which an image is deregistered and its snapshots are deleted,
	// for good.
	DeleteAfter time.Duration `mapstructure:"delete_after"`
}

// maxCopyDuration is EC2's limit for time-based copies, in minutes.
const maxCopyDuration = 48 * 60

// maxDeprecation is how far ahead EC2 lets the deprecation of an image lie.
// Fact: EC2-IMG-16.
const maxDeprecation = 10 * 365 * 24 * time.Hour

func (c Config) validateLifecycle(p *config.Problems) {
	if c.Family != "" && len(c.Family) > maxTagValueLength {
		p.Addf("family: it is longer than %d characters: shorten it", maxTagValueLength)
	}
	if c.DeprecateAfter < 0 {
		p.Addf("deprecate_after: %s is negative: write an age, as in 2160h", c.DeprecateAfter)
	}
	if c.DeprecateAfter > maxDeprecation {
		p.Addf("deprecate_after: %s: EC2 takes at most 10 years, 87600h: shorten it, or leave it out", c.DeprecateAfter)
	}
	if d := c.SnapshotCopyDurationMinutes; d != 0 && (d < 15 || d > maxCopyDuration || d%15 != 0) {
		p.Addf("snapshot_copy_duration_minutes: %d: write a multiple of 15 from 15 to %d, or leave it out", d, maxCopyDuration)
	}
	if c.Protection != nil && c.Protection.WithCooldown && !c.Protection.Enabled {
		p.Addf("deregistration_protection.with_cooldown: it is of use with enabled = true only: set that, or leave it out")
	}
	if c.Retire == nil {
		return
	}
	if c.Family == "" {
		p.Addf(`retire: it needs family, which says which images are generations of each other: write family = "NAME"`)
	}
	if c.Retire.Keep < 1 {
		p.Addf("retire.keep: %d: keep at least 1, the image that is published", c.Retire.Keep)
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
			p.Addf("%s: %s is negative: write an age, as in 720h", a.field, a.age)
		case a.age > 0 && some && a.age <= ages[before].age:
			p.Addf("%s: %s is not later than %s, %s: each step comes after the one before", a.field, a.age, ages[before].field, ages[before].age)
		}
		if a.age > 0 {
			before, some = n, true
		}
	}
	if !some {
		p.Addf("retire: it says when to do nothing: set deprecate_after, disable_after or delete_after, or leave the block out")
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
