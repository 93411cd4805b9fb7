package retention

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
)

// RetentionPolicy says what happens to older generations of a family. An age of
// 0 means never.
type RetentionPolicy struct { //nolint:revive // the word that users know; a policy alone is a key policy here
	Family string
	// Keep is how many of the newest generations stay as they are, including the
	// one that is being published.
	Keep int
	// The ages at which an image is deprecated, disabled (it can't be launched
	// until its owner enables it again), and deregistered with its snapshots.
	DeprecateAfter, DisableAfter, DeleteAfter time.Duration
}

// Generation is one published image of a family.
type Generation struct {
	ami.Image
	// LastLaunched is when the image was last launched, as EC2 reports it up to
	// 24 hours later; zero if it never was.
	LastLaunched time.Time
	// Principals are the accounts, organizations and units that the image is
	// shared with, sorted; read only for images that Uses covers.
	Principals []string
}

// Generations are a family's published images in a Region, and who uses those of
// them that are old enough to be disabled or deregistered.
type Generations struct {
	Images []Generation
	Uses   Uses
}

// DescribeGenerations reads the account's own published images of the policy's family,
// including disabled ones, and who uses the older ones. Unpublished copies and images
// without this plugin's tags aren't generations.
func DescribeGenerations(ctx context.Context, clients Clients, region string, policy RetentionPolicy) (Generations, error) {
	api := clients(region)
	images, err := describeImages(ctx, api, region, &ec2.DescribeImagesInput{
		Owners: []string{"self"}, IncludeDisabled: aws.Bool(true), IncludeDeprecated: aws.Bool(true),
		Filters: []types.Filter{
			{Name: aws.String("tag:" + ami.TagFamily), Values: []string{filterLiteral(policy.Family)}},
			{Name: aws.String("tag:" + ami.TagState), Values: []string{ami.StatePublished}},
		},
	})
	if err != nil {
		return Generations{}, awsclient.Wrap(err, "describing the images of the family %q in %s", policy.Family, region)
	}
	images = slices.DeleteFunc(images, func(g Generation) bool { return !g.isGenerationOf(policy.Family) })
	now := time.Now()
	var old []Generation
	for i := range images {
		if !policy.due(images[i].Image, now).ends() {
			continue
		}
		if images[i].Principals, err = describePrincipals(ctx, api, images[i].Image); err != nil {
			return Generations{}, err
		}
		old = append(old, images[i])
	}
	uses, err := describeUses(ctx, api, region, old, now)
	return Generations{images, uses}, err
}

// isGenerationOf reports whether this plugin published the image as one of the
// family.
func (g Generation) isGenerationOf(family string) bool {
	return g.Published() && g.Tags[ami.TagState] == ami.StatePublished && g.Tags[ami.TagFamily] == family
}

// filterLiteral escapes a value so that EC2's filters match nothing else.
func filterLiteral(value string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`).Replace(value)
}

// describeImages returns the images, oldest first.
func describeImages(ctx context.Context, api API, region string, input *ec2.DescribeImagesInput) ([]Generation, error) {
	var images []Generation
	var malformed error
	err := eachPage(ctx, api.DescribeImages, func(token *string) *ec2.DescribeImagesInput {
		input.NextToken = token
		return input
	}, func(answer *ec2.DescribeImagesOutput) *string {
		for _, described := range answer.Images {
			image, err := newGeneration(region, described)
			if err != nil {
				malformed = err
			}
			images = append(images, image)
		}
		return answer.NextToken
	})
	if err == nil {
		err = malformed
	}
	slices.SortFunc(images, func(a, b Generation) int { return strings.Compare(age(a.Image), age(b.Image)) })
	return images, err
}

func newGeneration(region string, described types.Image) (Generation, error) {
	g := Generation{Image: ami.FromEC2(region, described)}
	if g.ID == "" || g.State == "" {
		return g, fmt.Errorf("EC2 returned an image without an ID or a state: %q, %q", g.ID, g.State)
	}
	if launched := aws.ToString(described.LastLaunchedTime); launched != "" {
		var err error
		if g.LastLaunched, err = time.Parse(time.RFC3339, launched); err != nil {
			return g, fmt.Errorf("EC2 returned %q as the time at which %s was last launched: %w", launched, g.ID, err)
		}
	}
	return g, nil
}

// describeImage reads one image, even if it is disabled.
func describeImage(ctx context.Context, api API, region, id string) (Generation, error) {
	images, err := describeImages(ctx, api, region, &ec2.DescribeImagesInput{ImageIds: []string{id}, IncludeDisabled: aws.Bool(true)})
	if err != nil {
		return Generation{}, awsclient.Wrap(err, "describing image %s in %s", id, region)
	}
	if len(images) != 1 || images[0].ID != id {
		return Generation{}, fmt.Errorf("describing image %s in %s: EC2 returned %d images", id, region, len(images))
	}
	return images[0], nil
}

// describePrincipals reads the principals that the image is shared with. A disabled
// image isn't shared.
func describePrincipals(ctx context.Context, api API, image ami.Image) ([]string, error) {
	if image.State == string(types.ImageStateDisabled) {
		return nil, nil
	}
	answer, err := api.DescribeImageAttribute(ctx, &ec2.DescribeImageAttributeInput{ImageId: &image.ID, Attribute: types.ImageAttributeNameLaunchPermission})
	if err == nil && (answer == nil || aws.ToString(answer.ImageId) != image.ID) {
		err = errNoAnswer
	}
	if err != nil {
		return nil, awsclient.Wrap(err, "describing the launch permissions of %s in %s", image.ID, image.Region)
	}
	var principals []string
	for _, p := range answer.LaunchPermissions {
		principals = append(principals, strings.Join([]string{aws.ToString(p.OrganizationArn), aws.ToString(p.OrganizationalUnitArn), aws.ToString(p.UserId), string(p.Group)}, ""))
	}
	slices.Sort(principals)
	return principals, nil
}

// age is the sort key of images, the oldest first.
func age(i ami.Image) string { return i.CreationDate + i.ID }

// step is what happens to one older image.
type step string

const (
	nothing    step = ""
	deprecate  step = "deprecated"
	disable    step = "disabled"
	deregister step = "deregistered"
)

// ends reports whether the image can't be launched after the step.
func (s step) ends() bool { return s == disable || s == deregister }

// due returns the action that the image's age requires and that hasn't happened
// yet.
func (p RetentionPolicy) due(image ami.Image, now time.Time) step {
	created, err := time.Parse(time.RFC3339, image.CreationDate)
	if err != nil {
		return nothing // an image of unknown age stays unchanged
	}
	old := func(after time.Duration) bool { return after > 0 && now.Sub(created) >= after }
	switch {
	case old(p.DeleteAfter):
		return deregister
	case image.State == string(types.ImageStateDisabled):
		return nothing
	case old(p.DisableAfter):
		return disable
	case old(p.DeprecateAfter) && (image.Deprecation.IsZero() || image.Deprecation.After(now.Add(soon))):
		return deprecate
	default:
		return nothing
	}
}
