package pattern_test

import (
	"strings"
	"testing"

	"github.com/orgami/packer-plugin-orgami/internal/config/pattern"
)

// A pattern matches the whole value, even if it has alternatives.
func TestPatternsAreOfTheWholeValue(t *testing.T) {
	for value, p := range map[string]pattern.Pattern{
		"111111111111":                       pattern.Account,
		"self":                               pattern.ImageOwner,
		"o-exampleorgid":                     pattern.Organization,
		"ou-ab12-11111111":                   pattern.Unit,
		"a/b":                                pattern.Role,
		"session":                            pattern.SessionName,
		"id":                                 pattern.ExternalID,
		"us-east-1":                          pattern.Region,
		"us-gov-west-1":                      pattern.Region,
		"us-isob-east-1":                     pattern.Region,
		"eusc-de-east-1":                     pattern.Region,
		"alias/a":                            pattern.Alias,
		"ami-01234567":                       pattern.Image,
		"golden (x86_64)":                    pattern.ImageName,
		"/golden/latest":                     pattern.Parameter,
		"golden":                             pattern.Parameter,
		"arn:aws:iam::111111111111:role/a/b": pattern.RoleARN,
		"arn:aws-cn:sts::111111111111:assumed-role/a/b":                                   pattern.PrincipalARN,
		"arn:aws:organizations::111111111111:organization/o-exampleorgid":                 pattern.OrganizationARN,
		"arn:aws:organizations::111111111111:ou/o-exampleorgid/ou-ab12-11111111":          pattern.UnitARN,
		"mrk-0123456789abcdef0123456789abcdef":                                            pattern.MultiRegionKey,
		"arn:aws:kms:eu-west-1:111111111111:key/mrk-0123456789abcdef0123456789abcdef":     pattern.MultiRegionKey,
		"arn:aws-us-gov:organizations::111111111111:ou/o-exampleorgid/ou-ab12-1111111111": pattern.UnitOrARN,
	} {
		if !p.Match(value) {
			t.Error(p.Problem(value))
		}
		for _, not := range []string{"", value + "\n", "\n" + value, value + " ~", "~ " + value, value + "\x1b[31m"} {
			if p.Match(not) {
				t.Errorf("%q matches like %q", not, value)
			}
		}
	}
}

func TestProblem(t *testing.T) {
	for _, test := range []struct {
		pattern pattern.Pattern
		value   string
		want    string
	}{
		{pattern.Region, "x", `"x" is not the name of a Region: write it as us-east-1`},
		{pattern.Region, "us-east-1a", `Set its Region, "us-east-1"`},
		{pattern.Region, "US-EAST-1", `lowercase, "us-east-1"`},
		{pattern.Account, "11111", "it has 5 digits"},
		{pattern.Alias, "golden", `write "alias/golden"`},
		{pattern.MultiRegionKey, "alias/golden", "Set alias instead of id"},
		{pattern.MultiRegionKey, "01234567-89ab-cdef-0123-456789abcdef", "single-Region key"},
		{pattern.Role, "arn:aws:iam::111111111111:role/a/b", `"a/b"`},
		{pattern.Role, "/role/a", `"a"`},
		{pattern.Image, "\x1b[31m", `"\x1b[31m" is not`},
	} {
		if got := test.pattern.Problem(test.value); !strings.Contains(got, test.want) {
			t.Errorf("%s, want %s", got, test.want)
		}
	}
}

func TestPartition(t *testing.T) {
	for region, want := range map[string]string{
		"us-east-1": "aws", "cn-north-1": "aws-cn", "us-gov-west-1": "aws-us-gov", "us-isob-east-1": "aws-iso-b", "eusc-de-east-1": "aws-eusc",
	} {
		if got := pattern.Partition(region); got != want {
			t.Errorf("%s is in %s, want %s", region, got, want)
		}
	}
}
