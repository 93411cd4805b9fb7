package record

import (
	"cmp"
	"time"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/change"
	"github.com/orgami/packer-plugin-orgami/internal/grant"
	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
	"github.com/orgami/packer-plugin-orgami/internal/publish"
	"github.com/orgami/packer-plugin-orgami/internal/record/manifest"
	"github.com/orgami/packer-plugin-orgami/internal/record/report"
	"github.com/orgami/packer-plugin-orgami/internal/text"
	"github.com/orgami/packer-plugin-orgami/version"
)

// Manifest is the outcome as the manifest file records it.
func Manifest(o publish.Outcome) manifest.Manifest {
	m := manifest.Manifest{
		SchemaVersion:     manifest.SchemaVersion,
		Complete:          o.Complete,
		PlanOnly:          o.Spec.PlanOnly,
		Partition:         o.Caller.Partition,
		Account:           o.Caller.Account,
		Sources:           sources(o),
		Key:               key(o),
		Images:            images(o),
		Parameters:        parameters(o),
		Grants:            grantCounts(o),
		Changes:           o.Changes,
		LaunchChecks:      launchChecks(o.Checks.Matrix),
		PlannedChecks:     launchChecks(o.Checks.Planned),
		MemberAccounts:    memberAccounts(o),
		Launches:          o.Checks.Matrix,
		Assumptions:       o.Checks.Assumptions,
		Canary:            canaries(o),
		UnpublishedCopies: unpublished(o),
		Errors:            o.Errors(),
	}
	if m.Changes == nil {
		m.Changes = []change.Change{} // [] in JSON
	}
	if id := o.Organization.ID; id != "" {
		m.Organization = &manifest.Organization{ID: id, ARN: o.Organization.ARN}
	}
	return m
}

func sources(o publish.Outcome) []manifest.Source {
	list := []manifest.Source{}
	for _, source := range o.Spec.Sources {
		list = append(list, manifest.Source{Region: source.Region, ImageID: source.ImageID, Name: o.Sources[source.Region].Name})
	}
	return list
}

func key(o publish.Outcome) manifest.Key {
	k := manifest.Key{ID: o.Key.ID, Alias: o.Key.Alias, PrimaryRegion: o.Key.PrimaryRegion, WildcardARN: o.Key.WildcardARN, Regions: map[string]manifest.RegionalKey{}}
	k.PlannedPolicies = o.Key.Planned
	for region, regional := range o.Key.Regional {
		k.Regions[region] = manifest.RegionalKey{ARN: regional.ARN, Policy: regional.Policy, Digest: regional.Policy.Digest(), Grants: regional.Grants}
	}
	return k
}

func images(o publish.Outcome) map[string]manifest.Image {
	list := map[string]manifest.Image{}
	for region, i := range o.Images {
		list[region] = manifest.Image{
			ImageID: i.ID, Name: i.Name, Origin: string(i.Origin),
			SourceImageID: i.Source.ID, SourceRegion: i.Source.Region,
			Architecture: i.Hardware.Architecture, SnapshotIDs: i.SnapshotIDs(),
			KMSKeyARN: i.KeyARN(), Verified: i.Verified, Shared: i.Published,
			Permissions: manifest.Permissions(i.Shared.Image), SnapshotAccounts: i.Shared.Snapshots,
			Family: i.Tags[ami.TagFamily], DeprecationTime: i.DeprecationTime(), DeregistrationProtection: i.Protection.Enabled(),
		}
	}
	return list
}

func parameters(o publish.Outcome) map[string]manifest.Parameter {
	list := map[string]manifest.Parameter{}
	for region, p := range o.Parameters {
		list[region] = manifest.Parameter(p)
	}
	return list
}

func grantCounts(o publish.Outcome) manifest.GrantCounts {
	counts := manifest.GrantCounts{Revoked: len(o.Revoked), LeftOver: o.Stale}
	for _, g := range o.Grants {
		switch g.Status {
		case grant.Created:
			counts.Created++
		case grant.Exists:
			counts.Exists++
		case grant.Skipped:
			counts.Skipped++
		case grant.Planned:
			counts.Planned++
		case grant.ToCreate:
			counts.ToCreate++
		}
	}
	return counts
}

