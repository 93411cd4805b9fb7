//go:generate packer-sdc struct-markdown

package publish

// The `key` block describes the KMS key that every published snapshot is
// encrypted with: one multi-Region key, with a primary in one region and a
// replica in each of the others. Exactly one of `alias` and `id` is needed.
type KeyConfig struct {
	// The alias of the key, `alias/NAME`, the same in every region. A key that
	// has it is used, and completed where something is missing; where there is none,
	// one is created. An alias is never pointed at another key. Conflicts with
	// `id`.
	Alias string `mapstructure:"alias"`
	// The id (`mrk-…`) or ARN of a multi-Region key that exists, instead of an
	// alias. Conflicts with `alias` and with `create = true`.
	ID string `mapstructure:"id"`
	// The region of the primary key. By default the first of `regions`, and the
	// primary's own region where the key exists. It need not be one of
	// `regions`. A key whose primary is elsewhere is an error.
	PrimaryRegion string `mapstructure:"primary_region"`
	// Create the key when the alias does not exist. By default `true`; with
	// `false` a missing key is an error, and missing replicas are still made.
	Create *bool `mapstructure:"create"`
	// What those whom the key is shared with may do with it. `open`, the
	// default, lets them use the key and make grants for it; `hardened` only
	// through EC2, and grants only for AWS services or for the roles of the
	// `grants` block.
	Policy string `mapstructure:"policy"`
	// A JSON file with statements that are added to the key policy: one
	// statement, a list of them, or a policy document. Each needs a `Sid`, by
	// which later runs find it again. A statement for everybody (`*`) must name
	// an organisation in its condition. What can never work, such as the action
	// `kms:ReEncrypt` or an element `Resources`, is an error; in a policy that
	// the key has already it is said in the plan, and left as it is.
	ExtraStatementsFile string `mapstructure:"extra_statements_file"`
	// ARNs of IAM principals that may manage the key, besides those whom the
	// account's own IAM policies let.
	Administrators []string `mapstructure:"administrators"`
	// Don't add the statement that gives the account's root `kms:*` to the policy of
	// an adopted key. Without that statement, IAM policies of the account don't
	// count, so set this only if the policy confines the account on purpose and its
	// other statements let the publisher manage the key. Defaults to `false`.
	KeepOwnerAccess bool `mapstructure:"keep_owner_access"`
	// Rotate the key material every year. Defaults to `true` for a key that the
	// plugin creates; the rotation of an adopted key stays as it is. `true` turns
	// rotation on for an adopted key, too. `false` never changes it.
	Rotation *bool `mapstructure:"rotation"`
	// Tags of the key in every region; other tags of the key are left as they
	// are. At most 49: AWS allows 50, and one is this plugin's.
	Tags map[string]string `mapstructure:"tags"`
}
