package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/orgami/packer-plugin-orgami/internal/record/manifest"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// Two builds of one template publish in parallel, each in its own process. They
// create only one key.
func TestParallelBuildsMakeOneKey(t *testing.T) {
	t.Parallel()
	aws := newAWS(t, awssim.Options{Latency: 20 * time.Millisecond})
	p := newPacker(t, aws.environment...)
	p.mustBuild(template(t, fromEBS, keep))
	folder := template(t, fromExisting, keep, publishWith(`output_directory = "orgami/${source.name}"`))
	path := filepath.Join(folder, "build.pkr.hcl")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	both := strings.Replace(string(text), `["`+fromExisting+`"]`, `["`+fromExisting+`", "source.orgami-existing.again"]`, 1) + `
source "orgami-existing" "again" {
  region  = "us-east-1"
  filters = { name = "golden" }
  owners  = ["self"]
}
`
	if err := os.WriteFile(path, []byte(both), 0o600); err != nil {
		t.Fatal(err)
	}
	p.mustBuild(folder)
	if keys := aws.called("CreateKey"); keys != 1 {
		t.Errorf("%d keys were created", keys)
	}
	aws.checkPublished(t, "golden-shared", "us-east-1", "eu-west-1")
	if state := aws.Snapshot(); len(state.Keys) != 2 || len(state.Images) != 3 {
		t.Errorf("%d regional keys, %d images", len(state.Keys), len(state.Images))
	}
	for _, name := range []string{"golden", "again"} {
		if m := readJSON[manifest.Manifest](t, folder, "orgami", name, manifest.File); !m.Complete || len(m.Images) != 2 {
			t.Errorf("the files of %s: %+v", name, m)
		}
	}
	// In one directory, the files of one build would overwrite those of the other.
	once := strings.Replace(both, `output_directory = "orgami/${source.name}"`, "", 1)
	if err := os.WriteFile(path, []byte(once), 0o600); err != nil {
		t.Fatal(err)
	}
	aws.ResetJournal()
	output, err := p.build(folder)
	if err == nil || !strings.Contains(output, "of this run writes its files to orgami too") || !strings.Contains(output, "${source.type}-${source.name}") {
		t.Errorf("two builds write to one directory: %v\n%s", err, output)
	}
	if m := readJSON[manifest.Manifest](t, folder, "orgami", manifest.File); !m.Complete {
		t.Errorf("the files of the one that was first: %+v", m)
	}
	if changed := aws.changed(); len(changed) > 0 {
		t.Errorf("it changed something: %v", changed)
	}
}
