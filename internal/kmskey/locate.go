package kmskey

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/orgami/packer-plugin-orgami/internal/fanout"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
)

// Query names a multi-Region key that exists.
type Query struct {
	// Name is an alias (alias/…), a key id (mrk-…), or the ARN of a regional key.
	Name string
	// Region is where the key is looked for; the region of an ARN goes before.
	Region string
	// Regions are those in which the key must be usable; none means all that it
	// has a regional key in.
	Regions []string
}

// Located is a multi-Region key that is enabled wherever it was asked for.
type Located struct {
	ID      string // mrk-…
	Primary string // the region of the primary
	// ARN is the primary's.
	ARN string
	// ARNs are those of the regional keys that were asked for, by region.
	ARNs map[string]string
	// WildcardARN matches every regional key of this key, and nothing else.
	WildcardARN string
}

// Locate finds a key and its regional keys, and writes nothing. That it does not
// exist, is no multi-Region key for EBS, or is not usable in one of the regions,
// is an error that says what to do. Fact: 2.
func Locate(ctx context.Context, clients Clients, query Query) (Located, error) {
	region := query.Region
	if parsed, err := arn.Parse(query.Name); err == nil {
		region = parsed.Region
	}
	found, err := describe(ctx, clients(region), query.Name, region)
	if err != nil {
		return Located{}, err
	}
	if found == nil {
		return Located{}, fmt.Errorf("key %s does not exist in %s: build once with orgami-publish and this key, which makes it, or see what there is with 'aws kms list-aliases --region %[2]s'", query.Name, region)
	}
	if err := cannotBeUsed(query.Name, wrongKind(*found)); err != nil {
		return Located{}, err
	}
	topology := *found.MultiRegionConfiguration
	all := map[string]string{}
	for _, key := range append(slices.Clone(topology.ReplicaKeys), *topology.PrimaryKey) {
		all[aws.ToString(key.Region)] = aws.ToString(key.Arn)
	}
	located := Located{ID: aws.ToString(found.KeyId), Primary: aws.ToString(topology.PrimaryKey.Region), ARN: aws.ToString(topology.PrimaryKey.Arn)}
	if located.ARNs, err = chosen(all, located.ID, query.Regions); err != nil {
		return Located{}, err
	}
	parsed, err := arn.Parse(located.ARN)
	if err != nil {
		return Located{}, fmt.Errorf("reading the ARN %q of key %s: %w", located.ARN, located.ID, err)
	}
	located.WildcardARN = policy.WildcardKeyARN(parsed.Partition, parsed.AccountID, located.ID)
	return located, allEnabled(ctx, clients, located)
}

// chosen are the regional keys of the regions that are asked for.
func chosen(all map[string]string, id string, regions []string) (map[string]string, error) {
	if len(regions) == 0 {
		return all, nil
	}
	arns := map[string]string{}
	var missing []string
	for _, region := range regions {
		if all[region] == "" {
			missing = append(missing, region)
			continue
		}
		arns[region] = all[region]
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("key %s has no replica in %s, it is in %s: build once with orgami-publish for these regions, which makes the replicas, or leave them out of regions",
			id, strings.Join(missing, ", "), strings.Join(slices.Sorted(maps.Keys(all)), ", "))
	}
	return arns, nil
}

// allEnabled asks every region for the state of its own key: each has one.
func allEnabled(ctx context.Context, clients Clients, located Located) error {
	keys, err := fanout.Collect(ctx, slices.Sorted(maps.Keys(located.ARNs)), func(ctx context.Context, region string) (*types.KeyMetadata, error) {
		return describe(ctx, clients(region), located.ARNs[region], region)
	})
	if err != nil {
		return err
	}
	var problems []error
	for _, region := range slices.Sorted(maps.Keys(keys)) {
		if keys[region] == nil {
			problems = append(problems, fmt.Errorf("key %s is listed in %s and cannot be read there: it may have been made or deleted a moment ago; run again", located.ID, region))
			continue
		}
		if state := keys[region].KeyState; state != types.KeyStateEnabled {
			if err := enabled(*keys[region], region); err != nil {
				problems = append(problems, fmt.Errorf("%w; or name the regions that you need in regions, without it", err))
				continue
			}
			problems = append(problems, fmt.Errorf("key %s is %s in %s: it will be usable in a minute; run again", located.ID, state, region))
		}
	}
	return errors.Join(problems...)
}
