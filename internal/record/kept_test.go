package record_test

import (
	"strings"
	"testing"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/publish"
	"github.com/orgami/packer-plugin-orgami/internal/record"
)

// A run that fails before it shares reads the permissions of copies that an earlier
// publication shared completely. The error doesn't call them partly shared.
func TestKeptImages(t *testing.T) {
	shared := ami.Shared{Image: ami.Permissions{Accounts: []string{"222222222222"}}}
	for name, test := range map[string]struct {
		state  string
		shared ami.Shared
		done   bool
		want   string
	}{
		"not shared":                {ami.StateUnpublished, ami.Shared{}, false, ", not shared\n"},
		"this run shared it":        {ami.StateUnpublished, shared, true, ", shared as configured\n"},
		"published before":          {ami.StatePublished, shared, false, ", shared by an earlier publication\n"},
		"sharing failed in between": {ami.StateUnpublished, shared, false, ", shared by a run that isn't complete\n"},
		"unshared since":            {ami.StatePublished, ami.Shared{}, false, ", not shared\n"},
	} {
		t.Run(name, func(t *testing.T) {
			image := ami.Image{ID: "ami-1", Name: "golden", Region: "eu-west-1", State: "available", Tags: map[string]string{
				ami.TagPublication: "p", ami.TagState: test.state, ami.TagSourceImage: "ami-0", ami.TagSourceRegion: "us-east-1",
			}}
			o := publish.Outcome{Images: map[string]publish.Image{"eu-west-1": {Image: image, Shared: test.shared, Published: test.done}}}
			if advice := record.Advice(o, false); !strings.Contains(advice, test.want) {
				t.Errorf("want %q in:\n%s", test.want, advice)
			}
		})
	}
}
