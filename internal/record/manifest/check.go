package manifest

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
)

// Check returns an error that lists what a JSON Schema can't detect: the ARN of a key
// in another Region, account or partition. It checks only values that the manifest has.
func (m Manifest) Check() error {
	var problems []error
	for _, region := range slices.Sorted(maps.Keys(m.Key.Regions)) {
		problems = append(problems, m.checkKey(region, m.Key.Regions[region].ARN, "the regional key"))
	}
	for _, region := range slices.Sorted(maps.Keys(m.Images)) {
		if key := m.Images[region].KMSKeyARN; key != "" {
			problems = append(problems, m.checkKey(region, key, "the key of image "+m.Images[region].ImageID))
		}
	}
	return errors.Join(problems...)
}

func (m Manifest) checkKey(region, key, what string) error {
	switch parsed, err := arn.Parse(key); {
	case err != nil:
		return fmt.Errorf("%s in %s: %w", what, region, err)
	case parsed.Region != region || parsed.AccountID != m.Account || parsed.Partition != m.Partition:
		return fmt.Errorf("%s in %s is %s, which isn't in that Region of account %s", what, region, key, m.Account)
	default:
		return nil
	}
}

// Check is like [Manifest.Check] for a grant.
func (g Grant) Check() error {
	key, keyErr := arn.Parse(g.KeyARN)
	role, roleErr := arn.Parse(g.Role)
	switch {
	case keyErr != nil || roleErr != nil:
		return errors.Join(keyErr, roleErr)
	case key.Region != g.Region:
		return fmt.Errorf("the grant %s in %s is on %s, which is in another Region", g.Name, g.Region, g.KeyARN)
	case role.AccountID != g.Account || role.Partition != key.Partition:
		return fmt.Errorf("the grant %s of account %s is for %s, which is in another account", g.Name, g.Account, g.Role)
	default:
		return nil
	}
}
