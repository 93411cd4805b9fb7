package awssim

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"
	"time"
)

// kmsState is the state of KMS: regional keys and their aliases.
type kmsState struct {
	keys    map[string]*kmsKey   // by ARN
	aliases map[string]*kmsAlias // by ARN
}

func newKMSState() kmsState {
	return kmsState{keys: map[string]*kmsKey{}, aliases: map[string]*kmsAlias{}}
}

// kmsFamily is what the regional keys of one multi-Region key share: ID,
// origin, spec, usage and rotation. A single-Region key is a family of one.
// Fact: KMS-MRK-3.
type kmsFamily struct {
	id          string
	multiRegion bool
	primary     string // Region
	spec, usage string
	// imported says that the origin is EXTERNAL: the key material is imported, for
	// each regional key on its own. Fact: KMS-MRK-19.
	imported bool
	rotation bool
	members  map[string]*kmsKey // by Region
}

// kmsKey is a key in one Region, with everything that regional keys do not
// share: policy, state, tags, aliases, grants. Fact: KMS-MRK-3.
type kmsKey struct {
	arn, id, region, account string
	family                   *kmsFamily
	manager                  string // CUSTOMER or AWS
	description              string
	created                  time.Time
	usableFrom               time.Time // Creating until then
	withoutMaterial          bool      // PendingImport
	disabled                 bool
	// deletion is when the key is deleted. It is zero if no deletion is scheduled. A
	// primary with replicas waits for their deletion (pendingReplicas). Fact:
	// KMS-MRK-14.
	deletion        time.Time
	pendingReplicas bool
	policy          lagged[keyPolicy]
	tags            map[string]string
	grants          grantSet
}

type kmsAlias struct {
	name, arn, region, account string
	created                    time.Time
	target                     lagged[string] // key ID, "" when deleted
}

type kmsGrant struct {
	id, name          string
	grantee, retiring string
	// granteeID is the unique ID of a grantee that is a role. A role that is deleted
	// and created again has another ID. Fact: GRANT-15, GRANT-21.
	granteeID string
	// issuer is the account whose principal created the grant. Fact: GRANT-18.
	issuer      string
	operations  []string
	constraints map[string]map[string]string
	created     time.Time
	revoked     time.Time // zero while it is valid
	byService   bool      // EC2 created it for an attached volume
}

// state is the key's state. Fact: KMS-MRK-13.
func (k *kmsKey) state(now time.Time) string {
	switch {
	case now.Before(k.usableFrom):
		return "Creating"
	case k.pendingReplicas:
		return "PendingReplicaDeletion"
	case !k.deletion.IsZero():
		return "PendingDeletion"
	case k.withoutMaterial:
		return "PendingImport"
	case k.disabled:
		return "Disabled"
	default:
		return "Enabled"
	}
}

// gone reports whether the waiting period has ended.
func (k *kmsKey) gone(now time.Time) bool { return !k.deletion.IsZero() && now.After(k.deletion) }

func (k *kmsKey) primary() bool { return k.family.primary == k.region }

var (
	keyIDPattern   = regexp.MustCompile(`^(mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$`)
	aliasPattern   = regexp.MustCompile(`^alias/[a-zA-Z0-9/_-]{1,250}$`)
	grantPattern   = regexp.MustCompile(`^[a-zA-Z0-9:/_-]{1,256}$`)
	missingKeyText = "Key '%s' does not exist"
)

func (w *World) keyARN(region, account, id string) string {
	return w.arn("kms", region, account, "key/"+id)
}

func (w *World) aliasARN(region, account, name string) string {
	return w.arn("kms", region, account, name)
}

