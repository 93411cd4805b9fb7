package artifact

import (
	"fmt"
	"maps"
	"strings"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	"github.com/hashicorp/packer-plugin-sdk/packer/registry/image"
)

// GeneratedData is the state that Packer offers to templates as build.NAME.
const GeneratedData = "generated_data"

// Artifact holds images by region. Its methods are safe on the zero value.
type Artifact struct {
	// Builder is ExistingID or PublishID.
	Builder string
	// Images are image ids by region.
	Images map[string]string
	// Labels are what HCP Packer is told of each image, by region.
	Labels map[string]map[string]string
	// Paths are the files that belong to the artifact.
	Paths []string
	// Summary is what Packer prints for the artifact at the end of the build.
	Summary string
	// Data is the state of the artifact. Values cross a process boundary as
	// text, numbers, and lists and maps of them; nothing else survives. What
	// later links need of the artifact that this one was made from must be in
	// it: that one can no longer be asked once its post-processor has returned.
	Data map[string]any
}

var _ packersdk.Artifact = (*Artifact)(nil)

// BuilderId says which component made the artifact.
func (a *Artifact) BuilderId() string { return a.Builder }

// Id lists the images as "region:ami-…,…", ordered by region.
func (a *Artifact) Id() string { return FormatID(a.Images) }

// Files are the paths of the artifact's files.
func (a *Artifact) Files() []string { return a.Paths }

// String is the summary, or the list of images where there is none.
func (a *Artifact) String() string {
	if a.Summary != "" {
		return a.Summary
	}
	lines := []string{"AMIs:"}
	for _, i := range sorted(a.Images) {
		lines = append(lines, i.Region+": "+i.ID)
	}
	return strings.Join(lines, "\n")
}

// State answers for the artifact's data and for HCP Packer's metadata.
func (a *Artifact) State(name string) any {
	if value, ok := a.Data[name]; ok {
		return value
	}
	if name == image.ArtifactStateURI {
		return a.metadata()
	}
	if name == "atlas.artifact.metadata" {
		regions := map[string]string{}
		for region, id := range a.Images {
			regions["region."+region] = id
		}
		return regions
	}
	return nil
}

// metadata is what HCP Packer records of the images; their source is the image
// that the build began with, by which HCP Packer finds their ancestors.
func (a *Artifact) metadata() any {
	source, _ := Generated(a)["SourceAMI"].(string)
	images := make([]*image.Image, 0, len(a.Images))
	for _, i := range sorted(a.Images) {
		images = append(images, &image.Image{
			ImageID: i.ID, ProviderName: "aws", ProviderRegion: i.Region, SourceImageID: source, Labels: a.Labels[i.Region],
		})
	}
	return images
}

// Destroy destroys nothing. Packer calls it for artifacts that later links do
// not keep, and an image that exists already or is published may be in use by
// others. docs/decisions/0002-destroy-is-a-no-op.md.
func (a *Artifact) Destroy() error { return nil }

// Generated returns the generated data of an artifact, or nil where it has
// none. It arrives in one of two shapes, depending on whether it crossed a
// process boundary.
func Generated(from packersdk.Artifact) map[string]any {
	switch data := from.State(GeneratedData).(type) {
	case map[string]any:
		return maps.Clone(data)
	case map[any]any:
		generated := make(map[string]any, len(data))
		for key, value := range data {
			generated[fmt.Sprint(key)] = value
		}
		return generated
	default:
		return nil
	}
}
