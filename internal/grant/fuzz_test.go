package grant

import (
	"strings"
	"testing"
)

// FuzzOurName checks that a name counts as ours only if this plugin gives it to the
// grantee.
func FuzzOurName(f *testing.F) {
	role := DefaultRoles[0]
	f.Add(Name("222222222222", role), "arn:aws:iam::222222222222:role/"+role)
	f.Add(Name("222222222222", role), "arn:aws:iam::333333333333:role/"+role)
	f.Add(Name("222222222222", role), "AROAEXAMPLEEXAMPLE123")
	f.Add("orgami/222222222222/-00000000", "arn:aws:iam::222222222222:role/")
	f.Add("theirs", ":::::")
	f.Fuzz(func(t *testing.T, name, grantee string) {
		ours := ourName(name, grantee)
		if ours != "" && (ours != name || !strings.HasPrefix(name, "orgami/")) {
			t.Fatalf("%q of %q is taken for %q", name, grantee, ours)
		}
		parts := strings.SplitN(grantee, ":", 6)
		if len(parts) == 6 && ours != "" && !strings.Contains(name, "/"+parts[4]+"/") {
			t.Errorf("%q of %q names another account", name, grantee)
		}
		if given := Name("222222222222", grantee); ourName(given, "arn:aws:iam::222222222222:role/"+grantee) != given && !strings.Contains(grantee, "role/") {
			t.Errorf("our own name %q for the role %q is not known", given, grantee)
		}
	})
}
