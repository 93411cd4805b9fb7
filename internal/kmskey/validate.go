package kmskey

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/orgami/packer-plugin-orgami/internal/change"
)

// block is a finding that blocks a run.
func block(kind change.Kind, region, id, format string, arguments ...any) change.Finding {
	return change.Finding{Kind: kind, Region: region, ID: id, Text: fmt.Sprintf(format, arguments...), Blocks: true}
}

// validate lists why the key, in whatever state, can't be the desired one.
func validate(key metadata, desired Desired) []change.Finding {
	var problems []string
	if key.account != desired.Account {
		problems = append(problems, fmt.Sprintf("it belongs to account %s, and only the owner can set its policy. Run with credentials of that account, or use a key of account %s", key.account, desired.Account))
	}
	name := strings.TrimSpace(desired.Alias + " " + key.arn)
	var findings []change.Finding
	for _, problem := range append(problems, wrongKind(key)...) {
		findings = append(findings, block(change.Key, key.region, key.id, "key %s cannot be used: %s", name, problem))
	}
	return findings
}

// wrongKind lists why a key, whoever owns it, can't encrypt shared images.
func wrongKind(key metadata) []string {
	var problems []string
	if key.manager != types.KeyManagerTypeCustomer {
		problems = append(problems, "it is managed by AWS and cannot be shared. Use a customer managed key")
	}
	if key.topology == nil {
		problems = append(problems, fmt.Sprintf("it is a single-Region key, which cannot be converted. To have a multi-Region key created, choose another alias. 'aws kms list-aliases --key-id %s --region %s' lists the key's other names", key.id, key.region))
	}
	if key.spec != types.KeySpecSymmetricDefault || key.usage != types.KeyUsageTypeEncryptDecrypt {
		problems = append(problems, fmt.Sprintf("it is a %s key for %s, and EBS supports only symmetric encryption keys. Use a SYMMETRIC_DEFAULT key for ENCRYPT_DECRYPT", key.spec, key.usage))
	}
	return problems
}

// validateState returns why a regional key is neither usable nor about to be, and
// returns "" if it is. A state that this version doesn't know isn't usable.
func validateState(key metadata, region string) string {
	switch key.state {
	case types.KeyStateEnabled, types.KeyStateCreating, types.KeyStateUpdating:
		return ""
	case types.KeyStateDisabled:
		return fmt.Sprintf("key %s is disabled in %s. Enable it with 'aws kms enable-key --region %[2]s --key-id %[1]s'", key.id, region)
	case types.KeyStatePendingDeletion, types.KeyStatePendingReplicaDeletion:
		return fmt.Sprintf("key %s is pending deletion in %s. Keep it with 'aws kms cancel-key-deletion --region %[2]s --key-id %[1]s' and 'aws kms enable-key --region %[2]s --key-id %[1]s', or choose another alias", key.id, region)
	case types.KeyStatePendingImport:
		return fmt.Sprintf("key %s has no key material in %s (state PendingImport). Import the key material there, or use another key", key.id, region)
	case types.KeyStateUnavailable:
		return fmt.Sprintf("key %s is unavailable in %s: its key store is disconnected. Use a key without a custom key store", key.id, region)
	default:
		return fmt.Sprintf("key %s is in state %s in %s, which this version doesn't support. Use another key, or a newer version of this plugin", key.id, key.state, region)
	}
}
