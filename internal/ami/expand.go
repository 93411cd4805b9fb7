package ami

import (
	"fmt"
	"maps"
	"slices"

	"github.com/orgami/packer-plugin-orgami/internal/text"
)

// TagData is what the values of tags can refer to, as {{ .SourceImageName }}: what
// a template of Packer cannot know when it is written. All of it is the same in
// every run that publishes the same image, so that the copies are too.
type TagData struct {
	// SourceImageID, SourceImageName and SourceImageCreationDate are those of the
	// image that is copied; the date is when it was built, as EC2 writes it.
	SourceImageID, SourceImageName, SourceImageCreationDate string
	// SourceRegion is the region of that image, Region that of the copy.
	SourceRegion, Region string
	// Name is the copy's.
	Name string
	// Architecture is EC2's word for it, as x86_64.
	Architecture string
}

// ExpandTags fills in the values of tags. What refers to anything else is an
// error.
func ExpandTags(tags map[string]string, data TagData) (map[string]string, error) {
	expanded := maps.Clone(tags)
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		value, err := text.Expand(tags[key], data)
		if err != nil {
			return nil, fmt.Errorf("the value of tag %q, %q: %w: use {{ .SourceImageID }}, .SourceImageName, .SourceImageCreationDate, .SourceRegion, .Region, .Name or .Architecture", key, tags[key], err)
		}
		expanded[key] = value
	}
	return expanded, nil
}

// tagData is what the tags of a wanted copy can refer to.
func (d Desired) tagData() TagData {
	return TagData{
		SourceImageID: d.Source.ID, SourceImageName: d.Source.Name, SourceImageCreationDate: d.Source.CreationDate,
		SourceRegion: d.Source.Region, Region: d.Region, Name: d.Name, Architecture: d.Source.Hardware.Architecture,
	}
}
