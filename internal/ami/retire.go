package ami

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/change"
	"github.com/orgami/packer-plugin-orgami/internal/fanout"
	"github.com/orgami/packer-plugin-orgami/internal/wait"
)

// RetentionPolicy says what becomes of older generations of a family. A time of 0
// means never.
type RetentionPolicy struct {
	Family string
	// Keep is how many of the newest generations stay as they are, the one that
	// is being published among them.
	Keep int
	// The ages at which an image is deprecated, disabled (nobody can launch it,
	// and the owner can enable it again), and deregistered with its snapshots.
	DeprecateAfter, DisableAfter, DeleteAfter time.Duration
}

// Generations are a family's images in a region, with who uses them.
type Generations struct {
	Images []Image
	// Uses are instances and launch templates of the owner's account, by image.
	Uses map[string][]string
}

// LookGenerations reads the account's own images of the family that this plugin
// published, disabled ones too.
func LookGenerations(ctx context.Context, clients Clients, region, family string) (Generations, error) {
	images, err := describeImages(ctx, clients(region), region, &ec2.DescribeImagesInput{
		Owners: []string{"self"}, IncludeDisabled: aws.Bool(true), IncludeDeprecated: aws.Bool(true),
		Filters: []types.Filter{{Name: aws.String("tag:" + TagFamily), Values: []string{filterLiteral(family)}}},
	})
	if err != nil {
		return Generations{}, awsclient.Wrap(err, "looking for images of the family %q in %s", family, region)
	}
	images = slices.DeleteFunc(images, func(i Image) bool { return !i.Published() || i.Tags[TagFamily] != family })
	uses, err := LookUses(ctx, clients(region), region, images)
	return Generations{images, uses}, err
}

// retire is what happens to one older image.
type retire string

const (
	nothing   retire = ""
	deprecate retire = "deprecated"
	disable   retire = "disabled"
	remove    retire = "deregistered"
)

// RetentionAction is one older image, and what is to become of it.
type RetentionAction struct {
	image Image
	what  retire
	why   string // why it is left as it is, although it is old enough
}

// DiffGenerations decides what becomes of the images that are older than the
// planned one. Images of another architecture are generations of their own; what
// is newer, because an older image is published again, is nobody's to retire, and
// neither is what spared names.
func DiffGenerations(have Generations, want RetentionPolicy, plan Plan, spared []string, now time.Time) []RetentionAction {
	newer := 0
	var older []Image
	for _, image := range have.Images {
		usable := image.State == string(types.ImageStateAvailable) || image.State == string(types.ImageStateDisabled)
		switch {
		case !usable || image.Hardware.Architecture != plan.desired.Source.Hardware.Architecture || image.ID == plan.ImageID() || slices.Contains(spared, image.ID):
		case plan.existing != nil && image.age() >= plan.existing.age():
			newer++
		default:
			older = append(older, image)
		}
	}
	slices.SortFunc(older, func(a, b Image) int { return strings.Compare(b.age(), a.age()) })
	kept := max(0, want.Keep-1-newer)
	var retirees []RetentionAction
	for _, image := range older[min(len(older), kept):] {
		r := RetentionAction{image: image, what: want.of(image, now)}
		switch uses := have.Uses[image.ID]; {
		case r.what == nothing:
			continue
		case len(uses) > 0:
			r.why = "used by " + few(uses)
		case r.what == remove && image.Protection != Unprotected && image.Protection != "":
			r.why = fmt.Sprintf("protected against being deregistered: disable that with 'aws ec2 disable-image-deregistration-protection --region %s --image-id %s' first", image.Region, image.ID)
		}
		retirees = append(retirees, r)
	}
	return retirees
}

// age is what images are ordered by, the oldest first.
func (i Image) age() string { return i.CreationDate + i.ID }

// of is what the image's age asks for and that has not been done yet.
func (r RetentionPolicy) of(image Image, now time.Time) retire {
	created, err := time.Parse(time.RFC3339, image.CreationDate)
	if err != nil {
		return nothing
	}
	age := now.Sub(created)
	old := func(after time.Duration) bool { return after > 0 && age >= after }
	switch {
	case old(r.DeleteAfter):
		return remove
	case image.State == string(types.ImageStateDisabled):
		return nothing
	case old(r.DisableAfter):
		return disable
	case old(r.DeprecateAfter) && (image.Deprecation.IsZero() || image.Deprecation.After(now.Add(soon))):
		return deprecate
	default:
		return nothing
	}
}

func few(list []string) string {
	const named = 3
	if len(list) <= named+1 {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:named], ", "), len(list)-named)
}

