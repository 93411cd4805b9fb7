package kmskey

import (
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

// usable reports why a key cannot serve at all.
func usable(key types.KeyMetadata, want Want) error {
	id := aws.ToString(key.Arn)
	name := strings.TrimSpace(want.Alias + " " + id)
	var problems []error
	if account := aws.ToString(key.AWSAccountId); account != want.Account {
		problems = append(problems, fmt.Errorf("it belongs to account %s, and policies can be set only by the owner: run with credentials of that account, or use a key of account %s", account, want.Account))
	}
	return cannotBeUsed(name, append(problems, wrongKind(key)...))
}

// cannotBeUsed is one error of all problems with a key, nil if there are none.
func cannotBeUsed(name string, problems []error) error {
	if len(problems) == 0 {
		return nil
	}
	return fmt.Errorf("key %s cannot be used: %w", name, errors.Join(problems...))
}

// wrongKind lists why a key, whoever's it is, cannot be a shared image's.
func wrongKind(key types.KeyMetadata) []error {
	var problems []error
	if key.KeyManager != types.KeyManagerTypeCustomer {
		problems = append(problems, errors.New("it is managed by AWS and cannot be shared: use a customer managed key"))
	}
	if !aws.ToBool(key.MultiRegion) || key.MultiRegionConfiguration == nil {
		problems = append(problems, fmt.Errorf("it is a single-Region key, which cannot be converted: choose another alias and let a multi-Region key be created; 'aws kms list-aliases --key-id %s --region %s' says how else it is named", aws.ToString(key.KeyId), regionOf(key)))
	}
	if key.KeySpec != types.KeySpecSymmetricDefault || key.KeyUsage != types.KeyUsageTypeEncryptDecrypt {
		problems = append(problems, fmt.Errorf("it is a %s key for %s, and EBS takes only symmetric encryption keys", key.KeySpec, key.KeyUsage))
	}
	return problems
}

// regionOf is the region of a key, as its ARN has it.
func regionOf(key types.KeyMetadata) string {
	parsed, err := arn.Parse(aws.ToString(key.Arn))
	if err != nil {
		return "REGION"
	}
	return parsed.Region
}

// enabled reports why a regional key is neither usable nor about to be.
func enabled(key types.KeyMetadata, region string) error {
	id := aws.ToString(key.KeyId)
	switch key.KeyState {
	case types.KeyStateEnabled, types.KeyStateCreating, types.KeyStateUpdating:
		return nil
	case types.KeyStateDisabled:
		return fmt.Errorf("key %s is disabled in %s: enable it with 'aws kms enable-key --region %[2]s --key-id %[1]s'", id, region)
	case types.KeyStatePendingDeletion, types.KeyStatePendingReplicaDeletion:
		return fmt.Errorf("key %s is pending deletion in %s: rescue it with 'aws kms cancel-key-deletion --region %[2]s --key-id %[1]s' and 'aws kms enable-key --region %[2]s --key-id %[1]s', or choose another alias", id, region)
	default:
		return fmt.Errorf("key %s is %s in %s and cannot be used: choose another key", id, key.KeyState, region)
	}
}
