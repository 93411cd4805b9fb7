package ami

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/change"
)

// Desired is the image as configured for a Region.
type Desired struct {
	Region string
	Name   string
	// Publication is the [PublicationID].
	Publication string
	// KeyID is the ID of the multi-Region key, KeyARN the ARN of the Region's. Both are
	// empty while the key doesn't exist. Then no image can be encrypted with it.
	KeyID  string
	KeyARN string
	// Source is copied, or published as it is. Alternates are available copies in other
	// Regions, to copy from if the source no longer exists.
	Source     Image
	Alternates []Image
	// Tags and SnapshotTags are the user's tags of a copy.
	Tags           map[string]string
	SnapshotTags   map[string]string
	CopySourceTags bool
	// Family groups generations; empty if the image belongs to none.
	Family string
	// CopyDuration is the duration of a time-based copy in minutes. 0 starts a
	// standard copy. Fact: EC2-COPY-34.
	CopyDuration int64
}

// Plan is the work for a Region's image: publish the source as it is, use an
// existing copy, or create a copy.
type Plan struct {
	desired Desired
	// existing is the image to use, pending or available; nil to copy.
	existing *Image
	adopted  bool
	// failed are copies of the publication that failed before the run. Their client
	// tokens return them, but a new copy can succeed.
	failed   []string
	problems []string
}

// maxTags is how many tags an EC2 resource can have.
const maxTags = 50

// Diff decides which image to publish in the Region. Of several candidates, it
// prefers a shared one, then an available one, then the oldest.
func Diff(desired Desired, observed Observed) Plan {
	plan := Plan{desired: desired}
	candidates := slices.DeleteFunc(slices.Clone(observed.Images), func(i Image) bool { return !desired.fits(i) })
	if source := desired.Source; source.Region == desired.Region && source.UnderKey(desired.KeyARN) {
		candidates = append(slices.DeleteFunc(candidates, func(i Image) bool { return i.ID == source.ID }), source)
	}
	if len(candidates) > 0 {
		chosen := slices.MinFunc(candidates, func(a, b Image) int {
			return cmp.Or(rank(observed.Shared[b.ID].Image.Any(), observed.Shared[a.ID].Image.Any()), rank(b.available(), a.available()), cmp.Compare(a.age(), b.age()))
		})
		plan.existing, plan.adopted = &chosen, chosen.ID == desired.Source.ID
	}
	for _, image := range observed.Images {
		if image.dead() && image.Tags[TagPublication] == desired.Publication {
			plan.failed = append(plan.failed, image.ID)
		}
	}
	if !plan.adopted {
		plan.problems = desired.Conflicts(observed)
	}
	if plan.existing == nil {
		plan.problems = append(plan.problems, plan.expandTags()...)
	}
	return plan
}

// rank compares two conditions. A condition that holds is greater.
func rank(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	default:
		return -1
	}
}

// fits reports whether the Region can use the image: a copy of the same publication
// with the wanted name, encrypted with the key as far as EC2 reports it. [Verify] looks
// closer.
func (d Desired) fits(i Image) bool {
	usable := i.available() || i.State == "pending" || i.State == "transient"
	return usable && d.Publication != "" && i.Tags[TagPublication] == d.Publication &&
		(i.Name == d.Name || i.Name == d.alternateName()) &&
		d.KeyID != "" && i.Tags[TagKey] == d.KeyID && !i.contradicts(d.KeyARN)
}

// maxNameLength is EC2's limit for the name of an image. Fact: EC2-IMG-1.
const maxNameLength = 128

// alternateName is the copy's name if EC2 rejects the wanted one because an
// unpublished copy of another source has it.
func (d Desired) alternateName() string {
	suffix := "-" + hash(d.Publication)[:8]
	return d.Name[:min(len(d.Name), maxNameLength-len(suffix))] + suffix
}

// Conflicts lists the images because of which the wanted name can't be published:
// published images of another source or key, disabled images, and images that the
// plugin didn't create. Unpublished copies never conflict.
func (d Desired) Conflicts(observed Observed) []string {
	var problems []string
	for _, i := range observed.Images {
		same := i.Tags[TagPublication] == d.Publication
		published := i.Published() || observed.Shared[i.ID].Image.Any()
		switch {
		case i.Name != d.Name || i.dead() || d.fits(i):
		case !i.IsCopy():
			problems = append(problems, fmt.Sprintf("image %s in %s has the name %q and isn't a copy of %s. Set `ami_name` to an unused name", i.ID, d.Region, d.Name, d.Source.ID))
		case i.disabled() && (same || published):
			problems = append(problems, fmt.Sprintf("image %s in %s, named %q, is disabled. Enable it with 'aws ec2 enable-image --region %[2]s --image-id %[1]s' and publish again, or set `ami_name` to an unused name", i.ID, d.Region, d.Name))
		case published && !same:
			id, region := i.Origin()
			problems = append(problems, fmt.Sprintf("image %s in %s is published as %q and is a copy of %s (%s), not of %s. Set `ami_name` to an unused name", i.ID, d.Region, d.Name, id, region, d.Source.ID))
		case published && i.Tags[TagKey] != d.KeyID:
			problems = append(problems, fmt.Sprintf("image %s in %s is published as %q and encrypted with key %s, not with %s. Set `ami_name` to an unused name, or publish with that key", i.ID, d.Region, d.Name, i.Tags[TagKey], keyOrNone(d.KeyARN)))
		case published && i.contradicts(d.KeyARN):
			problems = append(problems, fmt.Sprintf("image %s in %s is published as %q, and EC2 reports a snapshot of it that isn't encrypted with %s. Set `ami_name` to an unused name", i.ID, d.Region, d.Name, keyOrNone(d.KeyARN)))
		}
	}
	return problems
}

