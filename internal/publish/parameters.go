package publish

import (
	"context"
	"slices"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/fanout"
	"github.com/orgami/packer-plugin-orgami/internal/ssmparam"
)

// parameterNames returns the names of the parameters to set to the image's ID,
// by Region. It is empty if the spec sets no parameter.
func parameterNames(spec Spec, observed Observed) (map[string]string, error) {
	if spec.Parameter == "" {
		return nil, nil
	}
	names := map[string]string{}
	for _, region := range spec.Regions {
		name, err := ssmparam.Name(spec.Parameter, region, sourceFor(spec, observed, region).Hardware.Architecture)
		if err != nil {
			return nil, err
		}
		names[region] = name
	}
	return names, nil
}

func readParameters(ctx context.Context, clients *awsclient.Clients, spec Spec, observed Observed) (map[string]ssmparam.Observed, error) {
	names, err := parameterNames(spec, observed)
	if err != nil || names == nil {
		return nil, err
	}
	return fanout.Collect(ctx, spec.Regions, func(ctx context.Context, region string) (ssmparam.Observed, error) {
		return ssmparam.Read(ctx, clients.SSM(region), region, names[region])
	})
}

// putParameters sets the parameters to the IDs of the published images.
func (r run) putParameters(ctx context.Context, plan Plan, verified ami.Verified) error {
	if len(plan.Parameters) == 0 {
		return nil
	}
	return fanout.Each(ctx, slices.Clone(verified.Regions()), func(ctx context.Context, region string) error {
		return ssmparam.Put(ctx, r.Clients.SSM(region), region, plan.Parameters[region], verified.Image(region).ID)
	})
}
