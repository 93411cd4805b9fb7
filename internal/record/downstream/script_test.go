package downstream_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/internal/record/downstream"
	"github.com/orgami/packer-plugin-orgami/internal/record/manifest"
	"github.com/orgami/packer-plugin-orgami/test/golden"
)

// fakeAWS prints its credentials and arguments to the log. Account 333333333333 has no
// role to assume, in 444444444444 no role exists that could get a grant, and the
// credentials for 666666666666 belong to another account.
const fakeAWS = `#!/bin/sh
echo "${AWS_ACCESS_KEY_ID:-none} $*" >>"$CALLS"
case "$*" in
  *assume-role*::333333333333:*) echo AccessDenied >&2; exit 254 ;;
  *assume-role*) echo "$*" | sed 's/.*::\([0-9]*\):.*/key-\1\tsecret\ttoken/' ;;
  *get-caller-identity*) test "$AWS_ACCESS_KEY_ID" != key-666666666666 && echo "${AWS_ACCESS_KEY_ID#key-}" || echo 111111111111 ;;
  *444444444444*) echo "An error occurred (InvalidArnException)" >&2; exit 254 ;;
  *us-east-1*555555555555*) echo "An error occurred (AccessDeniedException)" >&2; exit 254 ;;
  *) echo grant-id ;;
esac
`

func scriptGrants() []manifest.Grant {
	var list []manifest.Grant
	for _, region := range []string{"eu-west-1", "us-east-1"} {
		for _, account := range []string{"222222222222", "333333333333", "444444444444", "555555555555", "666666666666"} {
			g := grants()[0]
			g.Account, g.Region, g.Role = account, region, strings.Replace(g.Role, "222222222222", account, 1)
			list = append(list, g)
		}
	}
	return list
}

// TestGrantsScript checks that the script creates each account's grants with the
// account's credentials, continues after an account that fails, and fails at the end
// with its ID.
func TestGrantsScript(t *testing.T) {
	if _, found := downstream.GrantsScript(slices.Values([]manifest.Grant(nil))); found {
		t.Error("a script without grants")
	}
	write, found := downstream.GrantsScript(slices.Values(scriptGrants()))
	var script bytes.Buffer
	if err := write(&script); err != nil || !found {
		t.Fatal(err)
	}
	golden.Compare(t, manifest.GrantsScript, script.Bytes())
	for _, shell := range []string{"bash", "zsh"} {
		t.Run(shell, func(t *testing.T) {
			if _, err := exec.LookPath(shell); err != nil {
				t.Skip(err)
			}
			directory := t.TempDir()
			calls := filepath.Join(directory, "calls")
			for name, content := range map[string]string{"aws": fakeAWS, "create-grants.sh": script.String()} {
				if err := os.WriteFile(filepath.Join(directory, name), []byte(content), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			command := exec.CommandContext(t.Context(), shell, filepath.Join(directory, "create-grants.sh"))
			command.Env = append(os.Environ(), "PATH="+directory+":"+os.Getenv("PATH"), "CALLS="+calls, "GRANT_ROLE=deploy/Grants", "AWS_ACCESS_KEY_ID=own", "AWS_PROFILE=own")
			said, err := command.CombinedOutput()
			if err == nil || !strings.Contains(string(said), "Grants are missing in these accounts: 333333333333 555555555555 666666666666\n") {
				t.Errorf("%v:\n%s", err, said)
			}
			if n := strings.Count(string(said), "skipped, the role doesn't exist"); n != 2 {
				t.Errorf("%d skipped:\n%s", n, said)
			}
			content, err := os.ReadFile(calls)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for line := range strings.Lines(string(content)) {
				words := strings.Fields(line)
				if words[2] == "get-caller-identity" {
					continue
				}
				got = append(got, words[0]+" "+words[2]+" "+words[4])
			}
			want := []string{
				"own assume-role arn:aws:iam::222222222222:role/deploy/Grants", "key-222222222222 create-grant eu-west-1", "key-222222222222 create-grant us-east-1",
				"own assume-role arn:aws:iam::333333333333:role/deploy/Grants",
				"own assume-role arn:aws:iam::444444444444:role/deploy/Grants", "key-444444444444 create-grant eu-west-1", "key-444444444444 create-grant us-east-1",
				"own assume-role arn:aws:iam::555555555555:role/deploy/Grants", "key-555555555555 create-grant eu-west-1", "key-555555555555 create-grant us-east-1",
				"own assume-role arn:aws:iam::666666666666:role/deploy/Grants",
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	if _, err := exec.LookPath("shellcheck"); err == nil {
		if said, err := exec.CommandContext(t.Context(), "shellcheck", filepath.Join("testdata", manifest.GrantsScript)).CombinedOutput(); err != nil {
			t.Errorf("shellcheck: %s", said)
		}
	}
}
