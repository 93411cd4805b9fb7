package publish

import (
	"strings"
	"testing"
)

// Each wrong configuration gets an error that names the field as the user
// writes it, and the remedy.
func TestInvalidConfigurations(t *testing.T) {
	for _, test := range wrongConfigurations {
		t.Run(test.name, func(t *testing.T) {
			_, err := configure(t, test.body)
			if err == nil {
				t.Fatalf("no error for:\n%s", test.body)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in:\n%v", want, err)
				}
			}
		})
	}
}

var wrongConfigurations = []struct {
	name, body string
	want       []string
}{
	{"no key block", ``, []string{"key is required", "key { alias ="}},
	{"empty key block", `key {}`, []string{"key: alias or id is required", `alias = "alias/NAME"`}},
	{"alias and id", `key {
  alias = "alias/golden"
  id = "mrk-0123456789abcdef0123456789abcdef"
}`, []string{"key: alias conflicts with id", "Remove one of them"}},
	{"alias without prefix", `key { alias = "golden" }`, []string{"key.alias", `write "alias/golden"`}},
	{"reserved alias", `key { alias = "alias/aws/ebs" }`, []string{"key.alias", "AWS reserves", "another"}},
	{"alias with a blank", `key { alias = "alias/golden ami" }`, []string{"key.alias", "letters, digits and /_-"}},
	{"empty alias name", `key { alias = "alias/" }`, []string{"key.alias", "letters, digits"}},
	{"alias as id", `key { id = "alias/golden" }`, []string{"key.id", "Set alias instead of id"}},
	{"single-Region key", `key { id = "1234abcd-12ab-34cd-56ef-1234567890ab" }`, []string{"key.id", "single-Region key", "mrk-"}},
	{"single-Region key's ARN", `key { id = "arn:aws:kms:us-east-1:111111111111:key/1234abcd-12ab-34cd-56ef-1234567890ab" }`, []string{"key.id", "single-Region"}},
	{"short key id", `key { id = "mrk-123" }`, []string{"key.id", "32 hexadecimal digits"}},
	{"create with id", `key {
  id     = "mrk-0123456789abcdef0123456789abcdef"
  create = true
}`, []string{"key.create", "omit create"}},
	{"unknown policy", `key {
  alias = "alias/golden"
  policy = "strict"
}`, []string{`key.policy: "strict"`, `"open" or "hardened"`}},
	{"empty canary", minimal + "\ncanary {}", []string{"canary.account is required", "canary.role is required"}},
	{"wrong canary", `key { alias = "alias/golden" }
regions = ["us-east-1"]
canary {
  account         = "2222"
  role            = "arn:aws:iam::222222222222:role/canary"
  regions         = ["eu-west-1", "eu-west-1"]
  instance_type   = "nano"
  subnets         = { us-east-1 = "vpc-01234567", us-east-1a = "subnet-01234567" }
  security_groups = { ap-south-1 = "default" }
  timeout         = "30s"
  on_inconclusive = "retry"
}`, []string{
		"canary.account", "it has 4 digits", "canary.role", "write only its path and name", `canary.regions: the list contains "eu-west-1" twice`,
		`canary.regions: "eu-west-1" is not one of the Regions to launch in`, "canary.instance_type", "t3.nano",
		"canary.subnets.us-east-1", "write subnet- and", "canary.subnets", `Set its Region, "us-east-1"`,
		"canary.security_groups.ap-south-1", "write sg- and", `canary.security_groups: "ap-south-1" is not one of`,
		"canary.timeout: 30s is not from 2m0s to 1h0m0s", "canary.on_inconclusive", `"fail" or "warn"`,
	}},
	{"zone as primary region", `key {
  alias = "alias/golden"
  primary_region = "us-east-1a"
}`, []string{"key.primary_region", `Set its Region, "us-east-1"`}},
	{"administrator by name", `key {
  alias = "alias/golden"
  administrators = ["admin"]
}`, []string{"key.administrators", "arn:aws:iam::"}},
	{"administrator with wildcard", `key {
  alias = "alias/golden"
  administrators = ["arn:aws:iam::111111111111:role/*"]
}`, []string{"key.administrators", "wildcards are not allowed"}},
	{"administrators empty", `key {
  alias = "alias/golden"
  administrators = []
}`, []string{"key.administrators: the list is empty", "omit the option"}},
	{"administrator twice", `key {
  alias = "alias/golden"
  administrators = ["arn:aws:iam::111111111111:root", "arn:aws:iam::111111111111:root"]
}`, []string{"key.administrators", "twice. Remove one"}},
	{"no such statements file", `key {
  alias = "alias/golden"
  extra_statements_file = "testdata/missing.json"
}`, []string{"key.extra_statements_file", "Set the path of a readable file"}},
	{"statements file is a directory", `key {
  alias = "alias/golden"
  extra_statements_file = "testdata"
}`, []string{"key.extra_statements_file", "Set the path of a readable file"}},
	{"broken statements", `key {
  alias = "alias/golden"
  extra_statements_file = "testdata/broken.json"
}`, []string{"key.extra_statements_file", "cannot be used"}},
	{"statements open to the world", `key {
  alias = "alias/golden"
  extra_statements_file = "testdata/world-open.json"
}`, []string{"key.extra_statements_file", "open the key to the world", "aws:PrincipalOrgID"}},
	{"statements that cannot work", `key {
  alias = "alias/golden"
  extra_statements_file = "testdata/mistaken.json"
}`, []string{"key.extra_statements_file", "AllowAudit", "kms:ReEncrypt is not an action of KMS", "kms:ReEncryptFrom"}},
	{"Resources", `key {
  alias = "alias/golden"
  extra_statements_file = "testdata/resources.json"
}`, []string{"key.extra_statements_file", `Did you mean "Resource"?`}},
	{"tag of AWS", `key {
  alias = "alias/golden"
  tags = { "aws:x" = "y" }
}`, []string{"key.tags", "Rename the tag"}},
	{"regions empty", `regions = []
key { alias = "alias/golden" }`, []string{"regions: the list is empty", "omit the option"}},
	{"region twice", `regions = ["us-east-1", "us-east-1"]
key { alias = "alias/golden" }`, []string{"regions: the list", "twice. Remove one"}},
	{"zone as region", `regions = ["eu-west-1b"]
key { alias = "alias/golden" }`, []string{`regions: "eu-west-1b"`, `Set its Region, "eu-west-1"`}},
	{"region in capitals", `regions = ["US-EAST-1"]
key { alias = "alias/golden" }`, []string{"regions", `lowercase, "us-east-1"`}},
	{"region by its city", `regions = ["Frankfurt"]
key { alias = "alias/golden" }`, []string{`regions: "Frankfurt"`, "write it as us-east-1"}},
	{"regions of two partitions", `regions = ["us-east-1", "cn-north-1"]
key { alias = "alias/golden" }`, []string{`regions: "cn-north-1"`, "aws-cn", "each partition in a separate run"}},
	{"primary region of another partition", `regions = ["us-east-1"]
key {
  alias = "alias/golden"
  primary_region = "us-gov-west-1"
}`, []string{"key.primary_region", "aws-us-gov"}},
	{"administrator of another partition", `regions = ["us-east-1"]
key {
  alias = "alias/golden"
  administrators = ["arn:aws-cn:iam::111111111111:root"]
}`, []string{"key.administrators", "aws-cn"}},
	{"empty organization block", `key { alias = "alias/golden" }
organization {}`, []string{"organization: id or arn is required", "omit the block"}},
	{"organization id", `key { alias = "alias/golden" }
organization { id = "exampleorgid" }`, []string{"organization.id", "o-exampleorgid"}},
	{"organization ARN", `key { alias = "alias/golden" }
organization { arn = "o-exampleorgid" }`, []string{"organization.arn", "arn:aws:organizations::"}},
	{"organization id and ARN disagree", `key { alias = "alias/golden" }
organization {
  id  = "o-aaaaaaaaaa"
  arn = "arn:aws:organizations::999999999999:organization/o-bbbbbbbbbb"
}`, []string{"organization.arn", "o-bbbbbbbbbb", "o-aaaaaaaaaa", "Correct one"}},
	{"share with nobody", `key { alias = "alias/golden" }
share { organization = false }`, []string{"shares the image with no account", "list organizational_units or accounts"}},
	{"snapshots without accounts", `key { alias = "alias/golden" }
share { snapshots = true }`, []string{"share.snapshots", "requires `share.accounts`"}},
	{"unit by id", `key { alias = "alias/golden" }
share { organizational_units = ["ou-root-12345678"] }`, []string{"share.organizational_units", "EC2 doesn't accept an ID"}},
	{"units empty", `key { alias = "alias/golden" }
share { organizational_units = [] }`, []string{"share.organizational_units: the list is empty"}},
	{"units of two organizations", `key { alias = "alias/golden" }
share { organizational_units = ["arn:aws:organizations::999999999999:ou/o-aaaaaaaaaa/ou-root-12345678", "arn:aws:organizations::999999999999:ou/o-bbbbbbbbbb/ou-root-12345678"] }`, []string{"share.organizational_units", "o-bbbbbbbbbb", "Correct one"}},
	{"unit of another organization", `key { alias = "alias/golden" }
organization { id = "o-aaaaaaaaaa" }
share { organizational_units = ["arn:aws:organizations::999999999999:ou/o-bbbbbbbbbb/ou-root-12345678"] }`, []string{"share.organizational_units", "organization.id names o-aaaaaaaaaa"}},
	{"unit of another partition", `regions = ["us-gov-west-1"]
key { alias = "alias/golden" }
share { organizational_units = ["arn:aws:organizations::999999999999:ou/o-aaaaaaaaaa/ou-root-12345678"] }`, []string{"share.organizational_units", "aws-us-gov"}},
	{"short account", `key { alias = "alias/golden" }
share { accounts = ["12345678901"] }`, []string{"share.accounts", "11 digits, not 12", "Quote account IDs"}},
	{"account as number loses its zero", `key { alias = "alias/golden" }
share { accounts = [012345678901] }`, []string{"share.accounts", "Quote account IDs"}},
	{"account with dashes", `key { alias = "alias/golden" }
share { accounts = ["1234-5678-9012"] }`, []string{"share.accounts", "12 digits in quotes"}},
	{"account twice", `key { alias = "alias/golden" }
share { accounts = ["222222222222", "222222222222"] }`, []string{"share.accounts", "twice. Remove one"}},
	{"accounts empty", `key { alias = "alias/golden" }
share { accounts = [] }`, []string{"share.accounts: the list is empty"}},
	{"grants without accounts", `key { alias = "alias/golden" }
grants {}`, []string{"grants: accounts, accounts_file or discover is required", "omit the block"}},
	{"accounts to exclude from none", `key { alias = "alias/golden" }
grants {
  accounts = ["222222222222"]
  exclude  = ["333333333333"]
}`, []string{"grants.exclude", "requires `discover = true`"}},
	{"units to discover nothing in", `key { alias = "alias/golden" }
grants {
  accounts             = ["222222222222"]
  organizational_units = ["ou-ab12-11111111"]
}`, []string{"grants.organizational_units", "requires `discover = true`"}},
	{"a role to discover nothing", `key { alias = "alias/golden" }
grants {
  accounts          = ["222222222222"]
  discover_role_arn = "arn:aws:iam::999999999999:role/list"
}`, []string{"grants.discover_role_arn", "requires `discover = true`"}},
	{"a role to discover that has no account", `key { alias = "alias/golden" }
grants {
  discover          = true
  discover_role_arn = "list-accounts"
}`, []string{"grants.discover_role_arn", "arn:aws:iam::111111111111:role/NAME"}},
	{"a role to discover of another partition", `regions = ["us-gov-west-1"]
key { alias = "alias/golden" }
grants {
  discover          = true
  discover_role_arn = "arn:aws:iam::999999999999:role/list"
}`, []string{"grants.discover_role_arn", "aws-us-gov"}},
	{"a unit that is none", `key { alias = "alias/golden" }
grants {
  discover             = true
  organizational_units = ["workloads"]
}`, []string{"grants.organizational_units", "its ID, ou-"}},
	{"a unit to discover in of another partition", `regions = ["us-gov-west-1"]
key { alias = "alias/golden" }
grants {
  discover             = true
  organizational_units = ["arn:aws:organizations::999999999999:ou/o-aaaaaaaaaa/ou-root-12345678"]
}`, []string{"grants.organizational_units", "aws-us-gov"}},
	{"a unit to discover in of another organization", `key { alias = "alias/golden" }
organization { id = "o-aaaaaaaaaa" }
grants {
  discover             = true
  organizational_units = ["arn:aws:organizations::999999999999:ou/o-bbbbbbbbbb/ou-root-12345678"]
}`, []string{"grants.organizational_units", "organization.id names o-aaaaaaaaaa"}},
	{"a file of accounts that is not there", `key { alias = "alias/golden" }
grants { accounts_file = "testdata/none.txt" }`, []string{"grants.accounts_file", "none.txt", "${path.root}"}},
	{"a file of accounts with something else", `key { alias = "alias/golden" }
grants { accounts_file = "invalid_config_test.go" }`, []string{"grants.accounts_file", "line 1:", "12 digits"}},
	{"grants for no accounts", `key { alias = "alias/golden" }
grants { accounts = [] }`, []string{"grants.accounts: the list is empty"}},
	{"granted account twice", `key { alias = "alias/golden" }
grants { accounts = ["222222222222", "222222222222"] }`, []string{"grants.accounts", "twice"}},
	{"role as ARN", `key { alias = "alias/golden" }
grants {
  accounts = ["222222222222"]
  roles = ["arn:aws:iam::222222222222:role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot"]
}`, []string{"grants.roles", `"aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot"`}},
	{"role with role/", `key { alias = "alias/golden" }
grants {
  accounts = ["222222222222"]
  roles = ["/role/Launcher"]
}`, []string{"grants.roles", `without role/, "Launcher"`}},
	{"role with a blank", `key { alias = "alias/golden" }
grants {
  accounts = ["222222222222"]
  roles = ["a b"]
}`, []string{"grants.roles", "PATH/NAME"}},
	{"roles empty", `key { alias = "alias/golden" }
grants {
  accounts = ["222222222222"]
  roles = []
}`, []string{"grants.roles: the list is empty"}},
	{"via, which went", `key { alias = "alias/golden" }
grants {
  accounts = ["222222222222"]
  via = "owner"
}`, []string{"via"}},
	{"role without path", `key { alias = "alias/golden" }
grants {
  accounts = ["222222222222"]
  roles = ["AWSServiceRoleForAutoScaling"]
}`, []string{"grants.roles", `Write "aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"`}},
	{"role with a suffix, without path", `key { alias = "alias/golden" }
grants {
  accounts = ["222222222222"]
  roles = ["AWSServiceRoleForAutoScaling_web"]
}`, []string{"grants.roles", `"aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling_web"`}},
	{"role without service", `key { alias = "alias/golden" }
grants {
  accounts = ["222222222222"]
  roles = ["aws-service-role/AWSServiceRoleForEC2Spot"]
}`, []string{"grants.roles", `"aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot"`}},
	{"role of another service", `key { alias = "alias/golden" }
grants {
  accounts = ["222222222222"]
  roles = ["aws-service-role/ec2.amazonaws.com/AWSServiceRoleForEC2Fleet"]
}`, []string{"grants.roles", `"aws-service-role/ec2fleet.amazonaws.com/AWSServiceRoleForEC2Fleet"`}},
	{"unknown role without path", `key { alias = "alias/golden" }
grants {
  accounts = ["222222222222"]
  roles = ["AWSServiceRoleForBatch"]
}`, []string{"grants.roles", `aws iam get-role --role-name AWSServiceRoleForBatch`}},
	{"member role as ARN", `key { alias = "alias/golden" }
grants {
  accounts = ["222222222222"]
  member_role = "arn:aws:iam::222222222222:role/GrantMaker"
}`, []string{"grants.member_role", `"GrantMaker"`}},
	{"unknown missing_role", `key { alias = "alias/golden" }
grants {
  accounts = ["222222222222"]
  missing_role = "ignore"
}`, []string{`grants.missing_role: "ignore"`, `"skip" or "fail"`}},
	{"short name", `key { alias = "alias/golden" }
ami_name = "ab"`, []string{"ami_name", "3 to 128"}},
	{"name with a colon", `key { alias = "alias/golden" }
ami_name = "golden:1"`, []string{"ami_name", "()[] ./-'@_"}},
	{"name with umlaut", `key { alias = "alias/golden" }
ami_name = "gölden"`, []string{"ami_name"}},
	{"tag with empty key", `key { alias = "alias/golden" }
tags = { "" = "x" }`, []string{"tags", "empty key"}},
	{"tag of AWS's", `key { alias = "alias/golden" }
tags = { "AWS:x" = "y" }`, []string{`tags: "AWS:x"`, "AWS reserves"}},
	{"tag of ours", `key { alias = "alias/golden" }
snapshot_tags = { "orgami:x" = "y" }`, []string{`snapshot_tags: "orgami:x"`, "the plugin reserves"}},
	{"long tag key", `key { alias = "alias/golden" }
tags = { "` + strings.Repeat("k", 129) + `" = "y" }`, []string{"tags: the key", "128 characters"}},
	{"long tag value", `key { alias = "alias/golden" }
tags = { k = "` + strings.Repeat("v", 257) + `" }`, []string{`tags: the value of "k"`, "256 characters"}},
	{"too many tags", `key { alias = "alias/golden" }` + "\ntags = " + tags(48), []string{"not 48", "at most 43 tags"}},
	{"template in a tag", `key { alias = "alias/golden" }
tags = { a = "{{ .Nobody }}", b = "{{", c = "{{ .Name }}" }
snapshot_tags = { d = "{{ .BuildRegion }}" }`, []string{`tags: the value of tag "a"`, "{{ .SourceImageID }}", `snapshot_tags: the value of tag "d"`, "2 error(s)"}},
	{"life", `key { alias = "alias/golden" }
deprecate_after                = "-1h"
snapshot_copy_duration_minutes = 20
deregistration_protection { with_cooldown = true }`, []string{"deprecate_after: -1h", "snapshot_copy_duration_minutes: 20", "multiple of 15", "with_cooldown: requires `enabled = true`", "3 error(s)"}},
	{"deprecated too late", `key { alias = "alias/golden" }
deprecate_after = "87601h"`, []string{"deprecate_after: 87601h0m0s", "more than 10 years", "1 error(s)"}},
	{"retire nothing", `key { alias = "alias/golden" }
retire { keep = 0 }`, []string{"retire: requires family", "retire.keep: must be at least 1, not 0", "no age is set", "3 error(s)"}},
	{"retire in the wrong order", `key { alias = "alias/golden" }
family = "golden"
retire {
  keep            = 1
  deprecate_after = "720h"
  disable_after   = "-1h"
  delete_after    = "24h"
}`, []string{"retire.disable_after: -1h", "retire.delete_after: must be greater than retire.deprecate_after (720h0m0s), not 24h0m0s", "2 error(s)"}},
	{"retire keeps unnamed", `key { alias = "alias/golden" }
family = "golden"
retire { delete_after = "24h" }`, []string{"retire.keep: must be at least 1, not 0"}},
	{"unknown output", `key { alias = "alias/golden" }
outputs = ["terraform", "pulumi", "terraform"]
ssm { name = "/golden" }`, []string{`outputs: "pulumi" is not supported`, "twice", `ssm: requires the output "ssm"`, "3 error(s)"}},
	{"outputs without ec2nodeclass", `key { alias = "alias/golden" }
outputs = ["ec2nodeclass"]`, []string{"the output \"ec2nodeclass\" requires this block", `ec2nodeclass { ami_family = "AL2023" }`}},
	{"ec2nodeclass", `key { alias = "alias/golden" }
ec2nodeclass {
  ami_family       = "al2023"
  encrypt_with_key = true
}`, []string{`requires the output "ec2nodeclass"`, `"al2023" is not supported`, "AL2023", "requires `block_device_mappings = true`", "3 error(s)"}},
	{"ec2nodeclass without a family", `key { alias = "alias/golden" }
outputs = ["ec2nodeclass"]
ec2nodeclass {
  ami_family = ""
}`, []string{"ami_family is required"}},
	{"outputs without ssm", `key { alias = "alias/golden" }
outputs = ["ssm"]`, []string{"the output \"ssm\" requires this block", `ssm { name = "/golden-ami/{{ .Architecture }}/latest" }`}},
	{"no outputs", `key { alias = "alias/golden" }
outputs = []`, []string{"outputs: the list is empty"}},
	{"name of a parameter", `key { alias = "alias/golden" }
outputs = ["ssm"]
ssm { name = "golden/latest" }`, []string{`ssm.name: "golden/latest" is not the name of a parameter`}},
	{"AWS's parameter", `key { alias = "alias/golden" }
outputs = ["ssm"]
ssm { name = "/aws/golden" }`, []string{"names that begin with aws or ssm"}},
	{"external accounts of a parameter that isn't shared", `key { alias = "alias/golden" }
outputs = ["ssm"]
ssm {
  name              = "/golden"
  external_accounts = true
}`, []string{"ssm.external_accounts: requires `share = true`"}},
	{"external accounts of a parameter without accounts", `key { alias = "alias/golden" }
outputs = ["ssm"]
ssm {
  name              = "/golden"
  share             = true
  external_accounts = true
}`, []string{"ssm.external_accounts: requires share.accounts"}},
	{"name of a parameter with another template", `key { alias = "alias/golden" }
outputs = ["ssm"]
ssm { name = "/golden/{{ .Name }}" }`, []string{"ssm.name: the name of the parameter", "{{ .Region }} or {{ .Architecture }}"}},
	{"negative time", `key { alias = "alias/golden" }
wait_timeout = "-1s"`, []string{"wait_timeout: -1s", "for example 2h"}},
	{"time without unit", `key { alias = "alias/golden" }
wait_timeout = "90"`, []string{"missing unit"}},
	{"role to act as without ARN", `key { alias = "alias/golden" }
assume_role {}`, []string{"assume_role.role_arn is required", "Set the ARN of the role"}},
	{"endpoint without scheme", `key { alias = "alias/golden" }
endpoint_url = "localhost:4566"`, []string{"endpoint_url", "http://HOST:PORT"}},
	{"list instead of text", `key { alias = "alias/golden" }
ami_name = ["a"]`, []string{"ami_name", "string required"}},
	{"text instead of list", `regions = "us-east-1"
key { alias = "alias/golden" }`, []string{"regions", "list of string required"}},
	{"text instead of yes or no", `key { alias = "alias/golden" }
plan_only = "maybe"`, []string{"plan_only", "bool"}},
	{"unknown argument", `key { alias = "alias/golden" }
region = "us-east-1"`, []string{"Unsupported argument", "region"}},
	{"unknown kind of check", `key { alias = "alias/golden" }
check = "maybe"`, []string{"check", `"maybe"`, `"warn"`}},
	{"role to check with its prefix", `key { alias = "alias/golden" }
check_roles = ["arn:aws:iam::222222222222:role/Launcher"]`, []string{"check_roles", `"Launcher"`}},
	{"drift without a plan", `key { alias = "alias/golden" }
fail_on_drift = true`, []string{"fail_on_drift", "plan_only"}},
	{"values that a template didn't fill in", `key { alias = "{{user ` + "`alias`" + `}}" }
regions = ["{{user ` + "`region`" + `}}"]
ami_name = "golden-{{timestamp}}"
tags = { of = "{{ .SourceImageName }}", by = "$${var.owner}" }
output_directory = "{{user ` + "`out`" + `}}"`, []string{
		"2 error(s)", "ami_name, key.alias, output_directory, regions: \"{{timestamp}}\" was not filled in. Functions of legacy JSON templates aren't supported here",
		`tags: "${var.owner}" was not filled in`,
	}},
	{"a function in a tag", `key { alias = "alias/golden" }
tags = { of = "{{timestamp}}" }`, []string{`tags: the value of tag "of", "{{timestamp}}": functions can't be used here. Use {{ .SourceImageID }}`}},
	{"unknown block", `key { alias = "alias/golden" }
shares {}`, []string{"Unsupported block", "shares"}},
	{"key twice", `key { alias = "alias/golden" }
key { alias = "alias/golden" }`, []string{"Duplicate key block"}},
}

// tags is a map of n tags, in HCL.
func tags(n int) string {
	var text strings.Builder
	for i := range n {
		text.WriteString("k" + strings.Repeat("x", i) + " = \"v\"\n")
	}
	return "{\n" + text.String() + "}"
}
