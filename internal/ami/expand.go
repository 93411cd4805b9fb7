package ami

import (
	"fmt"
	"maps"
	"slices"

	"github.com/orgami/packer-plugin-orgami/internal/text"
)

// TagData holds the values that tags can refer to, for example {{ .SourceImageName }}.
// A Packer template can't know them when it is written. They are the same in every run
// that publishes the same image, so the copies are the same, too.
type TagData struct {
	// SourceImageID, SourceImageName and SourceImageCreationDate describe the
	// image that is copied. The date is when the image was built, as EC2 writes
	// it.
	SourceImageID, SourceImageName, SourceImageCreationDate string
	// SourceRegion is the Region of that image. Region is the copy's Region.
	SourceRegion, Region string
	// Name is the copy's name.
	Name string
	// Architecture is EC2's name of the architecture, for example x86_64.
	Architecture string
}

// ExpandTags fills in the values of tags. It returns an error if a value refers
// to anything that isn't in data.
func ExpandTags(tags map[string]string, data TagData) (map[string]string, error) {
	expanded := maps.Clone(tags)
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		value, err := text.Expand(tags[key], data)
		if err != nil {
			return nil, fmt.Errorf("the value of tag %q, %q: %w. Use {{ .SourceImageID }}, .SourceImageName, .SourceImageCreationDate, .SourceRegion, .Region, .Name or .Architecture", key, tags[key], err)
		}
		expanded[key] = value
	}
	return expanded, nil
}

// tagData returns the values that the tags of a wanted copy can refer to.
func (d Desired) tagData() TagData {
	return TagData{
		SourceImageID: d.Source.ID, SourceImageName: d.Source.Name, SourceImageCreationDate: d.Source.CreationDate,
		SourceRegion: d.Source.Region, Region: d.Region, Name: d.Name, Architecture: d.Source.Hardware.Architecture,
	}
}
