package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

const keyData = `
data "orgami-key" "golden" {
  alias   = "alias/golden"
  regions = ["us-east-1", "eu-west-1"]
}
`

// underKey is a template that builds an image encrypted with the key that
// data.orgami-key finds.
func underKey(t *testing.T, name, source string) string {
	t.Helper()
	return write(t, keyData+`
source "amazon-ebs" "golden" {
  region        = "us-east-1"
  ami_name      = "`+name+`"
  instance_type = "t3.micro"
  communicator  = "none"
  max_retries   = 1
  source_ami_filter {
    owners      = ["amazon"]
    most_recent = true
    filters     = { name = "al2023-ami-2023.*-x86_64" }
  }
`+source+`
}
build {
  sources = ["source.amazon-ebs.golden"]
  post-processors {`+keep+`
    post-processor "orgami-publish" {
      regions = ["us-east-1", "eu-west-1"]
      key {
        id     = data.orgami-key.golden.arn
        create = false
      }
      grants {
        accounts    = ["222222222222"]
        member_role = "orgami-grants"
      }
    }
  }
}
`)
}

// write writes a template into a folder of its own.
func write(t *testing.T, text string) string {
	t.Helper()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "build.pkr.hcl"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return folder
}

// An image that amazon-ebs builds with the key from data.orgami-key is
// published without a copy in its Region. Only missing copies are created.
func TestBuildUnderKey(t *testing.T) {
	t.Parallel()
	aws := newAWS(t, awssim.Options{})
	p := newPacker(t, aws.environment...)
	folder := underKey(t, "without", "")
	if output, err := p.build(folder); err == nil || !strings.Contains(output, "alias/golden does not exist in us-east-1") {
		t.Errorf("without a key, the build ended with %v:\n%s", err, output)
	}
	p.mustBuild(template(t, fromEBS, keep, publish)) // creates the key

	for name, test := range map[string]struct {
		source string
		// The argument that `packer validate` needs for the template, because
		// amazon-ebs 1.8.2 rejects a kms_key_id that isn't known yet.
		validate string
		copies   []string // calls that copy images
	}{
		"volumes": {`
  launch_block_device_mappings {
    device_name           = "/dev/xvda"
    encrypted             = true
    kms_key_id            = data.orgami-key.golden.regional_arns["us-east-1"]
    delete_on_termination = true
  }`, "-evaluate-datasources=false", []string{"ec2 CopyImage eu-west-1"}},
		"regions": {`
  ami_regions        = ["us-east-1", "eu-west-1"]
  encrypt_boot       = true
  kms_key_id         = data.orgami-key.golden.arn
  region_kms_key_ids = data.orgami-key.golden.regional_arns
`, "-evaluate-datasources", []string{"ec2 CopyImage eu-west-1", "ec2 CopyImage us-east-1"}},
	} {
		t.Run(name, func(t *testing.T) {
			folder := underKey(t, name, test.source)
			if output, err := p.run(folder, "validate", test.validate, "."); err != nil {
				t.Errorf("packer validate: %v\n%s", err, output)
			}
			aws.ResetJournal()
			p.mustBuild(folder)
			var copies []string
			for _, call := range aws.changed() {
				if strings.HasPrefix(call, "ec2 CopyImage") {
					copies = append(copies, call)
				}
				if strings.HasPrefix(call, "kms Put") || strings.HasPrefix(call, "kms CreateKey") {
					t.Errorf("the key was changed: %s", call)
				}
			}
			if diff := cmp.Diff(test.copies, copies); diff != "" {
				t.Errorf("copies:\n%s", diff)
			}
			aws.checkPublished(t, name, "us-east-1", "eu-west-1")
		})
	}
}
