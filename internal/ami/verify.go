package ami

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/orgami/packer-plugin-orgami/internal/fanout"
)

// Verified are images that were read back and found right. Only [Verify] makes
// them, and [Share] takes nothing else.
type Verified struct {
	images map[string]Image
}

// Regions lists the regions in order.
func (v Verified) Regions() []string { return slices.Sorted(maps.Keys(v.images)) }

// Image is the region's image.
func (v Verified) Image(region string) Image { return v.images[region] }

// Verify reads every image back and compares it with its source and its key. It
// returns either all images of the publication or an error that names all that
// is wrong in any region.
func Verify(ctx context.Context, clients Clients, images Images) (Verified, error) {
	regions := slices.Sorted(maps.Keys(images.plans))
	verified, err := fanout.Collect(ctx, regions, func(ctx context.Context, region string) (Image, error) {
		made, ok := images.byRegion[region]
		if !ok {
			return Image{}, fmt.Errorf("verifying the image in %s: there is none", region)
		}
		image, err := describeImage(ctx, clients(region), region, made.ID)
		if err != nil {
			return Image{}, err
		}
		if err := image.fits(images.plans[region].want, images.keys[region]); err != nil {
			return Image{}, fmt.Errorf("image %s in %s is not as it must be: %w", image.ID, region, err)
		}
		return image, nil
	})
	if err != nil {
		return Verified{}, err
	}
	return Verified{images: verified}, nil
}

// fits lists what differs from what was wanted.
func (i Image) fits(want Want, keyARN string) error {
	var problems []error
	differs := func(what, is, wanted string) {
		if is != wanted {
			problems = append(problems, fmt.Errorf("%s is %q, not %q", what, is, wanted))
		}
	}
	source := want.Source
	differs("state", i.State, string(types.ImageStateAvailable))
	differs("owner", i.Owner, source.Owner)
	differs("architecture", i.Hardware.Architecture, source.Hardware.Architecture)
	differs("boot mode", i.Hardware.BootMode, source.Hardware.BootMode)
	differs("TPM support", i.Hardware.TPM, source.Hardware.TPM)
	differs("virtualization", i.Hardware.Virtualization, source.Hardware.Virtualization)
	differs("root device name", i.Hardware.RootDeviceName, source.Hardware.RootDeviceName)
	if len(i.Snapshots) != len(source.Snapshots) {
		problems = append(problems, fmt.Errorf("it has %d snapshots, and its source has %d", len(i.Snapshots), len(source.Snapshots)))
	}
	for _, snapshot := range i.Snapshots {
		switch {
		case !snapshot.Encrypted:
			problems = append(problems, fmt.Errorf("snapshot %s (%s) is not encrypted", snapshot.ID, snapshot.Device))
		case snapshot.KeyARN != keyARN:
			problems = append(problems, fmt.Errorf("snapshot %s (%s) is encrypted with key %s, not with %s", snapshot.ID, snapshot.Device, snapshot.KeyARN, keyARN))
		}
	}
	return errors.Join(problems...)
}
