package publish

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/change"
	"github.com/orgami/packer-plugin-orgami/internal/grant"
	"github.com/orgami/packer-plugin-orgami/internal/record/manifest"
	"github.com/orgami/packer-plugin-orgami/internal/record/report"
)

// Manifest is the result as the manifest file records it.
func (r *Result) Manifest() manifest.Manifest {
	m := manifest.Manifest{
		SchemaVersion: manifest.SchemaVersion,
		Complete:      r.Complete(),
		PlanOnly:      r.spec.PlanOnly,
		Partition:     r.world.Caller.Partition,
		Account:       r.world.Caller.Account,
		Sources:       []manifest.Source{},
		Key:           r.manifestKey(),
		Images:        r.manifestImages(),
		Grants:        r.grantCounts(),
		Changes:       []change.Change{},
		Launches:      r.launches,
		Errors:        messages(r.err),
	}
	if id := r.world.Organization.ID; id != "" {
		m.Organization = &manifest.Organization{ID: id, ARN: r.world.Organization.ARN}
	}
	for _, source := range r.spec.Sources {
		m.Sources = append(m.Sources, manifest.Source{Region: source.Region, ImageID: source.ImageID, Name: r.world.Sources[source.Region].Name})
	}
	if r.plan != nil {
		m.Changes = append(m.Changes, r.plan.Changes()...)
	}
	return m
}

func (r *Result) manifestKey() manifest.Key {
	key := manifest.Key{
		ID: r.keyID(), Alias: r.spec.Key.Alias, PrimaryRegion: r.spec.Key.PrimaryRegion,
		Regions: map[string]manifest.RegionalKey{},
	}
	if r.world.Key.PrimaryRegion != "" {
		key.PrimaryRegion = r.world.Key.PrimaryRegion
	}
	if key.ID == "" {
		return key
	}
	key.WildcardARN = r.wildcardARN(key.ID)
	for region, regional := range r.world.Key.Regional {
		key.Regions[region] = manifest.RegionalKey{ARN: regional.ARN, Policy: regional.Policy, Digest: regional.Policy.Digest(), Grants: r.world.Grants.Total(region)}
	}
	for _, region := range r.keys.Regions() {
		document := r.keys.Policy(region)
		key.Regions[region] = manifest.RegionalKey{ARN: r.keys.ARN(region), Policy: document, Digest: document.Digest(), Grants: r.world.Grants.Total(region)}
	}
	return key
}

func (r *Result) manifestImages() map[string]manifest.Image {
	images := map[string]manifest.Image{}
	if r.plan == nil {
		return images
	}
	made := r.images.Made()
	verified := map[string]bool{}
	for _, region := range r.verified.Regions() {
		verified[region] = true
	}
	for _, plan := range r.plan.Images {
		region := plan.Region()
		image, ok := r.images.Image(region)
		if verified[region] {
			image, ok = r.verified.Image(region), true
		}
		if !ok {
			image, ok = plan.Existing()
		}
		if !ok || slices.Contains(r.discarded, image.ID) {
			continue
		}
		shared, isShared := r.shared[region]
		if !isShared {
			shared = r.world.Shared[image.ID]
		}
		lived, isLived := r.lived[region]
		if !isLived {
			lived = image
		}
		images[region] = manifest.Image{
			ImageID: image.ID, Name: image.Name, Origin: origin(plan, made[region] == image.ID),
			SourceImageID: plan.Source().ID, SourceRegion: plan.Source().Region,
			Architecture: image.Hardware.Architecture, SnapshotIDs: image.SnapshotIDs(),
			KMSKeyARN: image.KeyARN(), Verified: verified[region], Shared: isShared,
			Permissions: manifest.Permissions(shared.Image), SnapshotAccounts: shared.Snapshots,
			Family: lived.Tags[ami.TagFamily], DeprecationTime: lived.DeprecationTime(), DeregistrationProtection: lived.Protection.Enabled(),
		}
	}
	return images
}

func origin(plan ami.Plan, made bool) string {
	switch {
	case plan.Adopted():
		return "adopted"
	case made:
		return "copied"
	default:
		return "existing"
	}
}

func (r *Result) grantCounts() manifest.GrantCounts {
	counts := manifest.GrantCounts{Via: r.spec.Grants.Via}
	for _, g := range r.grants() {
		switch g.Status {
		case grant.Created:
			counts.Created++
		case grant.Exists:
			counts.Exists++
		case grant.Skipped:
			counts.Skipped++
		case grant.Planned:
			counts.Planned++
		}
	}
	counts.Revoked = len(r.revoked)
	if r.plan != nil {
		counts.LeftOver = len(r.plan.Grants.Leftovers()) - counts.Revoked
	}
	return counts
}

func (r *Result) grantsFile(keyID string) manifest.Grants {
	return manifest.Grants{SchemaVersion: manifest.SchemaVersion, KeyID: keyID, Via: r.spec.Grants.Via, Grants: func(yield func(manifest.Grant) bool) {
		for _, g := range r.grants() {
			if !yield(manifest.Grant{
				Account: g.Account, Role: g.Role, Region: g.Region, KeyARN: g.KeyARN, Name: g.Name, Operations: g.Operations,
				Status: string(g.Status), Reason: g.Reason, GrantID: g.GrantID, Command: g.Command(),
			}) {
				return
			}
		}
	}}
}

// report is what the page shows: the manifest's facts, for people.
func (r *Result) report(m manifest.Manifest) report.Report {
	page := report.Report{
		Name: r.imageName(m), At: time.Now(), Account: m.Account, PlanOnly: m.PlanOnly, Complete: m.Complete, Errors: m.Errors,
		Key:    report.Key{ID: m.Key.ID, Alias: m.Key.Alias, Primary: m.Key.PrimaryRegion, ARNs: map[string]string{}},
		Images: map[string]string{}, Launches: m.Launches, Changes: m.Changes,
	}
	if m.Organization != nil {
		page.Organization = m.Organization.ID
	}
	for region, key := range m.Key.Regions {
		page.Key.ARNs[region] = key.ARN
	}
	for region, image := range m.Images {
		page.Images[region] = image.ImageID
	}
	return page
}

// imageName is the published image's name; while there is none, the source's.
func (r *Result) imageName(m manifest.Manifest) string {
	for _, region := range r.spec.Regions {
		if name := m.Images[region].Name; name != "" {
			return name
		}
	}
	for _, source := range m.Sources {
		return cmp.Or(source.Name, source.ImageID)
	}
	return "image"
}

// messages splits joined errors, so that each is an element of its own.
func messages(err error) []string {
	if err == nil {
		return []string{}
	}
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) && err.Error() == errors.Join(joined.Unwrap()...).Error() {
		var all []string
		for _, e := range joined.Unwrap() {
			all = append(all, messages(e)...)
		}
		return all
	}
	return []string{err.Error()}
}
