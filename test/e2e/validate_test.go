package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// examples is the folder of the examples, seen from this package.
const examples = "../../example"

// Real Packer accepts every example, in its canonical format, and example/README.md has
// a line for each.
func TestExamples(t *testing.T) {
	t.Parallel()
	p := newPacker(t)
	folders, err := os.ReadDir(examples)
	if err != nil {
		t.Fatal(err)
	}
	if len(folders) < 16 {
		t.Errorf("there are %d examples, fewer than there were", len(folders))
	}
	contents, err := os.ReadFile(filepath.Join(examples, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range folders {
		if !folder.IsDir() {
			continue
		}
		if !strings.Contains(string(contents), "\n| ["+folder.Name()+"]("+folder.Name()+") |") {
			t.Errorf("example/README.md has no line for %s", folder.Name())
		}
		t.Run(folder.Name(), func(t *testing.T) {
			t.Parallel()
			template, err := filepath.Abs(filepath.Join(examples, folder.Name()))
			if err != nil {
				t.Fatal(err)
			}
			// Each one runs in its own folder, so that the files that it writes don't
			// matter.
			if output, err := p.run(t.TempDir(), "validate", template); err != nil {
				t.Errorf("packer validate: %v\n%s", err, output)
			}
			if output, err := p.run("", "fmt", "-check", "-diff", template); err != nil {
				t.Errorf("packer fmt: %v\n%s", err, output)
			}
		})
	}
}

// `packer validate` reports everything that is wrong with a template at once.
func TestValidateSaysEverythingAtOnce(t *testing.T) {
	t.Parallel()
	p := newPacker(t)
	folder := t.TempDir()
	template := filepath.Join(folder, "build.pkr.hcl")
	if err := os.WriteFile(template, []byte(`
source "orgami-existing" "x" {
  region   = "us-east-1"
  image_id = "ami-0123456789abcdef0"
}
build {
  sources = ["source.orgami-existing.x"]
  post-processor "orgami-publish" {
    regions = ["us-east-1a"]
    key {
      alias  = "golden"
      policy = "closed"
    }
    share {
      accounts = []
    }
    wait_timeout = "-2h"
  }
}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	output, err := p.run(folder, "validate", template)
	if err == nil {
		t.Fatalf("Packer accepts it:\n%s", output)
	}
	for _, want := range []string{
		"5 error(s)", `regions: "us-east-1a"`, `write "alias/golden"`, `key.policy: "closed"`, "share.accounts: the list is empty", "wait_timeout: -2h",
	} {
		if !strings.Contains(output, want) {
			t.Errorf("%q is not in:\n%s", want, output)
		}
	}
}

// A legacy JSON template, whose functions the plugin doesn't evaluate, gets one error
// that names the cause.
func TestLegacyTemplate(t *testing.T) {
	t.Parallel()
	p := newPacker(t)
	folder := t.TempDir()
	template := filepath.Join(folder, "legacy.json")
	if err := os.WriteFile(template, []byte(`{"variables": {"alias": "alias/golden"},`+
		`"builders": [{"type": "orgami-existing", "region": "us-east-1", "filters": {"name": "golden-2026"}, "owners": ["self"]}],`+
		"\"post-processors\": [[{\"type\": \"orgami-publish\", \"regions\": [\"us-east-1\"], \"key\": {\"alias\": \"{{user `alias`}}\"}, \"ami_name\": \"golden-{{timestamp}}\", \"plan_only\": true}]]}"), 0o600); err != nil {
		t.Fatal(err)
	}
	output, err := p.run(folder, "validate", template)
	if err == nil {
		t.Fatalf("Packer accepts it:\n%s", output)
	}
	line := strings.Join(strings.Fields(output), " ") // Packer wraps long lines
	for _, want := range []string{"1 error(s)", "ami_name, key.alias: ", "legacy JSON templates", "hcl2_upgrade"} {
		if !strings.Contains(line, want) {
			t.Errorf("%q is not in:\n%s", want, output)
		}
	}
	if strings.Contains(line, "is not an alias") {
		t.Errorf("it names another cause:\n%s", output)
	}
}
