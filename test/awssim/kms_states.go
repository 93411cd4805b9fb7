package awssim

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"time"
)

func enableKey(c *call) (any, error) { return c.changeState(func(k *kmsKey) { k.disabled = false }) }

func disableKey(c *call) (any, error) { return c.changeState(func(k *kmsKey) { k.disabled = true }) }

// changeState changes a key that isn't being created or deleted.
func (c *call) changeState(change func(*kmsKey)) (any, error) {
	k, err := c.keyOfRequest()
	if err != nil {
		return nil, err
	}
	if state := k.state(c.now); state != "Enabled" && state != "Disabled" {
		return nil, badRequest("KMSInvalidStateException", "%s is %s.", k.arn, state)
	}
	change(k)
	return nil, nil
}

// keyOfRequest finds and authorizes the key that the request names by ID or ARN.
func (c *call) keyOfRequest() (*kmsKey, error) {
	r, err := decodeJSON[struct {
		KeyID                string `json:"KeyId"`
		RotationPeriodInDays int
	}](c)
	if err != nil {
		return nil, err
	}
	k, problem := c.key(r.KeyID, false)
	if problem != nil {
		return nil, problem
	}
	return k, nil
}

// deletionWindow is KMS's default waiting period in days.
const deletionWindow = 30

// scheduleKeyDeletion schedules a deletion. A primary waits until its replicas are
// deleted. Fact: KMS-MRK-14.
func scheduleKeyDeletion(c *call) (any, error) {
	r, err := decodeJSON[struct {
		KeyID               string `json:"KeyId"`
		PendingWindowInDays int
	}](c)
	if err != nil {
		return nil, err
	}
	days := cmp.Or(r.PendingWindowInDays, deletionWindow)
	if days < 7 || days > 30 {
		return nil, badRequest("ValidationException", "PendingWindowInDays %d is not between 7 and 30", days)
	}
	k, problem := c.key(r.KeyID, false)
	if problem != nil {
		return nil, problem
	}
	if state := k.state(c.now); !slices.Contains([]string{"Enabled", "Disabled", "PendingImport"}, state) {
		return nil, badRequest("KMSInvalidStateException", "%s is %s.", k.arn, state)
	}
	replicas := slices.ContainsFunc(slices.Collect(maps.Values(k.family.members)), func(m *kmsKey) bool { return m != k && !m.gone(c.now) })
	if k.primary() && replicas {
		k.pendingReplicas = true
	} else {
		k.deletion = c.now.AddDate(0, 0, days)
	}
	return map[string]any{"KeyId": k.arn, "KeyState": k.state(c.now), "PendingWindowInDays": days}, nil
}

// cancelKeyDeletion leaves the key Disabled. Fact: KMS-MRK-8.
func cancelKeyDeletion(c *call) (any, error) {
	k, err := c.keyOfRequest()
	if err != nil {
		return nil, err
	}
	if state := k.state(c.now); state != "PendingDeletion" && state != "PendingReplicaDeletion" {
		return nil, badRequest("KMSInvalidStateException", "%s is not pending deletion.", k.arn)
	}
	k.deletion, k.pendingReplicas, k.disabled = time.Time{}, false, true
	return map[string]any{"KeyId": k.arn}, nil
}

func enableKeyRotation(c *call) (any, error)  { return c.setRotation(true) }
func disableKeyRotation(c *call) (any, error) { return c.setRotation(false) }

// setRotation works only on the primary, because rotation is shared. Imported key
// material can't be rotated. Fact: KMS-MRK-18, KMS-MRK-20.
func (c *call) setRotation(on bool) (any, error) {
	k, err := c.keyOfRequest()
	if err != nil {
		return nil, err
	}
	if k.family.imported {
		return nil, badRequest("UnsupportedOperationException", "%s origin is EXTERNAL which is not valid for this operation.", k.arn)
	}
	if problem := k.usable(c.now); problem != nil {
		return nil, problem
	}
	if !k.primary() {
		return nil, badRequest("UnsupportedOperationException", "%s is a replica: rotation is a property of the primary key.", k.arn)
	}
	k.family.rotation = on
	return nil, nil
}

