package publish_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
	"github.com/orgami/packer-plugin-orgami/test/permission"
)

// secrets are the prefixes of all secret access keys and session tokens of the
// simulator.
var secrets = []string{"secret-of-", "token-of-"}

// TestNoSecretIsShown checks that neither the output, nor errors, nor files hold a
// secret access key or a session token, whether the run ends well or any of its
// operations fails.
func TestNoSecretIsShown(t *testing.T) {
	var operations []string
	publishInSecret(t, "undisturbed", nil, func(_ *testing.T, w *world) {
		for _, call := range w.sim.Journal() {
			if name := call.Service + " " + call.Operation; !slices.Contains(operations, name) {
				operations = append(operations, name)
			}
		}
	})
	if len(operations) < 15 {
		t.Fatalf("a run has the operations %v", operations)
	}
	kinds := []awssim.FaultKind{awssim.Denied, awssim.ServerError, awssim.ResetBefore, awssim.TimeoutAfter}
	for i, operation := range operations {
		failing := func(call awssim.Entry) *awssim.Fault {
			if call.Service+" "+call.Operation != operation {
				return nil
			}
			return &awssim.Fault{Kind: kinds[i%len(kinds)]}
		}
		publishInSecret(t, operation, failing, func(*testing.T, *world) {})
	}
}

// publishInSecret publishes as a role, with member roles for the grants, and looks for
// secrets in everything that the user or a log could show.
func publishInSecret(t *testing.T, name string, fault func(awssim.Entry) *awssim.Fault, after func(*testing.T, *world)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		inVirtualTime(t, withPublisher, func(t *testing.T, w *world) {
			w.allow(t, permission.Of(permission.Features()...))
			w.sim.ResetJournal()
			if fault != nil {
				w.sim.Interpose(fault)
			}
			spec := w.spec()
			spec.Regions = spec.Regions[:2]
			result, err := w.publishAsRole(t, spec)
			if fault == nil && err != nil {
				t.Fatal(err)
			}
			if fault == nil && !slices.ContainsFunc(w.sim.Journal(), func(call awssim.Entry) bool { return strings.HasPrefix(call.AccessKey, "ASIA") }) {
				t.Error("no call was signed with a session's key")
			}
			after(t, w)
			w.checkSecrets(t, result, err)
		})
	})
}

func (w *world) checkSecrets(t *testing.T, result outcome, err error) {
	t.Helper()
	look := func(where, text string) {
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%s holds a secret: %s", where, text)
			}
		}
	}
	look("the output", w.said())
	look("the summary", result.Summary())
	for e := err; e != nil; e = errors.Unwrap(e) { // as a log would print each
		look("the error", e.Error())
	}
	directory := t.TempDir()
	if _, err := result.Write(directory); err != nil {
		t.Fatal(err)
	}
	files := 0
	err = filepath.WalkDir(directory, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		files++
		content, err := os.ReadFile(path)
		look(path, string(content))
		return err
	})
	if err != nil || files == 0 {
		t.Errorf("%d files were written, %v", files, err)
	}
}
