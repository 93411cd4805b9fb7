package record_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/orgami/packer-plugin-orgami/internal/publish"
	"github.com/orgami/packer-plugin-orgami/internal/record"
	"github.com/orgami/packer-plugin-orgami/internal/record/downstream"
	"github.com/orgami/packer-plugin-orgami/internal/record/manifest"
)

const lastGood = "the last good manifest"

// directory is an output directory with a manifest, and folders in place of the
// files with the names, so that they can't be written.
func directory(t *testing.T, blocked ...string) string {
	t.Helper()
	path := t.TempDir()
	for _, name := range blocked {
		if err := os.MkdirAll(filepath.Join(path, name, "folder"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(path, manifest.File), []byte(lastGood), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, directory, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(directory, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// The manifest is written last: if any other file can't be written, it stays.
func TestManifestIsWrittenLast(t *testing.T) {
	complete := publish.Outcome{Spec: publish.Spec{Report: true, Outputs: []downstream.Kind{downstream.Terraform}}, Complete: true}
	for _, name := range []string{manifest.KarpenterFile, manifest.GrantsFile, manifest.ReportFile, "orgami.tfvars.json"} {
		t.Run(name, func(t *testing.T) {
			path := directory(t, name)
			if _, err := record.Publication(path, complete); err == nil {
				t.Error("no error")
			}
			if got := read(t, path, manifest.File); got != lastGood {
				t.Errorf("the manifest is %s", got)
			}
		})
	}
	path := directory(t)
	if _, err := record.Publication(path, complete); err != nil {
		t.Error(err)
	}
	if got := read(t, path, manifest.File); got == lastGood {
		t.Error("the manifest wasn't written")
	}
}

// A failure leaves the files of the last publication, and the next publication
// removes the record of the failure.
func TestFailureLeavesThePublication(t *testing.T) {
	path := directory(t)
	failed := publish.Outcome{Spec: publish.Spec{Report: true}, Err: errors.New("failed")}
	if _, err := record.Failure(path, failed); err != nil {
		t.Error(err)
	}
	files := func() (names []string) {
		entries, err := os.ReadDir(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			names = append(names, entry.Name())
		}
		return names
	}
	if got := files(); len(got) != 3 || read(t, path, manifest.File) != lastGood {
		t.Errorf("files: %v, manifest %s", got, read(t, path, manifest.File))
	}
	if _, err := record.Publication(path, publish.Outcome{Complete: true}); err != nil {
		t.Error(err)
	}
	for _, name := range []string{manifest.FailureFile, manifest.FailureReportFile} {
		if _, err := os.Stat(filepath.Join(path, name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
