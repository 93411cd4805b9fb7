//go:generate packer-sdc struct-markdown

package publish

// The `grants` block asks for KMS grants. EC2 Auto Scaling launches instances,
// those of ECS capacity providers and EKS managed node groups too, as a
// service-linked role, which takes no IAM policy: without a grant on the key of
// the region, they end right after they start.
type GrantsConfig struct {
	// Ids of the accounts whose roles get grants, 12 digits each, in quotes.
	// Needed unless `discover` or `accounts_file` is set; with these, accounts
	// in addition to the ones that they bring.
	Accounts []string `mapstructure:"accounts"`
	// A file with further ids: a JSON list of strings, or one id a line, where
	// `#` begins a comment.
	AccountsFile string `mapstructure:"accounts_file"`
	// Grant to every active account of the organisation, as AWS Organizations
	// lists them when the run begins. By default `false`. Only the management
	// account and delegated administrators may list accounts: run with
	// credentials of one of these, or set `discover_role_arn`.
	Discover bool `mapstructure:"discover"`
	// The ARN of a role in the management account, or in a delegated
	// administrator's, that is assumed to list the accounts, and for nothing
	// else: `arn:aws:iam::ACCOUNT:role/NAME`. By default the caller lists them.
	// Used with `discover` only.
	DiscoverRoleARN string `mapstructure:"discover_role_arn"`
	// Discover only the accounts of these organisational units, and of the units
	// below them: ids (`ou-…`), or ARNs. Used with `discover` only.
	OrganizationalUnits []string `mapstructure:"organizational_units"`
	// Ids of accounts to leave out of those discovered. Used with `discover`
	// only.
	Exclude []string `mapstructure:"exclude"`
	// The roles, as path and name without account:
	// `aws-service-role/SERVICE/NAME`. By default those of EC2 Auto Scaling and
	// of ECS service auto scaling (which scales tasks; leave it out if you do not
	// want it to use the key):
	// `aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling`
	// and
	// `aws-service-role/ecs.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_ECSService`.
	Roles []string `mapstructure:"roles"`
	// Who makes the grants. `owner`, the default: the account that owns the key.
	// `member`: a role in each account, `member_role`, as the EC2 Auto Scaling
	// guide describes it. `none`: nobody; `kms-grants.json` lists the commands
	// that make them.
	Via string `mapstructure:"via"`
	// The role that is assumed in each account, as path and name without
	// account. Needed with `via = "member"`, and only then.
	MemberRole string `mapstructure:"member_role"`
	// What a role that does not exist means. `skip`, the default: it is reported,
	// and the next run grants. `fail`: nothing is shared.
	MissingRole string `mapstructure:"missing_role"`
	// Revoke grants that earlier runs made, known by their names, for accounts
	// or roles that are not listed any more, in the regions of this publication.
	// By default `false`: they are only reported. A grant outlives the account's
	// membership in the organisation, since it does not look at
	// `aws:PrincipalOrgID`. Grants that something else made are never touched.
	// Where several templates use one key, each must ask for the accounts of all:
	// names tell whose account a grant is for, not which template made it, and one
	// would revoke the grants of the other. A run that discovers nobody changes
	// nothing instead of revoking everything.
	Prune bool `mapstructure:"prune"`
}
