package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/orgami/packer-plugin-orgami/internal/awssim"
)

// Two builds of one template publish at the same time, each in a process of its
// own: they make one key.
func TestParallelBuildsMakeOneKey(t *testing.T) {
	t.Parallel()
	aws := newAWS(t, awssim.Options{Latency: 20 * time.Millisecond})
	p := newPacker(t, aws.environment...)
	p.mustBuild(template(t, fromEBS, keep))
	folder := template(t, fromExisting, keep, publish)
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
}
