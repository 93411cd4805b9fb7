// Package kmskey looks at, compares and completes one multi-Region KMS key: a
// primary, a replica in each further region, and in every one of these regions
// its own policy, alias and tags. Fact: 2.
//
// [Look] only reads, [Diff] is pure, [Plan.Apply] writes what differs. Keys are
// never deleted, disabled or converted, aliases never re-pointed.
package kmskey

import (
	"slices"

	"github.com/orgami/packer-plugin-orgami/internal/policy"
)

// TagAlias marks a key that was made for an alias, so that a run that died
// between making the key and naming it is finished by the next one.
const TagAlias = "orgami:key-alias"

// Want is the key as it shall be.
type Want struct {
	Account   string
	Partition string
	// Alias (alias/…) or ID (a key id or ARN): exactly one is set.
	Alias string
	ID    string
	// Create the key when the alias does not exist.
	Create bool
	// Primary is the region of the primary; with PrimaryFixed a primary
	// elsewhere is an error, without it an existing key's primary may be
	// anywhere.
	Primary      string
	PrimaryFixed bool
	// Regions in which the key is needed.
	Regions []string
	Policy  policy.KeyPolicy
	// ExtraStatements as policy.ParseStatements returns them.
	ExtraStatements []byte
	Rotation        bool
	Tags            map[string]string
	// PlanOnly makes what is wrong with a regional key, and what only people can
	// mend, a part of the plan, not an error.
	PlanOnly bool
}

// regionsWith returns the wanted regions and the primary's, sorted.
func (w Want) regionsWith(primary string) []string {
	regions := append(slices.Clone(w.Regions), primary)
	slices.Sort(regions)
	return slices.Compact(regions)
}

// State is the key as it is. The zero ID means that there is none.
type State struct {
	ID            string // mrk-…
	PrimaryRegion string
	// Regional holds every wanted region that has a regional key, and the
	// primary's region.
	Regional map[string]Regional
	// Rotation is a property that all regional keys share; read only when it is
	// wanted. Fact: 2.
	Rotation bool
}

// Regional is the key in one region.
type Regional struct {
	ARN      string
	State    string // Enabled, Creating, …
	HasAlias bool   // the wanted alias points at it
	Policy   policy.Document
	Tags     map[string]string
	// Problems are why the key cannot serve as it is, with what mends that; none
	// unless [Want.PlanOnly] asked for them.
	Problems []string
}

// Keys are regional keys that are usable and whose policies are as intended.
// Only [Plan.Apply] makes them.
type Keys struct {
	id      string
	primary string
	arns    map[string]string
	policy  map[string]policy.Document
}

// ID is the id that all regional keys share.
func (k Keys) ID() string { return k.id }

// Primary is the region of the primary.
func (k Keys) Primary() string { return k.primary }

// ARN is the ARN of the region's key, "" where there is none.
func (k Keys) ARN(region string) string { return k.arns[region] }

// Policy is the region's key policy as AWS read it back.
func (k Keys) Policy(region string) policy.Document { return k.policy[region] }

// Regions lists the regions in order.
func (k Keys) Regions() []string {
	regions := make([]string, 0, len(k.arns))
	for region := range k.arns {
		regions = append(regions, region)
	}
	slices.Sort(regions)
	return regions
}
