package publish

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/change"
	"github.com/orgami/packer-plugin-orgami/internal/grant"
	"github.com/orgami/packer-plugin-orgami/internal/kmskey"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
	"github.com/orgami/packer-plugin-orgami/internal/progress"
	"github.com/orgami/packer-plugin-orgami/internal/ssmparam"
)

// Plan is what has to be done, decided from the spec and the world alone.
type Plan struct {
	Key     kmskey.Plan
	Images  []ami.Plan // sorted by region
	Grants  grant.Plan
	Sharing ami.SharePolicy
	// Parameters are the names of the parameters, by region.
	Parameters map[string]string
	// Retire are the older images that are to go, by region.
	Retire []ami.RetentionAction

	grantWant grant.Want
	sharing   []change.Change
	life      []change.Change
	parameter []change.Change
}

// NewPlan compares. It makes no call, and the same input gives the same plan.
func NewPlan(spec Spec, world Observed) (Plan, error) {
	plan := Plan{grantWant: grantWant(spec, world), Sharing: sharing(spec, world)}
	var err error
	if plan.Key, err = kmskey.Diff(keyWant(spec, world), world.Key); err != nil {
		return Plan{}, err
	}
	if plan.Images, err = imagePlans(spec, world, plan.Key); err != nil {
		return Plan{}, err
	}
	if plan.Parameters, err = parameterNames(spec, world); err != nil {
		return Plan{}, err
	}
	plan.Grants = grant.Diff(plan.grantWant, world.Grants, plan.Key.ARN)
	for _, image := range plan.Images {
		id := image.ImageID()
		plan.sharing = append(plan.sharing, ami.DiffShared(image.Region(), id, plan.Sharing, world.Shared[id])...)
		plan.life = append(plan.life, ami.DiffLife(image, spec.Life, world.Now)...)
	}
	for _, image := range plan.Images {
		if name := plan.Parameters[image.Region()]; name != "" {
			plan.parameter = append(plan.parameter, ssmparam.Diff(image.Region(), name, image.ImageID(), world.Parameters[image.Region()]))
		}
	}
	plan.Retire = retirees(spec, world, plan.Images)
	return plan, nil
}

// retirees are the older generations that are to go: none that this run
// publishes, or publishes from.
func retirees(spec Spec, world Observed, plans []ami.Plan) []ami.RetentionAction {
	if spec.Retire == nil {
		return nil
	}
	var retirees []ami.RetentionAction
	for _, plan := range plans {
		spared := []string{plan.Source().ID}
		for _, source := range spec.Sources {
			spared = append(spared, source.ImageID)
		}
		retirees = append(retirees, ami.DiffGenerations(world.Generations[plan.Region()], *spec.Retire, plan, spared, world.Now)...)
	}
	return retirees
}

func imagePlans(spec Spec, world Observed, key kmskey.Plan) ([]ami.Plan, error) {
	name, err := imageName(spec, world, key)
	if err != nil {
		return nil, err
	}
	var plans []ami.Plan
	var problems []error
	for _, region := range slices.Sorted(slices.Values(spec.Regions)) {
		plan, err := ami.Diff(ami.Want{
			Region: region, Name: name, KeyARN: key.ARN(region), Source: sourceFor(spec, world, region),
			Tags: spec.Image.Tags, SnapshotTags: spec.Image.SnapshotTags, CopySourceTags: spec.Image.CopySourceTags,
			Family: spec.Life.Family, CopyDuration: spec.Image.CopyDuration,
		}, withName(world.Named[region], name))
		problems = append(problems, err)
		plans = append(plans, plan)
	}
	return plans, errors.Join(problems...)
}

// sourceFor is the image that the region's copy is made from: the artifact's
// own in that region, else the one of the first region that has one.
func sourceFor(spec Spec, world Observed, region string) ami.Image {
	if image, ok := world.Sources[region]; ok {
		return image
	}
	return world.Sources[firstSource(spec).Region]
}

