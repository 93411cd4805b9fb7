package ami

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/fanout"
	"github.com/orgami/packer-plugin-orgami/internal/wait"
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
		image, err := readAvailable(ctx, clients(region), region, made.ID)
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

// readAvailable reads an image that was available a moment ago. An endpoint
// that is behind may not know that yet; one that says so after a while is
// believed. Fact: 8.
func readAvailable(ctx context.Context, client *ec2.Client, region, id string) (Image, error) {
	var image Image
	var problem error
	err := wait.Until(ctx, wait.Policy{Timeout: visibility}, func(ctx context.Context) (string, error) {
		image, problem = describeImage(ctx, client, region, id)
		switch {
		case awsclient.Is(problem, awsclient.CodeImageNotFound):
			return "the image is not visible", nil
		case problem != nil:
			return "", problem
		case image.State != string(types.ImageStateAvailable):
			return "it is " + image.State, nil
		case slices.ContainsFunc(image.Snapshots, func(s Snapshot) bool { return s.KeyARN == "" }):
			return "its snapshots are not visible", nil
		}
		return "", nil
	})
	if _, late := errors.AsType[*wait.TimeoutError](err); late {
		return image, problem // a state that is not as it must be is named with the rest
	}
	return image, err
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
