package publish

import (
	"github.com/orgami/packer-plugin-orgami/internal/config"
)

// AmazonOptions are options of amazon-ebs that users may try in this post-processor.
// None is supported: each is an error that names the option to use instead.
type AmazonOptions struct {
	AMIRegions      []string          `mapstructure:"ami_regions" undocumented:"true"`
	AMIUsers        []string          `mapstructure:"ami_users" undocumented:"true"`
	AMIOrgARNs      []string          `mapstructure:"ami_org_arns" undocumented:"true"`
	AMIOUARNs       []string          `mapstructure:"ami_ou_arns" undocumented:"true"`
	KMSKeyID        string            `mapstructure:"kms_key_id" undocumented:"true"`
	RegionKMSKeyIDs map[string]string `mapstructure:"region_kms_key_ids" undocumented:"true"`
	EncryptBoot     *bool             `mapstructure:"encrypt_boot" undocumented:"true"`
	SnapshotUsers   []string          `mapstructure:"snapshot_users" undocumented:"true"`
}

// validate names what to use instead.
func (o AmazonOptions) validate(p *config.Problems) {
	for _, option := range []struct {
		set           bool
		name, instead string
	}{
		{o.AMIRegions != nil, "ami_regions", "regions"},
		{o.AMIUsers != nil, "ami_users", "share { accounts = [...] }"},
		{o.AMIOrgARNs != nil, "ami_org_arns", "share { organization = true }, which is the default"},
		{o.AMIOUARNs != nil, "ami_ou_arns", "share { organizational_units = [...] }"},
		{o.KMSKeyID != "", "kms_key_id", "key { id = ... } or key { alias = ... }"},
		{o.RegionKMSKeyIDs != nil, "region_kms_key_ids", "key: it names one multi-Region key for all Regions"},
		{o.EncryptBoot != nil, "encrypt_boot", "key: copies are always encrypted with it"},
		{o.SnapshotUsers != nil, "snapshot_users", "share { accounts = [...], snapshots = true }"},
	} {
		if option.set {
			p.Addf("%s: this is an option of amazon-ebs. Use %s", option.name, option.instead)
		}
	}
}
