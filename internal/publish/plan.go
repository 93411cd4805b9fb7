package publish

import (
	"slices"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/change"
	"github.com/orgami/packer-plugin-orgami/internal/grant"
	"github.com/orgami/packer-plugin-orgami/internal/kmskey"
	"github.com/orgami/packer-plugin-orgami/internal/retention"
	"github.com/orgami/packer-plugin-orgami/internal/ssmparam"
)

// Plan lists the required changes. It depends only on the spec and on what was
// observed.
type Plan struct {
	Key         kmskey.Plan
	Images      []ami.Plan // sorted by Region
	Grants      grant.Plan
	SharePolicy ami.SharePolicy
	// Parameters are the parameters to set, by Region, and Sharings how to share them.
	Parameters map[string]ssmparam.Parameter
	Sharings   map[string]ssmparam.Sharing
	// Retire are the older images to deprecate, disable or deregister.
	Retire []retention.RetentionAction
	// Canary are the Regions in which the image is launched before it is shared.
	Canary []string

	// unchanging says that the run changes nothing, and launches nothing. Then it
	// doesn't need to read back what it read for the plan.
	unchanging bool
	canary     []string // problems
	grants     grant.Desired
	strangers  []string // problems of accounts in grants.accounts
	foreign    []string // warnings of other organizations
	evicts     []string // problems of key policies that lose the caller's organization
	sharing    []change.Change
	lifecycle  []change.Change
	parameter  []change.Change
	quotas     []string
	// shareProblems prevent a parameter from being shared. enableSharing says how to
	// turn on what the sharing may lack; "" if it is known to be on.
	shareProblems []string
	enableSharing string
}

// NewPlan compares. It makes no call, and the same input gives the same plan.
// [Plan.Problems] lists what prevents the publication.
func NewPlan(spec Spec, observed Observed) (Plan, error) {
	plan := Plan{grants: desiredGrants(spec, observed), strangers: strangers(spec, observed), foreign: foreign(spec, observed), SharePolicy: sharePolicy(spec, observed)}
	plan.Key = kmskey.Diff(desiredKey(spec, observed), observed.Key)
	plan.evicts = evicts(observed, plan.Key, plan.foreign)
	var err error
	if plan.Images, err = imagePlans(spec, observed, plan.Key); err != nil {
		return Plan{}, err
	}
	if plan.Parameters, err = parameters(spec, observed); err != nil {
		return Plan{}, err
	}
	plan.Grants = grant.Diff(plan.grants, observed.Grants, plan.Key.ARN)
	for _, image := range plan.Images {
		region, id := image.Region(), image.ImageID()
		plan.sharing = append(plan.sharing, ami.DiffShared(region, id, plan.SharePolicy, observed.Images[region].Shared[id])...)
		if problem := plan.SharePolicy.QuotaProblem(region, observed.Images[region].Shared[id]); problem != "" {
			plan.quotas = append(plan.quotas, problem)
		}
		plan.lifecycle = append(plan.lifecycle, retention.DiffLifecycle(region, published(image).Existing, spec.Lifecycle, observed.Now)...)
		if p, set := plan.Parameters[region]; set {
			plan.parameter = append(plan.parameter, ssmparam.Diff(p, id, observed.Parameters[region]))
		}
	}
	plan.shareParameters(spec, observed)
	plan.Retire = retirees(spec, observed, plan.Images)
	plan.Canary = canaryRegions(spec, plan.Images)
	plan.canary = canaryProblems(spec, observed, plan)
	plan.unchanging = plan.Mutating() == 0 && len(plan.Canary) == 0
	return plan, nil
}

// retirees are the older generations to retire, without the images that this run
// publishes or copies.
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
		retirees = append(retirees, retention.DiffGenerations(generations(spec, observed, plan.Region()), *spec.Retire, published(plan), protected, observed.Now)...)
	}
	return retirees
}

// published returns the images that older generations are compared with.
func published(plan ami.Plan) retention.Published {
	p := retention.Published{Architecture: plan.Source().Hardware.Architecture}
	if image, exists := plan.Existing(); exists {
		p.Existing = &image
	}
	return p
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

// drift is how many changes other than new grants write to AWS.
func (p Plan) drift() int {
	return change.Mutating(slices.DeleteFunc(p.Changes(), func(c change.Change) bool { return c.Kind == change.Grant && c.Action == change.Create }))
}

// Problems lists what prevents the publication and needs manual action. A run with
// problems writes nothing.
func (p Plan) Problems() []string {
	problems := slices.Clone(p.strangers)
	for _, finding := range slices.Concat(p.Key.Findings(), p.Grants.Findings()) {
		if finding.Blocks {
			problems = append(problems, finding.Text)
		}
	}
	for _, image := range p.Images {
		problems = append(problems, image.Problems()...)
	}
	return slices.Concat(problems, p.evicts, p.quotas, p.canary, p.shareProblems)
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
