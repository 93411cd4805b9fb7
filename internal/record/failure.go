package record

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/publish"
	"github.com/orgami/packer-plugin-orgami/internal/record/manifest"
	"github.com/orgami/packer-plugin-orgami/internal/text"
)

func failure(o publish.Outcome, m manifest.Manifest) manifest.Failure {
	f := manifest.Failure{
		SchemaVersion: manifest.SchemaVersion, Errors: m.Errors, Sources: m.Sources, KeyID: m.Key.ID,
		Images: map[string]manifest.FailedImage{}, Launches: m.Launches, Canary: m.Canary, UnpublishedCopies: unpublished(o),
	}
	for region, i := range o.Images {
		f.Images[region] = manifest.FailedImage{ImageID: i.ID, Name: i.Name, State: i.State, Origin: string(i.Origin), Verified: i.Verified, Shared: i.Published}
	}
	if from, ok := resumable(o); ok {
		f.Resume = &manifest.Resume{Region: from.Region, ImageID: from.ID, AMIName: o.ImageName(from), Template: template(from, o.ImageName(from))}
	}
	return f
}

// resumable is a copy of this run's from which the publication can be finished: an
// available one if there is any, else a pending one, each in the first Region that
// has one.
func resumable(o publish.Outcome) (ami.Image, bool) {
	regions := slices.Concat([]string{o.Key.PrimaryRegion}, slices.Sorted(maps.Keys(o.Images)))
	for _, state := range []string{available, "pending"} {
		for _, region := range regions {
			if image := o.Images[region]; image.State == state && image.Origin != ami.Adopted && image.IsCopy() {
				return image.Image, true
			}
		}
	}
	return ami.Image{}, false
}

const available = "available"

// template is the HCL that finishes the publication of the name from the image.
func template(from ami.Image, name string) string {
	return fmt.Sprintf(`source "orgami-existing" "resume" {
  region   = %q
  image_id = %q
}

build {
  sources = ["source.orgami-existing.resume"]

  post-processor "orgami-publish" {
    ami_name = %q
    # Copy the other options of this post-processor here, unchanged.
  }
}`, from.Region, from.ID, name)
}

// Advice explains what happens to the images after a failure and how to resume.
// deletesSource reports whether Packer deletes the source AMI, which it does
// unless the builder only found it.
func Advice(o publish.Outcome, deletesSource bool) string {
	var b strings.Builder
	kept := keptImages(o)
	if len(kept) > 0 {
		fmt.Fprintf(&b, "These copies were kept. Publishing the same source AMI again uses them:\n  %s\n", strings.Join(kept, "\n  "))
	}
	if !deletesSource {
		b.WriteString("The source AMI stays. Fix the cause and run the same build again.")
		return b.String()
	}
	for _, region := range slices.Sorted(maps.Keys(o.Images)) {
		if i := o.Images[region]; i.Origin == ami.Adopted {
			fmt.Fprintf(&b, "The source AMI %s in %s is published as it is, so no account can launch it anymore if Packer deletes it.\n", i.ID, region)
		}
	}
	b.WriteString("Packer now deletes the source AMI, unless a post-processor before this one in the same `post-processors` chain kept it, as `manifest` does.")
	switch from, ok := resumable(o); {
	case !ok:
		b.WriteString(" There is no copy yet, so you can resume only if the source AMI was kept.")
	case from.State != available:
		fmt.Fprintf(&b, " No copy is available yet. Keep the source AMI if you can: AWS doesn't document whether a pending copy completes after its source is deleted. Once %s in %s is available, this template finishes the publication:\n\n%s", from.ID, from.Region, template(from, o.ImageName(from)))
	default:
		fmt.Fprintf(&b, " To finish without the source AMI, build this template:\n\n%s", template(from, o.ImageName(from)))
	}
	return b.String()
}

// keptImages lists the copies that this run created or found, a line each.
func keptImages(o publish.Outcome) []string {
	var lines []string
	for _, region := range slices.Sorted(maps.Keys(o.Images)) {
		i := o.Images[region]
		if i.Origin == ami.Adopted {
			continue
		}
		sharing := "not shared"
		switch {
		case i.Published:
			sharing = "shared as configured"
		case i.Shared.Image.Any() && i.Image.Published():
			sharing = "shared by an earlier publication"
		case i.Shared.Image.Any():
			sharing = "shared by a run that isn't complete"
		}
		lines = append(lines, text.Printable(fmt.Sprintf("%s: %s %q, %s, %s", region, i.ID, i.Name, cmp.Or(i.State, "state unknown"), sharing)))
	}
	return lines
}