// resolveKey finds a key by ID, ARN, alias name or alias ARN, as a caller of
// the account in the Region sees it.
func (w *World) resolveKey(account, region, id string, now time.Time) (*kmsKey, *Error) {
	missing := badRequest("NotFoundException", missingKeyText, id)
	arn := id
	switch {
	case strings.HasPrefix(id, "arn:"):
		parts := strings.SplitN(id, ":", 6)
		if len(parts) != 6 || parts[2] != "kms" {
			return nil, badRequest("InvalidArnException", "%s is not a valid ARN", id)
		}
		if parts[3] != region {
			return nil, badRequest("NotFoundException", "Invalid arn %s", parts[3]) // AWS's text for a key of another Region
		}
		if strings.HasPrefix(parts[5], "alias/") {
			return w.aliasTarget(id, now)
		}
	case strings.HasPrefix(id, "alias/"):
		if id == "alias/aws/ebs" {
			return w.awsManagedKey(account, region), nil
		}
		return w.aliasTarget(w.aliasARN(region, account, id), now)
	case keyIDPattern.MatchString(id):
		arn = w.keyARN(region, account, id)
	default:
		return nil, badRequest("NotFoundException", "Invalid keyId '%s'", id)
	}
	k := w.kms.keys[arn]
	if k == nil || k.gone(now) {
		return nil, missing
	}
	return k, nil
}

func (w *World) aliasTarget(arn string, now time.Time) (*kmsKey, *Error) {
	missing := badRequest("NotFoundException", "Alias %s is not found.", arn)
	alias := w.kms.aliases[arn]
	if alias == nil {
		return nil, missing
	}
	id := alias.target.asOf(now.Add(-w.options.PropagationLag))
	k := w.kms.keys[w.keyARN(alias.region, alias.account, id)]
	if id == "" || k == nil || k.gone(now) {
		return nil, missing
	}
	return k, nil
}

// addKey adds a regional key to its family.
func (w *World) addKey(f *kmsFamily, account, region, policy string, now time.Time) *kmsKey {
	k := &kmsKey{
		arn: w.keyARN(region, account, f.id), id: f.id, region: region, account: account,
		family: f, manager: "CUSTOMER", created: now, usableFrom: now, tags: map[string]string{},
	}
	// A key's first policy exists from the start.
	k.policy.set(time.Time{}, w.newKeyPolicy(policy))
	f.members[region] = k
	w.kms.keys[k.arn] = k
	return k
}

// awsManagedKey returns the account's aws/ebs key in the Region, and creates it
// on first use. Its policy can't be changed. It allows the account's own
// principals, through EC2 only. Fact: LAUNCH-12.
func (w *World) awsManagedKey(account, region string) *kmsKey {
	arn := w.aliasARN(region, account, "alias/aws/ebs")
	if alias := w.kms.aliases[arn]; alias != nil {
		return w.kms.keys[w.keyARN(region, account, alias.target.latest())]
	}
	// The ID isn't taken from the world's counter, because a read-only call may create
	// the key.
	sum := sha256.Sum256([]byte("aws/ebs " + arn))
	digits := hex.EncodeToString(sum[:16])
	id := strings.Join([]string{digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:32]}, "-")
	f := &kmsFamily{id: id, primary: region, spec: "SYMMETRIC_DEFAULT", usage: "ENCRYPT_DECRYPT", rotation: true, members: map[string]*kmsKey{}}
	policy := `{"Version":"2012-10-17","Id":"auto-ebs-2","Statement":[{"Sid":"Allow access through EBS for all principals in the account that are authorized to use EBS","Effect":"Allow","Principal":{"AWS":"*"},"Action":["kms:Encrypt","kms:Decrypt","kms:ReEncrypt*","kms:GenerateDataKey*","kms:CreateGrant","kms:DescribeKey"],"Resource":"*","Condition":{"StringEquals":{"kms:CallerAccount":"` + account + `","kms:ViaService":"` + viaEC2(region) + `"}}},{"Sid":"Allow direct access to key metadata to the account","Effect":"Allow","Principal":{"AWS":"` + w.arn("iam", "", account, "root") + `"},"Action":["kms:Describe*","kms:Get*","kms:List*","kms:RevokeGrant"],"Resource":"*"}]}`
	k := w.addKey(f, account, region, policy, time.Time{})
	k.manager = "AWS"
	alias := &kmsAlias{name: "alias/aws/ebs", arn: arn, region: region, account: account}
	alias.target.set(time.Time{}, id)
	w.kms.aliases[arn] = alias
	return k
}

// viaEC2 is kms:ViaService for EC2 in the Region. It ends in amazonaws.com in all
// partitions, unlike the host of EC2's endpoint. Fact: KMS-COND-1, KMS-COND-2.
func viaEC2(region string) string { return "ec2." + region + ".amazonaws.com" }
