package awssim

import (
	"fmt"
	"maps"
	"slices"
)

// copyKeys finds the key for the copies, if one is needed. It checks that EC2 can use
// it and the keys of the sources on behalf of the caller. EC2 decrypts in the source
// Region and encrypts in the destination Region. Fact: EC2-COPY-2 to EC2-COPY-6,
// EC2-COPY-29.
func (c *call) copyKeys(sourceRegion string, sources []*snapshot, encrypt bool, keyID string) (*kmsKey, *stateReasonItem) {
	from := map[string]*kmsKey{}
	for _, s := range sources {
		if s.key != nil {
			from[s.key.arn] = s.key
		}
	}
	if len(sources) == 0 || !encrypt && len(from) == 0 {
		return nil, nil
	}
	key, problem := c.encryptionKey(keyID)
	if problem != nil {
		return nil, keyFailure(keyID, problem)
	}
	var uses []keyUse
	for _, arn := range slices.Sorted(maps.Keys(from)) {
		uses = append(uses, keyUse{key: from[arn], actions: []string{"kms:DescribeKey", "kms:Decrypt", "kms:ReEncryptFrom"}})
	}
	if use, problem := c.firstMissing(sourceRegion, uses); problem != nil {
		return key, keyFailure(use.key.arn, problem)
	}
	use := keyUse{key: key, actions: []string{"kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:Decrypt", "kms:CreateGrant"}}
	if len(from) > 0 {
		use.actions = append(use.actions, "kms:ReEncryptTo")
	}
	if _, problem := c.firstMissing(c.region, []keyUse{use}); problem != nil {
		return key, keyFailure(key.arn, problem)
	}
	return key, nil
}

// keyFailure is the state reason of a copy that failed because of a key.
func keyFailure(key string, problem *Error) *stateReasonItem {
	code := "Client.InternalError"
	if problem.Code == "DisabledException" || problem.Code == "KMSInvalidStateException" {
		code = "Client.InvalidKMSKey.InvalidState"
	}
	return &stateReasonItem{code, fmt.Sprintf("%s: the KMS key %s cannot be used: %s: %s", code, key, problem.Code, problem.Message)}
}
