package awssim

import "fmt"

type createSnapshotRequest struct {
	VolumeID          string `param:"VolumeId,required"`
	Description       string
	TagSpecifications []tagSpecification `param:"TagSpecification"`
}

// createSnapshot keeps the volume's key: the snapshot of an encrypted volume is
// encrypted.
func createSnapshot(c *call, r createSnapshotRequest) (any, error) {
	tags, problem := c.specifiedTags(r.TagSpecifications, "snapshot")
	if problem != nil {
		return nil, problem
	}
	v, problem := c.ownVolume(r.VolumeID)
	if problem != nil {
		return nil, problem
	}
	s := &snapshot{volume: v.id, size: v.size, key: v.key, description: r.Description}
	c.addSnapshot(s, c.w.options.BuildTime)
	c.setTags(s.id, tags["snapshot"])
	return c.snapshotItem(s), nil
}

type copySnapshotRequest struct {
	SourceRegion      string `param:",required"`
	SourceSnapshotID  string `param:"SourceSnapshotId,required"`
	DestinationRegion string
	PresignedURL      string `param:"PresignedUrl"`
	Description       string
	Encrypted         *bool
	KmsKeyID          string             `param:"KmsKeyId"`
	TagSpecifications []tagSpecification `param:"TagSpecification"`
}

type copySnapshotAnswer struct {
	SnapshotID string       `xml:"snapshotId"`
	Tags       set[tagItem] `xml:"tagSet"`
}

// copySnapshot starts a copy into the Region that is called. As with images, problems
// with the keys show in the copy's state. Fact: EC2-COPY-29.
func copySnapshot(c *call, r copySnapshotRequest) (any, error) {
	tags, problem := c.specifiedTags(r.TagSpecifications, "snapshot")
	if problem != nil {
		return nil, problem
	}
	if r.KmsKeyID != "" && (r.Encrypted == nil || !*r.Encrypted) {
		return nil, badRequest("InvalidParameterDependency", "The parameter KmsKeyId requires the parameter Encrypted to be set.")
	}
	from := c.w.regions[r.SourceRegion]
	if from == nil || !c.account().enabledIn(from, c.now) {
		return nil, badRequest("InvalidParameterValue", "Value (%s) for parameter sourceRegion is invalid.", r.SourceRegion)
	}
	source, problem := c.snapshotIn(r.SourceRegion, r.SourceSnapshotID)
	if problem != nil {
		return nil, problem
	}
	if state := source.state(c.now); state != "completed" {
		return nil, badRequest("IncorrectState", "Snapshot is in %s state: %s", state, source.id)
	}
	if source.key != nil && r.Encrypted != nil && !*r.Encrypted {
		return nil, badRequest("InvalidRequest", "Creating an unencrypted copy from an encrypted snapshot is not supported: %s", source.id)
	}
	encrypt := r.Encrypted != nil && *r.Encrypted || c.encryptsByDefault() || source.key != nil
	key, failure := c.copyKeys(source.region, []*snapshot{source}, encrypt, r.KmsKeyID)
	s := &snapshot{size: source.size, volume: "vol-ffffffff", description: r.Description, key: key}
	if s.description == "" {
		s.description = fmt.Sprintf("[Copied %s from %s]", source.id, source.region)
	}
	if failure != nil {
		s.failure = failure.Message
	}
	c.addSnapshot(s, c.w.copyTime(c.region))
	c.setTags(s.id, tags["snapshot"])
	return copySnapshotAnswer{s.id, tagSet(tags["snapshot"])}, nil
}