// keyOrNone names a key that may not exist yet.
func keyOrNone(arn string) string { return cmp.Or(arn, "a key that doesn't exist yet") }

// expandTags fills in the values of the tags, and lists what is wrong with them.
func (p *Plan) expandTags() []string {
	d := &p.desired
	var imageErr, snapshotErr error
	d.Tags, imageErr = ExpandTags(d.Tags, d.tagData())
	d.SnapshotTags, snapshotErr = ExpandTags(d.SnapshotTags, d.tagData())
	if err := errors.Join(imageErr, snapshotErr); err != nil {
		return []string{err.Error()}
	}
	if tags := len(d.imageTags()); tags > maxTags {
		return []string{fmt.Sprintf("the copy of %s in %s would have %d tags, and EC2 allows %d. Set `copy_source_tags = false` or remove some of `tags`", d.Source.ID, d.Region, tags, maxTags)}
	}
	return nil
}

// Region is the plan's Region.
func (p Plan) Region() string { return p.desired.Region }

// Desired is the configuration that was planned for.
func (p Plan) Desired() Desired { return p.desired }

// ImageID is the image that exists, "" when one has to be copied.
func (p Plan) ImageID() string {
	if p.existing == nil {
		return ""
	}
	return p.existing.ID
}

// Existing is the image that exists, if there is one.
func (p Plan) Existing() (Image, bool) {
	if p.existing == nil {
		return Image{}, false
	}
	return *p.existing, true
}

// Source is the image that is, or would be, copied.
func (p Plan) Source() Image { return p.desired.Source }

// Adopted reports whether the source is published as it is.
func (p Plan) Adopted() bool { return p.adopted }

// Problems lists why the image can't be published.
func (p Plan) Problems() []string { return p.problems }

// Changes lists what the plan does.
func (p Plan) Changes() []change.Change {
	d := p.desired
	c := change.Change{Kind: change.Image, Region: d.Region, ID: p.ImageID(), Action: change.NoOp}
	switch {
	case p.adopted:
		c.Detail = "the source image is already encrypted with this Region's key"
	case p.existing == nil:
		c.Action = change.Create
		c.Detail = fmt.Sprintf("copy of %s in %s, named %q", d.Source.ID, d.Source.Region, d.Name)
	}
	changes := []change.Change{c}
	if p.existing != nil {
		if missing := p.missingMarks(*p.existing); len(missing) > 0 {
			changes = append(changes, change.Change{Kind: change.ImageTags, Action: change.Update, Region: d.Region, ID: p.ImageID(), Detail: "sets " + strings.Join(slices.Sorted(maps.Keys(missing)), ", ")})
		}
	}
	for _, problem := range p.problems {
		changes = append(changes, change.Change{Kind: change.Image, Action: change.Skip, Region: d.Region, Detail: problem})
	}
	return changes
}

// missingMarks are the tags of a published image that the image lacks.
func (p Plan) missingMarks(image Image) map[string]string {
	missing := p.desired.marks(StatePublished)
	if image.IsCopy() {
		// Tags that name its original were set when it was created.
		for _, key := range []string{TagPublication, TagSourceImage, TagSourceRegion, TagDigest} {
			delete(missing, key)
		}
	}
	maps.DeleteFunc(missing, func(key, value string) bool { return value == "" || image.Tags[key] == value })
	return missing
}

// imageTags are the tags of a new copy: the source's if wanted, then the user's,
// then the plugin's.
func (d Desired) imageTags() map[string]string {
	tags := map[string]string{}
	if d.CopySourceTags {
		for key, value := range d.Source.Tags {
			if !strings.HasPrefix(key, TagPrefix) && !strings.HasPrefix(key, "aws:") {
				tags[key] = value
			}
		}
	}
	maps.Copy(tags, d.Tags)
	maps.Copy(tags, d.marks(StateUnpublished))
	return tags
}

// snapshotTags are the tags of a new copy's snapshots. A snapshot has no state of
// its own.
func (d Desired) snapshotTags() map[string]string {
	tags := map[string]string{}
	maps.Copy(tags, d.SnapshotTags)
	maps.Copy(tags, d.marks(""))
	delete(tags, TagState)
	return tags
}
