//go:generate packer-sdc struct-markdown

package publish

// The `grants` block requests KMS grants for service-linked roles. EC2 Auto Scaling
// launches instances as such a role, and so do ECS capacity providers and EKS managed
// node groups, which use Auto Scaling groups. A service-linked role can't have an IAM
// policy for your key. Without a grant on the key of the Region, its instances
// terminate right after they start.
//
// A grant counts only if an account creates it for its own role. For the publishing
// account, the plugin uses its own credentials. For other accounts, it assumes
// `member_role`. Without `member_role`, it creates no grants for other accounts, and
// lists the grants that they must create: `kms-grants.json` has the status `to_create`
// and a command for each grant, and `create-grants.sh` runs the commands for all
// accounts. This is not a failure: the launch checks of these roles are pending until
// the grants exist.
type GrantsConfig struct {
	// IDs of the accounts whose roles get grants. Quote account IDs to keep leading
	// zeros. Required unless `discover` or `accounts_file` is set, which add
	// accounts to this list. If the caller can list the accounts of the organization,
	// an ID that belongs to no account of it is an error, unless `share.accounts`
	// lists it, too.
	Accounts []string `mapstructure:"accounts"`
	// Path of a file with additional account IDs. Must contain IDs separated by spaces,
	// commas or line breaks, where `#` starts a comment; a JSON list of IDs; or the
	// output of `aws organizations list-accounts`, of which only active accounts count.
	AccountsFile string `mapstructure:"accounts_file"`
	// Add every active account of the organization, as AWS Organizations lists them
	// when the run starts. Only the management account and delegated administrators can
	// list accounts. Use credentials of one of these, or set `discover_role_arn`.
	// Defaults to `false`.
	Discover bool `mapstructure:"discover"`
	// ARN of a role in the management account or in a delegated administrator
	// account, `arn:aws:iam::ACCOUNT:role/NAME`. The plugin assumes it only to list
	// accounts. Requires `discover`. Defaults to the caller's credentials.
	DiscoverRoleARN string `mapstructure:"discover_role_arn"`
	// IDs (`ou-…`) or ARNs of organizational units. Only accounts of these units and
	// of the units below them are discovered. Requires `discover`.
	OrganizationalUnits []string `mapstructure:"organizational_units"`
	// IDs of accounts that `discover` leaves out, for example the management account,
	// in which service-managed StackSets create no `member_role`. Requires `discover`.
	Exclude []string `mapstructure:"exclude"`
	// Path and name of each role, without the account:
	// `aws-service-role/SERVICE/NAME`. Listed roles are expected to exist in every
	// account: `fail_on_drift` counts their missing grants. Defaults to the roles of
	// EC2 Auto Scaling, ECS service auto scaling and Spot Instances, which may not
	// exist in every account:
	// `aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling`,
	// `aws-service-role/ecs.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_ECSService`
	// and `aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot`.
	Roles []string `mapstructure:"roles"`
	// Path and name, without the account, of a role that exists in each account. The
	// plugin assumes it to create the grants of the account's roles, and to read what
	// launches in the account depend on. Its trust policy must allow the publishing
	// account, and its IAM policy must allow `kms:CreateGrant` on the key. The launch
	// checks assume whatever it can't read. Defaults to none: the accounts create their
	// grants themselves, and aren't inspected.
	MemberRole string `mapstructure:"member_role"`
	// What to do when a role doesn't exist in an account. `skip` reports the role and
	// continues; a later run creates the grant. `fail` stops before the image is
	// shared. Applies to grants that the plugin creates. Defaults to `skip`.
	MissingRole string `mapstructure:"missing_role"`
	// Revoke grants of earlier runs for accounts or roles that are no longer listed,
	// in the Regions of this publication. Also revoke grants that the publishing
	// account created for roles of other accounts, once the role's account has created
	// its own. Defaults to `false`: the plan only reports these grants.
	//
	// A grant remains valid when an account leaves the organization, because a grant
	// doesn't depend on `aws:PrincipalOrgID`. The plugin recognizes its grants by
	// their names and never revokes others. If several templates use one key, each
	// must list the accounts of all: a name contains the account but not the template.
	// A run that discovers no account fails instead of revoking all grants.
	Prune bool `mapstructure:"prune"`
}
