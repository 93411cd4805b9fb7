package publish_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/orgami/packer-plugin-orgami/internal/publish"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// Another organization in the configuration is a warning, because AWS shares images
// with any organization. It stops a run that would take an existing key away from the
// caller's organization.
func TestForeignOrganization(t *testing.T) {
	const id, arn = "o-anotherorgid", "arn:aws:organizations::888888888888:organization/o-anotherorgid"
	const unit = "arn:aws:organizations::888888888888:ou/o-anotherorgid/ou-root-12345678"
	for _, test := range []struct {
		name     string
		change   func(*publish.Spec)
		existing bool // the key was published with the caller's organization
		units    bool // … with a unit of it only
		unread   bool // the caller can't read its organization
		warns    string
		stops    bool
	}{
		{name: "own", change: func(*publish.Spec) {}, existing: true},
		{name: "own, in full", change: func(s *publish.Spec) {
			s.Organization = publish.OrganizationSpec{ID: awssim.OrganizationID, ARN: awssim.OrganizationARN}
		}, existing: true},
		{name: "another, new key", change: func(s *publish.Spec) { s.Organization = publish.OrganizationSpec{ID: id, ARN: arn} }, warns: arn},
		{name: "another, existing key", change: func(s *publish.Spec) { s.Organization = publish.OrganizationSpec{ID: id, ARN: arn} }, existing: true, warns: arn, stops: true},
		{name: "another unit, new key", change: func(s *publish.Spec) {
			s.Share.Organization, s.Share.OrganizationalUnits = false, []string{unit}
		}, warns: unit},
		{name: "another unit, existing key", change: func(s *publish.Spec) {
			s.Share.Organization, s.Share.OrganizationalUnits = false, []string{unit}
		}, existing: true, warns: unit}, // the statement for the organization stays
		{name: "another unit, key of a unit", change: func(s *publish.Spec) {
			s.Share.Organization, s.Share.OrganizationalUnits = false, []string{unit}
		}, existing: true, units: true, warns: unit, stops: true},
		{name: "another unit in addition", change: func(s *publish.Spec) { s.Share.OrganizationalUnits = []string{unit} }, existing: true, warns: unit},
		{name: "the caller's can't be read", change: func(s *publish.Spec) { s.Organization = publish.OrganizationSpec{ID: id, ARN: arn} }, unread: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			timing := timing
			timing.AcceptUnknownOrganizations = true
			synctest.Test(t, func(t *testing.T) {
				w := newWorldWith(t, defaultWorld(), timing)
				spec := w.spec()
				spec.Grants, spec.Check = publish.GrantsSpec{}, publish.CheckWarn
				if test.units {
					spec.Share.Organization, spec.Share.OrganizationalUnits = false, []string{awssim.WorkloadsUnitARN}
				}
				if test.existing {
					w.mustPublish(t, spec)
				}
				if test.unread {
					w.sim.Inject(awssim.Fault{Operation: "DescribeOrganization", Kind: awssim.Denied, Times: -1})
				}
				test.change(&spec)
				w.sim.ResetJournal()
				before := len(w.said())
				_, err := w.publish(spec)
				said := w.said()[before:]
				if !strings.Contains(said, test.warns) {
					t.Errorf("it doesn't warn of %s:\n%s", test.warns, said)
				}
				if test.warns == "" && strings.Contains(said, "belongs to") {
					t.Errorf("it warns:\n%s", said)
				}
				if !test.stops {
					if err != nil {
						t.Fatal(err)
					}
					return
				}
				if err == nil || !strings.Contains(err.Error(), "would no longer allow organization "+awssim.OrganizationID) {
					t.Errorf("the error is %v", err)
				}
				if changed := w.mutations(); len(changed) > 0 {
					t.Errorf("it changed %v", changed)
				}
			})
		})
	}
}
