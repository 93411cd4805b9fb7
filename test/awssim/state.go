package awssim

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// State is the world at one moment, plain and sorted, for tests to compare.
// It is not subject to any lag.
type State struct {
	Keys   []KeyState   `json:"keys"`
	Images []ImageState `json:"images"`
	// Snapshots are all snapshots, also those of no image.
	Snapshots []SnapshotState `json:"snapshots"`
	Instances []InstanceState `json:"instances"`
	// LaunchResources are those of instances and Auto Scaling groups.
	LaunchResources []LaunchResource `json:"launch_resources"`
}

// KeyState is a customer managed key in one Region.
type KeyState struct {
	ARN           string            `json:"arn"`
	Region        string            `json:"region"`
	Account       string            `json:"account"`
	State         string            `json:"state"`
	PrimaryRegion string            `json:"primary_region"`
	MultiRegion   bool              `json:"multi_region"`
	Rotation      bool              `json:"rotation"`
	Policy        string            `json:"policy"`
	Aliases       []string          `json:"aliases"`
	Tags          map[string]string `json:"tags"`
	Grants        []GrantState      `json:"grants"` // without those of attached volumes
}

// GrantState is a valid grant.
type GrantState struct {
	ID         string   `json:"id"`
	Name       string   `json:"name"`
	Grantee    string   `json:"grantee"`
	Operations []string `json:"operations"`
	// Issuer is the account that issued the grant.
	Issuer string `json:"issuer"`
}

// Snapshot returns the world's present state.
func (w *World) Snapshot() State {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	w.advanceGroups(now)
	state := State{}
	for _, arn := range slices.Sorted(maps.Keys(w.kms.keys)) {
		if k := w.kms.keys[arn]; k.manager == "CUSTOMER" && !k.gone(now) {
			state.Keys = append(state.Keys, w.keyState(k, now))
		}
	}
	state.Images, state.Snapshots = w.imageStates(now)
	state.Instances = w.instanceStates(now)
	state.LaunchResources = w.launchResources(now)
	return state
}

func (w *World) keyState(k *kmsKey, now time.Time) KeyState {
	s := KeyState{
		ARN: k.arn, Region: k.region, Account: k.account, State: k.state(now), PrimaryRegion: k.family.primary,
		MultiRegion: k.family.multiRegion, Rotation: k.family.rotation, Policy: normalised(w.present(k.policy.latest()).text), Tags: maps.Clone(k.tags),
	}
	for _, arn := range slices.Sorted(maps.Keys(w.kms.aliases)) {
		if alias := w.kms.aliases[arn]; alias.account == k.account && alias.region == k.region && alias.target.latest() == k.id {
			s.Aliases = append(s.Aliases, alias.name)
		}
	}
	for _, g := range k.grants.active(now) {
		if !g.byService {
			s.Grants = append(s.Grants, GrantState{g.id, g.name, g.grantee, g.operations, g.issuer})
		}
	}
	slices.SortFunc(s.Grants, func(a, b GrantState) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return s
}
