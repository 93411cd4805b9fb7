package ami

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// Tags that describe a copy. CopyImage sets all of them, so that any run can recognize
// a copy as soon as it exists.
const (
	TagPrefix = "orgami:"
	// TagPublication holds the publication's ID, see [PublicationID].
	TagPublication = "orgami:publication"
	// TagSourceImage and TagSourceRegion name the original: the image that the
	// first copy was created from.
	TagSourceImage  = "orgami:source-image"
	TagSourceRegion = "orgami:source-region"
	// TagDigest holds the original's [Image.Digest]. Copies are verified with it
	// when the original no longer exists.
	TagDigest = "orgami:digest"
	// TagKey holds the ID of the multi-Region key. EC2 doesn't report the key of
	// a pending copy.
	TagKey = "orgami:key"
	// TagState is [StateUnpublished] from the start and [StatePublished] once the
	// image is shared as configured.
	TagState = "orgami:state"
	// TagFamily groups images that are generations of each other.
	TagFamily = "orgami:family"
)

// Values of [TagState].
const (
	StateUnpublished = "unpublished"
	StatePublished   = "published"
)

// ReservedTags is how many of the 50 tags of an image, and of a snapshot, are
// reserved for the plugin's own.
const ReservedTags = 7

// PublicationID identifies what is published. It is derived from the original
// images, so it is the same in all Regions and for every run that publishes the
// same images, also for one that starts from a copy of them.
func PublicationID(sources []Image) string {
	var origins, marked []string
	for _, source := range sources {
		if id := source.Tags[TagPublication]; id != "" {
			marked = append(marked, id)
			origins = append(origins, id)
			continue
		}
		origins = append(origins, source.Region+"/"+source.ID)
	}
	slices.Sort(origins)
	origins = slices.Compact(origins)
	if len(origins) == 1 && len(marked) > 0 {
		return marked[0]
	}
	return "pub-" + hash(origins...)[:16]
}

// hash is the hex SHA-256 of the parts.
func hash(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:])
}

// IsCopy reports whether the plugin created the image, or published it as it is.
func (i Image) IsCopy() bool { return i.Tags[TagPublication] != "" }

// Published reports whether the image carries all marks of a published image.
func (i Image) Published() bool {
	return i.IsCopy() && i.Tags[TagState] == StatePublished && i.Tags[TagSourceImage] != "" && i.Tags[TagSourceRegion] != ""
}

// Origin is the original of the image: the image itself unless it is a copy.
func (i Image) Origin() (id, region string) {
	if i.IsCopy() && i.Tags[TagSourceImage] != "" {
		return i.Tags[TagSourceImage], i.Tags[TagSourceRegion]
	}
	return i.ID, i.Region
}

// OriginDigest is the digest of the image's original.
func (i Image) OriginDigest() string {
	if digest := i.Tags[TagDigest]; i.IsCopy() && digest != "" {
		return digest
	}
	return i.Digest()
}

// Digest covers what a copy must have in common with its original: the hardware
// attributes, and the names and sizes of the block devices.
func (i Image) Digest() string {
	h := i.Hardware
	parts := []string{h.Architecture, h.BootMode, h.TPM, h.IMDS, h.Virtualization, h.RootDeviceName, h.SRIOV, fmt.Sprint(h.ENA)}
	for _, s := range i.Snapshots {
		parts = append(parts, fmt.Sprintf("%s=%d", s.Device, s.Size))
	}
	return "v1-" + hash(parts...)[:32]
}

// marks are the plugin's tags of the Region's image.
func (d Desired) marks(state string) map[string]string {
	id, region := d.Source.Origin()
	marks := map[string]string{
		TagPublication: d.Publication, TagSourceImage: id, TagSourceRegion: region,
		TagDigest: d.Source.OriginDigest(), TagKey: d.KeyID, TagState: state,
	}
	if d.Family != "" {
		marks[TagFamily] = d.Family
	}
	return marks
}
