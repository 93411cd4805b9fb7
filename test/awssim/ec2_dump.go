package awssim

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// ImageState is the state of an image that an account of the world owns.
type ImageState struct {
	ID     string `json:"id"`
	Region string `json:"region"`
	Owner  string `json:"owner"`
	Name   string `json:"name"`
	State  string `json:"state"`
	// Architecture and BootMode are the architecture and boot mode of the instances
	// that the image is for.
	Architecture string `json:"architecture"`
	BootMode     string `json:"boot_mode"`
	// Snapshots are the IDs of the snapshots, by device.
	Snapshots []string `json:"snapshots"`
	// LaunchPermissions are "all", account IDs and ARNs, sorted.
	LaunchPermissions []string `json:"launch_permissions"`
	// Tags are the tags that the owner set.
	Tags map[string]string `json:"tags"`
	// Deprecated means that the image has a deprecation time. Protection is its
	// deregistration protection, empty if it has none.
	Deprecated bool   `json:"deprecated,omitempty"`
	Protection string `json:"protection,omitempty"`
}

// SnapshotState is the state of a snapshot that an account of the world owns.
type SnapshotState struct {
	ID     string `json:"id"`
	Region string `json:"region"`
	Owner  string `json:"owner"`
	State  string `json:"state"`
	// Key is the ARN of the key that encrypts the snapshot, or empty.
	Key string `json:"key"`
	// VolumePermissions are "all" and account IDs, sorted.
	VolumePermissions []string `json:"volume_permissions"`
	// Tags are the tags that the owner set.
	Tags map[string]string `json:"tags"`
}

// InstanceState is the state of an instance that isn't terminated.
type InstanceState struct {
	ID      string `json:"id"`
	Region  string `json:"region"`
	Owner   string `json:"owner"`
	ImageID string `json:"image_id"`
	State   string `json:"state"`
	// VolumeKeys are the ARNs of the encrypted volumes' keys, by device.
	VolumeKeys []string `json:"volume_keys"`
	// PublicAddress means that the instance has a public address. KeyName, UserData and
	// MetadataTokens are parameters of the launch.
	PublicAddress  bool              `json:"public_address,omitempty"`
	KeyName        string            `json:"key_name,omitempty"`
	UserData       string            `json:"user_data,omitempty"`
	MetadataTokens string            `json:"metadata_tokens,omitempty"`
	SecurityGroups []string          `json:"security_groups,omitempty"`
	Tags           map[string]string `json:"tags,omitempty"`
}

// LaunchResource is a resource that launches need: a launch template, an Auto Scaling
// group, or a security group that isn't a default one.
type LaunchResource struct {
	Region string `json:"region"`
	Owner  string `json:"owner"`
	// Type is launch-template, auto-scaling-group or security-group.
	Type string `json:"type"`
	// ID is the ID, or the name of an Auto Scaling group.
	ID   string            `json:"id"`
	Tags map[string]string `json:"tags,omitempty"`
	// Rules is the number of rules of a security group.
	Rules int `json:"rules,omitempty"`
}

// launchResources dumps the resources that launches need.
func (w *World) launchResources(now time.Time) []LaunchResource {
	var all []LaunchResource
	for region, r := range w.ec2.regions {
		for id, t := range r.launchTemplates {
			all = append(all, LaunchResource{region, t.owner, "launch-template", id, maps.Clone(r.tags[tagged{t.owner, id}]), 0})
		}
		for id, g := range r.securityGroups {
			if g.name != "default" {
				all = append(all, LaunchResource{region, g.owner, "security-group", id, maps.Clone(r.tags[tagged{g.owner, id}]), len(g.rules) + len(g.egress)})
			}
		}
	}
	for key, g := range w.asg.groups {
		if g.gone(now) {
			continue
		}
		tags := map[string]string{}
		for _, t := range g.tags {
			tags[t.Key] = t.Value
		}
		all = append(all, LaunchResource{key.region, key.account, "auto-scaling-group", key.name, tags, 0})
	}
	slices.SortFunc(all, func(a, b LaunchResource) int {
		return cmp.Or(cmp.Compare(a.Region, b.Region), cmp.Compare(a.Type, b.Type), cmp.Compare(a.ID, b.ID))
	})
	return all
}

// imageStates returns the images and snapshots, except Amazon's.
func (w *World) imageStates(now time.Time) ([]ImageState, []SnapshotState) {
	var images []ImageState
	var snapshots []SnapshotState
	for _, region := range slices.Sorted(maps.Keys(w.ec2.regions)) {
		r := w.ec2.regions[region]
		for _, id := range slices.Sorted(maps.Keys(r.images)) {
			if i := r.images[id]; i.owner != amazonAccount {
				protected := i.protection.state(now)
				if protected == "disabled" {
					protected = ""
				}
				images = append(images, ImageState{
					ID: id, Region: region, Owner: i.owner, Name: i.name, State: i.state(now),
					Architecture: i.architecture, BootMode: i.bootMode, Snapshots: snapshotIDs(i),
					LaunchPermissions: names(permissionsOf(i.shared, i.public)), Tags: maps.Clone(r.tags[tagged{i.owner, id}]),
					Deprecated: !i.deprecatedAt.IsZero(), Protection: protected,
				})
			}
		}
		for _, id := range slices.Sorted(maps.Keys(r.snapshots)) {
			s := r.snapshots[id]
			if s.owner == amazonAccount {
				continue
			}
			state := SnapshotState{
				ID: id, Region: region, Owner: s.owner, State: s.state(now), VolumePermissions: names(permissionsOf(s.shared, s.public)),
				Tags: maps.Clone(r.tags[tagged{s.owner, id}]),
			}
			if s.key != nil {
				state.Key = s.key.arn
			}
			snapshots = append(snapshots, state)
		}
	}
	return images, snapshots
}

func snapshotIDs(i *image) []string {
	var ids []string
	for _, s := range i.snapshots() {
		ids = append(ids, s.id)
	}
	return ids
}

func names(permissions set[permission]) []string {
	var list []string
	for _, p := range permissions.Items {
		list = append(list, p.name())
	}
	return list
}

// instanceStates returns the instances that aren't terminated.
func (w *World) instanceStates(now time.Time) []InstanceState {
	var states []InstanceState
	for region, r := range w.ec2.regions {
		for _, i := range r.instances {
			if i.state(now) == "terminated" {
				continue
			}
			state := InstanceState{
				ID: i.id, Region: region, Owner: i.owner, ImageID: i.imageID, State: i.state(now),
				PublicAddress: i.publicAddress, KeyName: i.keyName, UserData: i.userData, MetadataTokens: i.metadata.Tokens,
				SecurityGroups: slices.Clone(i.securityGroups), Tags: maps.Clone(r.tags[tagged{i.owner, i.id}]),
			}
			for _, v := range (&call{w: w, region: region}).volumesOf(i) {
				if v.key != nil {
					state.VolumeKeys = append(state.VolumeKeys, v.key.arn)
				}
			}
			states = append(states, state)
		}
	}
	slices.SortFunc(states, func(a, b InstanceState) int {
		return cmp.Or(cmp.Compare(a.Region, b.Region), cmp.Compare(a.ID, b.ID))
	})
	return states
}
