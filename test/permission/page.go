package permission

import (
	"fmt"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/policy"
)

// Page is docs/permissions.md.
func Page() string {
	caller := Caller{Partition: "aws", Account: "111122223333", MemberRole: "orgami-grants", DiscoveryRole: "arn:aws:iam::999988887777:role/orgami-accounts", CanaryRole: "arn:aws:iam::444455556666:role/orgami-canary"}
	var page strings.Builder
	fmt.Fprintf(&page, `# Permissions

The publishing credentials need exactly these permissions. The policy and the table below are generated from `+"`test/permission`"+`. Tests publish with exactly this policy, and without each of its actions.

## The whole policy

For every option at once. Put your account's number for %s, the name of your `+"`grants.member_role`"+` for %s, your `+"`grants.discover_role_arn`"+` for %s, and the ARN of `+"`canary.role`"+` for %s; in other partitions write arn:aws-us-gov or arn:aws-cn for arn:aws. Leave out what your options do not need: the table says which action belongs to which.

`+"```json\n%s```"+`

Most of EC2's actions in it take no resource, or a resource that does not exist before the call, hence the %s. Statements on KMS are confined to keys of the account itself, and where EC2 uses a key for the caller, to uses through EC2.

If the caller is allowed `+"`organizations:ListAccounts`"+` in the management account or a delegated administrator account, a run also checks that the accounts in `+"`grants.accounts`"+` belong to the organization. Without that permission, it doesn't check this.

The key policy must let these IAM policies count. It does where the statement of KMS's own default policy, that gives the account's root kms:*, is in it; the plugin adds such a statement where there is none.

With `+"`assume_role`"+`, this is the policy of that role; the principal that assumes it needs sts:AssumeRole on it.

## Each action

| Needed for | Option | Action | Why |
|---|---|---|---|
`, "`"+caller.Account+"`", "`"+caller.MemberRole+"`", "`"+caller.DiscoveryRole+"`", "`"+caller.CanaryRole+"`", Policy(caller, Of(Features()...)).Indented(), "`*`")
	for _, feature := range Features() {
		for _, p := range Of(feature) {
			fmt.Fprintf(&page, "| %s | %s | `%s`%s | %s |\n", feature, options[feature], p.Action, through(p.Scope), p.Why)
		}
	}
	page.WriteString(`
sts:GetCallerIdentity, which every run calls, needs no permission.

Before anything is changed, ec2:CopyImage, ec2:CreateTags and ec2:ModifyImageAttribute are checked with dry runs, and so is kms:CreateGrant if the key exists. AWS has no dry runs of the other actions on keys. If one of these permissions is missing, the run fails at the call, and the error names the action.
`)
	page.WriteString(rolesPage(caller))
	return page.String()
}

// rolesPage is the part of the page about roles in other accounts.
func rolesPage(caller Caller) string {
	return fmt.Sprintf(`
## The roles in the accounts

With `+"`grants.member_role`"+`, a role of each account creates that account's grants, and reads what launches in the account depend on. Its trust policy must allow the publishing account (or role). The output `+"`\"cloudformation\"`"+` writes a StackSet template with this role, and [example/downstream/terraform/member](../example/downstream/terraform/member) is a Terraform module. This is its policy:

`+"```json\n%s```"+`

Only the first statement is required. Each of the others is for links of [the launch checks](how-it-launches.md). Without it, or without one of its actions, the run continues: the checks assume these links, and one line reports what is missing.

| Statement | Links | Actions | Why |
|---|---|---|---|
%s
A customer managed default EBS key must also allow the role `+"`kms:DescribeKey`, `kms:GetKeyPolicy` and `kms:ListGrants`"+`, or leave it to the account's IAM policies. Otherwise, the link `+"`volume-key`"+` is inconclusive.

## The role that lists accounts

The role of `+"`grants.discover_role_arn`"+` is in the management account or in a delegated administrator's. It must trust the publishing account (or role), and needs this policy:

`+"```json\n%s```"+`

## The role of a canary

The role `+"`canary.role`"+` is in `+"`canary.account`"+`. Its trust policy must allow the publishing account (or role). With `+"`auto_scaling`"+`, it needs the policy below. Without it, leave out the statement `+"`ScaleCanaries`"+`, the actions of `+"`autoscaling`"+`, and `+"`ec2:CreateLaunchTemplate`"+` and `+"`ec2:DeleteLaunchTemplate`"+`. Insert the ID of your key for `+"`mrk-…`"+`. The role can terminate and delete only what has the tag of a canary.

`+"```json\n%s```\n", MemberPolicy(caller).Indented(), memberTable(caller), Policy(caller, Of(Discovery)).Indented(),
		policy.Canary(caller.Partition, policy.WildcardKeyARN(caller.Partition, caller.Account, "mrk-1234abcd12ab34cd56ef1234567890ab"), true).Indented())
}

// memberTable lists the purpose of each statement of the member role.
func memberTable(caller Caller) string {
	var table strings.Builder
	quoted := func(list []string) string { return "`" + strings.Join(list, "`, `") + "`" }
	for _, read := range policy.MemberReads(caller.Partition) {
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", read.Statement.Sid, quoted(read.Links), quoted(read.Statement.Action), read.Why)
	}
	return table.String()
}

// through is the note of an action that is allowed only through EC2.
func through(scope Scope) string {
	if scope == KeysThroughEC2 || scope == GrantsThroughEC2 {
		return " through EC2"
	}
	return ""
}

// MemberPolicy is the policy of the role that creates grants in each account, and
// inspects it.
func MemberPolicy(caller Caller) policy.Document {
	for _, scope := range caller.scopes() {
		if scope.Sid == string(GrantsToRoles) {
			scope.Action = policy.Values{"kms:CreateGrant"}
			statements := []policy.Statement{scope}
			for _, read := range policy.MemberReads(caller.Partition) {
				statements = append(statements, read.Statement)
			}
			return policy.NewDocument(statements...)
		}
	}
	return policy.Document{}
}
