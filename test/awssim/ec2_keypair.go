package awssim

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
	"time"
)

// keyPair is an SSH key pair. Its private key is useless, because no instance accepts
// connections.
type keyPair struct {
	id, owner, name, kind string
	fingerprint           string
	created               time.Time
}

// ownKeyPair finds one of the caller's key pairs.
func (c *call) ownKeyPair(id string) (*keyPair, *Error) {
	k := c.here().keyPairs[id]
	if k == nil || k.owner != c.caller.Account {
		return nil, badRequest("InvalidKeyPair.NotFound", "The key pair '%s' does not exist", id)
	}
	return k, nil
}

// keyPairNamed finds one of the caller's key pairs by name. It returns nil if there is
// none.
func (c *call) keyPairNamed(name string) *keyPair {
	for _, k := range c.here().keyPairs {
		if k.owner == c.caller.Account && k.name == name {
			return k
		}
	}
	return nil
}

type createKeyPairRequest struct {
	KeyName           string `param:",required"`
	KeyType           string
	KeyFormat         string
	TagSpecifications []tagSpecification `param:"TagSpecification"`
}

type keyPairAnswer struct {
	KeyName        string       `xml:"keyName"`
	KeyFingerprint string       `xml:"keyFingerprint"`
	KeyPairID      string       `xml:"keyPairId"`
	KeyMaterial    string       `xml:"keyMaterial,omitempty"`
	Tags           set[tagItem] `xml:"tagSet"`
}

func createKeyPair(c *call, r createKeyPairRequest) (any, error) {
	answer, problem := c.addKeyPair(r.KeyName, r.KeyType, r.KeyName, r.TagSpecifications)
	if problem != nil {
		return nil, problem
	}
	text := base64.StdEncoding.EncodeToString([]byte("the simulator's key pair " + answer.KeyPairID))
	answer.KeyMaterial = "-----BEGIN RSA PRIVATE KEY-----\n" + text + "\n-----END RSA PRIVATE KEY-----"
	return answer, nil
}

type importKeyPairRequest struct {
	KeyName           string             `param:",required"`
	PublicKeyMaterial string             `param:",required"`
	TagSpecifications []tagSpecification `param:"TagSpecification"`
}

func importKeyPair(c *call, r importKeyPairRequest) (any, error) {
	answer, problem := c.addKeyPair(r.KeyName, "", r.PublicKeyMaterial, r.TagSpecifications)
	return answerOr(answer, problem)
}

func (c *call) addKeyPair(name, kind, material string, specifications []tagSpecification) (keyPairAnswer, *Error) {
	tags, problem := c.specifiedTags(specifications, "key-pair")
	if problem != nil {
		return keyPairAnswer{}, problem
	}
	if c.keyPairNamed(name) != nil {
		return keyPairAnswer{}, badRequest("InvalidKeyPair.Duplicate", "The keypair already exists: %s", name)
	}
	if kind == "" {
		kind = "rsa"
	}
	sum := sha256.Sum256([]byte(material))
	var pairs []string
	for _, b := range sum[:20] {
		pairs = append(pairs, hex.EncodeToString([]byte{b}))
	}
	k := &keyPair{
		id: c.w.newEC2ID("key"), owner: c.caller.Account, name: name, kind: kind, created: c.now, fingerprint: strings.Join(pairs, ":"),
	}
	c.here().keyPairs[k.id] = k
	c.setTags(k.id, tags["key-pair"])
	return keyPairAnswer{KeyName: k.name, KeyFingerprint: k.fingerprint, KeyPairID: k.id, Tags: tagSet(tags["key-pair"])}, nil
}

type describeKeyPairsRequest struct {
	KeyNames         []string `param:"KeyName"`
	KeyPairIDs       []string `param:"KeyPairId"`
	Filters          []filter `param:"Filter"`
	IncludePublicKey bool
}

type keyPairItem struct {
	KeyPairID      string       `xml:"keyPairId"`
	KeyFingerprint string       `xml:"keyFingerprint"`
	KeyName        string       `xml:"keyName"`
	KeyType        string       `xml:"keyType"`
	CreateTime     string       `xml:"createTime"`
	Tags           set[tagItem] `xml:"tagSet"`
}

type describeKeyPairsAnswer struct {
	KeyPairs set[keyPairItem] `xml:"keySet"`
}

func describeKeyPairs(c *call, r describeKeyPairsRequest) (any, error) {
	ids := r.KeyPairIDs
	for _, name := range r.KeyNames {
		k := c.keyPairNamed(name)
		if k == nil {
			return nil, badRequest("InvalidKeyPair.NotFound", "The key pair '%s' does not exist", name)
		}
		ids = append(ids, k.id)
	}
	pairs, problem := ownResources(c.here().keyPairs, ids, c.ownKeyPair)
	if problem != nil {
		return nil, problem
	}
	pairs, problem = keyPairFilters.selectBy(c, r.Filters, pairs)
	if problem != nil {
		return nil, problem
	}
	slices.SortFunc(pairs, func(a, b *keyPair) int { return strings.Compare(a.name, b.name) })
	return describeKeyPairsAnswer{setFrom(pairs, func(k *keyPair) keyPairItem {
		return keyPairItem{k.id, k.fingerprint, k.name, k.kind, timestamp(k.created), tagSet(c.tags(k.id))}
	})}, nil
}

var keyPairFilters = filterTable[*keyPair]{
	"fingerprint": func(_ *call, k *keyPair) []string { return []string{k.fingerprint} },
	"key-name":    func(_ *call, k *keyPair) []string { return []string{k.name} },
	"key-pair-id": func(_ *call, k *keyPair) []string { return []string{k.id} },
}

type deleteKeyPairRequest struct {
	KeyName   string
	KeyPairID string `param:"KeyPairId"`
}

type deleteKeyPairAnswer struct {
	Return    bool   `xml:"return"`
	KeyPairID string `xml:"keyPairId,omitempty"`
}

// deleteKeyPair succeeds even if the key pair doesn't exist, as AWS does.
func deleteKeyPair(c *call, r deleteKeyPairRequest) (any, error) {
	if r.KeyName == "" && r.KeyPairID == "" {
		return nil, badRequest("MissingParameter", "The request must contain the parameter KeyName or KeyPairId")
	}
	k := c.keyPairNamed(r.KeyName)
	if r.KeyPairID != "" {
		k, _ = c.ownKeyPair(r.KeyPairID) // nil if there is none
	}
	if k == nil {
		return deleteKeyPairAnswer{Return: true}, nil
	}
	delete(c.here().keyPairs, k.id)
	delete(c.here().tags, tagged{k.owner, k.id})
	return deleteKeyPairAnswer{true, k.id}, nil
}
