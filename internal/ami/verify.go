package ami

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/orgami/packer-plugin-orgami/internal/fanout"
	"github.com/orgami/packer-plugin-orgami/internal/wait"
)

// Verified are images that were read back and verified in every Region. Only
// [Verify] creates them, and [Share] accepts nothing else.
type Verified struct {
	members map[string]verified
}

type verified struct {
	plan    Plan // with the key
	image   Image
	created bool // this run created the image
}

// Regions lists the Regions in order.
func (v Verified) Regions() []string { return slices.Sorted(maps.Keys(v.members)) }

// In returns the images of some of the Regions.
func (v Verified) In(regions []string) Verified {
	members := maps.Clone(v.members)
	maps.DeleteFunc(members, func(region string, _ verified) bool { return !slices.Contains(regions, region) })
	return Verified{members}
}

// Image is the Region's image.
func (v Verified) Image(region string) Image { return v.members[region].image }

// Verify reads back every image and compares it with its original and its key. It
// returns either all images of the publication, or an error that lists every mismatch
// in every Region. fresh means that the run read the images moments ago and has changed
// nothing since. It reads again only what is missing.
func Verify(ctx context.Context, clients Clients, copies Copies, fresh bool) (Verified, error) {
	members, err := fanout.Collect(ctx, copies.Regions(), func(ctx context.Context, region string) (verified, error) {
		m := copies.members[region]
		if !m.ready {
			return verified{}, fmt.Errorf("verifying the image in %s: there is none", region)
		}
		image, err := m.image, error(nil)
		if !fresh || image.unready() != "" {
			image, err = readAvailable(ctx, clients(region), region, m.image.ID)
		}
		if notVisible(err) {
			return verified{}, fmt.Errorf("verifying image %s in %s: %w. Someone deregistered it. Run again to copy the image again", m.image.ID, region, err)
		}
		if err != nil {
			return verified{}, fmt.Errorf("verifying image %s in %s: %w", m.image.ID, region, err)
		}
		if err := image.verify(m.desired); err != nil {
			return verified{}, fmt.Errorf("verification of image %s in %s failed: %w", image.ID, region, err)
		}
		plan := m.plan
		plan.desired = m.desired
		return verified{plan: plan, image: image, created: m.origin == Created}, nil
	})
	if err != nil {
		return Verified{}, err
	}
	return Verified{members: members}, nil
}

// readAvailable reads an image that was available a moment ago. An eventually
// consistent endpoint may not return the image or its state yet. After a while,
// readAvailable accepts the endpoint's response. Fact: EC2-API-1.
func readAvailable(ctx context.Context, client *ec2.Client, region, id string) (Image, error) {
	var image Image
	var problem error
	err := wait.Until(ctx, wait.Policy{Timeout: visibility}, func(ctx context.Context) (string, error) {
		image, problem = describeImage(ctx, client, region, id)
		switch {
		case notVisible(problem):
			return "the image is not visible", nil
		case problem != nil:
			return "", problem
		}
		return image.unready(), nil
	})
	if _, late := errors.AsType[*wait.TimeoutError](err); late {
		return image, problem // [Image.verify] names what is wrong with the image
	}
	return image, err
}

const snapshotCompleted = "completed"

// unready returns what is missing before the image can be verified, or "".
func (i Image) unready() string {
	switch {
	case !i.available():
		return "it is " + i.State
	case len(i.Snapshots) == 0 || i.Unresolved > 0:
		return "its snapshots are not visible"
	case slices.ContainsFunc(i.Snapshots, func(s Snapshot) bool { return !s.Read || s.KeyARN == "" || s.State != snapshotCompleted }):
		return "its snapshots are not visible or not completed"
	}
	return ""
}

// verify lists how the image differs from what is desired.
func (i Image) verify(d Desired) error {
	var problems []error
	differs := func(what, is, wanted string) {
		if is != wanted {
			problems = append(problems, fmt.Errorf("%s is %q, not %q", what, is, wanted))
		}
	}
	source, have := d.Source.Hardware, i.Hardware
	differs("state", i.State, "available")
	differs("owner", i.Owner, d.Source.Owner)
	differs("architecture", have.Architecture, source.Architecture)
	differs("boot mode", have.BootMode, source.BootMode)
	differs("TPM support", have.TPM, source.TPM)
	differs("IMDS support", have.IMDS, source.IMDS)
	differs("virtualization", have.Virtualization, source.Virtualization)
	differs("root device name", have.RootDeviceName, source.RootDeviceName)
	differs("SR-IOV support", have.SRIOV, source.SRIOV)
	differs("ENA support", fmt.Sprint(have.ENA), fmt.Sprint(source.ENA))
	if len(i.Snapshots) == 0 || len(i.Snapshots) != len(d.Source.Snapshots) {
		problems = append(problems, fmt.Errorf("it has %d snapshots, and its source has %d", len(i.Snapshots), len(d.Source.Snapshots)))
	}
	if i.Unresolved > 0 {
		problems = append(problems, fmt.Errorf("EC2 doesn't report the snapshots of %d of its volumes", i.Unresolved))
	}
	if len(problems) == 0 && i.Digest() != d.Source.OriginDigest() {
		problems = append(problems, errors.New("its hardware attributes, or the names or sizes of its block devices, differ from those of the original"))
	}
	for _, s := range i.Snapshots {
		problems = append(problems, s.verify(d.KeyARN))
	}
	return errors.Join(problems...)
}

func (s Snapshot) verify(keyARN string) error {
	switch {
	case !s.Read:
		return fmt.Errorf("EC2 doesn't return snapshot %s (%s), so its key is unknown", s.ID, s.Device)
	case !s.Encrypted:
		return fmt.Errorf("snapshot %s (%s) is not encrypted", s.ID, s.Device)
	case s.KeyARN == "":
		return fmt.Errorf("EC2 doesn't report the key of snapshot %s (%s)", s.ID, s.Device)
	case s.KeyARN != keyARN:
		return fmt.Errorf("snapshot %s (%s) is encrypted with key %s, not with %s", s.ID, s.Device, s.KeyARN, keyARN)
	case s.State != snapshotCompleted:
		return fmt.Errorf("snapshot %s (%s) is %q, not completed", s.ID, s.Device, s.State)
	default:
		return nil
	}
}
