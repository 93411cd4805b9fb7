package publish

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/fanout"
	"github.com/orgami/packer-plugin-orgami/internal/grant"
	"github.com/orgami/packer-plugin-orgami/internal/kmskey"
	"github.com/orgami/packer-plugin-orgami/internal/ssmparam"
)

// Observed is what a publication depends on, as AWS reports it.
type Observed struct {
	Now          time.Time
	Caller       awsclient.Identity
	Organization awsclient.Organization
	// Discovered are the organisation's accounts that are to have grants.
	Discovered []string
	Sources    map[string]ami.Image // by region
	Key        kmskey.State
	// Named are the account's images that have the published name, by region.
	Named map[string][]ami.Image
	// Shared says with whom the images in Sources and Named are shared, by id.
	Shared map[string]ami.Shared
	Grants grant.State
	// Parameters are those that name the image, by region; read only where there
	// are to be some.
	Parameters map[string]ssmparam.State
	// Generations are the images of the family, by region; read only where older
	// ones are to be retired.
	Generations map[string]ami.Generations
}

// look reads the world. It writes nothing. What cannot work is said here,
// before anything is changed, and all of it at once where the parts do not
// depend on each other.
func look(ctx context.Context, clients *awsclient.Clients, spec Spec) (Observed, error) {
	world := Observed{Now: time.Now()}
	var err error
	if world.Caller, err = clients.Identity(ctx); err != nil {
		return world, err
	}
	if err := checkRegions(ctx, clients, spec); err != nil {
		return world, err
	}
	if world.Discovered, err = discover(ctx, clients, spec.Grants, world.Caller); err != nil {
		return world, err
	}
	var (
		both              sync.WaitGroup
		keyErr, imagesErr error
		withImages        = world
	)
	both.Go(func() { keyErr = world.lookKey(ctx, clients, spec) })
	both.Go(func() { imagesErr = withImages.lookImages(ctx, clients, spec) })
	both.Wait()
	world.Sources, world.Named, world.Shared = withImages.Sources, withImages.Named, withImages.Shared
	world.Generations, world.Parameters = withImages.Generations, withImages.Parameters
	return world, errors.Join(keyErr, imagesErr)
}

// lookKey reads the key and its grants, and the organisation that its policy
// names.
func (w *Observed) lookKey(ctx context.Context, clients *awsclient.Clients, spec Spec) (err error) {
	if w.Organization, err = lookOrganization(ctx, clients, spec, w.Caller.Partition); err != nil {
		return err
	}
	if w.Key, err = kmskey.Look(ctx, clients.KMS, keyWant(spec, *w)); err != nil {
		return err
	}
	w.Grants, err = lookGrants(ctx, clients, spec, *w)
	return err
}

// lookImages reads the sources, the images that may have the published name, and
// with whom all of them are shared.
func (w *Observed) lookImages(ctx context.Context, clients *awsclient.Clients, spec Spec) (err error) {
	if w.Sources, err = lookSources(ctx, clients, spec, w.Caller.Account); err != nil {
		return err
	}
	names := imageNames(spec, *w)
	w.Named, err = fanout.Collect(ctx, spec.Regions, func(ctx context.Context, region string) ([]ami.Image, error) {
		return ami.LookNamed(ctx, clients.EC2, region, names...)
	})
	if err != nil {
		return err
	}
	if w.Shared, err = lookShared(ctx, clients, spec, *w); err != nil {
		return err
	}
	if w.Parameters, err = lookParameters(ctx, clients, spec, *w); err != nil || spec.Retire == nil {
		return err
	}
	w.Generations, err = fanout.Collect(ctx, spec.Regions, func(ctx context.Context, region string) (ami.Generations, error) {
		return ami.LookGenerations(ctx, clients.EC2, region, spec.Retire.Family)
	})
	return err
}

// checkRegions makes sure that the account can use every region. Fact: 2, 8.
func checkRegions(ctx context.Context, clients *awsclient.Clients, spec Spec) error {
	status, err := ami.RegionStatus(ctx, clients.EC2, clients.Region())
	if err != nil {
		return err
	}
	named := map[string]string{spec.Key.PrimaryRegion: "key.primary_region"}
	for _, region := range spec.Regions {
		named[region] = "regions"
	}
	for _, source := range spec.Sources {
		named[source.Region] = "the artifact"
	}
	var problems []error
	for _, region := range slices.Sorted(maps.Keys(named)) {
		switch optIn, known := status[region]; {
		case !known:
			problems = append(problems, fmt.Errorf("region %s, named by %s, does not exist in this partition: AWS lists %s", region, named[region], strings.Join(slices.Sorted(maps.Keys(status)), ", ")))
		case optIn == "not-opted-in":
			problems = append(problems, fmt.Errorf("region %s, named by %s, is not enabled for the account: enable it with 'aws account enable-region --region-name %[1]s', or leave it out", region, named[region]))
		}
	}
	return errors.Join(problems...)
}

// lookOrganization asks AWS only for what the configuration leaves open.
func lookOrganization(ctx context.Context, clients *awsclient.Clients, spec Spec, partition string) (awsclient.Organization, error) {
	given := awsclient.Organization{ID: spec.Organization.ID, ARN: spec.Organization.ARN}
	if !spec.Share.Organization || (given.ID != "" && given.ARN != "") {
		return given, nil
	}
	found, err := clients.Organization(ctx, partition)
	switch {
	case awsclient.Is(err, awsclient.CodeNotInOrganization):
		return given, err
	case err != nil:
		return given, fmt.Errorf("%w; or set organization.id and organization.arn", err)
	}
	if given.ID != "" && given.ID != found.ID || given.ARN != "" && given.ARN != found.ARN {
		return given, fmt.Errorf("the caller's account belongs to organization %s (%s), and the configuration names %s%s: correct or leave out the organization block", found.ID, found.ARN, given.ID, given.ARN)
	}
	return found, nil
}

func lookSources(ctx context.Context, clients *awsclient.Clients, spec Spec, account string) (map[string]ami.Image, error) {
	ids := map[string]string{}
	for _, source := range spec.Sources {
		ids[source.Region] = source.ImageID
	}
	return fanout.Collect(ctx, slices.Collect(maps.Keys(ids)), func(ctx context.Context, region string) (ami.Image, error) {
		return ami.LookSource(ctx, clients.EC2, account, region, ids[region])
	})
}

// lookShared reads the permissions of every image that may turn out to be the
// published one.
func lookShared(ctx context.Context, clients *awsclient.Clients, spec Spec, world Observed) (map[string]ami.Shared, error) {
	images := map[string]ami.Image{}
	for _, region := range spec.Regions {
		if source, ok := world.Sources[region]; ok {
			images[source.ID] = source
		}
		for _, image := range world.Named[region] {
			if image.State == "available" {
				images[image.ID] = image
			}
		}
	}
	return fanout.Collect(ctx, slices.Collect(maps.Keys(images)), func(ctx context.Context, id string) (ami.Shared, error) {
		return ami.LookShared(ctx, clients.EC2, images[id], spec.Share.Snapshots)
	})
}

// lookGrants reads the grants of the regional keys that exist.
func lookGrants(ctx context.Context, clients *awsclient.Clients, spec Spec, world Observed) (grant.State, error) {
	arns := map[string]string{}
	if len(grantAccounts(spec, world)) > 0 || spec.Grants.Discover || spec.Grants.Prune {
		for region, regional := range world.Key.Regional {
			arns[region] = regional.ARN
		}
	}
	return grant.Look(ctx, clients.KMS, arns)
}
