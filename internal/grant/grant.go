// Package grant makes the KMS grants by which service-linked roles of other
// accounts use the key: they take no IAM policy, so a grant on each regional
// key is the only way. Fact: 3.
//
// [Look] only reads, [Diff] is pure, [Apply] writes.
package grant

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Operations that a service-linked role needs to launch instances with volumes
// under the key, as the EC2 Auto Scaling guide lists them. Fact: 3.
var Operations = []string{
	"Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKey",
	"GenerateDataKeyWithoutPlaintext", "DescribeKey", "CreateGrant",
}

// DefaultRoles are the service-linked roles of EC2 Auto Scaling and of ECS
// service auto scaling, below "role/". Fact: 3.
var DefaultRoles = []string{
	"aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling",
	"aws-service-role/ecs.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_ECSService",
}

// Via says whose credentials make the grants.
type Via string

const (
	// Owner makes them with the key owner's credentials.
	Owner Via = "owner"
	// Member assumes a role in each account and makes them there, as the EC2
	// Auto Scaling guide does.
	Member Via = "member"
	// None makes none: they are only written down.
	None Via = "none"
)

// Want says which grants there shall be.
type Want struct {
	Partition string
	Owner     string // account id of the key's owner
	Accounts  []string
	Roles     []string // below "role/"
	// Regions in which instances will be launched.
	Regions []string
	Via     Via
	// MemberRole below "role/" is assumed in each account, with Via Member.
	MemberRole string
	// Prune revokes grants that earlier runs made and that are not wanted any
	// more.
	Prune bool
	// SkipMissing reports a grantee that does not exist instead of failing.
	SkipMissing bool
}

// Status is how a grant stands.
type Status string

// The states of a grant.
const (
	Planned Status = "planned" // to be made, by this plan or by hand
	Created Status = "created" // made by this run
	Exists  Status = "exists"  // was there already
	Skipped Status = "skipped" // not made, for the reason stated
)

// Grant is one grant, wanted or made.
type Grant struct {
	Account    string
	Role       string // the role's ARN: the grantee
	Region     string
	KeyARN     string
	Name       string
	Operations []string
	Status     Status
	Reason     string // why it was skipped
	GrantID    string
}

// Wanted lists every grant in the order of region, account and role. keyARN
// gives each region's key; it may be empty while the key does not exist.
func (w Want) Wanted(keyARN func(region string) string) []Grant {
	regions, accounts, roles := sorted(w.Regions), sorted(w.Accounts), sorted(w.Roles)
	grants := make([]Grant, 0, len(regions)*len(accounts)*len(roles))
	for i, region := range regions {
		key := keyARN(region)
		if i > 0 { // the same but for the region, and of the same strings
			for _, g := range grants[:len(accounts)*len(roles)] {
				g.Region, g.KeyARN = region, key
				grants = append(grants, g)
			}
			continue
		}
		for _, account := range accounts {
			for _, role := range roles {
				grants = append(grants, Grant{
					Account: account, Region: region, KeyARN: key,
					Role:       fmt.Sprintf("arn:%s:iam::%s:role/%s", w.Partition, account, role),
					Name:       Name(account, role),
					Operations: Operations,
					Status:     Planned,
				})
			}
		}
	}
	return grants
}

func sorted(values []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(values)))
}

var notInNames = regexp.MustCompile(`[^a-zA-Z0-9_-]`)

// Name is the grant's name, derived from account and role alone: KMS answers a
// repeated CreateGrant of the same name and parameters with the first grant's
// id instead of making another. Names take only some characters, so the role's
// path is in it as a digest. Fact: 3.
func Name(account, role string) string {
	sum := sha256.Sum256([]byte(role))
	base := role[strings.LastIndexByte(role, '/')+1:]
	return fmt.Sprintf("orgami/%s/%s-%s", account, notInNames.ReplaceAllString(base, "-"), hex.EncodeToString(sum[:4]))
}

// Command is the AWS CLI call that makes the grant by hand.
func (g Grant) Command() string {
	key := g.KeyARN
	if key == "" {
		key = "KEY_ARN"
	}
	return fmt.Sprintf("aws kms create-grant --region %s --key-id %s --grantee-principal %s --operations %s --name %s",
		g.Region, quote(key), quote(g.Role), strings.Join(g.Operations, " "), quote(g.Name))
}

var plain = regexp.MustCompile(`^[a-zA-Z0-9:/_.@%+=,-]+$`)

// quote makes the argument safe for a POSIX shell.
func quote(argument string) string {
	if plain.MatchString(argument) {
		return argument
	}
	return "'" + strings.ReplaceAll(argument, "'", `'\''`) + "'"
}

// KeyPolicyNeeds are the roles and operations that a hardened key policy must
// let the accounts make grants for themselves; none unless Via is Member.
func (w Want) KeyPolicyNeeds() (roles, operations []string) {
	if w.Via != Member {
		return nil, nil
	}
	return sorted(w.Roles), Operations
}
