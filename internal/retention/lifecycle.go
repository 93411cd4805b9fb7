package retention

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/change"
	"github.com/orgami/packer-plugin-orgami/internal/fanout"
	"github.com/orgami/packer-plugin-orgami/internal/wait"
)

// Lifecycle is the configured deprecation and protection of published images.
// Zero fields leave the image unchanged. Fact: EC2-IMG-16, EC2-IMG-22.
type Lifecycle struct {
	// DeprecateAfter is the age at which the image is deprecated, counted from
	// its creation.
	DeprecateAfter time.Duration
	Protection     ami.Protection
}

// soon is how far in the future the deprecation time of an image lies that is to be
// deprecated immediately. EC2 accepts no time in the past, and rounds it to the minute.
const soon = 2 * time.Minute

// missing is the difference between the configured lifecycle and an image's.
type missing struct {
	deprecate  time.Time
	protection ami.Protection
}

func (m missing) none() bool {
	return m.deprecate.IsZero() && m.protection == ""
}

// missingFrom compares.
func (l Lifecycle) missingFrom(image ami.Image, now time.Time) missing {
	var m missing
	if l.DeprecateAfter > 0 {
		m.deprecate = deprecation(image, l.DeprecateAfter, now)
	}
	if l.Protection != "" && !image.Protection.Covers(l.Protection) {
		m.protection = l.Protection
	}
	return m
}

// deprecation is the time to set so that the image is deprecated that long after
// its creation; zero if that is set already.
func deprecation(image ami.Image, after time.Duration, now time.Time) time.Time {
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

// DiffLifecycle lists what the Region's image lacks. existing is nil if a copy is
// going to be created.
func DiffLifecycle(region string, existing *ami.Image, life Lifecycle, now time.Time) []change.Change {
	var id string
	m := missing{deprecate: now, protection: life.Protection}
	if existing != nil {
		id, m = existing.ID, life.missingFrom(*existing, now)
	}
	var changes []change.Change
	add := func(wanted bool, kind change.Kind, lacks bool, format string, arguments ...any) {
		c := change.Change{Kind: kind, Action: change.NoOp, Region: region, ID: id}
		if lacks {
			c.Action, c.Detail = change.Update, fmt.Sprintf(format, arguments...)
		}
		if wanted {
			changes = append(changes, c)
		}
	}
	if existing == nil {
		add(life.DeprecateAfter > 0, change.Deprecation, true, "%v after its creation", life.DeprecateAfter)
	} else {
		add(life.DeprecateAfter > 0, change.Deprecation, !m.deprecate.IsZero(), "at %s", m.deprecate.Format(time.RFC3339))
	}
	add(life.Protection != "", change.Protection, m.protection != "", "%s", life.Protection)
	return changes
}

// ApplyLifecycle gives the published images, by Region, what they lack of the
// lifecycle, and returns what AWS reads back.
func ApplyLifecycle(ctx context.Context, clients Clients, images map[string]ami.Image, life Lifecycle) (map[string]ami.Image, error) {
	return fanout.Collect(ctx, slices.Sorted(maps.Keys(images)), func(ctx context.Context, region string) (ami.Image, error) {
		image := images[region]
		m := life.missingFrom(image, time.Now())
		if m.none() {
			return image, nil
		}
		api := clients(region)
		if err := m.apply(ctx, api, image); err != nil {
			return image, err
		}
		err := wait.Until(ctx, wait.Policy{Timeout: visibility}, func(ctx context.Context) (string, error) {
			found, err := describeImage(ctx, api, region, image.ID)
			if err == nil && !m.appliedTo(found.Image) {
				return "the change is not visible yet", nil
			}
			image.Deprecation, image.Protection = found.Deprecation, found.Protection
			return "", err
		})
		if _, late := errors.AsType[*wait.TimeoutError](err); late {
			return image, fmt.Errorf("reading back the deprecation and protection of %s in %s: %w: another process may be changing them. Run again", image.ID, region, err)
		}
		return image, err
	})
}

func (m missing) apply(ctx context.Context, api API, image ami.Image) error {
	if !m.deprecate.IsZero() {
		if _, err := api.EnableImageDeprecation(ctx, &ec2.EnableImageDeprecationInput{ImageId: &image.ID, DeprecateAt: &m.deprecate}); err != nil {
			return awsclient.Wrap(err, "setting the deprecation of %s in %s to %s", image.ID, image.Region, m.deprecate.Format(time.RFC3339))
		}
	}
	if m.protection != "" {
		_, err := api.EnableImageDeregistrationProtection(ctx, &ec2.EnableImageDeregistrationProtectionInput{
			ImageId: &image.ID, WithCooldown: aws.Bool(m.protection == ami.ProtectedWithCooldown),
		})
		if err != nil {
			return awsclient.Wrap(err, "enabling deregistration protection of %s in %s", image.ID, image.Region)
		}
	}
	return nil
}

func (m missing) appliedTo(image ami.Image) bool {
	return (m.deprecate.IsZero() || image.Deprecation.Equal(m.deprecate)) && (m.protection == "" || image.Protection.Covers(m.protection))
}
