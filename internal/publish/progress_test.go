package publish_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
	"github.com/orgami/packer-plugin-orgami/test/golden"
)

var anyID = regexp.MustCompile(`\b(ami|mrk)-[0-9a-f]+`)

// The output of a large publication has a line for each stage, its progress now and
// then, and nothing about stages without work.
func TestProgress(t *testing.T) {
	file, ids := manyMembers(1_500)
	inVirtualTime(t, func() awssim.WorldFile { return file }, func(t *testing.T, w *world) {
		spec := w.spec()
		spec.Grants.Accounts, spec.Regions = ids, spec.Regions[:2]
		w.mustPublish(t, spec)
		golden.Compare(t, "progress.txt", []byte(readable(w.lines)))

		w.lines = nil
		w.mustPublish(t, spec)
		golden.Compare(t, "progress-again.txt", []byte(readable(w.lines)))
	})
}

// readable replaces values that differ from run to run.
func readable(lines []string) string {
	return anyID.ReplaceAllString(strings.Join(lines, "\n"), "$1-…") + "\n"
}
