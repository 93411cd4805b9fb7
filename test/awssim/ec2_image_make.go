package awssim

import (
	"cmp"
	"slices"
)

// blockDevice is a block device mapping in a request.
type blockDevice struct {
	DeviceName  string          `param:",required" xml:"deviceName"`
	VirtualName string          `xml:"virtualName,omitempty"`
	NoDevice    *string         `xml:"noDevice"`
	EBS         *blockDeviceEBS `param:"Ebs" xml:"ebs"`
}

type blockDeviceEBS struct {
	SnapshotID          string `param:"SnapshotId" xml:"snapshotId,omitempty"`
	VolumeSize          *int   `xml:"volumeSize"`
	VolumeType          string `xml:"volumeType,omitempty"`
	DeleteOnTermination *bool  `xml:"deleteOnTermination"`
	Encrypted           *bool  `xml:"encrypted"`
	KmsKeyID            string `param:"KmsKeyId" xml:"kmsKeyId,omitempty"`
	Iops                *int   `xml:"iops"`
	Throughput          *int   `xml:"throughput"`
	// InitializationRate changes nothing: volumes are initialized immediately.
	InitializationRate *int `param:"VolumeInitializationRate" xml:"volumeInitializationRate"`
}

// defaultVolumeType is EC2's default.
const defaultVolumeType = "gp3"

type createImageRequest struct {
	InstanceID        string `param:"InstanceId,required"`
	Name              string `param:",required"`
	Description       string
	NoReboot          bool
	BlockDevices      []blockDevice      `param:"BlockDeviceMapping"`
	TagSpecifications []tagSpecification `param:"TagSpecification"`
}

// createImage snapshots the instance's volumes. Snapshots keep the keys of the
// volumes. With EBS encryption by default, that key is aws/ebs. Fact: LAUNCH-8.
func createImage(c *call, r createImageRequest) (any, error) {
	tags, problem := c.specifiedTags(r.TagSpecifications, "image", "snapshot")
	if problem != nil {
		return nil, problem
	}
	from, problem := c.ownInstance(r.InstanceID)
	if problem != nil {
		return nil, problem
	}
	if state := from.state(c.now); state != "running" && state != "stopped" {
		return nil, badRequest("IncorrectInstanceState", "Instance is not in state 'running' or 'stopped': %s is %s", from.id, state)
	}
	if problem := cmp.Or(checkImageName(r.Name), checkImageDescription(r.Description), c.uniqueImageName(r.Name)); problem != nil {
		return nil, problem
	}
	var volumes []volumePlan
	for _, v := range c.volumesOf(from) {
		volumes = append(volumes, volumePlan{
			device: device{name: v.attachment.device, size: v.size, volumeType: v.volumeType, deleteOnTermination: v.attachment.deleteOnTermination},
			key:    v.key, volume: v,
		})
	}
	volumes, problem = c.override(volumes, r.BlockDevices)
	if problem != nil {
		return nil, problem
	}
	i := &image{
		name: r.Name, description: r.Description, architecture: from.architecture, bootMode: from.bootMode, rootDeviceType: "ebs",
		rootDeviceName: from.rootDeviceName, virtualizationType: "hvm", ena: from.ena, sriov: from.sriov, sourceInstanceID: from.id,
	}
	if source := c.here().images[from.imageID]; source != nil {
		i.sourceImage, i.sourceRegion = source.id, source.region
	}
	c.addImage(i, c.w.options.BuildTime)
	for _, v := range volumes {
		if v.virtual == "" && v.snapshot == nil {
			v.snapshot = &snapshot{size: v.size, key: v.key, description: "Created by CreateImage(" + from.id + ") for " + i.id}
			if v.volume != nil {
				v.snapshot.volume = v.volume.id
			}
			c.addSnapshot(v.snapshot, c.w.options.BuildTime)
			c.setTags(v.snapshot.id, tags["snapshot"])
		}
		i.devices = append(i.devices, v.device)
	}
	c.setTags(i.id, tags["image"])
	return imageAnswer{i.id}, nil
}

type registerImageRequest struct {
	Name               string `param:",required"`
	Description        string
	Architecture       string
	RootDeviceName     string `param:",required"`
	VirtualizationType string
	BootMode           string
	EnaSupport         bool
	SriovNetSupport    string
	IMDSSupport        string             `param:"ImdsSupport"`
	TPMSupport         string             `param:"TpmSupport"`
	BlockDevices       []blockDevice      `param:"BlockDeviceMapping,required"`
	TagSpecifications  []tagSpecification `param:"TagSpecification"`
}