func getKeyRotationStatus(c *call) (any, error) {
	k, err := c.keyOfRequest()
	if err != nil {
		return nil, err
	}
	return map[string]any{"KeyId": k.arn, "KeyRotationEnabled": k.family.rotation}, nil
}

type tagRequest struct {
	KeyID   string `json:"KeyId"`
	Tags    []kmsTag
	TagKeys []string
}

func tagKey(c *call) (any, error) {
	r, err := decodeJSON[tagRequest](c)
	if err != nil {
		return nil, err
	}
	k, problem := c.key(r.KeyID, false)
	if problem != nil {
		return nil, problem
	}
	if problem := k.taggable(c.now); problem != nil {
		return nil, problem
	}
	return nil, k.setTags(r.Tags)
}

func untagKey(c *call) (any, error) {
	r, err := decodeJSON[tagRequest](c)
	if err != nil {
		return nil, err
	}
	k, problem := c.key(r.KeyID, false)
	if problem != nil {
		return nil, problem
	}
	if problem := k.taggable(c.now); problem != nil {
		return nil, problem
	}
	for _, key := range r.TagKeys {
		delete(k.tags, key)
	}
	return nil, nil
}

// taggable rejects tag changes for a key whose deletion is scheduled. Fact: KMS-MRK-12.
func (k *kmsKey) taggable(now time.Time) *Error {
	if state := k.state(now); state == "PendingDeletion" || state == "PendingReplicaDeletion" {
		return badRequest("KMSInvalidStateException", "%s is pending deletion.", k.arn)
	}
	return nil
}

func (k *kmsKey) tagList() []kmsTag {
	list := []kmsTag{}
	for _, key := range slices.Sorted(maps.Keys(k.tags)) {
		list = append(list, kmsTag{key, k.tags[key]})
	}
	return list
}

func listResourceTags(c *call) (any, error) {
	r, err := decodeJSON[listRequestKMS](c)
	if err != nil {
		return nil, err
	}
	k, problem := c.key(r.KeyID, false)
	if problem != nil {
		return nil, problem
	}
	return kmsPage("Tags", k.tagList(), r, 50, 50, asIs)
}

// dataKey is the value of all data keys in the simulator.
var dataKey = make([]byte, 32)

// useKey implements the cryptographic operations. It checks authorization and state.
// Its ciphertext is the key's ARN followed by the plaintext.
func useKey(c *call) (any, error) {
	r, err := decodeJSON[struct {
		KeyID          string `json:"KeyId"`
		Plaintext      []byte
		CiphertextBlob []byte
		KeySpec        string
		NumberOfBytes  int
		GrantTokens    []string
	}](c)
	if err != nil {
		return nil, err
	}
	sealedBy, opened, sealed := bytes.Cut(r.CiphertextBlob, []byte("\n"))
	if c.operation == "Decrypt" && !sealed {
		return nil, badRequest("InvalidCiphertextException", "the ciphertext is not from this simulator")
	}
	k, problem := c.key(cmp.Or(r.KeyID, string(sealedBy)), true)
	if problem != nil {
		return nil, problem
	}
	switch c.operation {
	case "Encrypt":
		return map[string]any{"KeyId": k.arn, "CiphertextBlob": k.seal(r.Plaintext), "EncryptionAlgorithm": k.family.spec}, nil
	case "Decrypt":
		if !bytes.HasSuffix(sealedBy, []byte("/"+k.id)) {
			return nil, badRequest("IncorrectKeyException", "The key ID in the request does not identify a CMK that can perform this operation.")
		}
		return map[string]any{"KeyId": k.arn, "Plaintext": opened, "EncryptionAlgorithm": k.family.spec}, nil
	case "GenerateDataKey":
		return map[string]any{"KeyId": k.arn, "CiphertextBlob": k.seal(dataKey), "Plaintext": dataKey}, nil
	default: // GenerateDataKeyWithoutPlaintext
		return map[string]any{"KeyId": k.arn, "CiphertextBlob": k.seal(dataKey)}, nil
	}
}

func (k *kmsKey) seal(plaintext []byte) []byte {
	return append([]byte(k.arn+"\n"), plaintext...)
}
