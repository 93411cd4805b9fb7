package pattern

import (
	"fmt"
	"regexp"
	"strings"
)

var zone = regexp.MustCompile(`^([a-z-]+-[0-9]+)[a-z]$`)

func regionHint(value string) string {
	if match := zone.FindStringSubmatch(value); match != nil {
		return fmt.Sprintf("it is an Availability Zone. Set its Region, %q", match[1])
	}
	if lower := strings.ToLower(value); lower != value && isRegion.MatchString(lower) {
		return fmt.Sprintf("write it in lowercase, %q", lower)
	}
	return ""
}

var digits = regexp.MustCompile(`^[0-9]+$`)

func accountHint(value string) string {
	if digits.MatchString(value) && len(value) < 12 {
		return fmt.Sprintf("it has %d digits, not 12. Quote account IDs to keep leading zeros", len(value))
	}
	return ""
}

func aliasHint(value string) string {
	if !strings.HasPrefix(value, "alias/") && isAlias.MatchString("alias/"+value) {
		return fmt.Sprintf("write %q", "alias/"+value)
	}
	return ""
}

var singleRegionKey = regexp.MustCompile(`(^|:key/)[0-9a-f]{8}-[0-9a-f-]{27}$`)

func keyHint(value string) string {
	switch {
	case singleRegionKey.MatchString(value):
		return "it is a single-Region key, which AWS can't convert. Use an alias, or a multi-Region key (mrk-…)"
	case strings.HasPrefix(value, "alias/"):
		return "it is an alias. Set alias instead of id"
	default:
		return ""
	}
}

var anyRoleARN = regexp.MustCompile(`^arn:aws[a-z-]*:iam::[0-9*]*:role/(.+)$`)

func roleHint(value string) string {
	if match := anyRoleARN.FindStringSubmatch(value); match != nil {
		return fmt.Sprintf("write only its path and name, %q", match[1])
	}
	if name, found := strings.CutPrefix(strings.TrimPrefix(value, "/"), "role/"); found {
		return fmt.Sprintf("write it without role/, %q", name)
	}
	return ""
}
