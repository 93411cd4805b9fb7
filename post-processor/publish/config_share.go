//go:generate packer-sdc struct-markdown

package publish

// The `organization` block names the AWS organization. It is needed if the caller
// can't read the organization from AWS (`organizations:DescribeOrganization`), or to
// share with another organization: that takes both `id` and `arn`. If the caller can
// read its own organization, the plan warns of a different one, and a run never replaces
// the caller's organization in the policy of an existing key.
type OrganizationConfig struct {
	// ID of the organization, `o-…`. Defaults to the ID in `arn`, or to the ID that
	// AWS returns.
	ID string `mapstructure:"id"`
	// ARN of the organization,
	// `arn:aws:organizations::MANAGEMENT-ACCOUNT:organization/o-…`. Defaults to the
	// ARN that AWS returns.
	ARN string `mapstructure:"arn"`
}

// The `share` block lists the accounts that can use the published image and its key.
// Other permissions stay as they are, unless `prune` is set.
type ShareConfig struct {
	// Share with the whole organization. Set it to `false` to share only with
	// `organizational_units` or `accounts`. Defaults to `true`.
	Organization *bool `mapstructure:"organization"`
	// ARNs of organizational units,
	// `arn:aws:organizations::MANAGEMENT-ACCOUNT:ou/o-…/ou-…`. Units below them are
	// included.
	OrganizationalUnits []string `mapstructure:"organizational_units"`
	// IDs of accounts. Must have 12 digits. Quote account IDs to keep leading zeros.
	Accounts []string `mapstructure:"accounts"`
	// Also share the snapshots with `accounts`, so that these accounts can copy the
	// image. A launch needs no access to snapshots. AWS shares snapshots only with
	// accounts, not with organizations and units. Requires `accounts`. Defaults to
	// `false`.
	Snapshots bool `mapstructure:"snapshots"`
	// Remove launch permissions of the published image that this block doesn't list,
	// whoever added them. With `snapshots`, also remove permissions of its snapshots. With
	// `ssm.share`, also remove principals of the resource shares that this plugin created.
	// Defaults to `false`: the plan only reports these permissions.
	Prune bool `mapstructure:"prune"`
}
