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
	"github.com/orgami/packer-plugin-orgami/internal/change"
	"github.com/orgami/packer-plugin-orgami/internal/fanout"
)

// Found is the key that [Find] found, if any. [Found.Read] reads the rest.
type Found struct {
	key *metadata // one of the regional keys; nil if there is none
	// aliases are the keys that the alias points to, by Region, nil where it doesn't
	// exist. A Region that isn't among them wasn't read.
	aliases  map[string]*metadata
	findings []change.Finding
}

// Find looks for the key by its alias or ID: only these, the Regions and the primary
// Region of desired matter. It finds no key, without findings, if there is none and
// it may be created.
func Find(ctx context.Context, clients Clients, desired Desired) (Found, error) {
	if desired.ID != "" {
		key, findings, err := findByID(ctx, clients, desired)
		return Found{key: key, findings: findings}, err
	}
	regions := desired.regionsWith(desired.Primary)
	aliases, err := fanout.Collect(ctx, regions, func(ctx context.Context, region string) (*metadata, error) {
		return describe(ctx, clients(region), desired.Alias, region)
	})
	if err != nil {
		return Found{}, err
	}
	found := Found{aliases: aliases}
	var first string
	for _, region := range regions {
		switch other := aliases[region]; {
		case other == nil:
		case found.key == nil:
			found.key, first = other, region
		case other.id != found.key.id:
			return Found{findings: []change.Finding{block(change.Alias, region, desired.Alias,
				"%s points to key %s in %s and to key %s in %s. Point it to one multi-Region key, or choose another alias", desired.Alias, found.key.id, first, other.id, region)}}, nil
		}
	}
	if found.key != nil {
		return found, nil
	}
	if !desired.Create {
		return Found{findings: []change.Finding{block(change.Alias, desired.Primary, desired.Alias,
			"%s does not exist in %s, and key.create is false. Create the key, or set create = true", desired.Alias, strings.Join(regions, ", "))}}, nil
	}
	found.key, err = findByTag(ctx, clients, desired)
	return found, err
}

// ARNs are those of the desired Regions' keys that exist, by Region; none if the key
// can't be the desired one.
func (f Found) ARNs(desired Desired) map[string]string {
	arns := map[string]string{}
	if f.key == nil || len(f.findings) > 0 || len(validate(*f.key, desired)) > 0 {
		return arns
	}
	for _, region := range desired.regionsWith(f.key.topology.primary) {
		if arn := f.key.topology.arns[region]; arn != "" {
			arns[region] = arn
		}
	}
	return arns
}

// findByID describes the key in the Region of its ARN, or else in the first
// desired Region that knows it.
func findByID(ctx context.Context, clients Clients, desired Desired) (*metadata, []change.Finding, error) {
	regions := slices.Concat([]string{desired.Primary}, desired.Regions)
	if parsed, err := arn.Parse(desired.ID); err == nil {
		regions = []string{parsed.Region}
	}
	for _, region := range regions {
		if key, err := describe(ctx, clients(region), desired.ID, region); err != nil || key != nil {
			return key, nil, err
		}
	}
	return nil, []change.Finding{block(change.Key, desired.Primary, desired.ID,
		"key %s does not exist in %s. Check key.id, and set key.primary_region to the Region of its primary", desired.ID, strings.Join(slices.Compact(regions), ", "))}, nil
}

// findByTag finds a key that an interrupted run created for the alias without
// creating the alias. If there are several, it returns the oldest.
//
// It has to read the tags of every multi-Region key in the Region. Some of them
// are other teams' keys, whose policies don't allow the caller anything. They
// must not stop a run. A caller that isn't allowed to read any tags must be
// stopped, because each interrupted run would create another key. AWS reports
// the two cases with different error texts but the same error code. findByTag
// therefore decides by what else the caller can do:
//
//   - If the caller can't describe a key either, it isn't ours: a key that we
//     created allows the account to, and every run needs kms:DescribeKey.
//   - Of the keys that the caller can describe, the tags of at least one must
//     be readable. Otherwise kms:ListResourceTags is missing, which is the error.
func findByTag(ctx context.Context, clients Clients, desired Desired) (*metadata, error) {
	client, region := clients(desired.Primary), desired.Primary
	ids, err := multiRegionKeys(ctx, client, desired)
	if err != nil {
		return nil, err
	}
	var candidates []*metadata
	var denied error // the first error of reading the tags of a key that can be described
	readable := 0
	for _, id := range ids {
		tags, err := readTags(ctx, client, id, region)
		switch {
		case awsclient.Is(err, awsclient.CodeNotFound): // deleted a moment ago
		case awsclient.Is(err, awsclient.CodeAccessDenied):
			if denied != nil {
				continue
			}
			_, describeErr := describe(ctx, client, id, region)
			if describeErr != nil && !awsclient.Is(describeErr, awsclient.CodeAccessDenied) {
				return nil, describeErr
			}
			if describeErr == nil {
				denied = err
			}
		case err != nil:
			return nil, err
		default:
			readable++
			key, err := createdFor(ctx, client, id, tags, desired)
			if err != nil {
				return nil, err
			}
			if key != nil {
				candidates = append(candidates, key)
			}
		}
	}
	if readable == 0 && denied != nil {
		return nil, fmt.Errorf("looking for a key that an interrupted run created for %s in %s: %w", desired.Alias, region, denied)
	}
	if len(candidates) == 0 {
		return nil, nil
	}
	return slices.MinFunc(candidates, func(a, b *metadata) int { return a.created.Compare(*b.created) }), nil
}

// multiRegionKeys lists the IDs of the multi-Region keys in the primary's Region.
func multiRegionKeys(ctx context.Context, client *kms.Client, desired Desired) ([]string, error) {
	var ids []string
	for pages := kms.NewListKeysPaginator(client, &kms.ListKeysInput{Limit: aws.Int32(1000)}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, awsclient.Wrap(err, "listing the keys in %s, to find one that an interrupted run created for %s", desired.Primary, desired.Alias)
		}
		for _, key := range page.Keys {
			if key.KeyId == nil {
				return nil, incomplete("ListKeys", desired.Alias, desired.Primary, "KeyId")
			}
			if strings.HasPrefix(*key.KeyId, "mrk-") {
				ids = append(ids, *key.KeyId)
			}
		}
	}
	return ids, nil
}

// createdFor returns the key if it is an enabled primary that carries our tag for
// the alias, else nil.
func createdFor(ctx context.Context, client *kms.Client, id string, tags map[string]string, desired Desired) (*metadata, error) {
	if tags[TagAlias] != desired.Alias {
		return nil, nil
	}
	key, err := describe(ctx, client, id, desired.Primary)
	if err != nil || key == nil || key.state != types.KeyStateEnabled || key.topology == nil || !key.topology.isPrimary {
		return nil, err
	}
	if key.created == nil {
		return nil, incomplete("DescribeKey", id, desired.Primary, "CreationDate")
	}
	return key, nil
}