// Change says what becomes of the image.
func (r RetentionAction) Change() change.Change {
	c := change.Change{Kind: change.OldImage, Action: change.Update, Region: r.image.Region, ID: r.image.ID}
	c.Detail = fmt.Sprintf("%q of %s, is %s", r.image.Name, r.image.CreationDate, r.what)
	if r.what == remove {
		c.Action = change.Delete
		c.Detail += " with its snapshots"
	}
	if r.why != "" {
		c.Action = change.Skip
		c.Detail = fmt.Sprintf("%q of %s, would be %s, but is %s", r.image.Name, r.image.CreationDate, r.what, r.why)
	}
	return c
}

// Retire does what was planned, all regions side by side. Whether an image is
// used is asked once more before it is touched: copying takes its time.
func Retire(ctx context.Context, clients Clients, retirees []RetentionAction) error {
	byRegion := map[string][]RetentionAction{}
	var regions []string
	for _, r := range retirees {
		if r.why != "" {
			continue
		}
		if byRegion[r.image.Region] == nil {
			regions = append(regions, r.image.Region)
		}
		byRegion[r.image.Region] = append(byRegion[r.image.Region], r)
	}
	return fanout.Each(ctx, regions, func(ctx context.Context, region string) error {
		client := clients(region)
		var images []Image
		for _, r := range byRegion[region] {
			images = append(images, r.image)
		}
		uses, err := LookUses(ctx, client, region, images)
		if err != nil {
			return err
		}
		var problems []error
		for _, r := range byRegion[region] {
			if len(uses[r.image.ID]) > 0 {
				problems = append(problems, fmt.Errorf("%s in %s was to be %s and is left as it is: since the plan was made it is used by %s; run again", r.image.ID, region, r.what, few(uses[r.image.ID])))
				continue
			}
			problems = append(problems, r.apply(ctx, client))
		}
		return errors.Join(problems...)
	})
}

func (r RetentionAction) apply(ctx context.Context, client *ec2.Client) error {
	var err error
	id := r.image.ID
	switch r.what {
	case deprecate:
		at := time.Now().Add(soon).Truncate(time.Minute)
		_, err = client.EnableImageDeprecation(ctx, &ec2.EnableImageDeprecationInput{ImageId: &id, DeprecateAt: &at})
	case disable:
		_, err = client.DisableImage(ctx, &ec2.DisableImageInput{ImageId: &id})
	case remove:
		err = r.remove(ctx, client)
	case nothing:
	}
	if err != nil {
		return awsclient.Wrap(err, "retiring the older image %s in %s, which was to be %s", id, r.image.Region, r.what)
	}
	if r.what == remove {
		return nil
	}
	return r.readBack(ctx, client)
}

// remove deregisters the image and deletes its snapshots, but for those that
// another image uses.
func (r RetentionAction) remove(ctx context.Context, client *ec2.Client) error {
	answer, err := client.DeregisterImage(ctx, &ec2.DeregisterImageInput{ImageId: &r.image.ID, DeleteAssociatedSnapshots: aws.Bool(true)})
	if awsclient.Is(err, awsclient.CodeImageNotFound) {
		return nil // somebody was quicker
	}
	if err != nil {
		return err
	}
	var problems []error
	for _, deleted := range answer.DeleteSnapshotResults {
		if code := deleted.ReturnCode; code != types.SnapshotReturnCodesSuccess && code != types.SnapshotReturnCodesWarnSkipped {
			problems = append(problems, fmt.Errorf("its snapshot %s is left, because EC2 answered %s: delete it with 'aws ec2 delete-snapshot --region %s --snapshot-id %[1]s'; the caller needs ec2:DeleteSnapshot", aws.ToString(deleted.SnapshotId), code, r.image.Region))
		}
	}
	return errors.Join(problems...)
}

// readBack waits until it shows. Fact: 8.
func (r RetentionAction) readBack(ctx context.Context, client *ec2.Client) error {
	return wait.Until(ctx, wait.Policy{Timeout: visibility}, func(ctx context.Context) (string, error) {
		images, err := describeImages(ctx, client, r.image.Region, &ec2.DescribeImagesInput{ImageIds: []string{r.image.ID}, IncludeDisabled: aws.Bool(true)})
		if err != nil {
			return "", awsclient.Wrap(err, "reading %s in %s back", r.image.ID, r.image.Region)
		}
		for _, image := range images {
			if r.what == disable && image.State == string(types.ImageStateDisabled) || r.what == deprecate && !image.Deprecation.IsZero() {
				return "", nil
			}
		}
		return "it does not show yet", nil
	})
}
