package publish

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/fanout"
	"github.com/orgami/packer-plugin-orgami/internal/grant"
	"github.com/orgami/packer-plugin-orgami/internal/kmskey"
	"github.com/orgami/packer-plugin-orgami/internal/launchcheck"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
	"github.com/orgami/packer-plugin-orgami/internal/retention"
	"github.com/orgami/packer-plugin-orgami/internal/ssmparam"
)

// Observed is what a publication depends on, as AWS reports it.
type Observed struct {
	Now    time.Time
	Caller awsclient.Identity
	// Organization is the one that the image is shared with.
	Organization awsclient.Organization
	// CallersOrganization is the one that the caller's account belongs to; zero if it
	// couldn't be read or didn't have to be.
	CallersOrganization awsclient.Organization
	// Discovered are the organization's accounts that get grants.
	Discovered []string
	// Members are all accounts of the organization; nil if they couldn't be listed or
	// didn't have to be.
	Members []string
	// Sources are the images to publish, by Region. A copy replaces a source that no
	// longer exists.
	Sources map[string]ami.Image
	Key     kmskey.Observed
	// Images are the account's images that the publication can use or that conflict
	// with it, and all unpublished copies, by Region.
	Images map[string]ami.Observed
	// Unlisted are Regions of the key in which unpublished copies couldn't be looked
	// for.
	Unlisted []string
	Grants   grant.Observed
	// Parameters are the parameters that name the image, by Region. They are
	// read only if the spec sets any.
	Parameters map[string]ssmparam.Observed
	// ParameterShares are the resource shares of these parameters, by Region; read only
	// if they are to be shared.
	ParameterShares map[string]ssmparam.Shares
	// Generations are the images of the family, by Region; read only if older ones
	// are to be retired.
	Generations map[string]retention.Generations
}

// wildcardARN matches the key in every Region.
func (o Observed) wildcardARN(keyID string) string {
	return policy.WildcardKeyARN(o.Caller.Partition, o.Caller.Account, keyID)
}

// knownKeys returns the regional keys by ARN. With grants, it returns only the keys
// whose grants were read.
func (o Observed) knownKeys(withGrants bool) map[string]launchcheck.Key {
	known := map[string]launchcheck.Key{}
	for region, regional := range o.Key.Regional {
		if !withGrants || o.Grants.Read(region) {
			listed := func() []grant.Listed { return o.Grants.Listed(region) }
			known[regional.ARN] = launchcheck.Key{State: regional.State, Policy: regional.Policy, Grants: listed}
		}
	}
	return known
}

// subjects returns, by Region, the images that the plan uses as they are, with their
// launch permissions. unknown has the IDs of images whose permissions weren't read.
func (o Observed) subjects(plan Plan) (subjects map[string]launchcheck.Subject, unknown map[string]string) {
	subjects, unknown = map[string]launchcheck.Subject{}, plan.existing()
	for _, image := range plan.Images {
		existing, _ := image.Existing()
		if shared, known := o.Images[image.Region()].Shared[existing.ID]; known && unknown[image.Region()] != "" {
			subjects[image.Region()] = launchcheck.Subject{Image: existing, Permissions: shared.Image}
			delete(unknown, image.Region())
		}
	}
	return subjects, unknown
}

// shared returns the launch permissions of the images, and whether all are known.
func (o Observed) shared(images ami.Verified) (shared map[string]ami.Shared, all bool) {
	shared = map[string]ami.Shared{}
	for _, region := range images.Regions() {
		if read, known := o.Images[region].Shared[images.Image(region).ID]; known {
			shared[region] = read
		}
	}
	return shared, len(shared) == len(images.Regions())
}

// observe reads in as few rounds as possible. It writes nothing. Errors of parts that
// don't depend on each other are returned together.
func observe(ctx context.Context, clients *awsclient.Clients, spec Spec) (Observed, error) {
	observed, found, err := look(ctx, clients, spec)
	if err != nil {
		return observed, err
	}
	withAccounts, withOrganization, withKey, withImages := observed, observed, observed, observed
	err = fanout.Together(ctx,
		fanout.Task{Name: "accounts", Run: func(ctx context.Context) (err error) {
			o := &withAccounts
			if o.Discovered, err = discover(ctx, clients, spec.Grants, o.Caller); err == nil {
				o.Members = listMembers(ctx, clients, spec, *o)
			}
			return err
		}},
		fanout.Task{Name: "organization", Run: func(ctx context.Context) (err error) {
			o := &withOrganization
			o.Organization, o.CallersOrganization, err = readOrganization(ctx, clients, spec, o.Caller.Partition)
			return err
		}},
		fanout.Task{Name: "images", Run: func(ctx context.Context) error { return withImages.readImages(ctx, clients, spec) }},
		fanout.Task{Name: "key", Run: func(ctx context.Context) error { return withKey.readKey(ctx, clients, spec, found) }},
	)
	observed.Discovered, observed.Members = withAccounts.Discovered, withAccounts.Members
	observed.Organization, observed.CallersOrganization = withOrganization.Organization, withOrganization.CallersOrganization
	observed.Key, observed.Grants = withKey.Key, withKey.Grants
	observed.Sources, observed.Images = withImages.Sources, withImages.Images
	observed.Generations = withImages.Generations
	observed.Parameters, observed.ParameterShares = withImages.Parameters, withImages.ParameterShares
	if err == nil {
		observed.listElsewhere(ctx, clients)
	}
	return observed, err
}

