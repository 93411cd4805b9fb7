//go:generate packer-sdc struct-markdown

package publish

import (
	"cmp"
	"time"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
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

// The `retire` block says what becomes of older generations of the image, once
// the new one is published and proved: those of the same `family` and
// architecture, in the regions of this publication, that this post-processor
// published itself. Images that an instance, stopped ones too, or any version of
// a launch template of the owner's account uses stay as they are, as do those
// with deregistration protection, and the run says so. It cannot be seen what
// other accounts do with an image: choose ages that they can live with.
// `plan_only` shows the list.
//
// The ages are counted from when an image was made. Each step can be left out.
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
// Fact: 5.
const maxDeprecation = 10 * 365 * 24 * time.Hour

func (c Config) validateLife(p *problems) {
	if c.Family != "" && len(c.Family) > maxTagValueLength {
		p.addf("family: it is longer than %d characters: shorten it", maxTagValueLength)
	}
	if c.DeprecateAfter < 0 {
		p.addf("deprecate_after: %s is negative: write an age, as in 2160h", c.DeprecateAfter)
	}
	if c.DeprecateAfter > maxDeprecation {
		p.addf("deprecate_after: %s: EC2 takes at most 10 years, 87600h: shorten it, or leave it out", c.DeprecateAfter)
	}
	if d := c.SnapshotCopyDurationMinutes; d != 0 && (d < 15 || d > maxCopyDuration || d%15 != 0) {
		p.addf("snapshot_copy_duration_minutes: %d: write a multiple of 15 from 15 to %d, or leave it out", d, maxCopyDuration)
	}
	if c.Protection != nil && c.Protection.WithCooldown && !c.Protection.Enabled {
		p.addf("deregistration_protection.with_cooldown: it is of use with enabled = true only: set that, or leave it out")
	}
	if c.Retire == nil {
		return
	}
	if c.Family == "" {
		p.addf(`retire: it needs family, which says which images are generations of each other: write family = "NAME"`)
	}
	if c.Retire.Keep < 1 {
		p.addf("retire.keep: %d: keep at least 1, the image that is published", c.Retire.Keep)
	}
	c.Retire.validateAges(p)
}

func (c RetireConfig) validateAges(p *problems) {
	ages := []struct {
		field string
		age   time.Duration
	}{{"retire.deprecate_after", c.DeprecateAfter}, {"retire.disable_after", c.DisableAfter}, {"retire.delete_after", c.DeleteAfter}}
	var before int
	some := false
	for n, a := range ages {
		switch {
		case a.age < 0:
			p.addf("%s: %s is negative: write an age, as in 720h", a.field, a.age)
		case a.age > 0 && some && a.age <= ages[before].age:
			p.addf("%s: %s is not later than %s, %s: each step comes after the one before", a.field, a.age, ages[before].field, ages[before].age)
		}
		if a.age > 0 {
			before, some = n, true
		}
	}
	if !some {
		p.addf("retire: it says when to do nothing: set deprecate_after, disable_after or delete_after, or leave the block out")
	}
}

func (c Config) lifecycle() ami.Lifecycle {
	life := ami.Lifecycle{Family: c.Family, DeprecateAfter: c.DeprecateAfter}
	if c.Protection != nil && c.Protection.Enabled {
		life.Protection = ami.ProtectedWithoutCooldown
		if c.Protection.WithCooldown {
			life.Protection = ami.ProtectedWithCooldown
		}
	}
	return life
}

func (c Config) retirement() *ami.RetentionPolicy {
	if c.Retire == nil {
		return nil
	}
	return &ami.RetentionPolicy{
		Family: c.Family, Keep: cmp.Or(c.Retire.Keep, 1),
		DeprecateAfter: c.Retire.DeprecateAfter, DisableAfter: c.Retire.DisableAfter, DeleteAfter: c.Retire.DeleteAfter,
	}
}
