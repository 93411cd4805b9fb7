package publish

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/change"
	"github.com/orgami/packer-plugin-orgami/internal/grant"
	"github.com/orgami/packer-plugin-orgami/internal/kmskey"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
	"github.com/orgami/packer-plugin-orgami/internal/progress"
	"github.com/orgami/packer-plugin-orgami/internal/retention"
	"github.com/orgami/packer-plugin-orgami/internal/ssmparam"
)

// Plan is what has to be done, decided from the spec and what was observed alone.
type Plan struct {
	Key         kmskey.Plan
	Images      []ami.Plan // sorted by Region
	Grants      grant.Plan
	SharePolicy ami.SharePolicy
	// Parameters are the names of the parameters, by Region.
	Parameters map[string]string
	// Retire are the older images that are to be deprecated, disabled or deregistered.
	Retire []retention.RetentionAction

	grantWant grant.Desired
	sharing   []change.Change
	lifecycle []change.Change
	parameter []change.Change
}

// NewPlan compares. It makes no call, and the same input gives the same plan.
// What keeps the image from being published is among [Plan.Problems].
func NewPlan(spec Spec, observed Observed) (Plan, error) {
	plan := Plan{grantWant: grantWant(spec, observed), SharePolicy: sharePolicy(spec, observed)}
	plan.Key = kmskey.Diff(keyWant(spec, observed), observed.Key)
	var err error
	if plan.Images, err = imagePlans(spec, observed, plan.Key); err != nil {
		return Plan{}, err
	}
	if plan.Parameters, err = parameterNames(spec, observed); err != nil {
		return Plan{}, err
	}
	plan.Grants = grant.Diff(plan.grantWant, observed.Grants, plan.Key.ARN)
	for _, image := range plan.Images {
		region, id := image.Region(), image.ImageID()
		plan.sharing = append(plan.sharing, ami.DiffShared(region, id, plan.SharePolicy, observed.Images[region].Shared[id])...)
		plan.lifecycle = append(plan.lifecycle, retention.DiffLifecycle(region, published(image).Existing, spec.Lifecycle, observed.Now)...)
		if name := plan.Parameters[region]; name != "" {
			plan.parameter = append(plan.parameter, ssmparam.Diff(region, name, id, observed.Parameters[region]))
		}
	}
	plan.Retire = retirees(spec, observed, plan.Images)
	return plan, nil
}

// retirees are the older generations that are to go: none that this run
// publishes, or publishes from.
func retirees(spec Spec, observed Observed, plans []ami.Plan) []retention.RetentionAction {
	if spec.Retire == nil {
		return nil
	}
	var retirees []retention.RetentionAction
	for _, plan := range plans {
		protected := []string{plan.Source().ID}
		for _, source := range spec.Sources {
			protected = append(protected, source.ImageID)
		}
		retirees = append(retirees, retention.DiffGenerations(observed.Generations[plan.Region()], *spec.Retire, published(plan), protected, observed.Now)...)
	}
	return retirees
}

// published is what older generations are compared with.
func published(plan ami.Plan) retention.Published {
	p := retention.Published{Architecture: plan.Source().Hardware.Architecture}
	if image, exists := plan.Existing(); exists {
		p.Existing = &image
	}
	return p
}

func imagePlans(spec Spec, observed Observed, key kmskey.Plan) ([]ami.Plan, error) {
	name, err := imageName(spec, observed, key)
	if err != nil {
		return nil, err
	}
	publication := ami.PublicationID(slices.Collect(maps.Values(observed.Sources)))
	plans := make([]ami.Plan, 0, len(spec.Regions))
	for _, region := range slices.Sorted(slices.Values(spec.Regions)) {
		source := sourceFor(spec, observed, region)
		plans = append(plans, ami.Diff(ami.Desired{
			Region: region, Name: name, Publication: publication, KeyID: key.ID(), KeyARN: key.ARN(region),
			Source: source, Alternates: alternates(observed, publication, source),
			Tags: spec.Image.Tags, SnapshotTags: spec.Image.SnapshotTags, CopySourceTags: spec.Image.CopySourceTags,
			Family: spec.Image.Family, CopyDuration: spec.Image.CopyDuration,
		}, observed.Images[region]))
	}
	return plans, nil
}

// alternates are the available copies of the publication other than the source, in
// any Region and encrypted with any key: a missing copy can be made from them.
func alternates(observed Observed, publication string, source ami.Image) []ami.Image {
	var copies []ami.Image
	for _, region := range slices.Sorted(maps.Keys(observed.Images)) {
		for _, image := range observed.Images[region].Images {
			if image.Tags[ami.TagPublication] == publication && image.State == "available" && image.ID != source.ID {
				copies = append(copies, image)
			}
		}
	}
	return copies
}

// sourceFor is the image that the Region's copy is made from: the Region's own
// source, else the first.
func sourceFor(spec Spec, observed Observed, region string) ami.Image {
	if image, ok := observed.Sources[region]; ok {
		return image
	}
	return firstSource(spec, observed)
}

