package awssim

import (
	"cmp"
	"slices"
)

type attributeValue struct {
	Value string `xml:"value"`
}

type modifyImageAttributeRequest struct {
	ImageID          string `param:"ImageId,required"`
	Attribute        string
	Value            string
	Description      *attributeValue
	IMDSSupport      *attributeValue `param:"ImdsSupport"`
	LaunchPermission *permissionChanges
	legacyPermissions
}

func modifyImageAttribute(c *call, r modifyImageAttributeRequest) (any, error) {
	i, problem := c.readyImage(r.ImageID)
	if problem != nil {
		return nil, problem
	}
	changes, problem := r.join(c.w, r.LaunchPermission)
	if problem != nil {
		return nil, problem
	}
	switch {
	case !slices.Contains([]string{"", "description", "launchPermission", "imdsSupport"}, r.Attribute):
		return nil, badRequest("InvalidParameterValue", "Value (%s) for parameter attribute is invalid. Unknown attribute.", r.Attribute)
	case r.Attribute == "description" && r.Description == nil:
		r.Description = &attributeValue{r.Value}
	case r.IMDSSupport != nil && r.IMDSSupport.Value != "v2.0":
		return nil, badRequest("InvalidParameterValue", "Value (%s) for parameter imdsSupport is invalid.", r.IMDSSupport.Value)
	}
	if problem := cmp.Or(c.shareable(i, changes.Add), changes.limit(i.shared, i.public)); problem != nil {
		return nil, problem
	}
	if r.Description != nil {
		if problem := checkImageDescription(r.Description.Value); problem != nil {
			return nil, problem
		}
		i.description = r.Description.Value
	}
	if r.IMDSSupport != nil {
		i.imds = r.IMDSSupport.Value
	}
	changes.apply(i.shared, &i.public)
	return done{true}, nil
}

// shareable rejects sharing images with at least one snapshot that is encrypted with
// aws/ebs. It also rejects making an encrypted image public, and making any image
// public if the account blocks it. Fact: EC2-SHARE-2, EC2-SHARE-3.
func (c *call) shareable(i *image, with []permission) *Error {
	if len(with) == 0 {
		return nil
	}
	withAll := slices.Contains(with, permission{Group: everyone})
	for _, s := range i.snapshots() {
		if s.underManagedKey() {
			return managedKeyProblem()
		}
		if withAll && s.key != nil {
			return badRequest("InvalidParameter", "An image with the encrypted snapshot %s cannot be public", s.id)
		}
	}
	if withAll && c.publicSharing() != unblocked {
		return badRequest("OperationNotPermitted", "You can't publicly share this image because block public access for AMIs is enabled for this account in the Region.")
	}
	return nil
}

type imageAttributeRequest struct {
	ImageID   string `param:"ImageId,required"`
	Attribute string `param:",required"`
}

type imageAttributeAnswer struct {
	ImageID          string           `xml:"imageId"`
	LaunchPermission *set[permission] `xml:"launchPermission"`
	Description      *attributeValue  `xml:"description"`
	BootMode         *attributeValue  `xml:"bootMode"`
	IMDSSupport      *attributeValue  `xml:"imdsSupport"`
	TPMSupport       *attributeValue  `xml:"tpmSupport"`
	SriovNetSupport  *attributeValue  `xml:"sriovNetSupport"`
	Protection       *attributeValue  `xml:"deregistrationProtection"`
	BlockDevices     *set[deviceItem] `xml:"blockDeviceMapping"`
}

