// Package kmskey reads, compares and completes one multi-Region KMS key: a
// primary, a replica in each other Region, and the policy, alias and tags of
// the key in each Region. Fact: KMS-MRK-3.
//
// [Find] and [Found.Read] only read, [Diff] is pure, and [Plan.Apply] writes what
// differs. Problems with a key never cause reading to fail. Each becomes a
// [change.Finding], and the caller decides what to do about it. The package never
// deletes, disables or converts keys, and never points aliases at other keys.
package kmskey

import (
	"fmt"
	"slices"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/change"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
)

// TagAlias marks a key that was created for an alias, so that the next run
// completes the work of one that died between creating the key and its alias.
const TagAlias = "orgami:key-alias"

// Desired is the key as configured.
type Desired struct {
	// Account is the 12-digit ID of the account that owns the key.
	Account   string
	Partition string
	// Alias (alias/…) or ID (a key ID or ARN): exactly one is set.
	Alias string
	ID    string
	// Create the key when the alias doesn't exist.
	Create bool
	// Primary is the Region of the primary. If PrimaryFixed is set, a primary
	// elsewhere is a finding; otherwise an existing key's primary may be in any
	// Region.
	Primary      string
	PrimaryFixed bool
	// Regions in which the key is needed.
	Regions []string
	Policy  policy.KeyPolicy
	// ExtraStatements as policy.ParseStatements returns them.
	ExtraStatements []byte
	Rotation        Rotation
	// Tags that the key must have, in addition to its other tags.
	Tags map[string]string
}

// Rotation configures automatic key rotation. Rotation is never turned off.
type Rotation string

// The rotations.
const (
	RotateCreated Rotation = "created" // only of a key that the plugin created
	RotateAlways  Rotation = "always"
	RotateNever   Rotation = "never"
)

// rotates reports whether the observed key, which is new if it has no ID, is to be
// rotated.
func (d Desired) rotates(observed Observed) bool {
	return d.Rotation == RotateAlways || d.Rotation == RotateCreated && (observed.ID == "" || observed.Created)
}

// withPrincipals adds the options that name principals to the error of a call that
// rejected the policy. KMS doesn't return which principal doesn't exist.
func (d Desired) withPrincipals(err error) error {
	if !awsclient.Is(err, awsclient.CodeMalformedPolicy) {
		return err
	}
	var options []string
	for option, named := range map[string]bool{
		"share.accounts or grants.accounts": len(d.Policy.Accounts) > 0,
		"key.administrators":                len(d.Policy.Administrators) > 0,
		"key.extra_statements_file":         len(d.ExtraStatements) > 0,
	} {
		if named {
			options = append(options, option)
		}
	}
	if len(options) == 0 {
		return err
	}
	slices.Sort(options)
	return fmt.Errorf("%w. The configuration names principals in %s: correct or remove those that don't exist", err, strings.Join(options, ", "))
}

// regionsWith returns the desired Regions and the primary's, sorted.
func (d Desired) regionsWith(primary string) []string {
	regions := append(slices.Clone(d.Regions), primary)
	slices.Sort(regions)
	return slices.Compact(regions)
}

// Observed is the key as AWS reports it. ID is empty if the key doesn't exist
// or can't be used. If it can't be used, a finding blocks.
type Observed struct {
	ID            string // mrk-…
	PrimaryRegion string
	// Regions are all Regions that have a regional key, in order.
	Regions []string
	// Regional holds every desired Region that has a regional key, and the
	// primary's Region.
	Regional map[string]Regional
	// Rotation is a property that all regional keys share. It is read only if it
	// is desired. Fact: KMS-MRK-18.
	Rotation bool
	// Created reports whether the plugin created the key, according to its tag.
	// It is read only if rotation depends on it.
	Created bool
	// Imported means that the key material was imported: KMS can't rotate it
	// automatically, and each replica needs its own import.
	Imported bool
	// Findings are the problems with the key and its alias.
	Findings []change.Finding
}

// Regional is the key in one Region.
type Regional struct {
	ARN      string
	State    string // Enabled, Creating, …
	HasAlias bool   // the desired alias exists
	Policy   policy.Document
	Tags     map[string]string
}

// Keys are regional keys that are usable and whose policies are as intended.
// Only [Plan.Apply] creates them.
type Keys struct {
	id      string
	primary string
	arns    map[string]string
	policy  map[string]policy.Document
}

// ID is the ID that all regional keys share.
func (k Keys) ID() string { return k.id }

// Primary is the Region of the primary.
func (k Keys) Primary() string { return k.primary }

// ARN returns the ARN of the Region's key, or "" if the Region has none.
func (k Keys) ARN(region string) string { return k.arns[region] }

// Policy is the Region's key policy as AWS returned it after the last write.
func (k Keys) Policy(region string) policy.Document { return k.policy[region] }

// Regions lists the Regions in order.
func (k Keys) Regions() []string {
	regions := make([]string, 0, len(k.arns))
	for region := range k.arns {
		regions = append(regions, region)
	}
	slices.Sort(regions)
	return regions
}
