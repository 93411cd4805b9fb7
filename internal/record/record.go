// Package record turns the outcome of a run into output for users and programs: the
// manifest and the files next to it, the report page, and the texts that Packer prints
// at the end.
package record

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"

	"github.com/orgami/packer-plugin-orgami/internal/grant"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
	"github.com/orgami/packer-plugin-orgami/internal/publish"
	"github.com/orgami/packer-plugin-orgami/internal/record/downstream"
	"github.com/orgami/packer-plugin-orgami/internal/record/manifest"
	"github.com/orgami/packer-plugin-orgami/internal/record/report"
)

// Publication writes the files of a complete publication and returns their paths. The
// manifest comes last, so that it never lists missing files. The record of an earlier
// failure is removed, and so is a script of grants that exist by now.
func Publication(directory string, o publish.Outcome) ([]string, error) {
	m := Manifest(o)
	if err := check(o, m); err != nil {
		return nil, fmt.Errorf("internal error; please report this issue. The files would be wrong: %w", err)
	}
	documents := []manifest.Document{
		{Name: manifest.KarpenterFile, Content: policy.Karpenter(m.Partition, m.Key.WildcardARN)},
		{Name: manifest.GrantsFile, Content: grants(o)},
	}
	outputs, err := downstream.Documents(publication(o, m), o.Spec.Outputs)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(outputs)) {
		documents = append(documents, manifest.Document{Name: name, Content: outputs[name]})
	}
	stale := []string{manifest.FailureFile, manifest.FailureReportFile}
	if script, found := downstream.GrantsScript(toCreate(o)); found {
		documents = append(documents, manifest.Document{Name: manifest.GrantsScript, Content: manifest.Page(script)})
	} else {
		stale = append(stale, manifest.GrantsScript)
	}
	documents = append(documents, page(o, m, manifest.ReportFile)...)
	paths, err := manifest.Write(directory, append(documents, manifest.Document{Name: manifest.File, Content: m})...)
	if err != nil {
		return paths, err
	}
	return paths, manifest.Remove(directory, stale...)
}

func check(o publish.Outcome, m manifest.Manifest) error {
	problems := []error{m.Check()}
	for g := range grants(o).Grants {
		problems = append(problems, g.Check())
	}
	return errors.Join(problems...)
}

// Plan writes the files of a run that only planned.
func Plan(directory string, o publish.Outcome) ([]string, error) {
	m := Manifest(o)
	return manifest.Write(directory, append(page(o, m, manifest.PlanReportFile), manifest.Document{Name: manifest.PlanFile, Content: m})...)
}

// Failure writes the files of a failed run. Those of the last complete publication
// stay as they are.
func Failure(directory string, o publish.Outcome) ([]string, error) {
	m := Manifest(o)
	return manifest.Write(directory, append(page(o, m, manifest.FailureReportFile), manifest.Document{Name: manifest.FailureFile, Content: failure(o, m)})...)
}

// page is the report page, if it was asked for.
func page(o publish.Outcome, m manifest.Manifest, name string) []manifest.Document {
	if !o.Spec.Report {
		return nil
	}
	return []manifest.Document{{Name: name, Content: manifest.Page(func(w io.Writer) error { return report.Write(w, reported(o, m)) })}}
}

// publication returns the input of the downstream files. These need the grants
// that the accounts create themselves, including existing ones: Terraform
// deletes a grant that is no longer in its input.
func publication(o publish.Outcome, m manifest.Manifest) downstream.Publication {
	own := func(g manifest.Grant) bool { return o.Spec.Grants.MemberRole == "" && g.Account != o.Caller.Account }
	var canary *downstream.Canary
	if c := o.Spec.Canary; c != nil {
		canary = &downstream.Canary{Account: c.Account, Role: c.Role, AutoScaling: c.AutoScaling}
	}
	return downstream.Publication{
		Manifest: m, Canary: canary, Policy: policy.Karpenter(m.Partition, m.Key.WildcardARN), Grants: only(grants(o).Grants, own),
		MemberRole: o.Spec.Grants.MemberRole, GrantRoles: o.Spec.Grants.Roles, GrantOperations: grant.Operations,
		Devices: devices(o), NodeClass: o.Spec.NodeClass,
	}
}

func devices(o publish.Outcome) map[string][]downstream.Device {
	byRegion := map[string][]downstream.Device{}
	for region, image := range o.Images {
		for _, s := range image.Snapshots {
			byRegion[region] = append(byRegion[region], downstream.Device{Name: s.Device, Size: s.Size})
		}
	}
	return byRegion
}

// toCreate are the grants that the accounts have to create.
func toCreate(o publish.Outcome) iter.Seq[manifest.Grant] {
	return only(grants(o).Grants, func(g manifest.Grant) bool { return g.Status == string(grant.ToCreate) })
}

func only(grants iter.Seq[manifest.Grant], keep func(manifest.Grant) bool) iter.Seq[manifest.Grant] {
	return func(yield func(manifest.Grant) bool) {
		for g := range grants {
			if keep(g) && !yield(g) {
				return
			}
		}
	}
}

func grants(o publish.Outcome) manifest.Grants {
	return manifest.Grants{SchemaVersion: manifest.SchemaVersion, KeyID: o.Key.ID, Grants: func(yield func(manifest.Grant) bool) {
		for _, g := range o.Grants {
			if !yield(manifest.Grant{
				Account: g.Account, Role: g.Role, Region: g.Region, KeyARN: g.KeyARN, Name: g.Name, Operations: g.Operations,
				Status: string(g.Status), Reason: g.Reason, GrantID: g.GrantID, Command: g.Command(),
			}) {
				return
			}
		}
	}}
}
