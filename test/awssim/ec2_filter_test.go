package awssim

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzMatchWildcards compares the result with that of an equivalent regular expression.
func FuzzMatchWildcards(f *testing.F) {
	f.Add("a*b?c", "aXbYc")
	f.Add("**?*", "x")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if strings.ContainsAny(pattern+text, "\\\n") || !utf8.ValidString(pattern) || !utf8.ValidString(text) {
			t.Skip()
		}
		same := "(?s)^" + strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(pattern)) + "$"
		if got, want := matchWildcards(pattern, text), regexp.MustCompile(same).MatchString(text); got != want {
			t.Errorf("%q matches %q: %v, want %v", pattern, text, got, want)
		}
	})
}

// TestZonePrefix checks AWS's own zone IDs.
func TestZonePrefix(t *testing.T) {
	for region, want := range map[string]string{
		"us-east-1": "use1", "ap-southeast-2": "apse2", "eu-west-1": "euw1", "af-south-1": "afs1", "us-gov-west-1": "usgw1",
		"cn-north-1": "cnn1", "cn-northwest-1": "cnnw1", "ca-central-1": "cac1",
	} {
		if got := zonePrefix(region); got != want {
			t.Errorf("%s is %s, want %s", region, got, want)
		}
	}
}
