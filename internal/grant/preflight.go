package grant

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/fanout"
)

// Preflight checks with a dry run in each Region whether the owner can create the first
// of the planned grants for its own roles, where the key already exists. It reports
// only missing permissions. Fact: GRANT-29.
func (p Plan) Preflight(ctx context.Context, owner Clients) error {
	first := map[string]Grant{}
	var regions []string
	for _, g := range p.planned() {
		if _, known := first[g.Region]; !known && g.KeyARN != "" && g.Account == p.desired.Owner {
			first[g.Region] = g
			regions = append(regions, g.Region)
		}
	}
	return fanout.Each(ctx, regions, func(ctx context.Context, region string) error {
		g := first[region]
		_, err := owner(region).CreateGrant(ctx, &kms.CreateGrantInput{
			DryRun: aws.Bool(true), KeyId: &g.KeyARN, GranteePrincipal: &g.Role, Name: &g.Name, Operations: grantOperations(g.Operations),
		})
		if !awsclient.Is(err, awsclient.CodeAccessDenied) {
			return nil
		}
		return awsclient.Wrap(err, "checking with a dry run whether a grant on key %s in %s can be created for %s", g.KeyARN, region, g.Role)
	})
}
