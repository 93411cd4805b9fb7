//go:generate packer-sdc struct-markdown

package publish

// The `key` block describes the KMS key that encrypts every published snapshot: one
// multi-Region key, with a primary in one Region and a replica in each of the others.
// Exactly one of `alias` and `id` is required.
type KeyConfig struct {
	// Alias of the key in every Region, `alias/NAME`. If a key has this alias, the
	// plugin adopts it and adds whatever is missing. Otherwise, the plugin creates a
	// key. The plugin never points an alias at another key. Conflicts with `id`.
	Alias string `mapstructure:"alias"`
	// ID (`mrk-…`) or ARN of an existing multi-Region key. Conflicts with `alias` and
	// with `create = true`.
	ID string `mapstructure:"id"`
	// Region of the primary key. It doesn't have to be one of `regions`. Must be the
	// primary's Region if the key exists. Defaults to the Region of the existing
	// primary, or to the first of `regions`.
	PrimaryRegion string `mapstructure:"primary_region"`
	// Create the key if the alias doesn't exist. With `false`, a missing key is an
	// error, but missing replicas are still created. Defaults to `true`.
	Create *bool `mapstructure:"create"`
	// What the accounts that the image is shared with can do with the key. `hardened`
	// is recommended: it allows use of the key only through EC2, and allows grants only
	// for AWS resources and for the roles of the `grants` block. `open` lets any
	// principal of these accounts with IAM permission use the key from anywhere, and
	// create, retire and revoke grants on it, those of other accounts included.
	// Defaults to `open`.
	Policy string `mapstructure:"policy"`
	// Path of a JSON file with statements to add to the key policy: one statement, a
	// list, a policy document, or the output of `aws kms get-key-policy`. Each statement must have a `Sid`, which identifies it
	// in later runs. A statement for all principals (`*`) must have a condition that
	// confines it to named organizations, accounts or networks. A statement that can't
	// work, such as one with the action `kms:ReEncrypt` or an element `Resources`, is an
	// error. In the existing policy of an adopted key, the plan reports such statements
	// and leaves them.
	ExtraStatementsFile string `mapstructure:"extra_statements_file"`
	// ARNs of IAM principals that can manage the key, in addition to those that IAM
	// policies of the key's account allow.
	Administrators []string `mapstructure:"administrators"`
	// Don't add the statement that allows the account `kms:*` to the policy of an
	// adopted key. Without it, IAM policies of the account have no effect. Set it only
	// if the policy limits the account on purpose, and its other statements allow the
	// publisher to manage the key. Defaults to `false`.
	KeepOwnerAccess bool `mapstructure:"keep_owner_access"`
	// Rotate the key material every year. Defaults to `true` for a key that the plugin
	// creates; the rotation of an adopted key stays as it is. `true` turns on rotation
	// for an adopted key, too. `false` never changes it.
	Rotation *bool `mapstructure:"rotation"`
	// Tags of the key in every Region. Other tags of the key stay as they are. Must be
	// at most 49 tags: AWS allows 50, and the plugin sets one.
	Tags map[string]string `mapstructure:"tags"`
}
