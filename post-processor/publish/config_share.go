//go:generate packer-sdc struct-markdown

package publish

// The `organization` block names the AWS organisation, where the caller may not
// ask AWS for it (`organizations:DescribeOrganization`).
type OrganizationConfig struct {
	// The id of the organisation, `o-…`. By default taken from `arn`, or asked
	// of AWS.
	ID string `mapstructure:"id"`
	// The ARN of the organisation,
	// `arn:aws:organizations::MANAGEMENT-ACCOUNT:organization/o-…`. By default
	// asked of AWS.
	ARN string `mapstructure:"arn"`
}

// The `share` block says who may use the published image, and with it the key.
// What others were given by hand is left as it is, unless `prune` is set.
type ShareConfig struct {
	// Share with the whole organisation. By default `true`; set it to `false` to
	// share with `organizational_units` or `accounts` alone.
	Organization *bool `mapstructure:"organization"`
	// ARNs of organisational units,
	// `arn:aws:organizations::MANAGEMENT-ACCOUNT:ou/o-…/ou-…`, with all units
	// below them.
	OrganizationalUnits []string `mapstructure:"organizational_units"`
	// Ids of accounts, 12 digits each, in quotes.
	Accounts []string `mapstructure:"accounts"`
	// Share the snapshots too, with `accounts`, so that these can copy the
	// image. By default `false`: launching needs no access to snapshots. AWS
	// shares snapshots with accounts only, not with organisations and units.
	Snapshots bool `mapstructure:"snapshots"`
	// Take away the launch permissions of the published image, and with
	// `snapshots` those of its snapshots, that this block does not ask for,
	// whoever gave them. By default `false`: they are only reported.
	Prune bool `mapstructure:"prune"`
}