func describeImageAttribute(c *call, r imageAttributeRequest) (any, error) {
	i, problem := c.ownImage(r.ImageID)
	if problem != nil {
		return nil, problem
	}
	answer := imageAttributeAnswer{ImageID: i.id}
	switch r.Attribute {
	case "launchPermission":
		permissions := permissionsOf(i.shared, i.public)
		answer.LaunchPermission = &permissions
	case "description":
		answer.Description = &attributeValue{i.description}
	case "bootMode":
		answer.BootMode = &attributeValue{i.bootMode}
	case "imdsSupport":
		answer.IMDSSupport = &attributeValue{i.imds}
	case "tpmSupport":
		answer.TPMSupport = &attributeValue{i.tpm}
	case "sriovNetSupport":
		answer.SriovNetSupport = &attributeValue{i.sriov}
	case "deregistrationProtection":
		answer.Protection = &attributeValue{i.protection.state(c.now)}
	case "blockDeviceMapping":
		devices := setFrom(i.devices, deviceItemOf)
		answer.BlockDevices = &devices
	default:
		return nil, badRequest("InvalidParameterValue", "Value (%s) for parameter attribute is invalid. Unknown attribute.", r.Attribute)
	}
	return answer, nil
}

func resetImageAttribute(c *call, r imageAttributeRequest) (any, error) {
	i, problem := c.readyImage(r.ImageID)
	if problem != nil {
		return nil, problem
	}
	if r.Attribute != "launchPermission" {
		return nil, badRequest("InvalidParameterValue", "Value (%s) for parameter attribute is invalid. Only launchPermission can be reset.", r.Attribute)
	}
	clear(i.shared)
	i.public = false
	return done{true}, nil
}

type modifySnapshotAttributeRequest struct {
	SnapshotID             string `param:"SnapshotId,required"`
	Attribute              string
	CreateVolumePermission *permissionChanges
	legacyPermissions
}

// modifySnapshotAttribute shares a snapshot, only with accounts. Fact: EC2-SHARE-13.
func modifySnapshotAttribute(c *call, r modifySnapshotAttributeRequest) (any, error) {
	s, problem := c.ownSnapshot(r.SnapshotID)
	if problem != nil {
		return nil, problem
	}
	changes, problem := r.join(c.w, r.CreateVolumePermission)
	if problem != nil {
		return nil, problem
	}
	for _, p := range slices.Concat(changes.Add, changes.Remove) {
		if p.OrganizationARN != "" || p.OrganizationalUnitARN != "" {
			return nil, badRequest("InvalidParameterValue", "A snapshot can be shared with accounts only")
		}
	}
	switch {
	case r.Attribute != "" && r.Attribute != "createVolumePermission":
		return nil, badRequest("InvalidParameterValue", "Value (%s) for parameter attribute is invalid. Unknown attribute.", r.Attribute)
	case len(changes.Add) > 0 && s.underManagedKey():
		return nil, managedKeyProblem()
	case s.key != nil && slices.Contains(changes.Add, permission{Group: everyone}):
		return nil, badRequest("InvalidParameter", "The encrypted snapshot %s cannot be public", s.id)
	}
	changes.apply(s.shared, &s.public)
	return done{true}, nil
}

type snapshotAttributeRequest struct {
	SnapshotID string `param:"SnapshotId,required"`
	Attribute  string `param:",required"`
}

type snapshotAttributeAnswer struct {
	SnapshotID  string          `xml:"snapshotId"`
	Permissions set[permission] `xml:"createVolumePermission"`
}

func describeSnapshotAttribute(c *call, r snapshotAttributeRequest) (any, error) {
	s, problem := c.ownSnapshot(r.SnapshotID)
	if problem != nil {
		return nil, problem
	}
	if r.Attribute != "createVolumePermission" {
		return nil, badRequest("InvalidParameterValue", "Value (%s) for parameter attribute is invalid. Unknown attribute.", r.Attribute)
	}
	return snapshotAttributeAnswer{s.id, permissionsOf(s.shared, s.public)}, nil
}

func resetSnapshotAttribute(c *call, r snapshotAttributeRequest) (any, error) {
	s, problem := c.ownSnapshot(r.SnapshotID)
	if problem != nil {
		return nil, problem
	}
	if r.Attribute != "createVolumePermission" {
		return nil, badRequest("InvalidParameterValue", "Value (%s) for parameter attribute is invalid. Unknown attribute.", r.Attribute)
	}
	clear(s.shared)
	s.public = false
	return done{true}, nil
}
