// Package change describes differences between the existing and the configured
// resources. The plan prints them, a run reports them, and the manifest records
// them.
package change

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/orgami/packer-plugin-orgami/internal/text"
)

// Action is what happens to a resource.
type Action string

// The actions.
const (
	Create    Action = "create"  // it did not exist
	Update    Action = "update"  // it exists and differs
	NoOp      Action = "keep"    // it exists and is up to date
	Skip      Action = "skip"    // it can't be created, for the stated reason
	Unmanaged Action = "foreign" // it exists in addition to what is configured, and is left alone
	Delete    Action = "remove"  // it exists in addition to what is configured, and is removed
)

// Sign returns the sign of a Terraform plan, "!" for a change that can't be made, and
// "?" for an unmanaged resource.
func (a Action) Sign() string {
	return map[Action]string{Create: "+", Update: "~", NoOp: "=", Skip: "!", Unmanaged: "?", Delete: "-"}[a]
}

// Kind is the kind of a resource.
type Kind string

// The kinds, in the order in which a run deals with them.
const (
	Key              Kind = "key"
	Alias            Kind = "alias"
	KeyPolicy        Kind = "key policy"
	KeyTags          Kind = "key tags"
	KeyRotation      Kind = "key rotation"
	Image            Kind = "image"
	Grant            Kind = "grant"
	SnapshotSharing  Kind = "snapshot permission"
	LaunchPermission Kind = "launch permission"
	ImageTags        Kind = "image tags"
	Deprecation      Kind = "image deprecation"
	Protection       Kind = "deregistration protection"
	Parameter        Kind = "parameter"
	ParameterShare   Kind = "parameter share"
	OldImage         Kind = "older image"
)

var kindOrder = []Kind{Key, Alias, KeyPolicy, KeyTags, KeyRotation, Image, Grant, SnapshotSharing, LaunchPermission, ImageTags, Deprecation, Protection, Parameter, ParameterShare, OldImage}

// Change is one difference, or the absence of one (NoOp).
type Change struct {
	Kind   Kind   `json:"kind"`
	Action Action `json:"action"`
	Region string `json:"region"`
	// ID is the resource's ID or name in AWS. It is empty if this change
	// creates the resource and AWS hasn't assigned it yet.
	ID string `json:"id,omitempty"`
	// Detail describes the difference in a few words.
	Detail string `json:"detail,omitempty"`
}

// Mutates reports whether the change writes to AWS.
func (c Change) Mutates() bool { return c.Action == Create || c.Action == Update || c.Action == Delete }

// String is one line of a plan: "+ eu-west-1 key: replica of mrk-1". It escapes
// what would act on a terminal or begin another line, since IDs, names and tags
// can come from other accounts.
func (c Change) String() string {
	line := fmt.Sprintf("%s %-14s %s", c.Action.Sign(), c.Region, c.Kind)
	if c.ID != "" {
		line += " " + c.ID
	}
	if c.Detail != "" {
		line += ": " + c.Detail
	}
	return text.Printable(line)
}

// Sort orders changes by kind, Region, ID and detail.
func Sort(changes []Change) {
	slices.SortStableFunc(changes, func(a, b Change) int {
		return cmp.Or(
			cmp.Compare(slices.Index(kindOrder, a.Kind), slices.Index(kindOrder, b.Kind)),
			cmp.Compare(a.Region, b.Region),
			cmp.Compare(a.ID, b.ID),
			cmp.Compare(a.Detail, b.Detail),
		)
	})
}

// Group returns the changes with the actions that are wanted. Those that differ only in the
// Region and the ID are one group. The groups are in the order of their first changes.
func Group(changes []Change, wanted func(Action) bool) [][]Change {
	var groups [][]Change
	for _, c := range changes {
		if !wanted(c.Action) {
			continue
		}
		i := slices.IndexFunc(groups, func(g []Change) bool {
			return g[0].Kind == c.Kind && g[0].Action == c.Action && g[0].Detail == c.Detail
		})
		if i < 0 {
			i, groups = len(groups), append(groups, nil)
		}
		groups[i] = append(groups[i], c)
	}
	return groups
}

// Mutating counts the changes that write to AWS.
func Mutating(changes []Change) int {
	n := 0
	for _, c := range changes {
		if c.Mutates() {
			n++
		}
	}
	return n
}
