package ami

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/orgami/packer-plugin-orgami/internal/fanout"
	"github.com/orgami/packer-plugin-orgami/internal/text"
)

// Unpublished is a copy that a run left, because it failed, was canceled or died,
// or because it is still running.
type Unpublished struct {
	Image Image
	// SharedWith lists the principals that can launch it nevertheless. SharingKnown
	// reports whether that could be read.
	SharedWith   Permissions
	SharingKnown bool
	// Removable means that removing it is safe: its original, or a published image of
	// the same publication, exists.
	Removable bool
}

// Size is that of the snapshots, in GiB.
func (u Unpublished) Size() int32 {
	var size int32
	for _, s := range u.Image.Snapshots {
		size += s.Size
	}
	return size
}

// Command is the AWS CLI command that removes the copy, "" if it may be the only
// copy of its original.
func (u Unpublished) Command() string {
	if !u.Removable {
		return ""
	}
	return fmt.Sprintf("aws ec2 deregister-image --region %s --image-id %s --delete-associated-snapshots", u.Image.Region, u.Image.ID)
}

// String describes the copy in one line.
func (u Unpublished) String() string {
	id, region := u.Image.Origin()
	sharing := "not shared"
	switch {
	case !u.SharingKnown:
		sharing = "sharing unknown"
	case u.SharedWith.Any():
		sharing = "shared with " + strings.Join(u.SharedWith.principals(), ", ")
	}
	return text.Printable(fmt.Sprintf("%s: %s %q, copy of %s in %s, %s, %s, created %s, %d GiB", u.Image.Region, u.Image.ID, u.Image.Name, id, region, u.Image.State, sharing, u.Image.CreationDate, u.Size()))
}

// Age is how long ago the copy was created. It is 0 if EC2 didn't return the time.
func (u Unpublished) Age(now time.Time) time.Duration {
	if created := u.Image.created(); !created.IsZero() {
		return max(now.Sub(created), 0).Round(time.Second)
	}
	return 0
}

// ListUnpublished lists, by Region, the observed unpublished copies that the
// run doesn't use. It looks up their originals, so that no command removes the
// only copy of one. An original that can't be looked up counts as gone.
func ListUnpublished(ctx context.Context, clients Clients, observed map[string]Observed, used map[string]bool) []Unpublished {
	var all []Unpublished
	published := map[string]bool{}            // publications with a published image
	originals := map[string]map[string]bool{} // by Region, the IDs to look for
	for _, region := range slices.Sorted(maps.Keys(observed)) {
		for _, image := range observed[region].Images {
			if image.Published() && image.available() {
				published[image.Tags[TagPublication]] = true
			}
			if image.Tags[TagState] != StateUnpublished || used[image.ID] {
				continue
			}
			shared, known := observed[region].Shared[image.ID]
			all = append(all, Unpublished{Image: image, SharedWith: shared.Image, SharingKnown: known || !image.available()})
			id, from := image.Origin()
			if originals[from] == nil {
				originals[from] = map[string]bool{}
			}
			originals[from][id] = true
		}
	}
	exist := existing(ctx, clients, originals)
	for n := range all {
		id, from := all[n].Image.Origin()
		all[n].Removable = all[n].Image.dead() || exist[from+"/"+id] || published[all[n].Image.Tags[TagPublication]]
	}
	return all
}

// existing returns which of the images exist and are available, as REGION/ID.
func existing(ctx context.Context, clients Clients, byRegion map[string]map[string]bool) map[string]bool {
	exist := map[string]bool{}
	found, _ := fanout.Collect(ctx, slices.Collect(maps.Keys(byRegion)), func(ctx context.Context, region string) ([]Image, error) {
		var all []Image
		for ids := range slices.Chunk(slices.Sorted(maps.Keys(byRegion[region])), imagesPerFilter) {
			images, err := findImages(ctx, clients(region), region, &ec2.DescribeImagesInput{
				IncludeDeprecated: aws.Bool(true), Filters: []types.Filter{{Name: aws.String("image-id"), Values: ids}},
			})
			if err != nil {
				return nil, err // counts as gone
			}
			all = append(all, images...)
		}
		return all, nil
	})
	for region, images := range found {
		for _, image := range images {
			exist[region+"/"+image.ID] = image.available()
		}
	}
	return exist
}
