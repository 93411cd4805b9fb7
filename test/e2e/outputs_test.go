package e2e

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// The documents for downstream deploys are written next to the manifest, are
// part of the artifact, and agree with the manifest.
func TestOutputs(t *testing.T) {
	t.Parallel()
	aws := newAWS(t, awssim.Options{})
	p := newPacker(t, aws.environment...)
	folder := template(t, fromEBS, keep, publishWith(`
  outputs = ["ec2nodeclass", "terraform", "cloudformation", "ssm"]
  ec2nodeclass {
    ami_family = "AL2023"
  }
  ssm {
    name = "/golden/{{ .Architecture }}"
  }`), `
post-processor "manifest" {
  output = "after.json"
}`)
	p.mustBuild(folder)
	images := aws.images("golden-shared")
	var files []string
	for _, file := range readJSON[packerManifest](t, folder, "after.json").Builds[0].Files {
		files = append(files, strings.TrimPrefix(file.Name, "orgami/"))
	}
	want := []string{
		"karpenter-kms-policy.json", "kms-grants.json",
		"ec2nodeclass-eu-west-1.json", "ec2nodeclass-us-east-1.json", "orgami-member.template.json", "orgami.tfvars.json",
		"orgami.json", // the manifest is written last
	}
	if diff := cmp.Diff(want, files); diff != "" {
		t.Errorf("files:\n%s", diff)
	}
	terraform := readJSON[struct {
		Orgami struct {
			Images map[string]string          `json:"images"`
			Grants map[string]json.RawMessage `json:"grants"`
		} `json:"orgami"`
	}](t, folder, "orgami", "orgami.tfvars.json")
	if diff := cmp.Diff(images, terraform.Orgami.Images); diff != "" || len(terraform.Orgami.Grants) > 0 {
		t.Errorf("orgami.tfvars.json has %d grants that are made already, and images:\n%s", len(terraform.Orgami.Grants), diff)
	}
	for region, id := range images {
		patch := readJSON[map[string]any](t, folder, "orgami", "ec2nodeclass-"+region+".json")
		if text, err := json.Marshal(patch["spec"]); err != nil || string(text) != `{"amiFamily":"AL2023","amiSelectorTerms":[{"id":"`+id+`"}]}` {
			t.Errorf("patch for %s: %s, %v", region, text, err)
		}
		if got := aws.Parameter(awssim.PublishingAccount, region, "/golden/x86_64"); got != id {
			t.Errorf("the parameter in %s names %q, not %s", region, got, id)
		}
	}
}
