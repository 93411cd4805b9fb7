package awssim

import (
	"cmp"
	"slices"
	"strconv"
)

// state is the volume's state; volumes of instances are in use from the start.
func (v *volume) state() string {
	if v.attachment != nil {
		return "in-use"
	}
	return "available"
}

// ownVolume finds one of the caller's volumes.
func (c *call) ownVolume(id string) (*volume, *Error) {
	v := c.here().volumes[id]
	if v == nil || v.owner != c.caller.Account {
		return nil, badRequest("InvalidVolume.NotFound", "The volume '%s' does not exist.", id)
	}
	return v, nil
}

// volumesOf lists an instance's volumes by device.
func (c *call) volumesOf(i *instance) []*volume {
	var volumes []*volume
	for _, v := range c.here().volumes {
		if v.attachment != nil && v.attachment.instance == i.id {
			volumes = append(volumes, v)
		}
	}
	slices.SortFunc(volumes, func(a, b *volume) int { return cmp.Compare(a.attachment.device, b.attachment.device) })
	return volumes
}

// attach attaches a volume. EC2 creates a grant on the key of an encrypted
// volume. Fact: GRANT-31, GRANT-32.
func (c *call) attach(v *volume, i *instance, deviceName string, deleteOnTermination bool) {
	v.attachment = &attachment{instance: i.id, device: deviceName, deleteOnTermination: deleteOnTermination, at: c.now}
	if v.key != nil {
		v.attachment.grant = c.w.grantForAttachment(v.key, c.caller, i.id, v.id, c.now)
	}
}

// detach ends a volume's attachment. It deletes the volume if its DeleteOnTermination
// is set.
func (c *call) detach(v *volume) {
	if v.attachment.grant != "" {
		c.w.revokeGrant(v.key, v.attachment.grant, c.now)
	}
	if v.attachment.deleteOnTermination {
		c.removeVolume(v)
	}
	v.attachment = nil
}

func (c *call) removeVolume(v *volume) {
	delete(c.here().volumes, v.id)
	delete(c.here().tags, tagged{v.owner, v.id})
}

type describeVolumesRequest struct {
	VolumeIDs []string `param:"VolumeId"`
	Filters   []filter `param:"Filter"`
	paging
}

type describeVolumesAnswer struct {
	Volumes   set[volumeItem] `xml:"volumeSet"`
	NextToken string          `xml:"nextToken,omitempty"`
}

func describeVolumes(c *call, r describeVolumesRequest) (any, error) {
	if problem := r.withoutIDs("volumeId", r.VolumeIDs); problem != nil {
		return nil, problem
	}
	volumes, problem := ownResources(c.here().volumes, r.VolumeIDs, c.ownVolume)
	if problem != nil {
		return nil, problem
	}
	volumes, problem = volumeFilters.selectBy(c, r.Filters, volumes)
	if problem != nil {
		return nil, problem
	}
	volumes, next, problem := pageOf(r.paging, volumes)
	if problem != nil {
		return nil, problem
	}
	return describeVolumesAnswer{Volumes: setFrom(volumes, c.volumeItem), NextToken: next}, nil
}

// ownResources returns the caller's resources with the IDs, or all of the
// caller's resources if there are no IDs. find finds one, or returns EC2's
// error if it doesn't exist.
func ownResources[T filterable](all map[string]T, ids []string, find func(string) (T, *Error)) ([]T, *Error) {
	var own []T
	for _, id := range ids {
		resource, problem := find(id)
		if problem != nil {
			return nil, problem
		}
		own = append(own, resource)
	}
	if len(ids) == 0 {
		for id := range all {
			if resource, problem := find(id); problem == nil {
				own = append(own, resource)
			}
		}
	}
	return own, nil
}

var volumeFilters = filterTable[*volume]{
	"attachment.instance-id": func(_ *call, v *volume) []string {
		if v.attachment == nil {
			return nil
		}
		return []string{v.attachment.instance}
	},
	"availability-zone": func(_ *call, v *volume) []string { return []string{v.zone} },
	"encrypted":         func(_ *call, v *volume) []string { return []string{strconv.FormatBool(v.key != nil)} },
	"size":              func(_ *call, v *volume) []string { return []string{strconv.Itoa(v.size)} },
	"snapshot-id":       func(_ *call, v *volume) []string { return some(v.snapshot != "", v.snapshot) },
	"status":            func(_ *call, v *volume) []string { return []string{v.state()} },
	"volume-id":         func(_ *call, v *volume) []string { return []string{v.id} },
	"volume-type":       func(_ *call, v *volume) []string { return []string{v.volumeType} },
}

// volumeItem is how EC2 describes a volume.
type volumeItem struct {
	VolumeID         string              `xml:"volumeId"`
	Size             int                 `xml:"size"`
	SnapshotID       string              `xml:"snapshotId"`
	AvailabilityZone string              `xml:"availabilityZone"`
	Status           string              `xml:"status"`
	CreateTime       string              `xml:"createTime"`
	Attachments      set[attachmentItem] `xml:"attachmentSet"`
	VolumeType       string              `xml:"volumeType"`
	Encrypted        bool                `xml:"encrypted"`
	KmsKeyID         string              `xml:"kmsKeyId,omitempty"`
	Tags             set[tagItem]        `xml:"tagSet"`
}

type attachmentItem struct {
	VolumeID            string `xml:"volumeId"`
	InstanceID          string `xml:"instanceId"`
	Device              string `xml:"device"`
	Status              string `xml:"status"`
	AttachTime          string `xml:"attachTime"`
	DeleteOnTermination bool   `xml:"deleteOnTermination"`
}

func (c *call) volumeItem(v *volume) volumeItem {
	item := volumeItem{
		VolumeID: v.id, Size: v.size, SnapshotID: v.snapshot, AvailabilityZone: v.zone, Status: v.state(), CreateTime: timestamp(v.created),
		VolumeType: v.volumeType, Encrypted: v.key != nil, Tags: tagSet(c.tags(v.id)),
	}
	if v.key != nil {
		item.KmsKeyID = v.key.arn
	}
	if a := v.attachment; a != nil {
		item.Attachments = setOf(attachmentItem{v.id, a.instance, a.device, "attached", timestamp(a.at), a.deleteOnTermination})
	}
	return item
}

type deleteVolumeRequest struct {
	VolumeID string `param:"VolumeId,required"`
}

func deleteVolume(c *call, r deleteVolumeRequest) (any, error) {
	v, problem := c.ownVolume(r.VolumeID)
	if problem != nil {
		return nil, problem
	}
	if v.attachment != nil {
		return nil, badRequest("VolumeInUse", "Volume %s is currently attached to %s", v.id, v.attachment.instance)
	}
	c.removeVolume(v)
	return done{true}, nil
}
