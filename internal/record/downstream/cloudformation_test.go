package downstream_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/orgami/packer-plugin-orgami/internal/record/downstream"
	"github.com/orgami/packer-plugin-orgami/internal/record/manifest"
)

// TestConsumerCloudFormation: CloudFormation's linter accepts the template, with grants
// and without.
func TestConsumerCloudFormation(t *testing.T) {
	linter, err := exec.LookPath("cfn-lint")
	if err != nil {
		t.Skip("SKIPPED: cfn-lint is not installed")
	}
	for name, change := range map[string]func(*downstream.Publication){
		"with the member role": func(*downstream.Publication) {},
		"without":              func(p *downstream.Publication) { p.MemberRole, p.GrantRoles = "", nil },
	} {
		t.Run(name, func(t *testing.T) {
			p := publication()
			change(&p)
			documents, err := downstream.Documents(p, []downstream.Kind{downstream.CloudFormation})
			if err != nil {
				t.Fatal(err)
			}
			content, err := manifest.Encode(documents[downstream.CloudFormationFile])
			if err != nil {
				t.Fatal(err)
			}
			if withRole := strings.Contains(string(content), "AWS::IAM::Role"); withRole == (name == "without") {
				t.Errorf("the member role is in the template: %v", withRole)
			}
			path := filepath.Join(t.TempDir(), downstream.CloudFormationFile)
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			if output, err := exec.CommandContext(t.Context(), linter, path).CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, output)
			}
		})
	}
}
