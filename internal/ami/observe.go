package ami

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/fanout"
)

// ErrNoSource means that a source image doesn't exist, or isn't visible to the account.
var ErrNoSource = errors.New("the source image doesn't exist or isn't visible")

// FindSource reads an image to publish, without the keys of its snapshots.
// [CompleteSource] reads those. The error of an image that EC2 doesn't know wraps
// [ErrNoSource].
func FindSource(ctx context.Context, clients Clients, region, id string) (Image, error) {
	image, err := describeImageAlone(ctx, clients(region), region, id)
	if notVisible(err) {
		return Image{}, fmt.Errorf("%w: %s in %s. Check the ID, the Region and the credentials (%w)", ErrNoSource, id, region, err)
	}
	return image, err
}

// CheckSource returns an error if the account can't publish the image.
func CheckSource(account string, image Image) error {
	if problems := image.unpublishable(account); len(problems) > 0 {
		return fmt.Errorf("can't publish source image %s in %s: %w", image.ID, image.Region, errors.Join(problems...))
	}
	return nil
}

// CompleteSource returns the image with the keys of its snapshots.
func CompleteSource(ctx context.Context, clients Clients, image Image) (Image, error) {
	image.Snapshots = slices.Clone(image.Snapshots)
	return image, awsclient.Wrap(readSnapshots(ctx, clients(image.Region), image.Region, []Image{image}), "describing image %s in %s", image.ID, image.Region)
}

// unpublishable lists why the account can't publish the image.
func (i Image) unpublishable(account string) []error {
	var problems []error
	if i.Owner != account {
		problems = append(problems, fmt.Errorf("it belongs to account %s, not to %s. Publish with the owner's credentials, or copy it into this account with 'aws ec2 copy-image --region %[3]s --source-region %[3]s --source-image-id %[4]s --name %[5]q' and publish the copy", i.Owner, account, i.Region, i.ID, i.Name))
	}
	ebs := i.RootDevice == string(types.DeviceTypeEbs)
	if !ebs {
		problems = append(problems, fmt.Errorf("its root device is %q, and only EBS-backed images can be encrypted. Build it with amazon-ebs or amazon-ebssurrogate", i.RootDevice))
	}
	if !i.available() {
		problems = append(problems, fmt.Errorf("it is %s, not available. %s", cmp.Or(i.State, "in an unknown state"), i.StateReason))
	}
	if len(i.Snapshots) == 0 && ebs {
		problems = append(problems, errors.New("EC2 reports no snapshots of it"))
	}
	return problems
}

// FindCopies returns the available copies of an original that no longer exists, in the
// Regions. Any of them can replace it as the source.
func FindCopies(ctx context.Context, clients Clients, regions []string, originalID string) ([]Image, error) {
	found, err := fanout.Collect(ctx, regions, func(ctx context.Context, region string) ([]Image, error) {
		return describeImages(ctx, clients(region), region, &ec2.DescribeImagesInput{
			Owners:  []string{"self"},
			Filters: []types.Filter{{Name: aws.String("tag:" + TagSourceImage), Values: []string{originalID}}},
		})
	})
	var copies []Image
	for _, region := range slices.Sorted(maps.Keys(found)) {
		for _, image := range found[region] {
			if image.IsCopy() && image.available() {
				copies = append(copies, image)
			}
		}
	}
	return copies, awsclient.Wrap(err, "looking for copies of %s", originalID)
}

// Observed holds the account's images in a Region that a publication can use, or that
// conflict with it.
type Observed struct {
	// Images are those of the publication, those of the wanted name, and every
	// unpublished copy, each once, oldest first. Disabled images are among them.
	Images []Image
	// Shared holds who can launch an image, by ID. It doesn't contain images whose
	// permissions weren't read because the image isn't available or EC2 rejected the
	// call.
	Shared map[string]Shared
}

// Image returns the image with the ID.
func (o Observed) Image(id string) (Image, bool) {
	i := slices.IndexFunc(o.Images, func(image Image) bool { return image.ID == id })
	if i < 0 {
		return Image{}, false
	}
	return o.Images[i], true
}

// Search defines what [Observe] looks for in a Region.
type Search struct {
	// Publication is the publication's ID, Names are those that the image may get.
	// Without them, only unpublished copies are looked for.
	Publication string
	Names       []string
	// Sources are images of the Region that may be published as they are.
	Sources []Image
	// Snapshots also reads who can use the snapshots.
	Snapshots bool
}

