package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// A build that can't work ends with a clear error, and changes nothing.
func TestRefusals(t *testing.T) {
	t.Parallel()
	aws := newAWS(t, awssim.Options{})
	p := newPacker(t, aws.environment...)
	p.mustBuild(template(t, fromEBS, keep))
	tests := map[string]struct {
		folder string
		want   []string
	}{
		"provisioner that uploads": {
			templateWith(t, fromExisting, `
  provisioner "shell" {
    inline = ["true"]
  }`, publish),
			[]string{"orgami-existing can't run provisioners", "Remove the provisioner blocks"},
		},
		"provisioner that runs here": {
			templateWith(t, fromExisting, `
  provisioner "shell-local" {
    inline = ["sleep 60"]
  }`, publish),
			[]string{"orgami-existing can't run provisioners"},
		},
		"region that is not enabled": {
			template(t, fromExisting, strings.Replace(publish, `"eu-west-1"`, `"af-south-1"`, 1)),
			[]string{"af-south-1", "isn't enabled for the account"},
		},
		"region that does not exist": {
			template(t, fromExisting, strings.Replace(publish, `"eu-west-1"`, `"eu-west-9"`, 1)),
			[]string{"eu-west-9", "exist"},
		},
		"build variable that nobody sets": {
			template(t, fromExisting, publishWith(`ami_name = "golden-${build.User}"`)),
			[]string{"no value for ami_name", "build variable"},
		},
		"regions of another partition": {
			template(t, fromExisting, strings.Replace(publish, `"us-east-1", "eu-west-1"`, `"cn-north-1"`, 1)),
			[]string{"cn-north-1", "aws-cn", "doesn't copy images between partitions"},
		},
	}
	before := len(aws.Mutations())
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			output, err := p.build(test.folder)
			if err == nil {
				t.Errorf("the build succeeded")
			}
			for _, want := range test.want {
				if !strings.Contains(output, want) {
					t.Errorf("%q is not in:\n%s", want, output)
				}
			}
		})
	}
	if after := aws.Mutations(); len(after) > before {
		t.Errorf("something was changed: %+v", after[before:])
	}
}

func TestForeignArtifact(t *testing.T) {
	t.Parallel()
	aws := newAWS(t, awssim.Options{})
	p := newPacker(t, aws.environment...)
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "build.pkr.hcl"), []byte(`
source "null" "x" {
  communicator = "none"
}
build {
  sources = ["source.null.x"]
  post-processor "orgami-publish" {
    key {
      alias = "alias/golden"
    }
  }
}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	output, err := p.build(folder)
	if err == nil || !strings.Contains(output, "orgami-publish accepts artifacts of amazon-ebs") {
		t.Errorf("the build ended with %v:\n%s", err, output)
	}
	if calls := aws.Journal(); len(calls) > 0 {
		t.Errorf("AWS was asked: %+v", calls)
	}
}
