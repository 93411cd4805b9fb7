package retention_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/retention"
)

func TestDiffLifecycle(t *testing.T) {
	everything := retention.Lifecycle{DeprecateAfter: 10 * day, Protection: ami.ProtectedWithoutCooldown}
	image := func(change func(*ami.Image)) *ami.Image {
		i := aged(5).Image
		i.ID, i.Protection, i.Deprecation = "ami-1", ami.ProtectedWithCooldown, now.Add(5*day)
		change(&i)
		return &i
	}
	tests := map[string]struct {
		existing *ami.Image
		life     retention.Lifecycle
		want     string
	}{
		"nothing is configured": {image(func(*ami.Image) {}), retention.Lifecycle{}, ""},
		"a new copy": {nil, everything, `
~ us-east-1      image deprecation: 240h0m0s after its creation
~ us-east-1      deregistration protection: enabled-without-cooldown`},
		"up to date": {image(func(*ami.Image) {}), everything, `
= us-east-1      image deprecation ami-1
= us-east-1      deregistration protection ami-1`},
		"everything is missing": {image(func(i *ami.Image) {
			i.Tags, i.Deprecation, i.Protection = nil, time.Time{}, ami.Unprotected
		}), everything, `
~ us-east-1      image deprecation ami-1: at 2026-04-05T12:00:00Z
~ us-east-1      deregistration protection ami-1: enabled-without-cooldown`},
		"due for deprecation": {image(func(i *ami.Image) {
			i.Deprecation, i.CreationDate = time.Time{}, now.Add(-20*day).Format(time.RFC3339)
		}), retention.Lifecycle{DeprecateAfter: 10 * day}, `
~ us-east-1      image deprecation ami-1: at 2026-03-31T12:02:00Z`},
		"deprecated": {image(func(i *ami.Image) {
			i.Deprecation, i.CreationDate = now.Add(-day), now.Add(-20*day).Format(time.RFC3339)
		}), retention.Lifecycle{DeprecateAfter: 10 * day}, `
= us-east-1      image deprecation ami-1`},
		"a weaker protection": {image(func(i *ami.Image) { i.Protection = ami.ProtectedWithoutCooldown }), retention.Lifecycle{Protection: ami.ProtectedWithCooldown}, `
~ us-east-1      deregistration protection ami-1: enabled-with-cooldown`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var lines []string
			for _, c := range retention.DiffLifecycle(home, test.existing, test.life, now) {
				lines = append(lines, c.String())
			}
			if diff := cmp.Diff(strings.TrimPrefix(test.want, "\n"), strings.Join(lines, "\n")); diff != "" {
				t.Error(diff)
			}
		})
	}
}
