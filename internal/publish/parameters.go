package publish

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/fanout"
	"github.com/orgami/packer-plugin-orgami/internal/retention"
	"github.com/orgami/packer-plugin-orgami/internal/ssmparam"
)

// Parameter is a Region's parameter that names the image.
type Parameter struct {
	Name, ARN string
	// ShareARN is the ARN of the resource share that the plugin created for it. It is
	// empty if the parameter isn't shared.
	ShareARN string
	// SharedWith are the principals of that share.
	SharedWith []string
}

// parameters returns the parameters to set to the image's ID, by Region. It is empty
// if the spec sets no parameter.
func parameters(spec Spec, observed Observed) (map[string]ssmparam.Parameter, error) {
	if spec.Parameter.Name == "" {
		return nil, nil
	}
	all := map[string]ssmparam.Parameter{}
	for _, region := range spec.Regions {
		name, err := ssmparam.Name(spec.Parameter.Name, region, sourceFor(spec, observed, region).Hardware.Architecture)
		if err != nil {
			return nil, err
		}
		all[region] = ssmparam.Parameter{Region: region, Name: name, Advanced: spec.Parameter.Share}
	}
	return all, nil
}

// sharings returns how the parameters are to be shared, by Region: with the principals
// that the image is shared with, other than the caller's own account. It is empty if they
// aren't to be shared.
func sharings(spec Spec, observed Observed, all map[string]ssmparam.Parameter) map[string]ssmparam.Sharing {
	if !spec.Parameter.Share {
		return nil
	}
	caller := observed.Caller
	with := sharePolicy(spec, observed).Image
	principals := slices.DeleteFunc(slices.Concat(with.Organizations, with.OrganizationalUnits, with.Accounts), func(p string) bool { return p == caller.Account })
	sharings := map[string]ssmparam.Sharing{}
	for region, p := range all {
		sharings[region] = ssmparam.Sharing{
			Region: region, Name: p.Name, ARN: p.ARN(caller.Partition, caller.Account),
			Principals: principals, External: spec.Parameter.ExternalAccounts, Prune: spec.Share.Prune,
		}
	}
	return sharings
}

// shareParameters adds to the plan how the parameters are to be shared.
func (p *Plan) shareParameters(spec Spec, observed Observed) {
	p.Sharings = sharings(spec, observed, p.Parameters)
	var known bool
	var changed ssmparam.Sharing
	for _, region := range slices.Sorted(maps.Keys(p.Sharings)) {
		sharing, have := p.Sharings[region], observed.ParameterShares[region]
		changes := sharing.Diff(have)
		p.parameter = append(p.parameter, changes...)
		if problem := sharing.Problem(have); problem != "" {
			p.shareProblems = append(p.shareProblems, problem)
		}
		known = known || have.SharesWithOrganization()
		if changes[0].Mutates() {
			changed = sharing
		}
	}
	if changed.ARN != "" && !known {
		p.enableSharing = changed.EnableSharing()
	}
}

// shared reports whether RAM has associated everything that the parameters' shares need.
func (p Plan) shared(observed Observed) bool {
	for region, sharing := range p.Sharings {
		if !sharing.Associated(observed.ParameterShares[region]) {
			return false
		}
	}
	return true
}

// readParameters reads the parameters, and with which accounts they are shared.
func readParameters(ctx context.Context, clients *awsclient.Clients, spec Spec, observed Observed) (map[string]ssmparam.Observed, map[string]ssmparam.Shares, error) {
	all, err := parameters(spec, observed)
	if err != nil || all == nil {
		return nil, nil, err
	}
	values, err := fanout.Collect(ctx, spec.Regions, func(ctx context.Context, region string) (ssmparam.Observed, error) {
		return ssmparam.Read(ctx, clients.SSM(region), all[region])
	})
	if err != nil || !spec.Parameter.Share {
		return values, nil, err
	}
	sharings := sharings(spec, observed, all)
	shares, err := fanout.Collect(ctx, spec.Regions, func(ctx context.Context, region string) (ssmparam.Shares, error) {
		return ssmparam.ReadShares(ctx, clients.RAM(region), sharings[region], values[region].Value != "")
	})
	return values, shares, err
}

// putParameters sets the parameters to the IDs of the published images, and shares
// them. It returns how they are shared.
func (r run) putParameters(ctx context.Context, observed Observed, plan Plan, verified ami.Verified) (map[string]ssmparam.Shares, error) {
	if len(plan.Parameters) == 0 {
		return nil, nil
	}
	err := fanout.Each(ctx, slices.Clone(verified.Regions()), func(ctx context.Context, region string) error {
		return ssmparam.Put(ctx, r.Clients.SSM(region), plan.Parameters[region], verified.Image(region).ID)
	})
	if err != nil || plan.unchanging && plan.shared(observed) {
		return observed.ParameterShares, err // read moments ago
	}
	return fanout.Collect(ctx, slices.Sorted(maps.Keys(plan.Sharings)), func(ctx context.Context, region string) (ssmparam.Shares, error) {
		return ssmparam.Apply(ctx, r.Clients.RAM(region), plan.Sharings[region])
	})
}

// pruneParameters removes principals that aren't configured from the parameters' resource
// shares, if the spec asks for that. It returns the shares that it changed.
func (r run) pruneParameters(ctx context.Context, plan Plan, have map[string]ssmparam.Shares) (map[string]ssmparam.Shares, error) {
	var regions []string
	for region, sharing := range plan.Sharings {
		if sharing.Prune && sharing.Removes(have[region]) {
			regions = append(regions, region)
		}
	}
	slices.Sort(regions)
	return fanout.Collect(ctx, regions, func(ctx context.Context, region string) (ssmparam.Shares, error) {
		return ssmparam.Remove(ctx, r.Clients.RAM(region), plan.Sharings[region], have[region])
	})
}

// generations are the Region's older images with what uses them. Every kept version of a
// shared parameter uses its image: another account's launch template can name the version
// by its number or a label, and the owner can't read that template. Fact: SSM-6, SSM-16.
func generations(spec Spec, observed Observed, region string) retention.Generations {
	all := observed.Generations[region]
	if !spec.Parameter.Share {
		return all
	}
	for _, version := range observed.Parameters[region].Versions {
		use := retention.Use{
			Account: observed.Caller.Account, Kind: "version of a shared SSM parameter",
			ID: fmt.Sprintf("%s:%d", observed.Parameters[region].Name, version.Number),
		}
		if len(version.Labels) > 0 {
			use.Note = "labels " + strings.Join(version.Labels, ", ")
		}
		all.Uses = all.Uses.With(version.Value, use)
	}
	return all
}

// newParameters are the parameters as they were read last, by Region. Before the
// parameters are set, they are those that exist.
func newParameters(at reached) map[string]Parameter {
	all := map[string]Parameter{}
	for region, p := range at.plan.Parameters {
		if at.observed.Parameters[region].Value == "" && !at.complete {
			continue
		}
		shares := at.observed.ParameterShares[region]
		if read, ok := at.parameterShares[region]; ok {
			shares = read
		}
		all[region] = Parameter{
			Name: p.Name, ARN: p.ARN(at.observed.Caller.Partition, at.observed.Caller.Account),
			ShareARN: shares.ARN(), SharedWith: shares.Principals(),
		}
	}
	return all
}
