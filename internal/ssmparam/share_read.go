package ssmparam

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ram"
	"github.com/aws/aws-sdk-go-v2/service/ram/types"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
)

// ReadShares reads the plugin's resource shares of the parameter and all others that
// contain it. exists says that the parameter does.
func ReadShares(ctx context.Context, client *ram.Client, s Sharing, exists bool) (Shares, error) {
	found, deleted, err := s.findOwn(ctx, client)
	if err != nil {
		return Shares{}, err
	}
	own := len(found)
	if exists {
		if found, err = s.findOthers(ctx, client, found); err != nil {
			return Shares{}, err
		}
	}
	for _, kind := range []types.ResourceShareAssociationType{types.ResourceShareAssociationTypePrincipal, types.ResourceShareAssociationTypeResource} {
		if err := s.associations(ctx, client, kind, found); err != nil {
			return Shares{}, err
		}
	}
	shares := Shares{own: slices.Clone(found[:own]), others: slices.Clone(found[own:]), deleted: deleted}
	slices.SortFunc(shares.own, byARN)
	slices.SortFunc(shares.others, byARN)
	return shares, nil
}

// findOwn finds the shares with the plugin's tag for the parameter, and the ARNs of those
// that were deleted or failed.
func (s Sharing) findOwn(ctx context.Context, client *ram.Client) (own []share, deleted []string, err error) {
	pages := ram.NewGetResourceSharesPaginator(sharesFunc(client.GetResourceShares), &ram.GetResourceSharesInput{
		ResourceOwner: types.ResourceOwnerSelf,
		TagFilters:    []types.TagFilter{{TagKey: aws.String(TagParameter), TagValues: []string{s.Name}}},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, nil, awsclient.Wrap(err, "reading the resource shares of the parameter %s in %s", s.Name, s.Region)
		}
		for _, r := range page.ResourceShares {
			switch {
			case aws.ToString(r.ResourceShareArn) == "" || r.Status == "" || r.AllowExternalPrincipals == nil:
				return nil, nil, awsclient.Incomplete("RAM GetResourceShares for the parameter "+s.Name, s.Region, "ResourceShareArn, Status or AllowExternalPrincipals")
			case r.Status == types.ResourceShareStatusActive || r.Status == types.ResourceShareStatusPending:
				own = append(own, newShare(*r.ResourceShareArn, aws.ToString(r.Name), *r.AllowExternalPrincipals))
			default:
				deleted = append(deleted, *r.ResourceShareArn)
			}
		}
	}
	slices.Sort(deleted)
	return own, deleted, nil
}

func newShare(arn, name string, external bool) share {
	return share{arn: arn, name: name, external: external, principals: map[string]association{}, resources: map[string]association{}}
}

// findOthers appends the other shares that contain the parameter.
func (s Sharing) findOthers(ctx context.Context, client *ram.Client, found []share) ([]share, error) {
	err := s.eachAssociation(ctx, client, &ram.GetResourceShareAssociationsInput{
		AssociationType: types.ResourceShareAssociationTypeResource, ResourceArn: &s.ARN,
	}, func(a types.ResourceShareAssociation) {
		known := slices.ContainsFunc(found, func(f share) bool { return f.arn == *a.ResourceShareArn })
		if !known && !(association{status: a.Status}).ended() {
			found = append(found, newShare(*a.ResourceShareArn, aws.ToString(a.ResourceShareName), false))
		}
	})
	if awsclient.Is(err, awsclient.CodeUnknownResource) {
		return found, nil // RAM doesn't know the parameter, so no share contains it
	}
	return found, err
}

// associations reads the principals or the resources of the shares.
func (s Sharing) associations(ctx context.Context, client *ram.Client, kind types.ResourceShareAssociationType, shares []share) error {
	if len(shares) == 0 {
		return nil
	}
	var arns []string
	for _, f := range shares {
		arns = append(arns, f.arn)
	}
	return s.eachAssociation(ctx, client, &ram.GetResourceShareAssociationsInput{AssociationType: kind, ResourceShareArns: arns}, func(a types.ResourceShareAssociation) {
		for _, f := range shares {
			to := f.principals
			if kind == types.ResourceShareAssociationTypeResource {
				to = f.resources
			}
			if f.arn == *a.ResourceShareArn {
				to[*a.AssociatedEntity] = newest(to[*a.AssociatedEntity], association{a.Status, aws.ToString(a.StatusMessage)})
			}
		}
	})
}

// newest prefers the association that gives access: RAM may also list an earlier one of
// the same entity that ended.
func newest(a, b association) association {
	if a.status != "" && b.ended() {
		return a
	}
	return b
}

// eachAssociation calls f for each association of all pages. Its ARN, entity and status
// aren't empty.
func (s Sharing) eachAssociation(ctx context.Context, client *ram.Client, input *ram.GetResourceShareAssociationsInput, f func(types.ResourceShareAssociation)) error {
	pages := ram.NewGetResourceShareAssociationsPaginator(associationsFunc(client.GetResourceShareAssociations), input)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return awsclient.Wrap(err, "reading with which accounts the parameter %s in %s is shared", s.Name, s.Region)
		}
		for _, a := range page.ResourceShareAssociations {
			if aws.ToString(a.ResourceShareArn) == "" || aws.ToString(a.AssociatedEntity) == "" || a.Status == "" {
				return awsclient.Incomplete("RAM GetResourceShareAssociations for the parameter "+s.Name, s.Region, "ResourceShareArn, AssociatedEntity or Status")
			}
			f(a)
		}
	}
	return nil
}
