// Package artifact is what both components hand on to the next link of
// Packer's chain: images by region, under the id that Amazon's plugin uses too.
// It isn't part of package config: an artifact is a result at run time, not
// something that a template configures, and the data source has none.
package artifact

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/config/pattern"
)

// Ids of the components, as Packer knows the makers of artifacts.
const (
	ExistingID = "orgami.existing"
	PublishID  = "orgami.publish"
)

// Image is one image of an artifact.
type Image struct {
	Region string
	ID     string
}

// ParseID reads an artifact's id, "region:ami-…,region:ami-…", with one image a
// region. All that is wrong with it is in the one error.
func ParseID(id string) ([]Image, error) {
	if strings.TrimSpace(id) == "" {
		return nil, errors.New(`the artifact's id is empty: "region:ami-…,…" is expected; no image was made`)
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
		return nil, fmt.Errorf("reading the artifact's id %q: %w", id, errors.Join(problems...))
	}
	return sorted(images), nil
}

// FormatID is the id of an artifact with these images, by region.
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