// launchChecks counts the launch checks by their outcome; nil if there were none.
func launchChecks(m evaluate.Matrix) *manifest.LaunchChecks {
	if m.Total() == 0 {
		return nil
	}
	return &manifest.LaunchChecks{
		Passed: m.Count(evaluate.Launches), Failed: m.Count(evaluate.Fails),
		Pending: m.Count(evaluate.Pending), Inconclusive: m.Count(evaluate.Inconclusive),
		Seen: m.Rests(evaluate.Launches, evaluate.Seen), Simulated: m.Rests(evaluate.Launches, evaluate.Simulated), Assumed: m.Rests(evaluate.Launches, evaluate.Assumed),
	}
}

// canaries are the launches, or those that are planned; nil if there are none.
func canaries(o publish.Outcome) *manifest.Canary {
	if o.Spec.Canary == nil || len(o.Canary)+len(o.CanaryRegions) == 0 {
		return nil
	}
	c := &manifest.Canary{Account: o.Spec.Canary.Account}
	if o.Spec.PlanOnly {
		c.PlannedRegions = o.CanaryRegions
	}
	for _, l := range o.Canary {
		c.Launches = append(c.Launches, manifest.CanaryLaunch{
			Region: l.Region, ImageID: l.ImageID, Launcher: l.By, Outcome: string(l.Outcome),
			InstanceID: l.InstanceID, InstanceType: l.InstanceType, AvailabilityZone: l.Zone,
			SecondsToRunning: l.Running.Round(time.Second).Seconds(), Reason: l.Reason,
		})
	}
	return c
}

// memberAccounts is what was read in member accounts; nil if nothing was to be read.
func memberAccounts(o publish.Outcome) *manifest.MemberAccounts {
	if o.Checks.Inspected+len(o.Checks.Unread) == 0 {
		return nil
	}
	m := manifest.MemberAccounts{Inspected: o.Checks.Inspected, Unread: []manifest.Unread{}}
	for _, u := range o.Checks.Unread {
		m.Unread = append(m.Unread, manifest.Unread{Action: u.Action, Denied: u.Denied, Accounts: u.Accounts, Error: text.Printable(u.Err.Error())})
	}
	return &m
}

func unpublished(o publish.Outcome) []manifest.UnpublishedCopy {
	list := make([]manifest.UnpublishedCopy, 0, len(o.Unpublished))
	for _, u := range o.Unpublished {
		id, region := u.Image.Origin()
		c := manifest.UnpublishedCopy{
			Region: u.Image.Region, ImageID: u.Image.ID, Name: u.Image.Name, State: u.Image.State,
			SourceImageID: id, SourceRegion: region, CreationDate: u.Image.CreationDate, SizeGiB: u.Size(), RemoveCommand: u.Command(),
		}
		if u.SharingKnown {
			shared := manifest.Permissions(u.SharedWith)
			c.SharedWith = &shared
		}
		list = append(list, c)
	}
	return list
}

// reported returns the contents of the report page.
func reported(o publish.Outcome, m manifest.Manifest) report.Report {
	page := report.Report{
		Product: "packer-plugin-orgami v" + version.Plugin.FormattedVersion(), Name: imageName(o), At: time.Now(), Account: m.Account, PlanOnly: m.PlanOnly, Complete: m.Complete, Errors: m.Errors,
		Key:    report.Key{ID: m.Key.ID, Alias: m.Key.Alias, Primary: m.Key.PrimaryRegion, ARNs: map[string]string{}},
		Images: map[string]string{}, Parameters: map[string]report.Parameter{}, Launches: m.Launches, Assumptions: m.Assumptions, Changes: m.Changes,
	}
	if m.Canary != nil {
		page.CanaryAccount = m.Canary.Account
		for _, l := range m.Canary.Launches {
			page.Canaries = append(page.Canaries, report.Canary{
				Region: l.Region, Launcher: l.Launcher, Outcome: l.Outcome, InstanceID: l.InstanceID, Seconds: l.SecondsToRunning, Reason: l.Reason,
			})
		}
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
	for region, p := range m.Parameters {
		page.Parameters[region] = report.Parameter{ARN: p.ARN, SharedWith: p.SharedWith}
	}
	return page
}

// imageName returns the name of the published image, or the source's name if
// nothing is published yet.
func imageName(o publish.Outcome) string {
	for _, region := range o.Spec.Regions {
		if name := o.Images[region].Name; name != "" {
			return name
		}
	}
	for _, source := range o.Spec.Sources {
		return cmp.Or(o.Sources[source.Region].Name, source.ImageID)
	}
	return "image"
}
