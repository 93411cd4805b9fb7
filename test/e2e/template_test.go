package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

const sources = `
source "amazon-ebs" "golden" {
  region        = "us-east-1"
  ami_name      = "golden"
  instance_type = "t3.micro"
  communicator  = "none"
  max_retries   = 1
  source_ami_filter {
    owners      = ["amazon"]
    most_recent = true
    filters     = { name = "al2023-ami-2023.*-x86_64" }
  }
}

source "amazon-ebs" "encrypted" {
  region        = "us-east-1"
  ami_name      = "encrypted"
  instance_type = "t3.micro"
  communicator  = "none"
  max_retries   = 1
  encrypt_boot  = true
  kms_key_id    = "alias/golden"
  source_ami_filter {
    owners      = ["amazon"]
    most_recent = true
    filters     = { name = "al2023-ami-2023.*-x86_64" }
  }
}

source "orgami-existing" "golden" {
  region  = "us-east-1"
  filters = { name = "golden" }
  owners  = ["self"]
}
`

const (
	fromEBS      = "source.amazon-ebs.golden"
	fromKey      = "source.amazon-ebs.encrypted"
	fromExisting = "source.orgami-existing.golden"
)

// Post-processors of a chain.
const (
	keep = `
post-processor "manifest" {
  output = "packer-manifest.json"
}`
	publish = `
post-processor "orgami-publish" {
  regions = ["us-east-1", "eu-west-1"]
  key {
    alias = "alias/golden"
  }
  grants {
    accounts    = ["222222222222"]
    member_role = "orgami-grants"
  }
}`
)

// publishWith is publish with additional arguments.
func publishWith(arguments string) string {
	return strings.TrimSuffix(publish, "}") + arguments + "\n}"
}

// template writes a template that builds from a source and post-processes with
// a chain of links, and returns its folder.
func template(t *testing.T, source string, links ...string) string {
	t.Helper()
	return templateWith(t, source, "", links...)
}

func templateWith(t *testing.T, source, provisioner string, links ...string) string {
	t.Helper()
	folder := t.TempDir()
	text := sources + "build {\n  sources = [\"" + source + "\"]\n" + provisioner + "\n  post-processors {" + strings.Join(links, "\n") + "\n  }\n}\n"
	if err := os.WriteFile(filepath.Join(folder, "build.pkr.hcl"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return folder
}

// build runs `packer build` in the template's folder.
func (p packer) build(folder string, options ...string) (string, error) {
	p.t.Helper()
	return p.run(folder, slices.Concat([]string{"build", "-color=false"}, options, []string{"."})...)
}

// mustBuild is build, which must succeed.
func (p packer) mustBuild(folder string, options ...string) string {
	p.t.Helper()
	output, err := p.build(folder, options...)
	if err != nil {
		p.t.Fatalf("packer build: %v\n%s", err, output)
	}
	return output
}

// readJSON reads a file of the template's folder.
func readJSON[T any](t *testing.T, path ...string) T {
	t.Helper()
	var into T
	content, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &into); err != nil {
		t.Fatalf("%s: %v", filepath.Join(path...), err)
	}
	return into
}

// withGolden is a world with an image to publish.
func withGolden() awssim.WorldFile {
	file := awssim.DefaultWorld()
	file.Images = append(file.Images, awssim.ImageFile{Account: awssim.PublishingAccount, Region: "us-east-1", Name: "golden", Encrypted: true})
	return file
}

// mustWriteText writes a file.
func mustWriteText(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Error(err)
	}
}