// look is the first round: the caller, and what can be looked up by the configuration
// alone. Without a caller or with a Region that doesn't exist, the other results are
// meaningless.
func look(ctx context.Context, clients *awsclient.Clients, spec Spec) (Observed, kmskey.Found, error) {
	observed := Observed{Now: time.Now()}
	var found kmskey.Found
	var callerErr, regionsErr error
	looking, stop := context.WithCancel(ctx)
	defer stop()
	err := fanout.Together(ctx,
		fanout.Task{Name: "caller", Run: func(ctx context.Context) error {
			if observed.Caller, callerErr = clients.Identity(ctx); callerErr != nil {
				stop()
			}
			return nil
		}},
		fanout.Task{Name: "regions", Run: func(context.Context) error {
			if regionsErr = checkRegions(looking, clients, spec); regionsErr != nil {
				stop()
			}
			return nil
		}},
		fanout.Task{Name: "sources", Run: func(context.Context) (err error) {
			observed.Sources, err = findSources(looking, clients, spec)
			return err
		}},
		fanout.Task{Name: "key", Run: func(context.Context) (err error) {
			found, err = kmskey.Find(looking, clients.KMS, desiredKey(spec, observed))
			return err
		}},
	)
	switch {
	case callerErr != nil:
		return observed, found, callerErr
	case regionsErr != nil:
		return observed, found, regionsErr
	case errors.Is(err, ami.ErrNoSource):
		err = fmt.Errorf("as account %s: %w", observed.Caller.Account, err)
	}
	return observed, found, err
}

// listElsewhere looks for unpublished copies in the key's other Regions. The
// publication doesn't depend on them, so errors are only recorded.
func (o *Observed) listElsewhere(ctx context.Context, clients *awsclient.Clients) {
	elsewhere := slices.DeleteFunc(slices.Clone(o.Key.Regions), func(region string) bool { _, known := o.Images[region]; return known })
	search := ami.Search{Publication: ami.PublicationID(slices.Collect(maps.Values(o.Sources)))}
	found, _ := fanout.Collect(ctx, elsewhere, func(ctx context.Context, region string) (ami.Observed, error) {
		return ami.Observe(ctx, clients.EC2, region, search)
	})
	maps.Copy(o.Images, found)
	o.Unlisted = slices.DeleteFunc(elsewhere, func(region string) bool { _, read := found[region]; return read })
}

// readKey reads the key and its grants.
func (o *Observed) readKey(ctx context.Context, clients *awsclient.Clients, spec Spec, found kmskey.Found) error {
	desired := desiredKey(spec, *o)
	arns := map[string]string{}
	if len(spec.Grants.Accounts) > 0 || spec.Grants.Discover || spec.Grants.Prune {
		arns = found.ARNs(desired)
	}
	err := fanout.Together(ctx,
		fanout.Task{Name: "key", Run: func(ctx context.Context) (err error) {
			o.Key, err = found.Read(ctx, clients.KMS, desired)
			return err
		}},
		fanout.Task{Name: "grants", Run: func(ctx context.Context) (err error) {
			o.Grants, err = grant.ReadNew(ctx, clients.KMS, arns) // another run may have created the key a moment ago
			return err
		}},
	)
	if err != nil {
		return err
	}
	maps.DeleteFunc(arns, func(region, _ string) bool { return o.Grants.Read(region) })
	if len(arns) == 0 {
		return nil
	}
	now, err := grant.ReadNew(ctx, clients.KMS, arns) // by now, their keys are visible
	o.Grants = o.Grants.With(now)
	return err
}

// readImages reads the keys of the sources' snapshots, and the images that the
// publication can use or that conflict with it.
func (o *Observed) readImages(ctx context.Context, clients *awsclient.Clients, spec Spec) error {
	var problems []error
	for _, region := range slices.Sorted(maps.Keys(o.Sources)) {
		problems = append(problems, ami.CheckSource(o.Caller.Account, o.Sources[region]))
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	found := *o
	names := imageNames(spec, found)
	publication := ami.PublicationID(slices.Collect(maps.Values(found.Sources)))
	return fanout.Together(ctx,
		fanout.Task{Name: "sources", Run: func(ctx context.Context) (err error) {
			o.Sources, err = fanout.Collect(ctx, slices.Collect(maps.Keys(found.Sources)), func(ctx context.Context, region string) (ami.Image, error) {
				return ami.CompleteSource(ctx, clients.EC2, found.Sources[region])
			})
			return err
		}},
		fanout.Task{Name: "images", Run: func(ctx context.Context) (err error) {
			o.Images, err = fanout.Collect(ctx, imageRegions(spec), func(ctx context.Context, region string) (ami.Observed, error) {
				search := ami.Search{Publication: publication, Names: names, Snapshots: spec.Share.Snapshots}
				if source, ok := found.Sources[region]; ok {
					search.Sources = []ami.Image{source}
				}
				return ami.Observe(ctx, clients.EC2, region, search)
			})
			return err
		}},
		fanout.Task{Name: "parameters", Run: func(ctx context.Context) (err error) {
			o.Parameters, o.ParameterShares, err = readParameters(ctx, clients, spec, found)
			return err
		}},
		fanout.Task{Name: "generations", Run: func(ctx context.Context) (err error) {
			if spec.Retire == nil {
				return nil
			}
			o.Generations, err = fanout.Collect(ctx, spec.Regions, func(ctx context.Context, region string) (retention.Generations, error) {
				return retention.DescribeGenerations(ctx, retention.FromEC2(clients.EC2), region, *spec.Retire)
			})
			return err
		}},
	)
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
			problems = append(problems, fmt.Errorf("the Region %s in %s doesn't exist in this partition. Set one of %s", region, named[region], strings.Join(slices.Sorted(maps.Keys(status)), ", ")))
		case optIn == "not-opted-in":
			problems = append(problems, fmt.Errorf("the Region %s in %s isn't enabled for the account. Enable it with 'aws account enable-region --region-name %[1]s', or remove it", region, named[region]))
		}
	}
	return errors.Join(problems...)
}
