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
	"github.com/orgami/packer-plugin-orgami/internal/policy"
	"github.com/orgami/packer-plugin-orgami/internal/retention"
	"github.com/orgami/packer-plugin-orgami/internal/ssmparam"
)

// Observed is what a publication depends on, as AWS reports it.
type Observed struct {
	Now          time.Time
	Caller       awsclient.Identity
	Organization awsclient.Organization
	// Discovered are the organization's accounts that are to get grants.
	Discovered []string
	// Members are all accounts of the organization; nil if they couldn't be listed or
	// didn't have to be.
	Members []string
	// Sources are the images to publish, by Region. A copy stands in for a source
	// that no longer exists.
	Sources map[string]ami.Image
	Key     kmskey.Observed
	// Images are the account's images that the publication can use, or that collide
	// with it, and all unpublished copies, by Region.
	Images map[string]ami.Observed
	// Unlisted are Regions of the key in which unpublished copies couldn't be looked
	// for.
	Unlisted []string
	Grants   grant.Observed
	// Parameters are the parameters that name the image, by Region. They are
	// read only if the spec sets any.
	Parameters map[string]ssmparam.Observed
	// Generations are the images of the family, by Region; read only if older ones
	// are to be retired.
	Generations map[string]retention.Generations
}

// wildcardARN matches the key in every Region.
func (o Observed) wildcardARN(keyID string) string {
	return policy.WildcardKeyARN(o.Caller.Partition, o.Caller.Account, keyID)
}

// observe reads. It writes nothing. Errors of parts that don't depend on each
// other are returned together.
func observe(ctx context.Context, clients *awsclient.Clients, spec Spec) (Observed, error) {
	observed := Observed{Now: time.Now()}
	var err error
	if observed.Caller, err = clients.Identity(ctx); err != nil {
		return observed, err
	}
	if err := checkRegions(ctx, clients, spec); err != nil {
		return observed, err
	}
	if observed.Discovered, err = discover(ctx, clients, spec.Grants, observed.Caller); err != nil {
		return observed, err
	}
	withKey, withImages := observed, observed
	var members []string
	err = fanout.Each(ctx, []string{"accounts", "images", "key"}, func(ctx context.Context, what string) error {
		switch what {
		case "accounts":
			members = listMembers(ctx, clients, spec, observed)
			return nil
		case "key":
			return withKey.readKey(ctx, clients, spec)
		default:
			return withImages.readImages(ctx, clients, spec)
		}
	})
	observed.Members = members
	observed.Organization, observed.Key, observed.Grants = withKey.Organization, withKey.Key, withKey.Grants
	observed.Sources, observed.Images = withImages.Sources, withImages.Images
	observed.Generations, observed.Parameters = withImages.Generations, withImages.Parameters
	if err == nil {
		observed.listElsewhere(ctx, clients)
	}
	return observed, err
}

// listElsewhere looks for unpublished copies in the key's other Regions. The
// publication doesn't depend on what is there, so what can't be read is only noted.
func (o *Observed) listElsewhere(ctx context.Context, clients *awsclient.Clients) {
	elsewhere := slices.DeleteFunc(slices.Clone(o.Key.Regions), func(region string) bool { _, known := o.Images[region]; return known })
	search := ami.Search{Publication: ami.PublicationID(slices.Collect(maps.Values(o.Sources)))}
	found, _ := fanout.Collect(ctx, elsewhere, func(ctx context.Context, region string) (ami.Observed, error) {
		return ami.Observe(ctx, clients.EC2, region, search)
	})
	maps.Copy(o.Images, found)
	o.Unlisted = slices.DeleteFunc(elsewhere, func(region string) bool { _, read := found[region]; return read })
}

// readKey reads the key, its grants, and the organization that its policy names.
func (o *Observed) readKey(ctx context.Context, clients *awsclient.Clients, spec Spec) (err error) {
	if o.Organization, err = readOrganization(ctx, clients, spec, o.Caller.Partition); err != nil {
		return err
	}
	if o.Key, err = kmskey.Read(ctx, clients.KMS, desiredKey(spec, *o)); err != nil {
		return err
	}
	o.Grants, err = readGrants(ctx, clients, spec, *o)
	return err
}

// readImages reads the sources, and the images that the publication can use or
// that collide with it.
func (o *Observed) readImages(ctx context.Context, clients *awsclient.Clients, spec Spec) (err error) {
	if o.Sources, err = readSources(ctx, clients, spec, o.Caller.Account); err != nil {
		return err
	}
	names := imageNames(spec, *o)
	publication := ami.PublicationID(slices.Collect(maps.Values(o.Sources)))
	o.Images, err = fanout.Collect(ctx, imageRegions(spec), func(ctx context.Context, region string) (ami.Observed, error) {
		search := ami.Search{Publication: publication, Names: names, Snapshots: spec.Share.Snapshots}
		if source, ok := o.Sources[region]; ok {
			search.Sources = []ami.Image{source}
		}
		return ami.Observe(ctx, clients.EC2, region, search)
	})
	if err != nil {
		return err
	}
	if o.Parameters, err = readParameters(ctx, clients, spec, *o); err != nil || spec.Retire == nil {
		return err
	}
	o.Generations, err = fanout.Collect(ctx, spec.Regions, func(ctx context.Context, region string) (retention.Generations, error) {
		return retention.DescribeGenerations(ctx, retention.FromEC2(clients.EC2), region, *spec.Retire)
	})
	return err
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

// readSources reads the source images. A copy stands in for one that no longer
// exists, so that a publication can be finished after Packer deleted the source.
func readSources(ctx context.Context, clients *awsclient.Clients, spec Spec, account string) (map[string]ami.Image, error) {
	var (
		mu      sync.Mutex
		sources = map[string]ami.Image{}
	)
	ids := map[string]string{}
	for _, source := range spec.Sources {
		ids[source.Region] = source.ImageID
	}
	err := fanout.Each(ctx, slices.Collect(maps.Keys(ids)), func(ctx context.Context, region string) error {
		source, err := ami.ReadSource(ctx, clients.EC2, account, region, ids[region])
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

// standIn is the copy in the Region if there is one, else the first.
func standIn(copies []ami.Image, region string) ami.Image {
	if i := slices.IndexFunc(copies, func(c ami.Image) bool { return c.Region == region }); i >= 0 {
		return copies[i]
	}
	return copies[0]
}

// readGrants reads the grants of the regional keys that exist.
func readGrants(ctx context.Context, clients *awsclient.Clients, spec Spec, observed Observed) (grant.Observed, error) {
	arns := map[string]string{}
	if len(grantAccounts(spec, observed)) > 0 || spec.Grants.Discover || spec.Grants.Prune {
		for region, regional := range observed.Key.Regional {
			arns[region] = regional.ARN
		}
	}
	return grant.ReadNew(ctx, clients.KMS, arns) // another run may have created the key a moment ago
}

// checkRegions makes sure that the account can use every Region. Fact: KMS-MRK-5, NET-4.
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

// readOrganization asks AWS only for what the configuration leaves open.
func readOrganization(ctx context.Context, clients *awsclient.Clients, spec Spec, partition string) (awsclient.Organization, error) {
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
