// Package grant manages the KMS grants that let service-linked roles use the key. These
// roles can't have an IAM policy, so they need a grant on each regional key. A grant
// counts only if the account of the role created it. Fact: GRANT-9 to GRANT-16,
// IAM-ROLE-8.
//
// [Read] only reads, [Diff] is pure, [Plan.Apply] and [Plan.Prune] write.
package grant

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"github.com/orgami/packer-plugin-orgami/internal/text"
)

// Operations that a service-linked role needs to launch instances with volumes
// that are encrypted with the key, as the EC2 Auto Scaling guide lists them.
// Fact: GRANT-13.
var Operations = []string{
	"Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKey",
	"GenerateDataKeyWithoutPlaintext", "DescribeKey", "CreateGrant",
}

// DefaultRoles are the service-linked roles of EC2 Auto Scaling, of ECS service auto
// scaling and of Spot Instances, below "role/". An account has only the roles of the
// services that it uses. Fact: IAM-ROLE-2, IAM-ROLE-3, IAM-ROLE-7.
var DefaultRoles = []string{
	"aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling",
	"aws-service-role/ecs.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_ECSService",
	"aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot",
}

// Desired are the grants as configured. Grants for roles of the owner's account
// are created with the owner's credentials.
type Desired struct {
	Partition string
	Owner     string // account ID of the key's owner
	Accounts  []string
	Roles     []string // below "role/"
	// RolesListed means that the configuration lists the roles, so each is expected to
	// exist. A default role may not exist in an account.
	RolesListed bool
	// Regions in which instances will be launched.
	Regions []string
	// MemberRole, below "role/", is assumed in each account other than the owner's
	// to create the account's grants. If it is empty, these grants are left for
	// the accounts to create.
	MemberRole string
	// Prune revokes stale grants.
	Prune bool
	// SkipMissing reports a grantee that doesn't exist instead of failing.
	SkipMissing bool
}

// Status is the status of a grant.
type Status string

// The states of a grant.
const (
	Planned  Status = "planned"   // this plan creates it
	ToCreate Status = "to_create" // the role's account has to create it
	Created  Status = "created"   // by this run
	Exists   Status = "exists"    // created earlier
	Skipped  Status = "skipped"   // not created, for the reason stated
)

// Grant is one desired grant.
type Grant struct {
	Account    string // the role's account, whose credentials create the grant
	Role       string // ARN of the role, which is the grantee
	Region     string
	KeyARN     string
	Name       string
	Operations []string
	Status     Status
	// Reason explains why the grant was skipped, or why the role's existing grants
	// don't count.
	Reason  string
	GrantID string
	// CreatedAt is zero if the grant doesn't exist, or if KMS didn't return it.
	CreatedAt time.Time
}

// Grants lists every grant in the order of Region, account and role. keyARN
// returns the ARN of a Region's key, or "" while the key doesn't exist.
func (d Desired) Grants(keyARN func(region string) string) []Grant {
	regions, accounts, roles := sorted(d.Regions), sorted(d.Accounts), sorted(d.Roles)
	grants := make([]Grant, 0, len(regions)*len(accounts)*len(roles))
	for i, region := range regions {
		key := keyARN(region)
		if i > 0 { // the same except for the Region, and of the same strings
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
					Role:       RoleARN(d.Partition, account, role),
					Name:       Name(account, role),
					Operations: Operations,
					Status:     d.missing(account),
				})
			}
		}
	}
	return grants
}

// missing is the status of a grant of the account that doesn't exist.
func (d Desired) missing(account string) Status {
	if account != d.Owner && d.MemberRole == "" {
		return ToCreate
	}
	return Planned
}

// RoleARN is the ARN of a role; role is what follows "role/".
func RoleARN(partition, account, role string) string {
	return arn.ARN{Partition: partition, Service: "iam", AccountID: account, Resource: "role/" + role}.String()
}

func sorted(values []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(values)))
}

var notInNames = regexp.MustCompile(`[^a-zA-Z0-9_-]`)

// Name is the grant's name. It depends on account and role alone, because KMS
// returns the first grant's ID for another CreateGrant with the same name and
// parameters. Names can't contain every character, so the role's path is in it as
// a digest. Fact: GRANT-3, GRANT-5.
func Name(account, role string) string {
	sum := sha256.Sum256([]byte(role))
	base := role[strings.LastIndexByte(role, '/')+1:]
	return fmt.Sprintf("orgami/%s/%s-%s", account, notInNames.ReplaceAllString(base, "-"), hex.EncodeToString(sum[:4]))
}

// replacedName is the name of a grant that replaces one with the other name, which
// another account created. AWS doesn't document whether KMS compares the creating
// account when it looks for an identical grant. Fact: GRANT-3, GRANT-6.
func replacedName(name string) string { return name + "/member" }

// Command is the AWS CLI command that creates the grant. It is run with
// credentials of the grant's account.
func (g Grant) Command() string {
	key := g.KeyARN
	if key == "" {
		key = "KEY_ARN"
	}
	return fmt.Sprintf("aws kms create-grant --region %s --key-id %s --grantee-principal %s --operations %s --name %s",
		g.Region, text.ShellQuote(key), text.ShellQuote(g.Role), strings.Join(g.Operations, " "), text.ShellQuote(g.Name))
}

// Members are the accounts other than the owner that create grants, in order.
func (d Desired) Members() []string {
	return slices.DeleteFunc(sorted(d.Accounts), func(account string) bool { return account == d.Owner })
}

// KeyPolicyNeeds are the roles and operations for which the key policy must let
// the accounts create grants; none if there is no account other than the owner's.
func (d Desired) KeyPolicyNeeds() (roles, operations []string) {
	if len(d.Members()) == 0 {
		return nil, nil
	}
	return sorted(d.Roles), Operations
}

// withCommand returns the command that creates the role, for the text of an error;
// empty for a role that no service creates. Only EC2 Auto Scaling's role can have a
// suffix. Fact: IAM-ROLE-2, IAM-ROLE-7.
func withCommand(roleARN string) string {
	_, role, _ := strings.Cut(roleARN, ":role/aws-service-role/")
	service, name, linked := strings.Cut(role, "/")
	if !linked {
		return ""
	}
	command := "aws iam create-service-linked-role --aws-service-name " + service
	if _, suffix, found := strings.Cut(name, "AWSServiceRoleForAutoScaling_"); found {
		command += " --custom-suffix " + suffix
	}
	return " with '" + command + "'"
}