// firstSource is the source in the key's primary Region if there is one, else the
// first by Region.
func firstSource(spec Spec, observed Observed) ami.Image {
	if image, ok := observed.Sources[spec.Key.PrimaryRegion]; ok {
		return image
	}
	for _, region := range slices.Sorted(maps.Keys(observed.Sources)) {
		return observed.Sources[region]
	}
	return ami.Image{}
}

// maxNameLength is EC2's limit for the name of an image. Fact: 5.
const maxNameLength = 128

// imageName is the one name of the published images in all regions.
func imageName(spec Spec, observed Observed, key kmskey.Plan) (string, error) {
	names := imageNames(spec, observed)
	name := names[len(names)-1]
	if len(names) > 1 && allUnderKey(observed.Sources, key) {
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
func imageNames(spec Spec, observed Observed) []string {
	if spec.Image.Name != "" {
		return []string{spec.Image.Name}
	}
	source := firstSource(spec, observed)
	if source.IsCopy() {
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

func keyWant(spec Spec, observed Observed) kmskey.Desired {
	grants := grantWant(spec, observed)
	roles, operations := grants.KeyPolicyNeeds()
	admitted := slices.Clone(spec.Share.Accounts)
	if grants.Via == grant.Member && !spec.Share.Organization {
		admitted = append(admitted, grantAccounts(spec, observed)...) // they call CreateGrant themselves
	}
	var organization string
	if spec.Share.Organization {
		organization = observed.Organization.ID
	}
	return kmskey.Desired{
		Account: observed.Caller.Account, Partition: observed.Caller.Partition,
		Alias: spec.Key.Alias, ID: spec.Key.ID, Create: spec.Key.Create,
		Primary: spec.Key.PrimaryRegion, PrimaryFixed: spec.Key.PrimaryRegionSet,
		Regions: spec.Regions, Rotation: spec.Key.Rotation, Tags: spec.Key.Tags,
		ExtraStatements: spec.Key.ExtraStatements,
		Policy: policy.KeyPolicy{
			Partition: observed.Caller.Partition, Owner: observed.Caller.Account, Variant: spec.Key.Policy,
			Administrators: spec.Key.Administrators,
			OrganizationID: organization, OrganizationPaths: policy.OrganizationPaths(spec.Share.OrganizationalUnits),
			Accounts: admitted, GrantRoles: roles, GrantOperations: operations,
		},
	}
}

// grantAccounts are the accounts that are listed and those that were discovered.
func grantAccounts(spec Spec, observed Observed) []string {
	all := slices.Concat(spec.Grants.Accounts, observed.Discovered)
	slices.Sort(all)
	return slices.Compact(all)
}

func grantWant(spec Spec, observed Observed) grant.Desired {
	return grant.Desired{
		Partition: observed.Caller.Partition, Owner: observed.Caller.Account,
		Accounts: grantAccounts(spec, observed), Roles: spec.Grants.Roles, Regions: spec.Regions,
		Via: grant.Via(spec.Grants.Via), MemberRole: spec.Grants.MemberRole,
		SkipMissing: spec.Grants.MissingRole == "skip", Prune: spec.Grants.Prune,
	}
}

func sharePolicy(spec Spec, observed Observed) ami.SharePolicy {
	want := ami.SharePolicy{
		Image:     ami.Permissions{OrganizationalUnits: spec.Share.OrganizationalUnits, Accounts: spec.Share.Accounts},
		Snapshots: spec.Share.Snapshots, Prune: spec.Share.Prune,
	}
	if spec.Share.Organization {
		want.Image.Organizations = []string{observed.Organization.ARN}
	}
	return want
}

// Changes lists every difference, and what is up to date already, in order.
func (p Plan) Changes() []change.Change {
	changes := slices.Concat(p.Key.Changes(), p.Grants.Changes(), p.sharing, p.lifecycle, p.parameter)
	for _, image := range p.Images {
		changes = append(changes, image.Changes()...)
	}
	for _, old := range p.Retire {
		changes = append(changes, old.Change())
	}
	change.Sort(changes)
	return changes
}

// Mutating is how many changes write to AWS.
func (p Plan) Mutating() int { return change.Mutating(p.Changes()) }

// Problems lists what keeps the image from being published and needs manual
// action. A run with problems writes nothing.
func (p Plan) Problems() []string {
	var problems []string
	for _, finding := range slices.Concat(p.Key.Findings(), p.Grants.Findings()) {
		if finding.Blocks {
			problems = append(problems, finding.Text)
		}
	}
	for _, image := range p.Images {
		problems = append(problems, image.Problems()...)
	}
	return problems
}

// existing maps each Region to the image that the plan uses as it is.
func (p Plan) existing() map[string]string {
	ids := map[string]string{}
	for _, image := range p.Images {
		if existing, ok := image.Existing(); ok && existing.State == "available" {
			ids[image.Region()] = existing.ID
		}
	}
	return ids
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
	for _, assumption := range retention.Assumptions(p.Retire) {
		fmt.Fprintf(&text, "  Retirement assumes: %s.\n", assumption)
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
