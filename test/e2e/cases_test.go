package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// Mistakes of real templates are found before anything is changed, and the error names
// the cause and the remedy.
func TestCases(t *testing.T) {
	t.Parallel()
	withKey := func(statement string) func(*awssim.WorldFile) {
		return func(file *awssim.WorldFile) {
			file.Keys = append(file.Keys, awssim.KeyFile{
				Account: awssim.PublishingAccount, Region: "us-east-1", MultiRegion: true, Replicas: []string{"eu-west-1"}, Aliases: []string{"alias/golden"},
				Policy: document(`{"Sid":"Owner","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"kms:*","Resource":"*"},` + statement),
			})
		}
	}
	const extra = `alias = "alias/golden"
    extra_statements_file = "x.json"`
	for name, test := range map[string]struct {
		world    func(*awssim.WorldFile)
		replace  [2]string // a part of the template
		extra    string    // content of x.json
		says     []string
		not      []string
		succeeds bool
	}{
		"a role without its path": {
			replace: [2]string{`member_role = "orgami-grants"`, `roles = ["AWSServiceRoleForAutoScaling"]`},
			says:    []string{`Write "aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"`},
		},
		"an account that doesn't exist": {
			replace: [2]string{"grants {", "share {\n    organization = false\n    accounts = [\"222222222222\", \"777777777777\"]\n  }\n  grants {"},
			says:    []string{"share.accounts", "777777777777"},
			not:     []string{"extra_statements_file", "administrators"},
		},
		"a statement without Resource in the key's policy": {
			world: withKey(`{"Sid":"AllowAdmins","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":["kms:Describe*","kms:Get*"]}`),
			says:  []string{`"AllowAdmins"`, "Resource"},
			not:   []string{"extra_statements_file", "administrators"},
		},
		"a Sid with characters that KMS refuses": {
			replace: [2]string{`alias = "alias/golden"`, extra},
			extra:   `{"Version":"2012-10-17","Statement":[{"Sid":"Build — decrypt","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"kms:Decrypt","Resource":"*"}]}`,
			says:    []string{"x.json", "Sid", "Build — decrypt"},
		},
		"an extra statement that denies every member": {
			replace: [2]string{`alias = "alias/golden"`, extra},
			extra:   `{"Version":"2012-10-17","Statement":[{"Sid":"Extra","Effect":"Deny","Principal":"*","Action":"kms:*","Resource":"*","Condition":{"StringNotEquals":{"aws:PrincipalAccount":"111111111111"}}}]}`,
			says:    []string{`statement "Extra" of the key policy denies`, "Change the statement that denies it, in key.extra_statements_file", "changed nothing"},
		},
		"a Marketplace image": {
			world: func(file *awssim.WorldFile) {
				file.Images[len(file.Images)-1].ProductCodes = []string{"abc123def456ghi789"}
			},
			says:     []string{"subscri", "abc123def456ghi789", "inconclusive"},
			succeeds: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := withGolden()
			if test.world != nil {
				test.world(&file)
			}
			sim := newAWSWith(t, file, awssim.Options{})
			p := newPacker(t, sim.environment...)
			text := publish
			if test.replace[0] != "" {
				text = strings.Replace(text, test.replace[0], test.replace[1], 1)
			}
			folder := template(t, fromExisting, keep, text)
			if test.extra != "" {
				if err := os.WriteFile(filepath.Join(folder, "x.json"), []byte(test.extra), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			output, err := p.build(folder)
			if (err == nil) != test.succeeds {
				t.Errorf("the build ended with %v:\n%s", err, output)
			}
			// Packer wraps long lines.
			line := strings.Join(strings.Fields(output), " ")
			for _, says := range test.says {
				if !strings.Contains(line, says) {
					t.Errorf("%q is not in:\n%s", says, output)
				}
			}
			for _, not := range test.not {
				if strings.Contains(output, not) {
					t.Errorf("%q is in:\n%s", not, output)
				}
			}
			if changed := sim.changed(); !test.succeeds && len(changed) > 0 {
				t.Errorf("something was changed: %v", changed)
			}
		})
	}
}