// firstSource is the source in the key's primary region if there is one, else
// the first by region.
func firstSource(spec Spec) Source {
	return slices.MinFunc(spec.Sources, func(a, b Source) int {
		if (a.Region == spec.Key.PrimaryRegion) != (b.Region == spec.Key.PrimaryRegion) {
			if a.Region == spec.Key.PrimaryRegion {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Region, b.Region)
	})
}

// maxNameLength is EC2's limit for the name of an image. Fact: 5.
const maxNameLength = 128

// imageName is the one name of the published images in all regions.
func imageName(spec Spec, world Observed, key kmskey.Plan) (string, error) {
	names := imageNames(spec, world)
	name := names[len(names)-1]
	if len(names) > 1 && allUnderKey(world.Sources, key) {
		name = names[0]
	}
	if len(name) > maxNameLength {
		return "", fmt.Errorf("the source image's name with -shared, %q, is %d characters, and EC2 allows %d: set ami_name", name, len(name), maxNameLength)
	}
	return name, nil
}

// imageNames are the names that the images may get. Sources that are all under
// the key are published themselves, and their copies in other regions have
// their name; a copy beside its source needs another one. Fact: 5.
func imageNames(spec Spec, world Observed) []string {
	if spec.Image.Name != "" {
		return []string{spec.Image.Name}
	}
	source := world.Sources[firstSource(spec).Region]
	if source.Published() {
		return []string{source.Name}
	}
	return []string{source.Name, source.Name + "-shared"}
}

func allUnderKey(sources map[string]ami.Image, key kmskey.Plan) bool {
	for region, source := range sources {
		if !source.UnderKey(key.ARN(region)) {
			return false
		}
	}
	return true
}

// withName are those of the images that have the name.
func withName(images []ami.Image, name string) []ami.Image {
	return slices.DeleteFunc(slices.Clone(images), func(i ami.Image) bool { return i.Name != name })
}

func keyWant(spec Spec, world Observed) kmskey.Want {
	grants := grantWant(spec, world)
	roles, operations := grants.KeyPolicyNeeds()
	admitted := slices.Clone(spec.Share.Accounts)
	if grants.Via == grant.Member && !spec.Share.Organization {
		admitted = append(admitted, grantAccounts(spec, world)...) // they call CreateGrant themselves
	}
	var organization string
	if spec.Share.Organization {
		organization = world.Organization.ID
	}
	return kmskey.Want{
		Account: world.Caller.Account, Partition: world.Caller.Partition,
		Alias: spec.Key.Alias, ID: spec.Key.ID, Create: spec.Key.Create,
		Primary: spec.Key.PrimaryRegion, PrimaryFixed: spec.Key.PrimaryRegionSet,
		Regions: spec.Regions, Rotation: spec.Key.Rotation, Tags: spec.Key.Tags, PlanOnly: spec.PlanOnly,
		ExtraStatements: spec.Key.ExtraStatements,
		Policy: policy.KeyPolicy{
			Partition: world.Caller.Partition, Owner: world.Caller.Account, Variant: spec.Key.Policy,
			Administrators: spec.Key.Administrators,
			OrganizationID: organization, OrganizationPaths: policy.OrganizationPaths(spec.Share.OrganizationalUnits),
			Accounts: admitted, GrantRoles: roles, GrantOperations: operations,
		},
	}
}

// grantAccounts are the accounts that are listed and those that were discovered.
func grantAccounts(spec Spec, world Observed) []string {
	all := slices.Concat(spec.Grants.Accounts, world.Discovered)
	slices.Sort(all)
	return slices.Compact(all)
}

func grantWant(spec Spec, world Observed) grant.Want {
	return grant.Want{
		Partition: world.Caller.Partition, Owner: world.Caller.Account,
		Accounts: grantAccounts(spec, world), Roles: spec.Grants.Roles, Regions: spec.Regions,
		Via: grant.Via(spec.Grants.Via), MemberRole: spec.Grants.MemberRole,
		SkipMissing: spec.Grants.MissingRole == "skip", Prune: spec.Grants.Prune,
	}
}

func sharing(spec Spec, world Observed) ami.SharePolicy {
	want := ami.SharePolicy{
		Image:     ami.Permissions{OrganizationalUnits: spec.Share.OrganizationalUnits, Accounts: spec.Share.Accounts},
		Snapshots: spec.Share.Snapshots, Prune: spec.Share.Prune,
	}
	if spec.Share.Organization {
		want.Image.Organizations = []string{world.Organization.ARN}
	}
	return want
}

// Changes lists every difference, and what is as it shall be already, in order.
func (p Plan) Changes() []change.Change {
	changes := slices.Concat(p.Key.Changes(), p.Grants.Changes(), p.sharing, p.life, p.parameter)
	for _, image := range p.Images {
		changes = append(changes, image.Change())
		changes = append(changes, image.Leftovers()...)
	}
	for _, old := range p.Retire {
		changes = append(changes, old.Change())
	}
	change.Sort(changes)
	return changes
}

// Problems are what is wrong with the key and what only people can mend.
func (p Plan) Problems() []string {
	var problems []string
	for _, c := range p.Key.Changes() {
		if c.Kind == change.Key && c.Action == change.Skip {
			problems = append(problems, c.Detail)
		}
	}
	return problems
}

// String is the plan for people: what changes, line by line, grants counted by
// region, and how much is right already.
func (p Plan) String() string {
	changes := p.Changes()
	var text strings.Builder
	fmt.Fprintf(&text, "Plan: %s to change, %s as they shall be\n", progress.Number(change.Mutating(changes)), progress.Number(count(changes, change.NoOp)))
	grants := map[string]int{}
	for _, c := range changes {
		switch {
		case c.Action == change.NoOp:
		case c.Kind == change.Grant:
			c.ID = ""
			if grants[c.String()]++; grants[c.String()] == 1 {
				fmt.Fprintf(&text, "  %s\n", countedGrants(c, changes))
			}
		default:
			fmt.Fprintf(&text, "  %s\n", c)
		}
	}
	return strings.TrimRight(text.String(), "\n")
}

func count(changes []change.Change, action change.Action) int {
	n := 0
	for _, c := range changes {
		if c.Action == action {
			n++
		}
	}
	return n
}

// countedGrants is one line for all grants of a region that change alike.
func countedGrants(like change.Change, changes []change.Change) string {
	n := 0
	for _, c := range changes {
		if c.Kind == change.Grant && c.Region == like.Region && c.Action == like.Action && c.Detail == like.Detail {
			n++
		}
	}
	return strings.Replace(like.String(), "grant", progress.Count(n, "grant"), 1)
}
