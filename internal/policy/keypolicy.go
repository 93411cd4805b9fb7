package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Sids of our statements. A statement with one of them is ours, and is replaced
// with what the configuration asks for. All other statements stay unchanged.
const (
	SidOwner          = "EnableOwnerAccountAdministration"
	SidAdministrators = "AllowKeyAdministration"
	SidOrganization   = "ShareAMIToAccounts"
	SidUnits          = "ShareAMIToOrganizationalUnits"
	SidAccounts       = "ShareAMIToListedAccounts"
	// suffixCreateGrant is appended to the three share Sids for the separate
	// CreateGrant statement of the hardened variant, suffixRoleGrants for the
	// grants to named roles.
	suffixCreateGrant = "CreateGrant"
	suffixRoleGrants  = "GrantRoles"
)

// Variants of the share statements.
const (
	// Open lets every allowed principal use the key from anywhere, and create
	// and revoke grants. A golden AMI isn't secret and is needed everywhere.
	Open = "open"
	// Hardened lets them use the key only through EC2, and create grants only
	// for AWS resources or for the roles named.
	Hardened = "hardened"
)

// KeyPolicy describes which principals a key's policy allows.
type KeyPolicy struct {
	Partition string // aws, aws-cn, aws-us-gov
	Owner     string // account ID of the key's owner
	Variant   string // Open or Hardened
	// KeepOwnerAccess leaves unchanged what an existing policy allows the
	// owner's account. An owner may have restricted it on purpose.
	KeepOwnerAccess bool
	// Administrators are ARNs that may manage the key (not use it).
	Administrators []string
	// OrganizationID allows the whole organization. If it is empty, the policy
	// doesn't.
	OrganizationID string
	// OrganizationPaths are aws:PrincipalOrgPaths patterns, "o-…/*/ou-…/*".
	OrganizationPaths []string
	// Accounts are IDs of accounts that the policy allows one by one.
	Accounts []string
	// GrantRoles are roles below "role/", for which a hardened policy lets the
	// allowed accounts create grants. A grant is effective only if the account
	// of the role created it. Fact: GRANT-10, GRANT-14.
	GrantRoles []string
	// GrantOperations that those grants may hold.
	GrantOperations []string
}

// useActions are the actions that copying, launching and attaching require,
// except those for grants. kms:ReEncrypt isn't an action of KMS; ReEncryptFrom
// and ReEncryptTo are. Fact: KMS-KEY-20.
var useActions = Values{"kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"}

var grantActions = Values{"kms:CreateGrant", "kms:RetireGrant", "kms:RevokeGrant"}

var administrationActions = Values{
	"kms:Create*", "kms:Describe*", "kms:Enable*", "kms:List*", "kms:Put*", "kms:Update*",
	"kms:Revoke*", "kms:Disable*", "kms:Get*", "kms:Delete*", "kms:TagResource", "kms:UntagResource",
	"kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion", "kms:ReplicateKey", "kms:RotateKeyOnDemand",
}

// Statements returns our statements in the order in which they are written.
//
// The owner's statement comes first. Without it, IAM policies of the owner's
// account have no effect and the key can be locked permanently. Fact:
// KMS-KEY-1, KMS-KEY-6.
func (k KeyPolicy) Statements() []Statement {
	statements := []Statement{{
		Sid: SidOwner, Effect: "Allow",
		Principal: Principal{"AWS": {k.rootARN(k.Owner)}},
		Action:    Values{"kms:*"}, Resource: Values{"*"},
	}}
	if len(k.Administrators) > 0 {
		statements = append(statements, Statement{
			Sid: SidAdministrators, Effect: "Allow",
			Principal: Principal{"AWS": sorted(k.Administrators)},
			Action:    administrationActions, Resource: Values{"*"},
		})
	}
	for _, who := range k.admitted() {
		statements = append(statements, k.share(who)...)
	}
	return statements
}

