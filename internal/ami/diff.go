package ami

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/change"
)

// Want is the image that a region shall have.
type Want struct {
	Region string
	Name   string
	// KeyARN is the region's key; empty while that key does not exist, and then
	// no existing image can be under it.
	KeyARN string
	Source Image
	// Tags and SnapshotTags of a copy, beside our own marks.
	Tags           map[string]string
	SnapshotTags   map[string]string
	CopySourceTags bool
	// Family is that of [Lifecycle].
	Family string
	// CopyDuration makes the copy a time-based one, in minutes; 0 leaves it to
	// EC2. Fact: 5.
	CopyDuration int64
}

// Plan is what has to be done for a region's image: to adopt the source as it
// is, to use the copy that exists, or to copy.
type Plan struct {
	want Want
	// existing is the image to use, pending or available; nil to copy.
	existing *Image
	adopted  bool
	// dead are ids of failed copies, which are left alone and reported.
	dead []string
}

// Diff decides. An image of the same name that is not a copy of the same source
// under the right key is an error: a name must not mean two things.
func Diff(want Want, named []Image) (Plan, error) {
	plan := Plan{want: want}
	if want.Source.Region == want.Region && want.Source.UnderKey(want.KeyARN) {
		plan.existing, plan.adopted = &want.Source, true
		return plan, nil
	}
	for i := range named {
		candidate := named[i]
		switch {
		case candidate.State == "failed" || candidate.State == "error" || candidate.State == "invalid":
			plan.dead = append(plan.dead, candidate.ID)
		case !candidate.copyOf(want.Source):
			return Plan{}, fmt.Errorf("an image named %q exists in %s and is not a copy of %s (%s): set ami_name to a name of its own, or deregister it", want.Name, want.Region, want.Source.ID, candidate.ID)
		case candidate.State == "available" && !candidate.UnderKey(want.KeyARN):
			return Plan{}, fmt.Errorf("image %s named %q in %s is a copy of %s, but not encrypted with key %s: deregister it, or set another ami_name", candidate.ID, want.Name, want.Region, want.Source.ID, keyOrNone(want.KeyARN))
		case plan.existing != nil && plan.existing.State == "available":
			return Plan{}, fmt.Errorf("images %s and %s in %s are both copies of %s named %q: deregister one of them", plan.existing.ID, candidate.ID, want.Region, want.Source.ID, want.Name)
		default:
			plan.existing = &candidate
		}
	}
	var imageErr, snapshotErr error
	plan.want.Tags, imageErr = ExpandTags(want.Tags, want.tagData())
	plan.want.SnapshotTags, snapshotErr = ExpandTags(want.SnapshotTags, want.tagData())
	if err := errors.Join(imageErr, snapshotErr); err != nil {
		return Plan{}, err
	}
	if tags := len(want.imageTags("")); plan.existing == nil && tags > maxTags {
		return Plan{}, fmt.Errorf("the copy of %s in %s would have %d tags, and EC2 allows %d: set copy_source_tags to false or shorten tags", want.Source.ID, want.Region, tags, maxTags)
	}
	return plan, nil
}

// maxTags is how many tags an EC2 resource can have.
const maxTags = 50

// keyOrNone names a key that may not exist yet.
func keyOrNone(arn string) string {
	if arn == "" {
		return "that is still to be created"
	}
	return arn
}

// copyOf reports whether the image carries our marks of a copy of the source, or
// of what the source itself is a copy of.
func (i Image) copyOf(source Image) bool {
	id, region := source.origin()
	return i.Tags[TagSourceImage] == id && i.Tags[TagSourceRegion] == region
}

// origin is the image that was published first: of a copy of ours that is
// published to more regions, or looked at again, the one that it is a copy of.
func (i Image) origin() (id, region string) {
	if i.Published() {
		return i.Tags[TagSourceImage], i.Tags[TagSourceRegion]
	}
	return i.ID, i.Region
}

// Published reports whether the image is a copy that this plugin made.
func (i Image) Published() bool {
	return i.Tags[TagSourceImage] != "" && i.Tags[TagSourceRegion] != ""
}

// Region is the plan's region.
func (p Plan) Region() string { return p.want.Region }

// ImageID is the image that exists already, "" when one has to be made.
func (p Plan) ImageID() string {
	if p.existing == nil {
		return ""
	}
	return p.existing.ID
}

// Change says what the plan does.
func (p Plan) Change() change.Change {
	c := change.Change{Kind: change.Image, Region: p.want.Region, ID: p.ImageID(), Action: change.NoOp}
	switch {
	case p.adopted:
		c.Detail = "the source image is already encrypted with this region's key"
	case p.existing == nil:
		c.Action = change.Create
		c.Detail = fmt.Sprintf("copy of %s in %s, named %q", p.want.Source.ID, p.want.Source.Region, p.want.Name)
	}
	return c
}

// Leftovers are failed copies of earlier runs.
func (p Plan) Leftovers() []change.Change {
	var changes []change.Change
	for _, id := range p.dead {
		changes = append(changes, change.Change{
			Kind: change.Image, Action: change.Unmanaged, Region: p.want.Region, ID: id,
			Detail: fmt.Sprintf("a failed image named %q; it is left alone", p.want.Name),
		})
	}
	return changes
}

// clientToken makes repeated copies of the same source to the same place one
// copy. It is derived, not random, so that a run that died between the call and
// the answer is finished, not repeated, by the next one. EC2 answers a token
// that it knows with the image that it first made, even if that has failed or
// is gone; after names those dead images, so that the chain of attempts is as
// repeatable as the first. Fact: 5.
func clientToken(source Image, region, keyARN, name string, after []string) string {
	parts := append([]string{"copy/1", source.Region, source.ID, region, keyARN, name}, after...)
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return "orgami-" + hex.EncodeToString(sum[:20])
}

// imageTags are the tags of a copy: the source's if wanted, then the user's,
// then our marks.
func (w Want) imageTags(token string) map[string]string {
	tags := map[string]string{}
	if w.CopySourceTags {
		for key, value := range w.Source.Tags {
			if !strings.HasPrefix(key, TagPrefix) && !strings.HasPrefix(key, "aws:") {
				tags[key] = value
			}
		}
	}
	maps.Copy(tags, w.Tags)
	maps.Copy(tags, w.marks(token))
	return tags
}

func (w Want) snapshotTags(token string) map[string]string {
	tags := maps.Clone(w.SnapshotTags)
	if tags == nil {
		tags = map[string]string{}
	}
	maps.Copy(tags, w.marks(token))
	return tags
}

func (w Want) marks(token string) map[string]string {
	id, region := w.Source.origin()
	marks := map[string]string{TagSourceImage: id, TagSourceRegion: region, TagCopy: token}
	if w.Family != "" {
		marks[TagFamily] = w.Family
	}
	return marks
}

// Existing is the image that the plan uses as it is, if it does.
func (p Plan) Existing() (Image, bool) {
	if p.existing == nil {
		return Image{}, false
	}
	return *p.existing, true
}

// Source is the image that is, or would be, copied.
func (p Plan) Source() Image { return p.want.Source }

// Adopted reports whether the source serves as it is.
func (p Plan) Adopted() bool { return p.adopted }
