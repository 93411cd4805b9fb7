package ami

import (
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
)

// Query describes the image that [Resolve] looks for. It selects by ID, or by
// Filters among the images of Owners.
type Query struct {
	Region string
	ID     string
	// Filters are those of EC2's DescribeImages, by name.
	Filters map[string]string
	// Owners are account IDs, "self", "amazon" or "aws-marketplace".
	Owners []string
	// MostRecent selects the newest if several images match. Without it,
	// several matches are an error.
	MostRecent bool
}

// String describes the query.
func (q Query) String() string {
	if q.ID != "" {
		return q.ID
	}
	filters := make([]string, 0, len(q.Filters))
	for _, name := range slices.Sorted(maps.Keys(q.Filters)) {
		filters = append(filters, fmt.Sprintf("%s = %q", name, q.Filters[name]))
	}
	return fmt.Sprintf("an image of %s with %s", strings.Join(q.Owners, ", "), strings.Join(filters, ", "))
}

// Resolve finds exactly one available image. It returns an error that lists
// what it found if no image matches, if several match, or if the image isn't
// available.
func Resolve(ctx context.Context, clients Clients, query Query) (Image, error) {
	client := clients(query.Region)
	if query.ID != "" {
		return resolveID(ctx, client, query)
	}
	input := &ec2.DescribeImagesInput{Owners: query.Owners}
	for _, name := range slices.Sorted(maps.Keys(query.Filters)) {
		input.Filters = append(input.Filters, types.Filter{Name: aws.String(name), Values: []string{query.Filters[name]}})
	}
	all, err := findImages(ctx, client, query.Region, input)
	if err != nil {
		return Image{}, awsclient.Wrap(err, "looking for %s in %s", query, query.Region)
	}
	found := withoutOwnCopies(all)
	available := slices.DeleteFunc(slices.Clone(found), func(i Image) bool { return i.State != string(types.ImageStateAvailable) })
	switch {
	case len(found) == 0:
		return Image{}, fmt.Errorf("no image in %s matches: %s. Check region, owners and filters, and the account with 'aws sts get-caller-identity'", query.Region, query)
	case len(available) == 0:
		return Image{}, fmt.Errorf("no matching image in %s is available: %s. Wait, or change the filters. Found:\n%s", query.Region, query, candidates(found))
	case len(available) > 1 && !query.MostRecent:
		return Image{}, fmt.Errorf("%d images in %s match: %s. Narrow the filters, or set most_recent. Found:\n%s", len(available), query.Region, query, candidates(available))
	}
	return newest(available)
}

// withoutOwnCopies omits copies that the plugin created, so that filters that
// match an original and its copies find the original. It always omits
// unpublished copies. It omits published copies if any other image is left.
func withoutOwnCopies(images []Image) []Image {
	finished := slices.DeleteFunc(slices.Clone(images), func(i Image) bool { return i.IsCopy() && !i.Published() })
	originals := slices.DeleteFunc(slices.Clone(finished), func(i Image) bool {
		id, _ := i.Origin()
		return i.IsCopy() && id != i.ID
	})
	if len(originals) > 0 {
		return originals
	}
	return finished
}

func resolveID(ctx context.Context, client *ec2.Client, query Query) (Image, error) {
	found, err := findImages(ctx, client, query.Region, &ec2.DescribeImagesInput{ImageIds: []string{query.ID}})
	switch {
	case awsclient.Is(err, awsclient.CodeImageNotFound), err == nil && len(found) == 0:
		return Image{}, errors.Join(fmt.Errorf("image %s doesn't exist in %s, or isn't shared with the caller's account. Check image_id, region and the credentials", query.ID, query.Region), err)
	case err != nil:
		return Image{}, awsclient.Wrap(err, "describing image %s in %s", query.ID, query.Region)
	}
	if image := found[0]; image.State != string(types.ImageStateAvailable) {
		return Image{}, fmt.Errorf("image %s in %s is %s, not available: %s", image.ID, query.Region, image.State, image.StateReason)
	}
	return found[0], nil
}

// findImages is describeImages without the snapshots, which the builder doesn't
// need and may not be allowed to read.
func findImages(ctx context.Context, client *ec2.Client, region string, input *ec2.DescribeImagesInput) ([]Image, error) {
	var images []Image
	for pages := ec2.NewDescribeImagesPaginator(describeImagesFunc(client.DescribeImages), input); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, described := range page.Images {
			images = append(images, newImage(region, described))
		}
	}
	slices.SortFunc(images, func(a, b Image) int { return strings.Compare(b.age(), a.age()) })
	return images, nil
}

// newest returns the first of images that are sorted newest first. If two were
// created at the same time, it can't decide between them.
func newest(images []Image) (Image, error) {
	if len(images) > 1 && images[0].CreationDate == images[1].CreationDate {
		return Image{}, fmt.Errorf("the newest images in %s have the same creation time. Narrow the filters. Found:\n%s", images[0].Region, candidates(images))
	}
	return images[0], nil
}

// maxCandidates is how many images an error lists.
const maxCandidates = 10

func candidates(images []Image) string {
	lines := make([]string, 0, maxCandidates+1)
	for _, image := range images[:min(len(images), maxCandidates)] {
		lines = append(lines, fmt.Sprintf("  %s %q, owner %s, created %s, %s", image.ID, image.Name, image.Owner, image.CreationDate, image.State))
	}
	if more := len(images) - maxCandidates; more > 0 {
		lines = append(lines, fmt.Sprintf("  and %d more", more))
	}
	return strings.Join(lines, "\n")
}
