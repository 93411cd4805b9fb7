package ami

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/change"
	"github.com/orgami/packer-plugin-orgami/internal/fanout"
	"github.com/orgami/packer-plugin-orgami/internal/wait"
)

// Lifecycle is what becomes of published images. What is zero in it is left as it
// is. Fact: 5.
type Lifecycle struct {
	// Family marks images that are generations of each other.
	Family string
	// DeprecateAfter is counted from when the image was made.
	DeprecateAfter time.Duration
	Protection     Protection
}

// Protection is an image's protection against being deregistered, in EC2's
// words.
type Protection string

// The protections. One with a cooldown holds for a day after it was disabled.
const (
	Unprotected              Protection = "disabled"
	ProtectedWithoutCooldown Protection = "enabled-without-cooldown"
	ProtectedWithCooldown    Protection = "enabled-with-cooldown"
)

// soon is how far ahead the time lies of an image that is to be deprecated at
// once: EC2 takes no time in the past, and rounds it to the minute.
const soon = 2 * time.Minute

// missing is what of the life an image lacks.
type missing struct {
	deprecate  time.Time
	protection Protection
}

func (m missing) none() bool {
	return m.deprecate.IsZero() && m.protection == ""
}

// missingFrom compares.
func (l Lifecycle) missingFrom(image Image, now time.Time) missing {
	var m missing
	if l.DeprecateAfter > 0 {
		m.deprecate = deprecation(image, l.DeprecateAfter, now)
	}
	if l.Protection != "" && !image.Protection.is(l.Protection) {
		m.protection = l.Protection
	}
	return m
}

// Enabled is the protection, "" if there is none.
func (p Protection) Enabled() string {
	if p == Unprotected {
		return ""
	}
	return string(p)
}

// is reports whether the protection is as good as the wanted one.
func (p Protection) is(wanted Protection) bool {
	return p == wanted || p == ProtectedWithCooldown && wanted == ProtectedWithoutCooldown
}

// deprecation is the time to set so that the image is deprecated that long after
// it was made; zero if that is set already.
func deprecation(image Image, after time.Duration, now time.Time) time.Time {
	created, err := time.Parse(time.RFC3339, image.CreationDate)
	if err != nil {
		created = now
	}
	at := created.Add(after).Truncate(time.Minute)
	deprecated := !image.Deprecation.IsZero() && image.Deprecation.Before(now.Add(soon))
	switch {
	case image.Deprecation.Equal(at), at.Before(now.Add(soon)) && deprecated:
		return time.Time{}
	case at.Before(now.Add(soon)):
		return now.Add(soon).Truncate(time.Minute)
	default:
		return at
	}
}

// DiffLifecycle lists what the planned image lacks: one that exists, or one that is
// going to be made.
func DiffLifecycle(plan Plan, life Lifecycle, now time.Time) []change.Change {
	region, existing := plan.Region(), plan.existing
	image := Image{Region: region, CreationDate: now.Format(time.RFC3339)}
	if existing != nil {
		image = *existing
	}
	m := life.missingFrom(image, now)
	var changes []change.Change
	add := func(wanted bool, kind change.Kind, lacks bool, format string, arguments ...any) {
		c := change.Change{Kind: kind, Action: change.NoOp, Region: region, ID: image.ID}
		if lacks {
			c.Action, c.Detail = change.Update, fmt.Sprintf(format, arguments...)
		}
		if wanted {
			changes = append(changes, c)
		}
	}
	if existing == nil {
		add(life.DeprecateAfter > 0, change.Deprecation, true, "%v after it was made", life.DeprecateAfter)
	} else {
		add(life.DeprecateAfter > 0, change.Deprecation, !m.deprecate.IsZero(), "at %s", m.deprecate.Format(time.RFC3339))
	}
	add(life.Protection != "", change.Protection, m.protection != "", "%s", life.Protection)
	return changes
}

// ApplyLifecycle gives the published images what they lack of the life, and returns what
// AWS reads back.
func ApplyLifecycle(ctx context.Context, clients Clients, published map[string]Image, life Lifecycle) (map[string]Image, error) {
	return fanout.Collect(ctx, slices.Collect(maps.Keys(published)), func(ctx context.Context, region string) (Image, error) {
		image := published[region]
		m := life.missingFrom(image, time.Now())
		if m.none() {
			return image, nil
		}
		if err := m.give(ctx, clients(region), image); err != nil {
			return image, err
		}
		err := wait.Until(ctx, wait.Policy{Timeout: visibility}, func(ctx context.Context) (string, error) {
			found, err := describeImageAlone(ctx, clients(region), region, image.ID)
			if err == nil && !m.givenTo(found) {
				return "it does not show yet", nil
			}
			image.Deprecation, image.Protection = found.Deprecation, found.Protection
			return "", err
		})
		if _, late := errors.AsType[*wait.TimeoutError](err); late {
			return image, fmt.Errorf("reading deprecation and protection of %s in %s back: %w: someone else may be changing them; run again", image.ID, region, err)
		}
		return image, err
	})
}

func (m missing) give(ctx context.Context, client *ec2.Client, image Image) error {
	if !m.deprecate.IsZero() {
		if _, err := client.EnableImageDeprecation(ctx, &ec2.EnableImageDeprecationInput{ImageId: &image.ID, DeprecateAt: &m.deprecate}); err != nil {
			return awsclient.Wrap(err, "setting the time at which %s in %s is deprecated, %s", image.ID, image.Region, m.deprecate.Format(time.RFC3339))
		}
	}
	if m.protection != "" {
		_, err := client.EnableImageDeregistrationProtection(ctx, &ec2.EnableImageDeregistrationProtectionInput{
			ImageId: &image.ID, WithCooldown: aws.Bool(m.protection == ProtectedWithCooldown),
		})
		if err != nil {
			return awsclient.Wrap(err, "protecting %s in %s against being deregistered", image.ID, image.Region)
		}
	}
	return nil
}

func (m missing) givenTo(image Image) bool {
	return (m.deprecate.IsZero() || image.Deprecation.Equal(m.deprecate)) && (m.protection == "" || image.Protection.is(m.protection))
}
