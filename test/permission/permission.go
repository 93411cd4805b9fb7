// Package permission lists the AWS actions that a publication requires, and
// generates the least-privilege IAM policy of the caller. It is pure. One table
// is the source of the documentation ([Page] is docs/permissions.md) and of the
// tests that publish with exactly this policy, and with each permission
// missing.
package permission

import (
	"slices"

	"github.com/orgami/packer-plugin-orgami/internal/policy"
)

// Feature is a part of the configuration that requires permissions.
type Feature string

// Features, in the order in which they are documented.
const (
	Base             Feature = "base"
	Organization     Feature = "organization"
	KeyCreation      Feature = "key creation"
	AdoptedKey       Feature = "adopted key"
	Rotation         Feature = "rotation"
	KeyTags          Feature = "key tags"
	Snapshots        Feature = "snapshots"
	Grants           Feature = "grants"
	OwnGrants        Feature = "grants for own roles"
	MemberGrants     Feature = "grants through a member role"
	PruneGrants      Feature = "pruned grants"
	Discovery        Feature = "discovered accounts"
	Deprecation      Feature = "deprecation"
	Protection       Feature = "deregistration protection"
	Parameters       Feature = "parameters"
	SharedParameters Feature = "shared parameters"
	PrunedParameters Feature = "pruned shares of parameters"
	Retirement       Feature = "retirement"
	Canary           Feature = "a canary"
	// DiscoveryByRole takes the place of Discovery, which the role then needs.
	DiscoveryByRole Feature = "accounts discovered by a role"
)

// Features lists all features.
func Features() []Feature {
	return []Feature{Base, Organization, KeyCreation, AdoptedKey, Rotation, KeyTags, Snapshots, Grants, OwnGrants, MemberGrants, PruneGrants, Deprecation, Protection, Parameters, SharedParameters, PrunedParameters, Retirement, Canary, Discovery, DiscoveryByRole}
}

// options are the options that turn on a feature, for the documentation.
var options = map[Feature]string{
	Base:             "always",
	Organization:     "`share.organization`, unless `organization` names both `id` and `arn`",
	KeyCreation:      "`key.create`",
	AdoptedKey:       "a key that exists: `key.id`, or `key.alias` of one",
	Rotation:         "`key.rotation`",
	KeyTags:          "`key.tags`",
	Snapshots:        "`share.snapshots`",
	Grants:           "`grants`",
	OwnGrants:        "`grants` for roles of the publishing account",
	MemberGrants:     "`grants.member_role`",
	PruneGrants:      "`grants.prune`",
	Deprecation:      "`deprecate_after`",
	Protection:       "`deregistration_protection`",
	Parameters:       "`outputs` with `\"ssm\"`",
	SharedParameters: "`ssm.share`",
	PrunedParameters: "`ssm.share` with `share.prune`",
	Retirement:       "`retire`",
	Canary:           "`canary`",
	Discovery:        "`grants.discover`; with `discover_role_arn`, that role needs it",
	DiscoveryByRole:  "`grants.discover_role_arn`",
}

// Permission is one action that a feature needs, with its scope and its reason.
type Permission struct {
	Feature Feature
	Action  string
	Scope   Scope
	// Why is part of a sentence: "… to do this".
	Why string
}

// Scope is the resources and conditions that actions are allowed on: a
// statement of the policy. Its value is the statement's Sid.
type Scope string

// Scopes, in the order of the policy's statements.
const (
	// Everything is the resource of actions of EC2 and Organizations, most of which
	// have no resource, and of actions of KMS that don't act on a key.
	Everything Scope = "ReadAndCopyImages"
	// NewKeys is for actions of KMS that don't act on an existing key.
	NewKeys Scope = "MakeKeys"
	// OwnKeys are the account's keys and aliases.
	OwnKeys Scope = "ManageOwnKeys"
	// KeysThroughEC2 are the account's keys, used by EC2 for the caller.
	KeysThroughEC2 Scope = "UseOwnKeysThroughEC2"
	// GrantsThroughEC2 are grants that EC2 makes for its own use.
	GrantsThroughEC2 Scope = "LetEC2MakeGrants"
	// GrantsToRoles are grants with at most the plugin's operations.
	GrantsToRoles Scope = "GrantToServiceLinkedRoles"
	// MultiRegionRole is KMS's service-linked role for multi-Region keys.
	MultiRegionRole Scope = "CreateRoleForMultiRegionKeys"
	// MemberRoles are the roles in the members that create the grants.
	MemberRoles Scope = "AssumeMemberRoles"
	// CanaryRole is the role that launches canaries.
	CanaryRole Scope = "AssumeCanaryRole"
	// Accounts is for listing the accounts of the organization, which has no resource.
	Accounts Scope = "ListAccounts"
	// DiscoveryRole is the role that lists the organization's accounts.
	DiscoveryRole Scope = "AssumeDiscoveryRole"
	// ImageParameters are the account's parameters, which can be narrowed to those
	// that name images.
	ImageParameters Scope = "NameImagesInParameters"
	// ListShares is for reading resource shares, which takes no resource.
	ListShares Scope = "ListResourceShares"
	// NewShares are new resource shares that allow no accounts outside the organization.
	NewShares Scope = "CreateResourceShares"
	// OwnShares are the account's resource shares.
	OwnShares Scope = "ManageOwnResourceShares"
	// ThroughReferences is for what EC2 reads for the caller to find references to
	// an image.
	ThroughReferences Scope = "FindImageReferences"
)

// Caller is the principal of the policy.
type Caller struct {
	Partition string // aws, aws-cn, aws-us-gov
	Account   string // the account that publishes and owns the key
	// MemberRole is grants.member_role: path and name below "role/".
	MemberRole string
	// DiscoveryRole is grants.discover_role_arn.
	DiscoveryRole string
	// CanaryRole is the ARN of canary.role.
	CanaryRole string
}

// Of lists the permissions that the features need, in the table's order. An
// action in a scope is listed once, for the first of the features that need it.
func Of(features ...Feature) []Permission {
	var needed []Permission
	for _, p := range table {
		known := slices.ContainsFunc(needed, func(n Permission) bool { return n.Action == p.Action && n.Scope == p.Scope })
		if slices.Contains(features, p.Feature) && !known {
			needed = append(needed, p)
		}
	}
	return needed
}

// Policy is the identity policy that allows the permissions and nothing else.
func Policy(caller Caller, permissions []Permission) policy.Document {
	var statements []policy.Statement
	for _, scope := range caller.scopes() {
		for _, p := range permissions {
			if string(p.Scope) == scope.Sid && !slices.Contains(scope.Action, p.Action) {
				scope.Action = append(scope.Action, p.Action)
			}
		}
		if len(scope.Action) > 0 {
			slices.Sort(scope.Action)
			statements = append(statements, scope)
		}
	}
	return policy.NewDocument(statements...)
}
