package policy

import (
	"regexp"
	"testing"
)

// pathOfUnit has wildcards only above and below the unit.
var pathOfUnit = regexp.MustCompile(`^o-[a-z0-9]+/\*/ou-[a-z0-9-]+/\*$`)

// FuzzOrganizationPaths checks that no ARN, valid or not, produces a pattern
// that allows more than one organization's unit.
func FuzzOrganizationPaths(f *testing.F) {
	for _, seed := range []string{
		"arn:aws:organizations::999999999999:ou/o-exampleorgid/ou-ab12-11111111", "arn:aws:organizations::9:ou/*/ou-ab12-11111111",
		"ou/o-exampleorgid/*", "ou/o-exampleorgid/ou-?", "ou//", ":", "", "arn:aws:organizations::9:ou/o-exampleorgid/ou-ab12-11111111/x",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, arn string) {
		k := KeyPolicy{Partition: "aws", Owner: "111111111111", Variant: Open, OrganizationPaths: OrganizationPaths([]string{arn})}
		document, err := k.Merge(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if open := document.PublicStatements(); len(open) > 0 {
			t.Errorf("%q opens the key to the world: %s", arn, document)
		}
		for _, path := range k.OrganizationPaths {
			if !pathOfUnit.MatchString(path) {
				t.Errorf("%q gives the pattern %q", arn, path)
			}
		}
	})
}
