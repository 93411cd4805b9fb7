package publish

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/canary"
	"github.com/orgami/packer-plugin-orgami/internal/change"
	"github.com/orgami/packer-plugin-orgami/internal/grant"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
)

// Outcome is the result of a run, or what a failed run achieved before it failed. It is
// built once, at the end.
type Outcome struct {
	Spec Spec
	// Complete means that every Region's image is verified, checked, shared as
	// configured, read back and recorded. A run that only plans is never complete.
	Complete     bool
	Caller       awsclient.Identity
	Organization awsclient.Organization
	Now          time.Time
	Sources      map[string]ami.Image // by Region
	Key          Key
	Images       map[string]Image // by Region
	// Parameters are those that name the image, by Region.
	Parameters map[string]Parameter
	Grants     []grant.Grant
	Revoked    []grant.Stale
	Stale      int // grants of earlier runs that aren't configured and weren't revoked
	// Planned means that the run got as far as a plan. Changes are the changes
	// of the plan and what was already up to date. Problems need manual action.
	Planned bool
	// Name is the name of the published images.
	Name     string
	Changes  []change.Change
	Problems []string
	Checks   Checks
	// Canary are the launches before the image was shared. CanaryRegions are the
	// Regions that the plan launches in.
	Canary        []canary.Launch
	CanaryRegions []string
	// Unpublished are copies that failed or interrupted runs left, this one's among
	// them.
	Unpublished []ami.Unpublished
	// Unlisted are Regions in which such copies couldn't be looked for.
	Unlisted []string
	Err      error
}

// Key is the multi-Region key.
type Key struct {
	ID, Alias, PrimaryRegion string
	// WildcardARN matches the key in every Region. It is empty if the key
	// doesn't exist.
	WildcardARN string
	Regional    map[string]RegionalKey // by Region
	// Planned are the policies that a plan would set, by Region.
	Planned map[string]policy.Document
}

// RegionalKey is the key in one Region.
type RegionalKey struct {
	ARN    string
	Policy policy.Document
	Grants int // all grants on it, also those of AWS services
}

// Image is a Region's image.
type Image struct {
	ami.Image

	Origin   ami.Origin
	Source   ami.Image
	Verified bool
	// Published means that the image is shared as configured, and was read back.
	Published bool
	Shared    ami.Shared
}

// newOutcome returns the result of the run so far.
func newOutcome(spec Spec, at reached, err error) Outcome {
	o := Outcome{
		Spec: spec, Complete: at.complete,
		Caller: at.observed.Caller, Organization: at.observed.Organization, Now: at.observed.Now,
		Sources: at.observed.Sources, Key: newKey(spec, at),
		Images: map[string]Image{}, Grants: at.grants.Grants(), Revoked: at.revoked,
		Checks: at.checks, Canary: at.canary, Unpublished: at.unpublished, Unlisted: at.observed.Unlisted, Err: err,
	}
	if at.plan == nil {
		return o
	}
	if spec.PlanOnly {
		o.Key.Planned = at.plan.Key.PlannedPolicies()
	}
	o.Planned, o.Changes, o.Problems = true, withoutSkipped(at.plan.Changes(), at.grants), at.plan.Problems()
	o.CanaryRegions = at.plan.Canary
	o.Parameters = newParameters(at)
	o.Stale = len(at.plan.Grants.Stale()) - len(at.revoked)
	if len(o.Grants) == 0 {
		o.Grants = at.plan.Grants.Grants()
	}
	for _, plan := range at.plan.Images {
		o.Name = plan.Desired().Name
		if image, ok := newImage(plan, at); ok {
			o.Images[plan.Region()] = image
		}
	}
	return o
}

// withoutSkipped are the changes, with the grants that were planned and turned out
// to be for roles that don't exist.
func withoutSkipped(changes []change.Change, grants grant.Result) []change.Change {
	skipped := map[[2]string]string{}
	for _, g := range grants.Grants() {
		if g.Status == grant.Skipped {
			skipped[[2]string{g.Region, g.Role}] = g.Reason
		}
	}
	for i, c := range changes {
		if reason := skipped[[2]string{c.Region, c.ID}]; reason != "" && c.Kind == change.Grant && c.Action == change.Create {
			changes[i].Action, changes[i].Detail = change.Skip, reason
		}
	}
	return changes
}

func newKey(spec Spec, at reached) Key {
	key := Key{ID: at.keys.ID(), Alias: spec.Key.Alias, PrimaryRegion: spec.Key.PrimaryRegion, Regional: map[string]RegionalKey{}}
	if key.ID == "" {
		key.ID = at.observed.Key.ID
	}
	if primary := at.observed.Key.PrimaryRegion; primary != "" {
		key.PrimaryRegion = primary
	}
	if key.ID == "" {
		return key
	}
	key.WildcardARN = at.observed.wildcardARN(key.ID)
	total := at.observed.Grants.Total
	for region, regional := range at.observed.Key.Regional {
		key.Regional[region] = RegionalKey{ARN: regional.ARN, Policy: regional.Policy, Grants: total(region)}
	}
	for _, region := range at.keys.Regions() {
		key.Regional[region] = RegionalKey{ARN: at.keys.ARN(region), Policy: at.keys.Policy(region), Grants: total(region)}
	}
	return key
}

// newImage is the Region's image as it was read last.
func newImage(plan ami.Plan, at reached) (Image, bool) {
	region := plan.Region()
	image := Image{Source: plan.Source(), Origin: ami.Found}
	if plan.Adopted() {
		image.Origin = ami.Adopted
	}
	var ok bool
	if image.Image, ok = plan.Existing(); ok {
		image.Shared = at.observed.Images[region].Shared[image.ID]
	}
	if copied, origin, isCopied := at.copies.Image(region); isCopied {
		image.Image, image.Origin, ok = copied, origin, true
	}
	if slices.Contains(at.verified.Regions(), region) {
		image.Image, image.Verified = at.verified.Image(region), true
	}
	if final, isFinal := at.final[region]; isFinal {
		image.Image = final
	}
	if shared, isShared := at.shared[region]; isShared {
		image.Shared, image.Published = shared, true
	}
	return image, ok
}

// ImageName is the name under which the publication that the image belongs to is
// published. The image itself has another name if EC2 rejected this one.
func (o Outcome) ImageName(image ami.Image) string { return cmp.Or(o.Name, image.Name) }

// ImageIDs maps each Region to its published image: none unless the publication is
// complete. If the run only planned, they are the images that exist.
func (o Outcome) ImageIDs() map[string]string {
	ids := map[string]string{}
	if !o.Complete && !o.Spec.PlanOnly {
		return ids
	}
	for region, image := range o.Images {
		ids[region] = image.ID
	}
	return ids
}

// Adopted reports whether a source image is itself the published one.
func (o Outcome) Adopted() bool {
	return slices.ContainsFunc(o.Spec.Sources, func(s Source) bool { return o.Images[s.Region].ID == s.ImageID })
}

// Changed is how many changes the plan had.
func (o Outcome) Changed() int { return change.Mutating(o.Changes) }

// Errors are the errors of the run, one by one.
func (o Outcome) Errors() []string { return messages(o.Err) }

// messages are the texts of joined errors, one by one.
func messages(err error) []string {
	list := []string{}
	for _, e := range flatten(err) {
		list = append(list, e.Error())
	}
	return list
}

// flatten splits joined errors into single ones.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) && err.Error() == errors.Join(joined.Unwrap()...).Error() {
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, flatten(e)...)
		}
		return all
	}
	return []error{err}
}
