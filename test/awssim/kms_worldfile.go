package awssim

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// KeyFile is a customer managed key of a world file, there from the start. Its
// policy can have what KMS rejects today: statements without Action or Resource
// (Fact: KMS-KEY-10), and principals that don't exist.
type KeyFile struct {
	Account string `json:"account"`
	// Region is that of the key or, for a multi-Region key, of its primary.
	Region string `json:"region"`
	// ID defaults to one that depends on account, Region and description.
	ID          string `json:"id,omitempty"`
	MultiRegion bool   `json:"multi_region,omitempty"`
	// Replicas are the Regions of replicas.
	Replicas []string `json:"replicas,omitempty"`
	// Origin is AWS_KMS, the default, or EXTERNAL for imported key material.
	Origin string `json:"origin,omitempty"`
	// PendingImport are the Regions in which the material was not imported yet.
	PendingImport []string `json:"pending_import,omitempty"`
	Rotation      bool     `json:"rotation,omitempty"`
	Description   string   `json:"description,omitempty"`
	// Policy defaults to KMS's default key policy. It is the same in all Regions.
	Policy json.RawMessage `json:"policy,omitempty"`
	// Aliases are names with the prefix alias/, in all Regions of the key.
	Aliases []string          `json:"aliases,omitempty"`
	Tags    map[string]string `json:"tags,omitempty"`
}

// KeyID is the ID that the key has in the world.
func (f KeyFile) KeyID() string {
	if f.ID != "" {
		return f.ID
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{"key file", f.Account, f.Region, f.Description}, "\x00")))
	digits := hex.EncodeToString(sum[:16])
	if f.MultiRegion {
		return "mrk-" + digits
	}
	return strings.Join([]string{digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]}, "-")
}

// ARN is the ARN of the key in the Region, in the aws partition.
func (f KeyFile) ARN(region string) string {
	return "arn:aws:kms:" + region + ":" + f.Account + ":key/" + f.KeyID()
}

func (w *World) addKeyFile(file KeyFile) error {
	policy := cmp.Or(string(file.Policy), w.defaultKeyPolicy(file.Account))
	family := &kmsFamily{
		id: file.KeyID(), multiRegion: file.MultiRegion, primary: file.Region, spec: "SYMMETRIC_DEFAULT", usage: "ENCRYPT_DECRYPT",
		imported: file.Origin == "EXTERNAL", rotation: file.Rotation, members: map[string]*kmsKey{},
	}
	_, malformed := parseStored(policy)
	switch {
	case w.accounts[file.Account] == nil:
		return fmt.Errorf("there is no account %q", file.Account)
	case !keyIDPattern.MatchString(family.id) || strings.HasPrefix(family.id, "mrk-") != file.MultiRegion:
		return fmt.Errorf("the ID %q is not that of such a key", family.id)
	case len(file.Replicas) > 0 && !file.MultiRegion:
		return fmt.Errorf("only a multi-Region key has replicas")
	case !slices.Contains([]string{"", "AWS_KMS", "EXTERNAL"}, file.Origin):
		return fmt.Errorf("there is no origin %q", file.Origin)
	case family.imported && file.Rotation:
		return fmt.Errorf("imported key material is not rotated")
	case malformed != nil:
		return malformed
	}
	for _, region := range append([]string{file.Region}, file.Replicas...) {
		if w.regions[region] == nil {
			return fmt.Errorf("there is no region %q", region)
		}
		if w.kms.keys[w.keyARN(region, file.Account, family.id)] != nil {
			return fmt.Errorf("there are two keys %s in %s", family.id, region)
		}
		k := w.addKey(family, file.Account, region, policy, baseRelease)
		k.description, k.withoutMaterial = file.Description, family.imported && slices.Contains(file.PendingImport, region)
		maps.Copy(k.tags, file.Tags)
		for _, name := range file.Aliases {
			if !aliasPattern.MatchString(name) {
				return fmt.Errorf("%q is not the name of an alias", name)
			}
			alias := &kmsAlias{name: name, arn: w.aliasARN(region, file.Account, name), region: region, account: file.Account, created: baseRelease}
			alias.target.set(time.Time{}, family.id)
			w.kms.aliases[alias.arn] = alias
		}
	}
	return nil
}

// setEBSDefaultKeys reads the default EBS keys of an account of a world file.
func (w *World) setEBSDefaultKeys(file AccountFile) error {
	for region, id := range byRegion(w, file.EBSDefaultKey) {
		k, problem := w.resolveKey(file.ID, region, id, baseRelease.Add(w.options.PropagationLag))
		if problem != nil {
			return fmt.Errorf("ebs_default_kms_key in %s: %w", region, problem)
		}
		if k.manager == "CUSTOMER" {
			w.accounts[file.ID].ebsDefaultKey[region] = k.arn
		}
	}
	return nil
}
