package kmskey

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/orgami/packer-plugin-orgami/internal/fanout"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
)

// Query names an existing multi-Region key.
type Query struct {
	// Name is an alias (alias/…), a key ID (mrk-…), or the ARN of a regional key.
	Name string
	// Region is where the key is looked up. An ARN's own Region takes precedence.
	Region string
	// Regions are those in which the key must be usable. Defaults to all Regions
	// that have a regional key.
	Regions []string
}

// Located is a multi-Region key that is enabled in every Region that was asked for.
type Located struct {
	ID      string // mrk-…
	Primary string // the Region of the primary
	// ARN is the primary's.
	ARN string
	// ARNs are those of the regional keys that were asked for, by Region.
	ARNs map[string]string
	// WildcardARN matches every regional key of this key, and nothing else.
	WildcardARN string
}

// Locate finds a key and its regional keys, and writes nothing. It is an error if
// the key doesn't exist, is not a multi-Region key for EBS, or isn't usable in one
// of the Regions. Fact: KMS-MRK-2, KMS-MRK-13.
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
		return Located{}, fmt.Errorf("key %s does not exist in %s. Run orgami-publish once with this key, which creates it, or list the aliases with 'aws kms list-aliases --region %[2]s'", query.Name, region)
	}
	if problems := wrongKind(*found); len(problems) > 0 {
		return Located{}, fmt.Errorf("key %s cannot be used: %s", query.Name, strings.Join(problems, "; "))
	}
	located := Located{ID: found.id, Primary: found.topology.primary, ARN: found.topology.arns[found.topology.primary]}
	if located.ARNs, err = chosen(found.topology.arns, located.ID, query.Regions); err != nil {
		return Located{}, err
	}
	parsed, err := arn.Parse(located.ARN)
	if err != nil {
		return Located{}, fmt.Errorf("reading the ARN %q of key %s: %w", located.ARN, located.ID, err)
	}
	located.WildcardARN = policy.WildcardKeyARN(parsed.Partition, parsed.AccountID, located.ID)
	return located, allEnabled(ctx, clients, located)
}

// chosen are the regional keys of the Regions that are asked for.
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
		return nil, fmt.Errorf("key %s has no replica in %s. It is in %s. Run orgami-publish once for these Regions, which creates the replicas, or remove them from regions",
			id, strings.Join(missing, ", "), strings.Join(slices.Sorted(maps.Keys(all)), ", "))
	}
	return arns, nil
}

// allEnabled checks the state of the key in every Region. Each regional key has
// its own state.
func allEnabled(ctx context.Context, clients Clients, located Located) error {
	keys, err := fanout.Collect(ctx, slices.Sorted(maps.Keys(located.ARNs)), func(ctx context.Context, region string) (*metadata, error) {
		return describe(ctx, clients(region), located.ARNs[region], region)
	})
	if err != nil {
		return err
	}
	var problems []error
	for _, region := range slices.Sorted(maps.Keys(keys)) {
		switch key := keys[region]; {
		case key == nil:
			problems = append(problems, fmt.Errorf("key %s is listed in %s but cannot be read there. It may have been created or deleted a moment ago; run again", located.ID, region))
		case key.state == types.KeyStateEnabled:
		case validateState(*key, region) != "":
			problems = append(problems, fmt.Errorf("%s. Or list the Regions that you need in regions, without %s", validateState(*key, region), region))
		default:
			problems = append(problems, fmt.Errorf("key %s is %s in %s. It will be usable in a minute; run again", located.ID, key.state, region))
		}
	}
	return errors.Join(problems...)
}
