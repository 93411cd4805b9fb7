package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/internal/artifact"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// Packer's own post-processors continue with the output of orgami-publish: the
// artifact's ID, its files, and the variables of the build.
func TestLinksBehind(t *testing.T) {
	t.Parallel()
	aws := newAWS(t, awssim.Options{})
	p := newPacker(t, aws.environment...)
	folder := template(t, fromEBS, keep, publish, `
post-processor "shell-local" {
  inline = ["echo published from ${build.SourceAMIName} >shell.txt"]
}`, `
post-processor "checksum" {
  checksum_types = ["sha256"]
  output         = "orgami.{{.ChecksumType}}"
}`, `
post-processor "manifest" {
  output = "after.json"
}`)
	p.mustBuild(folder)
	sums, err := os.ReadFile(filepath.Join(folder, "orgami.sha256"))
	if err != nil || strings.Count(string(sums), "\n") < 3 || !strings.Contains(string(sums), "orgami.json") {
		t.Errorf("checksums: %v\n%s", err, sums)
	}
	said, err := os.ReadFile(filepath.Join(folder, "shell.txt"))
	if err != nil || !strings.Contains(string(said), "published from al2023-ami-") {
		t.Errorf("shell-local: %v, %s", err, said)
	}
}

// Packer's conditions work for this post-processor as for any other.
func TestOnlyAndExcept(t *testing.T) {
	t.Parallel()
	aws := newAWS(t, awssim.Options{})
	p := newPacker(t, aws.environment...)
	p.mustBuild(template(t, fromEBS, keep, publishWith(`except = ["amazon-ebs.golden"]`)))
	if copies := aws.images("golden-shared"); len(copies) > 0 {
		t.Errorf("except: it was published: %v", copies)
	}
	p.mustBuild(template(t, fromExisting, keep, publishWith(`only = ["orgami-existing.golden"]`)))
	aws.checkPublished(t, "golden-shared", "us-east-1", "eu-west-1")
}

// Legacy JSON templates work as HCL templates do.
func TestJSONTemplate(t *testing.T) {
	t.Parallel()
	aws := newAWS(t, awssim.Options{})
	p := newPacker(t, aws.environment...)
	p.mustBuild(template(t, fromEBS, keep))
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "build.json"), []byte(`{
  "variables": {"alias": "alias/golden"},
  "builders": [{"type": "orgami-existing", "name": "golden", "region": "us-east-1", "filters": {"name": "golden"}, "owners": ["self"]}],
  "post-processors": [[
    {"type": "manifest", "output": "packer-manifest.json"},
    {"type": "orgami-publish", "regions": ["us-east-1", "eu-west-1"], "key": {"alias": "alias/golden"},
     "grants": {"accounts": ["222222222222"], "member_role": "orgami-grants"}, "tags": {"From": "{{ .SourceImageName }}"}}
  ]]
}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if output, err := p.run(folder, "build", "-color=false", "build.json"); err != nil {
		t.Fatalf("packer build: %v\n%s", err, output)
	}
	aws.checkPublished(t, "golden-shared", "us-east-1", "eu-west-1")
	for _, image := range aws.Snapshot().Images {
		if image.Name == "golden-shared" && image.Tags["From"] != "golden" {
			t.Errorf("tags of %s: %v", image.ID, image.Tags)
		}
	}
}

// In machine-readable mode, every line has the documented form, messages
// arrive, and progress is omitted. With colors disabled, the output contains
// none.
func TestMachineReadable(t *testing.T) {
	t.Parallel()
	aws := newAWS(t, awssim.Options{})
	p := newPacker(t, aws.environment...)
	p.mustBuild(template(t, fromEBS, keep))
	output, err := p.run(template(t, fromExisting, keep, publish), "-machine-readable", "build", ".")
	if err != nil {
		t.Fatalf("packer build: %v\n%s", err, output)
	}
	var id string
	events := map[string][]string{}
	for line := range strings.Lines(output) {
		fields := strings.Split(strings.TrimSpace(line), ",")
		if len(fields) < 3 {
			t.Errorf("a line of no form: %s", line)
			continue
		}
		if len(fields) > 5 && fields[2] == "artifact" && fields[4] == "id" {
			id = strings.ReplaceAll(fields[5], "%!(PACKER_COMMA)", ",")
		}
		if strings.HasPrefix(fields[2], "orgami-") {
			events[fields[2]] = append(events[fields[2]], strings.Join(fields[3:], ","))
		}
		if strings.Contains(line, "\x1b[") {
			t.Errorf("colors: %q", line)
		}
	}
	if want := artifact.FormatID(aws.images("golden-shared")); id != want {
		t.Errorf("the artifact is %q, want %q", id, want)
	}
	images := aws.images("golden-shared")
	want := map[string][]string{
		"orgami-result": {"published"}, "orgami-plan": {"10,3,0,0"}, "orgami-launch-checks": {"8,0,2,0"},
		"orgami-image": {"eu-west-1," + images["eu-west-1"], "us-east-1," + images["us-east-1"]},
		"orgami-file":  {"orgami/karpenter-kms-policy.json", "orgami/kms-grants.json", "orgami/orgami.json"},
	}
	if diff := cmp.Diff(want, events); diff != "" {
		t.Errorf("events:\n%s", diff)
	}
	if !strings.Contains(output, "Plan: ") || strings.Contains(output, "% of") {
		t.Errorf("the output:\n%s", output)
	}
}

// The log of a run holds no credentials.
func TestLog(t *testing.T) {
	t.Parallel()
	aws := newAWS(t, awssim.Options{})
	_, secret := aws.AccessKey(awssim.PublishingAccount)
	log := filepath.Join(t.TempDir(), "log")
	p := newPacker(t, append(aws.environment, "PACKER_LOG=1", "PACKER_LOG_PATH="+log)...)
	p.mustBuild(template(t, fromEBS, keep))
	output := p.mustBuild(template(t, fromExisting, keep, publish))
	content, err := os.ReadFile(log)
	if err != nil || !strings.Contains(string(content), "packer-plugin-orgami") {
		t.Fatalf("the log: %v, %d bytes", err, len(content))
	}
	for name, text := range map[string]string{"log": string(content), "output": output} {
		if strings.Contains(text, secret) {
			t.Errorf("the secret key is in the %s", name)
		}
	}
}

// The files can be in a folder whose name has spaces and non-ASCII letters, as on
// Windows.
func TestOutputDirectoryWithSpaces(t *testing.T) {
	t.Parallel()
	aws := newAWS(t, awssim.Options{})
	p := newPacker(t, aws.environment...)
	p.mustBuild(template(t, fromEBS, keep))
	directory := filepath.Join(t.TempDir(), "Program Files", "Abbilder (ü)")
	quoted, err := json.Marshal(directory)
	if err != nil {
		t.Fatal(err)
	}
	p.mustBuild(template(t, fromExisting, keep, publishWith("plan_only = true\noutput_directory = "+string(quoted))))
	if _, err := os.Stat(filepath.Join(directory, "orgami-plan.json")); err != nil {
		t.Error(err)
	}
}