// registerImage creates an image from existing snapshots.
func registerImage(c *call, r registerImageRequest) (any, error) {
	tags, problem := c.specifiedTags(r.TagSpecifications, "image")
	if problem != nil {
		return nil, problem
	}
	if problem := cmp.Or(checkImageName(r.Name), checkImageDescription(r.Description), c.uniqueImageName(r.Name)); problem != nil {
		return nil, problem
	}
	volumes, problem := c.override(nil, r.BlockDevices)
	if problem != nil {
		return nil, problem
	}
	i := &image{
		name: r.Name, description: r.Description, architecture: cmp.Or(r.Architecture, "i386"), bootMode: r.BootMode, rootDeviceType: "ebs",
		rootDeviceName: r.RootDeviceName, virtualizationType: cmp.Or(r.VirtualizationType, "paravirtual"), ena: r.EnaSupport,
		sriov: r.SriovNetSupport, imds: r.IMDSSupport, tpm: r.TPMSupport,
	}
	for _, v := range volumes {
		i.devices = append(i.devices, v.device)
	}
	if !slices.ContainsFunc(i.devices, func(d device) bool { return d.name == r.RootDeviceName && d.snapshot != nil }) {
		return nil, badRequest("InvalidBlockDeviceMapping", "The root device %s has no snapshot", r.RootDeviceName)
	}
	c.addImage(i, 0)
	c.setTags(i.id, tags["image"])
	return imageAnswer{i.id}, nil
}

// volumePlan is a volume to create, or an existing one.
type volumePlan struct {
	device
	// key is nil for a volume that is not encrypted.
	key *kmsKey
	// named says that the request names the key.
	named  bool
	volume *volume
	// problem is the error about the key that the request named.
	problem *stateReasonItem
}

// override applies a request's block device mappings to those of an image or instance.
// Keys that can't be found are reported later, as by AWS.
func (c *call) override(volumes []volumePlan, with []blockDevice) ([]volumePlan, *Error) {
	for _, b := range with {
		n := slices.IndexFunc(volumes, func(v volumePlan) bool { return v.name == b.DeviceName })
		if b.NoDevice != nil {
			if n >= 0 {
				volumes = slices.Delete(volumes, n, n+1)
			}
			continue
		}
		if n < 0 {
			volumes = append(volumes, volumePlan{device: device{name: b.DeviceName, virtual: b.VirtualName, volumeType: defaultVolumeType}})
			n = len(volumes) - 1
		}
		if b.EBS == nil {
			continue
		}
		if problem := c.overrideEBS(&volumes[n], *b.EBS); problem != nil {
			return nil, problem
		}
	}
	return volumes, nil
}

func (c *call) overrideEBS(v *volumePlan, e blockDeviceEBS) *Error {
	if e.SnapshotID != "" && (v.snapshot == nil || v.snapshot.id != e.SnapshotID) {
		s, problem := c.snapshotIn(c.region, e.SnapshotID)
		if problem != nil {
			return problem
		}
		v.snapshot, v.size, v.key = s, s.size, c.restoredKey(s)
	}
	v.volumeType = cmp.Or(e.VolumeType, v.volumeType)
	if e.VolumeSize != nil {
		if *e.VolumeSize < v.size {
			return badRequest("InvalidBlockDeviceMapping", "Volume of size %dGB is smaller than snapshot, expect size >= %dGB", *e.VolumeSize, v.size)
		}
		v.size = *e.VolumeSize
	}
	if v.size == 0 {
		return badRequest("MissingParameter", "The request must contain the parameter size or snapshotId")
	}
	if e.DeleteOnTermination != nil {
		v.deleteOnTermination = *e.DeleteOnTermination
	}
	return c.overrideEncryption(v, e)
}

func (c *call) overrideEncryption(v *volumePlan, e blockDeviceEBS) *Error {
	switch {
	case e.KmsKeyID != "" && (e.Encrypted == nil || !*e.Encrypted):
		return badRequest("InvalidParameterDependency", "The parameter KmsKeyId requires the parameter Encrypted to be set.")
	case e.Encrypted == nil:
		return nil
	case !*e.Encrypted && v.key != nil:
		return badRequest("InvalidParameterValue", "The encrypted flag cannot be false for a device with an encrypted snapshot: %s", v.name)
	case !*e.Encrypted:
		return nil
	}
	key, problem := c.encryptionKey(e.KmsKeyID)
	if problem != nil {
		v.problem = keyFailure(e.KmsKeyID, problem)
	}
	if v.key == nil || e.KmsKeyID != "" {
		v.key, v.named = key, e.KmsKeyID != ""
	}
	return nil
}
