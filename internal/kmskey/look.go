package kmskey

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/fanout"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
)

// Clients returns a region's KMS client.
type Clients func(region string) *kms.Client

// Look finds the key and reads what Diff compares. It writes nothing. A key
// that exists and cannot serve (single-Region, disabled, foreign, open to the
// world, an alias that points elsewhere in one region) is an error that says
// what to do.
func Look(ctx context.Context, clients Clients, want Want) (State, error) {
	found, err := find(ctx, clients, want)
	if err != nil {
		return State{}, err
	}
	if found == nil {
		return State{PrimaryRegion: want.Primary, Regional: map[string]Regional{}}, nil
	}
	if err := usable(*found, want); err != nil {
		return State{}, err
	}
	topology := found.MultiRegionConfiguration
	state := State{
		ID:            aws.ToString(found.KeyId),
		PrimaryRegion: aws.ToString(topology.PrimaryKey.Region),
		Regional:      map[string]Regional{},
	}
	if want.PrimaryFixed && state.PrimaryRegion != want.Primary {
		return State{}, fmt.Errorf("the primary of key %s is in %s and key.primary_region is %s: set primary_region to %[2]q or leave it out", state.ID, state.PrimaryRegion, want.Primary)
	}
	existing := []string{state.PrimaryRegion}
	for _, replica := range topology.ReplicaKeys {
		if region := aws.ToString(replica.Region); slices.Contains(want.Regions, region) {
			existing = append(existing, region)
		}
	}
	regional, err := fanout.Collect(ctx, existing, func(ctx context.Context, region string) (Regional, error) {
		return lookRegion(ctx, clients(region), want, state.ID, region)
	})
	if err != nil {
		return State{}, err
	}
	state.Regional = regional
	if !want.Rotation {
		return state, nil
	}
	status, err := clients(state.PrimaryRegion).GetKeyRotationStatus(ctx, &kms.GetKeyRotationStatusInput{KeyId: &state.ID})
	if err != nil {
		return State{}, awsclient.Wrap(err, "reading the rotation of key %s in %s", state.ID, state.PrimaryRegion)
	}
	state.Rotation = status.KeyRotationEnabled
	return state, nil
}

// find returns the metadata of one regional key of the wanted key, or nil when
// there is none and it may be created.
func find(ctx context.Context, clients Clients, want Want) (*types.KeyMetadata, error) {
	if want.ID != "" {
		return findByID(ctx, clients, want)
	}
	regions := want.regionsWith(want.Primary)
	found, err := fanout.Collect(ctx, regions, func(ctx context.Context, region string) (*types.KeyMetadata, error) {
		return describe(ctx, clients(region), want.Alias, region)
	})
	if err != nil {
		return nil, err
	}
	var key *types.KeyMetadata
	var first string
	for _, region := range regions {
		switch metadata := found[region]; {
		case metadata == nil:
		case key == nil:
			key, first = metadata, region
		case aws.ToString(metadata.KeyId) != aws.ToString(key.KeyId):
			return nil, fmt.Errorf("%s points at key %s in %s and at key %s in %s: point it at one multi-Region key, or choose another alias",
				want.Alias, aws.ToString(key.KeyId), first, aws.ToString(metadata.KeyId), region)
		}
	}
	if key != nil {
		return key, nil
	}
	if !want.Create {
		return nil, fmt.Errorf("%s does not exist in %s and key.create is false: create the key, or set create = true", want.Alias, strings.Join(regions, ", "))
	}
	return findByTag(ctx, clients, want)
}

// findByID describes the key in the region of its ARN, or else in the first
// wanted region that knows it.
func findByID(ctx context.Context, clients Clients, want Want) (*types.KeyMetadata, error) {
	regions := slices.Concat([]string{want.Primary}, want.Regions)
	if parsed, err := arn.Parse(want.ID); err == nil {
		regions = []string{parsed.Region}
	}
	for _, region := range regions {
		metadata, err := describe(ctx, clients(region), want.ID, region)
		if err != nil || metadata != nil {
			return metadata, err
		}
	}
	return nil, fmt.Errorf("key %s does not exist in %s: check key.id, and set key.primary_region to the region where its primary is", want.ID, strings.Join(slices.Compact(regions), ", "))
}

// describe returns nil when the key or alias does not exist.
func describe(ctx context.Context, client *kms.Client, id, region string) (*types.KeyMetadata, error) {
	answer, err := client.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &id})
	if awsclient.Is(err, awsclient.CodeNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, awsclient.Wrap(err, "describing key %s in %s", id, region)
	}
	return answer.KeyMetadata, nil
}