// Observe reads the images in the Region that match the search.
func Observe(ctx context.Context, clients Clients, region string, search Search) (Observed, error) {
	client := clients(region)
	filters := map[string]types.Filter{"unpublished": {Name: aws.String("tag:" + TagState), Values: []string{StateUnpublished}}}
	if search.Publication != "" {
		filters["publication"] = types.Filter{Name: aws.String("tag:" + TagPublication), Values: []string{search.Publication}}
	}
	if len(search.Names) > 0 {
		names := make([]string, len(search.Names))
		for n, name := range search.Names {
			names[n] = filterLiteral(name)
		}
		filters["name"] = types.Filter{Name: aws.String("name"), Values: names}
	}
	found, err := fanout.Collect(ctx, slices.Collect(maps.Keys(filters)), func(ctx context.Context, by string) ([]Image, error) {
		return findImages(ctx, client, region, &ec2.DescribeImagesInput{
			Owners: []string{"self"}, IncludeDisabled: aws.Bool(true), IncludeDeprecated: aws.Bool(true), Filters: []types.Filter{filters[by]},
		})
	})
	if err != nil {
		return Observed{}, awsclient.Wrap(err, "looking for images of the publication in %s", region)
	}
	observed := Observed{Images: slices.Concat(slices.Collect(maps.Values(found))...)}
	slices.SortFunc(observed.Images, func(a, b Image) int { return strings.Compare(a.age(), b.age()) })
	observed.Images = slices.CompactFunc(observed.Images, func(a, b Image) bool { return a.ID == b.ID })
	err = fanout.Together(ctx,
		fanout.Task{Name: "snapshots", Run: func(ctx context.Context) error {
			return readSnapshots(ctx, client, region, observed.Images)
		}},
		fanout.Task{Name: "permissions", Run: func(ctx context.Context) (err error) {
			observed.Shared, err = readAllShared(ctx, clients, search, slices.Clone(observed.Images))
			return err
		}},
	)
	return observed, err
}

// readAllShared reads the permissions of the sources and of the available copies.
// Those of the publication are needed. Of other copies they are only reported,
// so failing to read them isn't an error.
func readAllShared(ctx context.Context, clients Clients, search Search, images []Image) (map[string]Shared, error) {
	wanted := map[string]Image{}
	needed := map[string]bool{}
	for _, source := range search.Sources {
		wanted[source.ID], needed[source.ID] = source, true
	}
	for _, image := range images {
		if image.IsCopy() && image.available() {
			wanted[image.ID], needed[image.ID] = image, needed[image.ID] || image.Tags[TagPublication] == search.Publication
		}
	}
	return readShared(ctx, clients, wanted, needed, search.Snapshots)
}

func readShared(ctx context.Context, clients Clients, wanted map[string]Image, needed map[string]bool, snapshots bool) (map[string]Shared, error) {
	read, err := fanout.Collect(ctx, slices.Collect(maps.Keys(wanted)), func(ctx context.Context, id string) (*Shared, error) {
		shared, err := LookShared(ctx, clients, wanted[id], snapshots)
		switch {
		case err == nil:
			return &shared, nil
		case needed[id] && !notVisible(err):
			return nil, err
		default:
			return nil, nil
		}
	})
	shared := map[string]Shared{}
	for id, s := range read {
		if s != nil {
			shared[id] = *s
		}
	}
	return shared, err
}

// filterLiteral escapes a value so that EC2's filters match only this value.
func filterLiteral(value string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`).Replace(value)
}

// RegionStatus returns the opt-in status of every Region of the partition, as
// the account sees it: opt-in-not-required, opted-in or not-opted-in.
func RegionStatus(ctx context.Context, clients Clients, base string) (map[string]string, error) {
	answer, err := clients(base).DescribeRegions(ctx, &ec2.DescribeRegionsInput{AllRegions: aws.Bool(true)})
	if err != nil {
		return nil, awsclient.Wrap(err, "reading which Regions are enabled, in %s", base)
	}
	if len(answer.Regions) == 0 {
		return nil, fmt.Errorf("reading which Regions are enabled, in %s: EC2 returned no Region. Run again", base)
	}
	status := make(map[string]string, len(answer.Regions))
	for _, region := range answer.Regions {
		status[aws.ToString(region.RegionName)] = aws.ToString(region.OptInStatus)
	}
	return status, nil
}
