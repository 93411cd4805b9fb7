package publish

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/fanout"
)

// lastLook bounds the time for listing a failed run's copies, so that a canceled run
// ends soon even if AWS doesn't respond.
const lastLook = 20 * time.Second

// listUnpublished lists the copies that failed or interrupted runs left in the Regions
// of the publication. A failed run lists again, because its own copies are among them.
// Where it can't, it uses what it knows.
func (r run) listUnpublished(ctx context.Context, at reached, failure error) []ami.Unpublished {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastLook)
	defer cancel()
	observed, used := maps.Clone(at.observed.Images), map[string]bool{}
	if observed == nil {
		observed = map[string]ami.Observed{}
	}
	for _, image := range at.final {
		used[image.ID] = image.Published()
	}
	if failure == nil {
		return ami.ListUnpublished(ctx, r.Clients.EC2, observed, used)
	}
	maps.Copy(observed, r.observeAgain(ctx, at.observed))
	for _, region := range at.copies.Regions() {
		image, _, ok := at.copies.Image(region)
		if _, listed := observed[region].Image(image.ID); ok && !listed {
			with := observed[region]
			with.Images = append(slices.Clone(with.Images), image)
			observed[region] = with
		}
	}
	return ami.ListUnpublished(ctx, r.Clients.EC2, observed, used)
}

// observeAgain returns what could be read; a Region that can't be read is left out.
func (r run) observeAgain(ctx context.Context, before Observed) map[string]ami.Observed {
	var search ami.Search
	if len(before.Sources) > 0 {
		search.Publication = ami.PublicationID(slices.Collect(maps.Values(before.Sources)))
	}
	observed, _ := fanout.Collect(ctx, imageRegions(r.spec), func(ctx context.Context, region string) (ami.Observed, error) {
		return ami.Observe(ctx, r.Clients.EC2, region, search)
	})
	return observed
}
