package publish

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/fanout"
)

// findSources finds the source images. A copy replaces a source that no longer exists,
// so that a publication can be finished after Packer deleted the source.
func findSources(ctx context.Context, clients *awsclient.Clients, spec Spec) (map[string]ami.Image, error) {
	var (
		mu      sync.Mutex
		sources = map[string]ami.Image{}
	)
	ids := map[string]string{}
	for _, source := range spec.Sources {
		ids[source.Region] = source.ImageID
	}
	err := fanout.Each(ctx, slices.Collect(maps.Keys(ids)), func(ctx context.Context, region string) error {
		source, err := ami.FindSource(ctx, clients.EC2, region, ids[region])
		if errors.Is(err, ami.ErrNoSource) {
			copies, findErr := ami.FindCopies(ctx, clients.EC2, imageRegions(spec), ids[region])
			if findErr != nil || len(copies) == 0 {
				return errors.Join(err, findErr)
			}
			source, err = standIn(copies, region), nil
		}
		mu.Lock()
		defer mu.Unlock()
		if _, known := sources[source.Region]; err == nil && !known {
			sources[source.Region] = source
		}
		return err
	})
	return sources, err
}

// standIn returns the copy in the Region if there is one, or else the first copy.
func standIn(copies []ami.Image, region string) ami.Image {
	if i := slices.IndexFunc(copies, func(c ami.Image) bool { return c.Region == region }); i >= 0 {
		return copies[i]
	}
	return copies[0]
}

// imageRegions are the publication's Regions and the sources'.
func imageRegions(spec Spec) []string {
	regions := slices.Clone(spec.Regions)
	for _, source := range spec.Sources {
		regions = append(regions, source.Region)
	}
	slices.Sort(regions)
	return slices.Compact(regions)
}