// findByTag finds the key that an earlier run made for the alias and did not
// live to name.
func findByTag(ctx context.Context, clients Clients, want Want) (*types.KeyMetadata, error) {
	client := clients(want.Primary)
	var candidates []*types.KeyMetadata
	for pages := kms.NewListKeysPaginator(client, &kms.ListKeysInput{Limit: aws.Int32(1000)}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, awsclient.Wrap(err, "listing the keys in %s, to find one that an interrupted run made for %s", want.Primary, want.Alias)
		}
		for _, key := range page.Keys {
			if id := aws.ToString(key.KeyId); strings.HasPrefix(id, "mrk-") {
				metadata, err := madeFor(ctx, client, id, want)
				if err != nil {
					return nil, err
				}
				if metadata != nil {
					candidates = append(candidates, metadata)
				}
			}
		}
	}
	if len(candidates) == 0 {
		return nil, nil
	}
	slices.SortFunc(candidates, func(a, b *types.KeyMetadata) int {
		return a.CreationDate.Compare(*b.CreationDate)
	})
	return candidates[0], nil
}

// madeFor returns the key's metadata if it is an enabled primary that carries
// our tag for the alias.
func madeFor(ctx context.Context, client *kms.Client, id string, want Want) (*types.KeyMetadata, error) {
	tags, err := readTags(ctx, client, id, want.Primary)
	switch {
	case awsclient.Is(err, awsclient.CodeNotFound):
		return nil, nil
	case awsclient.Is(err, awsclient.CodeAccessDenied) && !strings.Contains(err.Error(), "no identity-based policy"):
		return nil, nil // the key policy of another team's key, which is none of ours
	}
	if err != nil {
		return nil, err
	}
	if tags[TagAlias] != want.Alias {
		return nil, nil
	}
	metadata, err := describe(ctx, client, id, want.Primary)
	if err != nil || metadata == nil || metadata.KeyState != types.KeyStateEnabled ||
		metadata.MultiRegionConfiguration == nil || metadata.MultiRegionConfiguration.MultiRegionKeyType != types.MultiRegionKeyTypePrimary {
		return nil, err
	}
	return metadata, nil
}

func lookRegion(ctx context.Context, client *kms.Client, want Want, id, region string) (Regional, error) {
	metadata, err := describe(ctx, client, id, region)
	if err != nil {
		return Regional{}, err
	}
	if metadata == nil {
		return Regional{}, fmt.Errorf("key %s is listed in %s and cannot be read there: it may have been made or deleted a moment ago; run again", id, region)
	}
	regional := Regional{ARN: aws.ToString(metadata.Arn), State: string(metadata.KeyState)}
	if err := regional.note(want, enabled(*metadata, region)); err != nil {
		return Regional{}, err
	}
	if regional.Policy, err = readPolicy(ctx, client, id, region); err != nil {
		return Regional{}, err
	}
	if open := regional.Policy.PublicStatements(); len(open) > 0 {
		err := fmt.Errorf("the policy of key %s in %s is open to the world (%s): add a condition on aws:PrincipalOrgID to each of these statements, or remove them", id, region, strings.Join(open, ", "))
		if err := regional.note(want, err); err != nil {
			return Regional{}, err
		}
	}
	if want.Alias != "" {
		target, err := describe(ctx, client, want.Alias, region)
		if err != nil {
			return Regional{}, err
		}
		if target != nil && aws.ToString(target.KeyId) != id {
			err := fmt.Errorf("%s points at key %s in %s, not at %s: point it there, or choose another alias", want.Alias, aws.ToString(target.KeyId), region, id)
			if err := regional.note(want, err); err != nil {
				return Regional{}, err
			}
		}
		regional.HasAlias = target != nil
	}
	if len(want.Tags) > 0 {
		if regional.Tags, err = readTags(ctx, client, id, region); err != nil {
			return Regional{}, err
		}
	}
	return regional, nil
}

// note makes a problem a part of the plan, where that is wanted.
func (r *Regional) note(want Want, problem error) error {
	if problem == nil || !want.PlanOnly {
		return problem
	}
	r.Problems = append(r.Problems, problem.Error())
	return nil
}

func readPolicy(ctx context.Context, client *kms.Client, id, region string) (policy.Document, error) {
	answer, err := client.GetKeyPolicy(ctx, &kms.GetKeyPolicyInput{KeyId: &id})
	if err != nil {
		return policy.Document{}, awsclient.Wrap(err, "reading the policy of key %s in %s", id, region)
	}
	document, err := policy.Parse(aws.ToString(answer.Policy))
	if err != nil {
		return policy.Document{}, fmt.Errorf("reading the policy of key %s in %s: %w", id, region, err)
	}
	return document, nil
}

func readTags(ctx context.Context, client *kms.Client, id, region string) (map[string]string, error) {
	tags := map[string]string{}
	for pages := kms.NewListResourceTagsPaginator(client, &kms.ListResourceTagsInput{KeyId: &id}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, awsclient.Wrap(err, "reading the tags of key %s in %s", id, region)
		}
		for _, tag := range page.Tags {
			tags[aws.ToString(tag.TagKey)] = aws.ToString(tag.TagValue)
		}
	}
	return tags, nil
}