// audience is a set of principals that a share statement allows.
type audience struct {
	sid       string
	principal Principal
	condition Condition
}

func (k KeyPolicy) admitted() []audience {
	var all []audience
	if k.OrganizationID != "" {
		all = append(all, audience{
			SidOrganization,
			Principal{"AWS": {"*"}},
			Condition{"StringEquals": {"aws:PrincipalOrgID": {k.OrganizationID}}},
		})
	}
	if len(k.OrganizationPaths) > 0 {
		all = append(all, audience{
			SidUnits,
			Principal{"AWS": {"*"}},
			Condition{
				"StringEquals":           {"aws:PrincipalOrgID": k.pathOrganizations()},
				"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": sorted(k.OrganizationPaths)},
			},
		})
	}
	if len(k.Accounts) > 0 {
		roots := make(Values, 0, len(k.Accounts))
		for _, account := range sorted(k.Accounts) {
			roots = append(roots, k.rootARN(account))
		}
		all = append(all, audience{SidAccounts, Principal{"AWS": roots}, nil})
	}
	return all
}

// pathOrganizations are the organizations of the paths. AWS's own example of a
// statement for an organizational unit names the organization, too.
func (k KeyPolicy) pathOrganizations() Values {
	var ids []string
	for _, path := range k.OrganizationPaths {
		id, _, _ := strings.Cut(path, "/")
		ids = append(ids, id)
	}
	return sorted(ids)
}

// share returns the statements that allow one audience to use the key.
func (k KeyPolicy) share(who audience) []Statement {
	allow := func(suffix string, actions Values, conditions ...Condition) Statement {
		return Statement{
			Sid: who.sid + suffix, Effect: "Allow", Principal: who.principal,
			Action: actions, Resource: Values{"*"},
			Condition: and(append([]Condition{who.condition}, conditions...)...),
		}
	}
	if k.Variant != Hardened {
		actions := slices.Concat(useActions[:4:4], grantActions, useActions[4:])
		return []Statement{allow("", actions)}
	}
	viaEC2 := Condition{"StringLike": {"kms:ViaService": {EC2ViaService(k.Partition)}}}
	statements := []Statement{
		allow("", useActions, viaEC2),
		allow(suffixCreateGrant, Values{"kms:CreateGrant"}, viaEC2,
			Condition{"Bool": {"kms:GrantIsForAWSResource": {"true"}}}),
	}
	if len(k.GrantRoles) > 0 {
		// The wildcard lets an account create a grant for a role of another account,
		// which then doesn't count. ${aws:PrincipalAccount} would forbid that, but no
		// page of AWS shows it in the value of this key. Fact: KMS-COND-4, KMS-COND-11.
		grantees := make(Values, 0, len(k.GrantRoles))
		for _, role := range sorted(k.GrantRoles) {
			grantees = append(grantees, fmt.Sprintf("arn:%s:iam::*:role/%s", k.Partition, role))
		}
		statements = append(statements, allow(suffixRoleGrants, Values{"kms:CreateGrant"},
			Condition{"StringLike": {"kms:GranteePrincipal": grantees}},
			Condition{"ForAllValues:StringEquals": {"kms:GrantOperations": sorted(k.GrantOperations)}},
		))
	}
	return statements
}

// and joins conditions into one. They must not have an operator and key in common.
func and(conditions ...Condition) Condition {
	var joined Condition
	for _, c := range conditions {
		for operator, keys := range c {
			if joined == nil {
				joined = Condition{}
			}
			if joined[operator] == nil {
				joined[operator] = map[string]Values{}
			}
			maps.Copy(joined[operator], keys)
		}
	}
	return joined
}

func (k KeyPolicy) rootARN(account string) string {
	return fmt.Sprintf("arn:%s:iam::%s:root", k.Partition, account)
}

func sorted(values []string) Values {
	return slices.Compact(slices.Sorted(slices.Values(values)))
}
