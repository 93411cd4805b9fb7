package retention_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/change"
	"github.com/orgami/packer-plugin-orgami/internal/retention"
)

var now = time.Date(2026, time.March, 31, 12, 0, 0, 0, time.UTC)

// aged is a published image of that many days, named after them: ami-30.
func aged(days int, change ...func(*retention.Generation)) retention.Generation {
	g := retention.Generation{Image: ami.Image{
		Region: home, ID: fmt.Sprintf("ami-%d", days), Name: "golden", State: "available", Owner: "111111111111", Tags: marks(),
		CreationDate: now.Add(-time.Duration(days) * day).Format(time.RFC3339), Hardware: ami.Hardware{Architecture: "arm64"}, Protection: ami.Unprotected,
	}}
	for _, f := range change {
		f(&g)
	}
	return g
}

// report counts.
func report(days int) retention.Report {
	return retention.Report{ID: "amiur-1", Created: now.Add(-time.Duration(days) * day)}
}

// TestDiffGenerations checks which images are due, which are kept, and the
// reasons.
func TestDiffGenerations(t *testing.T) {
	policy := retention.RetentionPolicy{Family: family, Keep: 2, DeprecateAfter: 10 * day, DisableAfter: 20 * day, DeleteAfter: 30 * day}
	four := []retention.Generation{aged(5), aged(15), aged(25), aged(35)}
	reported := map[string]retention.Report{"ami-25": report(1), "ami-35": report(1)}
	existing := func(days int) *ami.Image { i := aged(days).Image; return &i }
	tests := map[string]struct {
		images    []retention.Generation
		uses      retention.Uses
		keep      int
		existing  *ami.Image
		protected []string
		want      string
	}{
		"a new image is the newest generation": {
			images: four, uses: retention.Uses{Reports: reported},
			want: `update ami-15: "golden" of 2026-03-16T12:00:00Z, is deprecated
update ami-25: "golden" of 2026-03-06T12:00:00Z, is disabled
remove ami-35: "golden" of 2026-02-24T12:00:00Z, is deregistered with its snapshots`,
		},
		"what is newer counts as kept, and so does the published image": {
			images: four, uses: retention.Uses{Reports: reported}, existing: existing(15),
			want: `update ami-25: "golden" of 2026-03-06T12:00:00Z, is disabled
remove ami-35: "golden" of 2026-02-24T12:00:00Z, is deregistered with its snapshots`,
		},
		"nothing that is newer, however old": {images: four, uses: retention.Uses{Reports: reported}, keep: 1, existing: existing(35), want: ""},
		"keep more than there are":           {images: four, keep: 9, want: ""},
		"nothing of another origin, state, family or architecture": {
			images: []retention.Generation{
				aged(40, func(g *retention.Generation) { g.Tags = marks(ami.TagPublication) }),
				aged(41, func(g *retention.Generation) { g.Tags = marks(ami.TagSourceRegion) }),
				aged(42, func(g *retention.Generation) { g.Tags = marks(ami.TagState) }),
				aged(43, func(g *retention.Generation) { g.Tags = marks(ami.TagFamily) }),
				aged(44, func(g *retention.Generation) { g.Tags[ami.TagState] = ami.StateUnpublished }),
				aged(45, func(g *retention.Generation) { g.Tags[ami.TagFamily] = "silver" }),
				aged(46, func(g *retention.Generation) { g.Hardware.Architecture = "x86_64" }),
				aged(47, func(g *retention.Generation) { g.State = "pending" }),
				aged(48, func(g *retention.Generation) { g.CreationDate = "yesterday" }),
			},
			keep: 1, want: "",
		},
		"nothing protected": {images: four, keep: 1, protected: []string{"ami-5", "ami-15", "ami-25", "ami-35"}, want: ""},
		"without a report, one is created": {
			images: []retention.Generation{aged(35)}, keep: 1,
			want: `update ami-35: "golden" of 2026-02-24T12:00:00Z, due to be deregistered, is kept: its uses in other accounts aren't known. This run creates an image usage report. Run again when it's available`,
		},
		"a report that is being created": {
			images: []retention.Generation{aged(35)}, keep: 1,
			uses: retention.Uses{Reports: map[string]retention.Report{"ami-35": {ID: "amiur-2", Pending: true}}},
			want: `skip ami-35: "golden" of 2026-02-24T12:00:00Z, due to be deregistered, is kept: its image usage report amiur-2 isn't available yet. Run again later`,
		},
		"used": {
			images: []retention.Generation{aged(25)}, keep: 1,
			uses: retention.Uses{Reports: reported, ByImage: map[string][]retention.Use{"ami-25": {
				{Account: "111111111111", Kind: "instance", ID: "i-1"}, {Account: "222222222222", Kind: "launch template", Count: 2, Note: "by report amiur-1 of 2026-03-30"},
			}}},
			want: `skip ami-25: "golden" of 2026-03-06T12:00:00Z, due to be disabled, is kept: it is used by instance i-1 (account 111111111111), 2 × launch template, by report amiur-1 of 2026-03-30 (account 222222222222)`,
		},
		"unknown users: deprecation goes on": {
			images: []retention.Generation{aged(15), aged(35)}, keep: 1,
			uses: retention.Uses{Reports: reported, Unknown: []string{"EC2 didn't say."}},
			want: `update ami-15: "golden" of 2026-03-16T12:00:00Z, is deprecated
skip ami-35: "golden" of 2026-02-24T12:00:00Z, due to be deregistered, is kept: its uses aren't known: EC2 didn't say.`,
		},
		"launched since the report could show it": {
			images: []retention.Generation{
				aged(35, func(g *retention.Generation) { g.LastLaunched = now.Add(-8*day + time.Hour) }),
				aged(25, func(g *retention.Generation) { g.LastLaunched = now.Add(-8 * day) }),
			},
			keep: 1, uses: retention.Uses{Reports: reported},
			want: `update ami-25: "golden" of 2026-03-06T12:00:00Z, is disabled
skip ami-35: "golden" of 2026-02-24T12:00:00Z, due to be deregistered, is kept: it was launched on 2026-03-23, less than 8 days ago`,
		},
		"protected against deregistration": {
			images: []retention.Generation{aged(35, func(g *retention.Generation) { g.Protection = ami.ProtectedWithCooldown })}, keep: 1, uses: retention.Uses{Reports: reported},
			want: `skip ami-35: "golden" of 2026-02-24T12:00:00Z, due to be deregistered, is kept: it is protected against deregistration; disable that with 'aws ec2 disable-image-deregistration-protection --region us-east-1 --image-id ami-35'`,
		},
		"disabled or deprecated already": {
			images: []retention.Generation{
				aged(25, func(g *retention.Generation) { g.State = "disabled" }),
				aged(15, func(g *retention.Generation) { g.Deprecation = now.Add(-day) }),
			},
			keep: 1, want: "",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := policy
			if test.keep > 0 {
				p.Keep = test.keep
			}
			published := retention.Published{Architecture: "arm64", Existing: test.existing}
			actions := retention.DiffGenerations(retention.Generations{Images: test.images, Uses: test.uses}, p, published, test.protected, now)
			var lines []string
			ends := false
			for _, a := range actions {
				c := a.Change()
				ends = ends || c.Action == change.Delete || strings.HasSuffix(c.Detail, "is disabled")
				lines = append(lines, fmt.Sprintf("%s %s: %s", c.Action, c.ID, c.Detail))
			}
			if diff := cmp.Diff(test.want, strings.Join(lines, "\n")); diff != "" {
				t.Error(diff)
			}
			if named := len(retention.Assumptions(actions)) > 0; named != ends {
				t.Errorf("assumptions are named: %v", named)
			}
		})
	}
}
