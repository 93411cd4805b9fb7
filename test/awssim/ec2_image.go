package awssim

import (
	"regexp"
	"slices"
	"time"
	"unicode/utf8"
)

// amazonAccount owns the public images that exist in every Region, as Amazon
// Linux does.
const amazonAccount = "137112412989"

// state is the image's state. Fact: EC2-IMG-4.
func (i *image) state(now time.Time) string {
	switch {
	case now.Before(i.readyAt):
		return "pending"
	case i.failure != nil:
		return "failed"
	case i.disabled:
		return "disabled"
	default:
		return "available"
	}
}

// snapshots are the image's snapshots, by device.
func (i *image) snapshots() []*snapshot {
	var snapshots []*snapshot
	for _, d := range i.devices {
		if d.snapshot != nil {
			snapshots = append(snapshots, d.snapshot)
		}
	}
	return snapshots
}

// imageVisibleTo reports whether the account can see and launch the image. It can if it
// owns the image, the image is public, or the image is shared with the account, its
// organization or a unit above it. The account's Allowed AMIs setting in the image's
// Region can hide the image. Fact: EC2-SHARE-1, EC2-SHARE-5, EC2-ALLOW-2.
func (w *World) imageVisibleTo(i *image, accountID string, now time.Time) bool {
	return w.imageSharedWith(i, accountID) && !w.hidesImage(i, accountID, now)
}

// imageSharedWith reports whether the image is the account's own, public or shared
// with it.
func (w *World) imageSharedWith(i *image, accountID string) bool {
	return i.owner == accountID || i.public || w.sharedWith(i, accountID)
}

// sharedWith reports whether a launch permission names the account, its
// organization or one of its units.
func (w *World) sharedWith(i *image, accountID string) bool {
	if i.shared[accountID] {
		return true
	}
	a := w.accounts[accountID]
	if a == nil || w.organization == nil || len(a.organizationalUnits) == 0 {
		return false
	}
	return i.shared[w.organizationARN()] || slices.ContainsFunc(a.organizationalUnits, func(unit string) bool {
		return i.shared[w.organizationalUnitARN(unit)]
	})
}

func (w *World) organizationalUnitARN(unit string) string {
	o := w.organization
	return w.arn("organizations", "", o.managementAccount, "ou/"+o.id+"/"+unit)
}

var imageIDPattern = regexp.MustCompile(`^ami-([0-9a-f]{8}|[0-9a-f]{17})$`)

// imageIn finds an image that the caller can see in the Region.
func (c *call) imageIn(region, id string) (*image, *Error) {
	if !imageIDPattern.MatchString(id) {
		return nil, badRequest("InvalidAMIID.Malformed", "Invalid id: %q (expecting \"ami-...\")", id)
	}
	i := c.w.ec2In(region).images[id]
	if i == nil || c.now.Before(i.visibleFrom) || !c.w.imageVisibleTo(i, c.caller.Account, c.now) {
		return nil, badRequest("InvalidAMIID.NotFound", "The image id '[%s]' does not exist", id)
	}
	return i, nil
}

// ownImage finds an image that the caller can change.
func (c *call) ownImage(id string) (*image, *Error) {
	i, problem := c.imageIn(c.region, id)
	if problem != nil {
		return nil, problem
	}
	if i.owner != c.caller.Account {
		return nil, badRequest("AuthFailure", "Not authorized for image:%s", id)
	}
	return i, nil
}

// readyImage finds an image that the caller owns and whose attributes can be changed.
func (c *call) readyImage(id string) (*image, *Error) {
	i, problem := c.ownImage(id)
	if problem != nil {
		return nil, problem
	}
	if state := i.state(c.now); state != "available" {
		return nil, unavailable(i, state)
	}
	return i, nil
}

func unavailable(i *image, state string) *Error {
	return badRequest("InvalidAMIID.Unavailable", "The image ID '%s' is not available: it is %s", i.id, state)
}

// imageNamePattern matches the image names that EC2 allows. Fact: EC2-IMG-1.
var imageNamePattern = regexp.MustCompile(`^[A-Za-z0-9()\[\] ./\-'@_]{3,128}$`)

func checkImageName(name string) *Error {
	if !imageNamePattern.MatchString(name) {
		return badRequest("InvalidAMIName.Malformed", "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, '(', ')', '[', ']', ' ', '.', '/', '-', ''', '@' and '_': %q", name)
	}
	return nil
}

// maxImageDescription limits the description of an image. AWS documents no limit for
// CopyImage, CreateImage and ModifyImageAttribute. The API reference of ExportImage has
// this limit.
const maxImageDescription = 255

func checkImageDescription(description string) *Error {
	if utf8.RuneCountInString(description) > maxImageDescription {
		return badRequest("InvalidParameterValue", "Value for parameter description is invalid. Its length exceeds %d characters.", maxImageDescription)
	}
	return nil
}

// uniqueImageName rejects a name that another image of the caller has in the Region.
// CopyImage does not. Fact: EC2-IMG-3.
func (c *call) uniqueImageName(name string) *Error {
	for id, i := range c.here().images {
		if i.owner == c.caller.Account && i.name == name {
			return badRequest("InvalidAMIName.Duplicate", "AMI name %s is already in use by AMI %s", name, id)
		}
	}
	return nil
}

// addImage adds a new image of the caller that is pending for the given time.
func (c *call) addImage(i *image, pending time.Duration) {
	i.id, i.region, i.owner = c.w.newEC2ID("ami"), c.region, c.caller.Account
	i.created, i.readyAt, i.visibleFrom = c.now, c.now.Add(pending), c.now
	i.shared = map[string]bool{}
	c.here().images[i.id] = i
}
