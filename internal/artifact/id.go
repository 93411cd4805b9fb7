// Package artifact defines the artifact that the builder and the post-processor
// return to Packer: images by Region, with an ID in the format of the Amazon
// plugin.
//
// The package is separate from package config because an artifact is a result
// of a run, not part of a template. The data source has no artifact.
package artifact

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/config/pattern"
)

// IDs of the components that create artifacts, as Packer knows them.
const (
	ExistingID = "orgami.existing"
	PublishID  = "orgami.publish"
)

// Image is one image of an artifact.
type Image struct {
	Region string
	ID     string
}

// ParseID parses an artifact's ID, "region:ami-…,region:ami-…", with one image
// in each Region. Its error lists everything that is wrong with the ID.
func ParseID(id string) ([]Image, error) {
	if strings.TrimSpace(id) == "" {
		return nil, errors.New(`the artifact's ID is empty instead of "region:ami-…,…": the builder created no image`)
	}
	var problems []error
	images := map[string]string{}
	for part := range strings.SplitSeq(id, ",") {
		region, image, found := strings.Cut(strings.TrimSpace(part), ":")
		_, duplicate := images[region]
		switch {
		case !found || !pattern.Region.Match(region) || !pattern.Image.Match(image):
			problems = append(problems, fmt.Errorf("%q is not region:ami-…", part))
		case duplicate:
			problems = append(problems, fmt.Errorf("region %s has two images, %s and %s", region, images[region], image))
		default:
			images[region] = image
		}
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("reading the artifact's ID %q: %w", id, errors.Join(problems...))
	}
	return sorted(images), nil
}

// FormatID returns the ID of an artifact with these images, by Region.
func FormatID(images map[string]string) string {
	parts := make([]string, 0, len(images))
	for _, image := range sorted(images) {
		parts = append(parts, image.Region+":"+image.ID)
	}
	return strings.Join(parts, ",")
}

func sorted(images map[string]string) []Image {
	list := make([]Image, 0, len(images))
	for _, region := range slices.Sorted(maps.Keys(images)) {
		list = append(list, Image{Region: region, ID: images[region]})
	}
	return list
}
