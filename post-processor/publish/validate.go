package publish

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/config"
	"github.com/orgami/packer-plugin-orgami/internal/config/pattern"
	"github.com/orgami/packer-plugin-orgami/internal/publish"
)

// EC2's and KMS's limits for tags, and how many are reserved for the plugin's own.
const (
	maxTags           = 50
	ownImageTags      = ami.ReservedTags
	ownKeyTags        = 1
	maxTagKeyLength   = 128
	maxTagValueLength = 256
)

// validate finds all that is wrong with the configuration without asking AWS.
func (c Config) validate() error {
	var p config.Problems
	p.Rendered(c, "tags", "snapshot_tags", "ssm.name")
	p.List("regions", c.Regions, pattern.Region)
	if c.Key == nil {
		p.Addf(`key is required. Add the block key { alias = "alias/NAME" }`)
	} else {
		c.Key.validate(&p)
	}
	c.Organization.validate(&p)
	c.Share.validate(&p)
	c.Grants.validate(&p)
	c.Canary.validate(&p, c.Regions)
	c.validateAgreement(&p)
	if c.AMIName != "" {
		p.Check("ami_name", c.AMIName, pattern.ImageName)
	}
	checkTags(&p, "tags", c.Tags, ownImageTags)
	checkTags(&p, "snapshot_tags", c.SnapshotTags, ownImageTags)
	checkExpandable(&p, "tags", c.Tags)
	checkExpandable(&p, "snapshot_tags", c.SnapshotTags)
	c.validateLifecycle(&p)
	c.validateOutputs(&p)
	if c.WaitTimeout < 0 {
		p.Addf("wait_timeout: %s is negative. Set how long to wait, for example 2h", c.WaitTimeout)
	}
	p.OneOf("check", c.Check, string(publish.CheckFail), string(publish.CheckSeen), string(publish.CheckWarn), string(publish.CheckOff))
	if c.Check == string(publish.CheckSeen) && (c.Grants == nil || c.Grants.MemberRole == "") {
		p.Addf("check: %q requires `grants.member_role`, with which the accounts are inspected. Set that, or use `check = %q`", c.Check, publish.CheckFail)
	}
	p.List("check_roles", c.CheckRoles, pattern.RolePattern)
	if c.FailOnDrift && !c.PlanOnly {
		p.Addf("fail_on_drift: requires `plan_only = true`. Set that, or omit `fail_on_drift`")
	}
	checkDirectory(&p, "output_directory", c.OutputDirectory)
	c.Credentials.Validate(&p)
	c.AmazonOptions.validate(&p)
	return p.Err()
}

// checkTags checks a block of tags; own is how many tags this plugin adds.
func checkTags(p *config.Problems, field string, tags map[string]string, own int) {
	if len(tags)+own > maxTags {
		p.Addf("%s: must be at most %[3]d tags, not %[2]d, because the plugin sets up to %[4]d itself. Remove some", field, len(tags), maxTags-own, own)
	}
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		value := tags[key]
		switch {
		case key == "":
			p.Addf("%s: a tag has an empty key. Set the key, or remove the tag", field)
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			p.Addf("%s: %q: AWS reserves keys that begin with aws:. Rename the tag", field, key)
		case strings.HasPrefix(key, ami.TagPrefix):
			p.Addf("%s: %q: the plugin reserves keys that begin with %s. Rename the tag", field, key, ami.TagPrefix)
		case utf8.RuneCountInString(key) > maxTagKeyLength:
			p.Addf("%s: the key %q is longer than %d characters. Shorten it", field, key, maxTagKeyLength)
		}
		if utf8.RuneCountInString(value) > maxTagValueLength {
			p.Addf("%s: the value of %q is longer than %d characters. Shorten it", field, key, maxTagValueLength)
		}
	}
}

// checkExpandable checks that the values of tags refer only to existing values.
func checkExpandable(p *config.Problems, field string, tags map[string]string) {
	if _, err := ami.ExpandTags(tags, ami.TagData{}); err != nil {
		p.Addf("%s: %w", field, err)
	}
}

// checkDirectory checks the output directory as far as possible before the
// build. Whether it is writable is checked after the build.
func checkDirectory(p *config.Problems, field, path string) {
	if config.Unknown(path) || config.Unrendered(path) {
		return
	}
	if strings.ContainsRune(path, 0) {
		p.Addf("%s: %q contains a NUL character. Set the path of a directory", field, path)
		return
	}
	info, err := os.Stat(path)
	switch {
	case err == nil && !info.IsDir():
		p.Addf("%s: %s exists and is not a directory. Set another path", field, path)
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Lstat(path); err == nil {
			p.Addf("%s: %s is a symbolic link to a path that doesn't exist. Remove the link, or set another path", field, path)
		}
	case err != nil:
		p.Addf("%s: %w. Set a directory that can be written", field, err)
	}
}

// validateAgreement checks that everything belongs to one partition and, where
// an organization is named more than once, to one organization.
func (c Config) validateAgreement(p *config.Problems) {
	var partition, by string
	agree := func(field, value, other string) {
		switch {
		case config.Unknown(value):
		case partition == "":
			partition, by = other, fmt.Sprintf("%s %q", field, value)
		case partition != other:
			p.Addf("%s: %q is in the partition %s, but %s is in %s. Publish to each partition in a separate run", field, value, other, by, partition)
		}
	}
	region := func(field, name string) {
		if pattern.Region.Match(name) {
			agree(field, name, pattern.Partition(name))
		}
	}
	for _, name := range c.Regions {
		region("regions", name)
	}
	if c.Key != nil {
		region("key.primary_region", c.Key.PrimaryRegion)
	}
	for _, named := range c.arns() {
		agree(named.field, named.arn, arnField(named.arn, 1))
	}
	var organization string
	by = ""
	for _, named := range c.organizationIDs() {
		switch {
		case organization == "":
			organization, by = named.id, named.field
		case organization != named.id:
			p.Addf("%s names the organization %s, and %s names %s. Correct one of them", named.field, named.id, by, organization)
		}
	}
}

type namedARN struct{ field, arn string }

// arns returns all ARNs in the configuration.
func (c Config) arns() []namedARN {
	var arns []namedARN
	add := func(field string, values ...string) {
		for _, value := range values {
			if strings.HasPrefix(value, "arn:") {
				arns = append(arns, namedARN{field, value})
			}
		}
	}
	if c.Key != nil {
		add("key.id", c.Key.ID)
		add("key.administrators", c.Key.Administrators...)
	}
	if c.Organization != nil {
		add("organization.arn", c.Organization.ARN)
	}
	if c.Share != nil {
		add("share.organizational_units", c.Share.OrganizationalUnits...)
	}
	if c.Grants != nil {
		add("grants.organizational_units", c.Grants.OrganizationalUnits...)
		add("grants.discover_role_arn", c.Grants.DiscoverRoleARN)
	}
	if c.AssumeRole != nil {
		add("assume_role.role_arn", c.AssumeRole.RoleARN)
	}
	return arns
}

// arnField is the n-th of the colon-separated fields of an ARN, or "".
func arnField(arn string, n int) string {
	if fields := strings.Split(arn, ":"); n < len(fields) {
		return fields[n]
	}
	return ""
}
