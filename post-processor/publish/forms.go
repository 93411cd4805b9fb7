package publish

import (
	"fmt"
	"regexp"
	"strings"
)

var (
	regionPattern = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]+){1,3}-[0-9]{1,2}$`)
	aliasPattern  = regexp.MustCompile(`^alias/[a-zA-Z0-9/_-]{1,250}$`)
)

// The forms that AWS gives to names.
var (
	regionForm = form{
		"the name of a region", regionPattern,
		"write it as us-east-1", zoneHint,
	}
	accountForm = form{
		"an account id", regexp.MustCompile(`^[0-9]{12}$`),
		"write 12 digits in quotes", accountHint,
	}
	aliasForm = form{
		"an alias", aliasPattern,
		"use letters, digits and /_- after alias/, at most 250", aliasHint,
	}
	keyIDForm = form{
		"the id or ARN of a multi-Region key",
		regexp.MustCompile(`^(arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/)?mrk-[0-9a-f]{32}$`),
		"write mrk- and 32 hexadecimal digits, or the ARN of the key", keyIDHint,
	}
	administratorForm = form{
		"the ARN of an IAM principal",
		regexp.MustCompile(`^arn:aws[a-z-]*:(iam::[0-9]{12}:(root|(user|role)/[\w+=,.@/-]+)|sts::[0-9]{12}:assumed-role/[\w+=,.@/-]+)$`),
		"write it as arn:aws:iam::111111111111:role/NAME; wildcards are not allowed", nil,
	}
	roleARNForm = form{
		"the ARN of a role", regexp.MustCompile(`^arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]+$`),
		"write it as arn:aws:iam::111111111111:role/NAME", nil,
	}
	organizationIDForm = form{
		"the id of an organisation", regexp.MustCompile(`^o-[a-z0-9]{10,32}$`),
		"write it as o-exampleorgid", nil,
	}
	organizationARNForm = form{
		"the ARN of an organisation",
		regexp.MustCompile(`^arn:aws[a-z-]*:organizations::[0-9]{12}:organization/o-[a-z0-9]{10,32}$`),
		"write it as arn:aws:organizations::111111111111:organization/o-exampleorgid, with the management account's id", nil,
	}
	unitForm = form{
		"the ARN of an organisational unit",
		regexp.MustCompile(`^arn:aws[a-z-]*:organizations::[0-9]{12}:ou/o-[a-z0-9]{10,32}/ou-[0-9a-z]{4,32}-[0-9a-z]{8,32}$`),
		"write it as arn:aws:organizations::111111111111:ou/o-exampleorgid/ou-examplerootid-exampleouid; an id alone is not enough for EC2", nil,
	}
	unitIDForm = form{
		"an organisational unit",
		regexp.MustCompile(`^(arn:aws[a-z-]*:organizations::[0-9]{12}:ou/o-[a-z0-9]{10,32}/)?ou-[0-9a-z]{4,32}-[0-9a-z]{8,32}$`),
		"write its id, ou-…, or its ARN", nil,
	}
	roleForm = form{
		"a role's path and name", regexp.MustCompile(`^([\w+=,.@-]+/)*[\w+=,.@-]{1,64}$`),
		"write it without slash at the beginning and the end, as PATH/NAME", roleHint,
	}
	imageNameForm = form{
		"a name that EC2 allows", regexp.MustCompile(`^[a-zA-Z0-9()\[\] ./'@_-]{3,128}$`),
		"use 3 to 128 letters, digits and ()[] ./-'@_", nil,
	}
)

var zone = regexp.MustCompile(`^([a-z-]+-[0-9]+)[a-z]$`)

func zoneHint(value string) string {
	if match := zone.FindStringSubmatch(value); match != nil {
		return fmt.Sprintf("it is an availability zone; write its region, %q", match[1])
	}
	if lower := strings.ToLower(value); lower != value && regionPattern.MatchString(lower) {
		return fmt.Sprintf("write it in lower case, %q", lower)
	}
	return ""
}

var digits = regexp.MustCompile(`^[0-9]+$`)

func accountHint(value string) string {
	if digits.MatchString(value) && len(value) < 12 {
		return fmt.Sprintf("it has %d digits, not 12; in quotes, leading zeros stay", len(value))
	}
	return ""
}

func aliasHint(value string) string {
	if !strings.HasPrefix(value, "alias/") && aliasPattern.MatchString("alias/"+value) {
		return fmt.Sprintf("write %q", "alias/"+value)
	}
	return ""
}

var singleRegionKey = regexp.MustCompile(`(^|:key/)[0-9a-f]{8}-[0-9a-f-]{27}$`)

func keyIDHint(value string) string {
	switch {
	case singleRegionKey.MatchString(value):
		return "it is a single-Region key, which AWS cannot convert; use an alias, or a multi-Region key (mrk-…)"
	case strings.HasPrefix(value, "alias/"):
		return "it is an alias; write it in key.alias"
	default:
		return ""
	}
}

var roleARN = regexp.MustCompile(`^arn:aws[a-z-]*:iam::[0-9*]*:role/(.+)$`)

func roleHint(value string) string {
	if match := roleARN.FindStringSubmatch(value); match != nil {
		return fmt.Sprintf("write its path and name only, %q, as it is the same in every account", match[1])
	}
	if name, found := strings.CutPrefix(strings.TrimPrefix(value, "/"), "role/"); found {
		return fmt.Sprintf("write it without role/, %q", name)
	}
	return ""
}

// partitions are AWS's partitions other than aws, by the beginning of their
// regions' names.
var partitions = []struct{ prefix, name string }{
	{"cn-", "aws-cn"},
	{"us-gov-", "aws-us-gov"},
	{"us-iso-", "aws-iso"},
	{"us-isob-", "aws-iso-b"},
	{"us-isof-", "aws-iso-f"},
	{"eu-isoe-", "aws-iso-e"},
	{"eusc-", "aws-eusc"},
}

func partitionOf(region string) string {
	for _, p := range partitions {
		if strings.HasPrefix(region, p.prefix) {
			return p.name
		}
	}
	return "aws"
}
