// Package pattern holds the patterns of the names, IDs and ARNs that AWS uses and that
// configurations and policies contain. Each has the text of an error. The patterns
// check the form only, not whether the resource exists.
package pattern

import (
	"fmt"
	"regexp"
)

// Pattern is the form of a value.
type Pattern struct {
	what   string // completes "is not"
	form   *regexp.Regexp
	remedy string
	hint   func(value string) string // a better remedy for common mistakes, or ""
}

// Match reports whether the value has the form.
func (p Pattern) Match(value string) bool { return p.form.MatchString(value) }

// Problem describes the expected form of the value, and how to write it.
func (p Pattern) Problem(value string) string {
	remedy := p.remedy
	if p.hint != nil {
		if hint := p.hint(value); hint != "" {
			remedy = hint
		}
	}
	return fmt.Sprintf("%q is not %s: %s", value, p.what, remedy)
}

// Parts of the patterns.
const (
	account      = `[0-9]{12}`
	partition    = `aws[a-z-]*`
	organization = `o-[a-z0-9]{10,32}`
	unit         = `ou-[0-9a-z]{4,32}-[0-9a-z]{8,32}`
	unitARN      = `arn:` + partition + `:organizations::` + account + `:ou/` + organization + `/` + unit
	iamPath      = `[\w+=,.@/-]+`
)

// whole compiles a pattern of the whole value.
func whole(form string) *regexp.Regexp { return regexp.MustCompile(`^(?:` + form + `)$`) }

// Patterns of accounts and organizations.
var (
	Account = Pattern{
		"an account id", whole(account),
		"write 12 digits in quotes", accountHint,
	}
	// ImageOwner is an owner in a search for images.
	ImageOwner = Pattern{
		"an owner of images", whole(account + `|self|amazon|aws-marketplace`),
		"write a 12-digit account ID in quotes, self, amazon or aws-marketplace", nil,
	}
	Organization = Pattern{
		"the ID of an organization", whole(organization),
		"write it as o-exampleorgid", nil,
	}
	OrganizationARN = Pattern{
		"the ARN of an organization", whole(`arn:` + partition + `:organizations::` + account + `:organization/` + organization),
		"write it as arn:aws:organizations::111111111111:organization/o-exampleorgid, with the ID of the management account", nil,
	}
	// Unit is an organizational unit by its ID.
	Unit = Pattern{
		"the ID of an organizational unit", whole(unit),
		"write it as ou-examplerootid-exampleouid", nil,
	}
	UnitARN = Pattern{
		"the ARN of an organizational unit", whole(unitARN),
		"write it as arn:aws:organizations::111111111111:ou/o-exampleorgid/ou-examplerootid-exampleouid; EC2 doesn't accept an ID", nil,
	}
	UnitOrARN = Pattern{
		"an organizational unit", whole(unit + `|` + unitARN),
		"write its ID, ou-…, or its ARN", nil,
	}
)

// MaxExternalID is the number of characters that STS allows in an external ID.
const MaxExternalID = 1224

// Patterns of IAM and STS.
var (
	// Role is a role's path and name, without "role/".
	Role = Pattern{
		"a role's path and name", whole(`([\w+=,.@-]+/)*[\w+=,.@-]{1,64}`),
		"write it as PATH/NAME, without a slash at the beginning or the end", roleHint,
	}
	// RolePattern is a [Role] in which * and ? are wildcards.
	RolePattern = Pattern{
		"a role's path and name, with * and ? as wildcards", whole(`([\w+=,.@*?-]+/)*[\w+=,.@*?-]{1,64}`),
		"write it as PATH/NAME, without a slash at the beginning or the end", roleHint,
	}
	RoleARN = Pattern{
		"the ARN of a role", whole(`arn:` + partition + `:iam::` + account + `:role/` + iamPath),
		"write it as arn:aws:iam::111111111111:role/NAME", nil,
	}
	// PrincipalARN is an account, user, role or session that a key policy can name.
	PrincipalARN = Pattern{
		"the ARN of an IAM principal",
		whole(`arn:` + partition + `:(iam::` + account + `:(root|(user|role)/` + iamPath + `)|sts::` + account + `:assumed-role/` + iamPath + `)`),
		"write it as arn:aws:iam::111111111111:role/NAME; wildcards are not allowed", nil,
	}
	SessionName = Pattern{
		"the name of a session", whole(`[\w+=,.@-]{2,64}`),
		"use 2 to 64 letters, digits and _+=,.@-", nil,
	}
	// ExternalID is the external ID that a role's trust policy requires. Its greatest
	// length, [MaxExternalID], is more than a regular expression can count.
	ExternalID = Pattern{
		"an external id", whole(`[\w+=,.@:/-]{2,}`),
		"use 2 to 1224 letters, digits and _+=,.@:/-", nil,
	}
)

// The forms that hints need as well.
var (
	isRegion = whole(`[a-z]{2,4}(-[a-z]+){1,3}-[0-9]{1,2}`)
	isAlias  = whole(`alias/[a-zA-Z0-9/_-]{1,250}`)
)

// Patterns of Regions, keys, images and parameters.
var (
	Region = Pattern{
		"the name of a Region", isRegion,
		"write it as us-east-1", regionHint,
	}
	Alias = Pattern{
		"an alias", isAlias,
		"use letters, digits and /_- after alias/, at most 250", aliasHint,
	}
	// MultiRegionKey is the ID or the ARN of a multi-Region key.
	MultiRegionKey = Pattern{
		"the ID or ARN of a multi-Region key", whole(`(arn:` + partition + `:kms:[a-z0-9-]+:` + account + `:key/)?mrk-[0-9a-f]{32}`),
		"write mrk- and 32 hexadecimal digits, or the ARN of the key", keyHint,
	}
	Image = Pattern{
		"the ID of an image", whole(`ami-[0-9a-f]{8}([0-9a-f]{9})?`),
		"write ami- and 8 or 17 hexadecimal digits", nil,
	}
	ImageName = Pattern{
		"a name that EC2 allows", whole(`[a-zA-Z0-9()\[\] ./'@_-]{3,128}`),
		"use 3 to 128 letters, digits and ()[] ./-'@_", nil,
	}
	Subnet = Pattern{
		"the ID of a subnet", whole(`subnet-[0-9a-f]{8}([0-9a-f]{9})?`),
		"write subnet- and 8 or 17 hexadecimal digits", nil,
	}
	SecurityGroup = Pattern{
		"the ID of a security group", whole(`sg-[0-9a-f]{8}([0-9a-f]{9})?`),
		"write sg- and 8 or 17 hexadecimal digits", nil,
	}
	InstanceType = Pattern{
		"an instance type", whole(`[a-z][a-z0-9-]*\.[a-z0-9-]+`),
		"write it as t3.nano", nil,
	}
	// Parameter is the name of a parameter of Parameter Store.
	Parameter = Pattern{
		"the name of a parameter", whole(`(/[a-zA-Z0-9_.-]+){1,15}|[a-zA-Z0-9_.-]+`),
		"write it as /golden-ami/x86_64/latest: letters, digits and .-_ between slashes, at most 15 levels", nil,
	}
)
