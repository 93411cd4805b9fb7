package downstream_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/internal/record/downstream"
	"github.com/orgami/packer-plugin-orgami/internal/record/manifest"
)

// memberTemplates are the CloudFormation templates with the member role and without, as
// files.
func memberTemplates(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	for name, change := range map[string]func(*downstream.Publication){
		"with the member role": func(*downstream.Publication) {},
		"without":              func(p *downstream.Publication) { p.MemberRole, p.GrantRoles, p.Canary = "", nil, nil },
	} {
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
		files[name] = filepath.Join(t.TempDir(), downstream.CloudFormationFile)
		if err := os.WriteFile(files[name], content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// CloudFormation's linter accepts the template.
func TestConsumerCloudFormation(t *testing.T) {
	linter, err := exec.LookPath("cfn-lint")
	if err != nil {
		t.Skip(err)
	}
	for name, file := range memberTemplates(t) {
		if output, err := exec.CommandContext(t.Context(), linter, file).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, output)
		}
	}
}

// The AWS CDK includes the template in a stack. The result is the template, except for
// the property that the stack changes.
func TestConsumerCDK(t *testing.T) {
	modules := os.Getenv("ORGAMI_TEST_NODE_MODULES")
	if modules == "" {
		t.Skip("ORGAMI_TEST_NODE_MODULES is not set: run 'make test-consumers'")
	}
	for name, file := range memberTemplates(t) {
		command := exec.CommandContext(t.Context(), "node", filepath.Join("..", "..", "..", "test", "consumers", "node", "cdk.cjs"), file)
		command.Env = append(os.Environ(), "NODE_PATH="+modules)
		output, err := command.Output()
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, output)
		}
		var got, want map[string]any
		content, err := os.ReadFile(file)
		if err := errors.Join(err, json.Unmarshal(content, &want), json.Unmarshal(output, &got)); err != nil {
			t.Fatal(err)
		}
		want["Resources"].(map[string]any)["KarpenterKMSPolicy"].(map[string]any)["Properties"].(map[string]any)["Path"] = "/karpenter/"
		for section, content := range want {
			given, _ := got[section].(map[string]any)
			members, isMap := content.(map[string]any)
			if !isMap { // the version and the description
				if diff := cmp.Diff(content, got[section]); diff != "" {
					t.Errorf("%s, %s:\n%s", name, section, diff)
				}
			}
			for member, value := range members { // the CDK adds some
				if diff := cmp.Diff(value, given[member]); diff != "" {
					t.Errorf("%s, %s, %s (-template +CDK):\n%s", name, section, member, diff)
				}
			}
		}
	}
}
