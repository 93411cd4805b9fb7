package ami

import (
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// Protection is an image's deregistration protection, in EC2's words.
type Protection string

// The protections. One with a cooldown stays in force for 24 hours after it was
// disabled.
const (
	Unprotected              Protection = "disabled"
	ProtectedWithoutCooldown Protection = "enabled-without-cooldown"
	ProtectedWithCooldown    Protection = "enabled-with-cooldown"
)

// Enabled returns the protection, or "" if there is none.
func (p Protection) Enabled() string {
	if p == Unprotected {
		return ""
	}
	return string(p)
}

// Covers reports whether the protection is at least as strong as wanted.
func (p Protection) Covers(wanted Protection) bool {
	return p == wanted || p == ProtectedWithCooldown && wanted == ProtectedWithoutCooldown
}

// FromEC2 converts what DescribeImages returned for an image in the Region. The
// snapshots lack their keys, which only DescribeSnapshots returns.
func FromEC2(region string, described types.Image) Image { return newImage(region, described) }

// TagList converts tags to EC2's form, sorted by key.
func TagList(tags map[string]string) []types.Tag { return tagList(tags) }
