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

// Artifact holds images by Region. Its methods are safe on the zero value.
type Artifact struct {
	// Builder is ExistingID or PublishID.
	Builder string
	// Images are image IDs by Region.
	Images map[string]string
	// Labels are the labels of each image in HCP Packer, by Region.
	Labels map[string]map[string]string
	// Paths are the files that belong to the artifact.
	Paths []string
	// Summary is what Packer prints for the artifact at the end of the build.
	Summary string
	// Data is the state of the artifact. Only strings, numbers, and lists and maps of
	// them can be sent to another process. Data must contain everything that later
	// post-processors need of the input artifact, because they can't read that artifact
	// after its post-processor has returned.
	Data map[string]any
}

var _ packersdk.Artifact = (*Artifact)(nil)

// BuilderId identifies the component that created the artifact.
func (a *Artifact) BuilderId() string { return a.Builder }

// Id lists the images as "region:ami-…,…", ordered by Region.
func (a *Artifact) Id() string { return FormatID(a.Images) }

// Files are the paths of the artifact's files.
func (a *Artifact) Files() []string { return a.Paths }

// String returns the summary, or the list of images if there is no summary.
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

// State returns the artifact's data, and the metadata for HCP Packer.
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

// metadata is what HCP Packer records of the images. It names the build's
// source image, by which HCP Packer finds the ancestors of the images.
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

// Destroy does nothing. Packer calls it for artifacts that later
// post-processors don't keep, but others may use an image that existed before
// or is published. See docs/decisions/0002-destroy-is-a-no-op.md.
func (a *Artifact) Destroy() error { return nil }

// Generated returns the generated data of an artifact, or nil if it has none.
// The data has one of two types, depending on whether it came from another
// process.
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
