package awssim

import "slices"

type describeImagesRequest struct {
	ImageIDs          []string `param:"ImageId"`
	Owners            []string `param:"Owner"`
	ExecutableBy      []string
	Filters           []filter `param:"Filter"`
	IncludeDeprecated bool
	IncludeDisabled   bool
	paging
}

type describeImagesAnswer struct {
	Images    set[imageItem] `xml:"imagesSet"`
	NextToken string         `xml:"nextToken,omitempty"`
}

func describeImages(c *call, r describeImagesRequest) (any, error) {
	seen, problem := c.imagesFor(r)
	if problem != nil {
		return nil, problem
	}
	seen, problem = imageFilters.selectBy(c, r.Filters, seen)
	if problem != nil {
		return nil, problem
	}
	images, next, problem := pageOf(r.paging, seen)
	if problem != nil {
		return nil, problem
	}
	return describeImagesAnswer{Images: setFrom(images, c.imageItem), NextToken: next}, nil
}

// imagesFor returns the images that the caller sees and that match the request's IDs,
// owners and launch permissions.
func (c *call) imagesFor(r describeImagesRequest) ([]*image, *Error) {
	var images []*image
	for _, id := range r.ImageIDs {
		i, problem := c.imageIn(c.region, id)
		switch gone := c.here().deregistered[id]; {
		case problem == nil:
			images = append(images, i)
		case gone == nil || !c.w.imageVisibleTo(gone, c.caller.Account, c.now):
			return nil, problem
		case c.stillListed(gone):
			images = append(images, gone)
		case !c.stillUsed(gone):
			return nil, problem
		}
	}
	if len(r.ImageIDs) == 0 {
		for _, i := range c.here().deregistered {
			if c.stillListed(i) && c.w.imageVisibleTo(i, c.caller.Account, c.now) {
				images = append(images, i)
			}
		}
		for _, i := range c.here().images {
			if !c.now.Before(i.visibleFrom) && c.w.imageVisibleTo(i, c.caller.Account, c.now) {
				images = append(images, i)
			}
		}
	}
	return slices.DeleteFunc(images, func(i *image) bool {
		own := i.owner == c.caller.Account
		deprecated := !i.deprecatedAt.IsZero() && i.deprecatedAt.Before(c.now) && !own && !r.IncludeDeprecated && len(r.ImageIDs) == 0
		disabled := i.disabled && !r.IncludeDisabled
		return deprecated || disabled || !ownedBy(i.owner, c.caller.Account, r.Owners) || !c.executableBy(i, r.ExecutableBy)
	}), nil
}

// Recently deregistered images appear in the results of DescribeImages for a
// short interval, then the results are empty. After all instances of the image
// are terminated, its ID is eventually not found. Source: the API reference of
// DescribeImages, which doesn't say in which state the image appears.

// stillListed reports whether a deregistered image is in its short interval.
func (c *call) stillListed(i *image) bool {
	return c.now.Sub(i.deregisteredAt) < c.w.options.DeregisterLag
}

// stillUsed reports whether a deregistered image has instances, so that asking
// for its ID isn't an error.
func (c *call) stillUsed(i *image) bool {
	for _, instance := range c.here().instances {
		if instance.imageID == i.id && instance.state(c.now) != "terminated" {
			return true
		}
	}
	return false
}

// ownedBy reports whether the owner is among the requested ones. A request without
// owners means all.
func ownedBy(owner, caller string, asked []string) bool {
	if len(asked) == 0 {
		return true
	}
	return slices.ContainsFunc(asked, func(o string) bool {
		return o == owner || o == "self" && owner == caller || o == "amazon" && owner == amazonAccount
	})
}

// executableBy reports whether a requested account has an explicit launch permission.
// For the caller's own account, by ID or as self, permissions of its organization and
// units count too; for another account they don't. Source: the API reference of
// DescribeImages, ExecutableBy.
func (c *call) executableBy(i *image, asked []string) bool {
	if len(asked) == 0 {
		return true
	}
	return slices.ContainsFunc(asked, func(account string) bool {
		switch account {
		case everyone:
			return i.public
		case "self", c.caller.Account:
			return c.w.sharedWith(i, c.caller.Account)
		default:
			return accountIDPattern.MatchString(account) && i.shared[account]
		}
	})
}

// imageItem is how EC2 describes an image.
type imageItem struct {
	ImageID            string           `xml:"imageId"`
	ImageLocation      string           `xml:"imageLocation"`
	ImageState         string           `xml:"imageState"`
	ImageOwnerID       string           `xml:"imageOwnerId"`
	ImageOwnerAlias    string           `xml:"imageOwnerAlias,omitempty"`
	CreationDate       string           `xml:"creationDate"`
	IsPublic           bool             `xml:"isPublic"`
	Architecture       string           `xml:"architecture"`
	ImageType          string           `xml:"imageType"`
	PlatformDetails    string           `xml:"platformDetails"`
	UsageOperation     string           `xml:"usageOperation"`
	Name               string           `xml:"name"`
	Description        string           `xml:"description,omitempty"`
	RootDeviceType     string           `xml:"rootDeviceType"`
	RootDeviceName     string           `xml:"rootDeviceName,omitempty"`
	BlockDevices       set[deviceItem]  `xml:"blockDeviceMapping"`
	VirtualizationType string           `xml:"virtualizationType"`
	Hypervisor         string           `xml:"hypervisor"`
	ENASupport         bool             `xml:"enaSupport"`
	SriovNetSupport    string           `xml:"sriovNetSupport,omitempty"`
	BootMode           string           `xml:"bootMode,omitempty"`
	IMDSSupport        string           `xml:"imdsSupport,omitempty"`
	TPMSupport         string           `xml:"tpmSupport,omitempty"`
	DeprecationTime    string           `xml:"deprecationTime,omitempty"`
	Protection         string           `xml:"deregistrationProtection,omitempty"`
	LastLaunchedTime   string           `xml:"lastLaunchedTime,omitempty"`
	SourceImageID      string           `xml:"sourceImageId,omitempty"`
	SourceImageRegion  string           `xml:"sourceImageRegion,omitempty"`
	SourceInstanceID   string           `xml:"sourceInstanceId,omitempty"`
	StateReason        *stateReasonItem `xml:"stateReason"`
	Tags               set[tagItem]     `xml:"tagSet"`
	ProductCodes       set[productCode] `xml:"productCodes"`
	// ImageAllowed is missing while Allowed AMIs is disabled. Fact: EC2-ALLOW-4.
	ImageAllowed *bool `xml:"imageAllowed"`
}

type productCode struct {
	Code string `xml:"productCode"`
	Type string `xml:"type"`
}

type deviceItem struct {
	DeviceName  string   `xml:"deviceName"`
	VirtualName string   `xml:"virtualName,omitempty"`
	EBS         *ebsItem `xml:"ebs"`
}

// ebsItem has no key, because DescribeImages doesn't return it.
// DescribeSnapshots does.
type ebsItem struct {
	SnapshotID          string `xml:"snapshotId,omitempty"`
	VolumeSize          int    `xml:"volumeSize"`
	DeleteOnTermination bool   `xml:"deleteOnTermination"`
	VolumeType          string `xml:"volumeType"`
	Encrypted           bool   `xml:"encrypted"`
}

// imageItem describes the image to the caller.
func (c *call) imageItem(i *image) imageItem {
	item := imageItem{
		ImageID: i.id, ImageLocation: i.owner + "/" + i.name, ImageState: i.state(c.now), ImageOwnerID: i.owner,
		CreationDate: timestamp(i.created), IsPublic: i.public, Architecture: i.architecture, ImageType: "machine",
		PlatformDetails: "Linux/UNIX", UsageOperation: "RunInstances", Name: i.name, Description: i.description,
		RootDeviceType: i.rootDeviceType, RootDeviceName: i.rootDeviceName, BlockDevices: setFrom(i.devices, deviceItemOf),
		VirtualizationType: i.virtualizationType, Hypervisor: "xen", ENASupport: i.ena, SriovNetSupport: i.sriov,
		BootMode: i.bootMode, IMDSSupport: i.imds, TPMSupport: i.tpm, DeprecationTime: timestamp(i.deprecatedAt),
		Tags:         tagSet(c.tags(i.id)),
		ProductCodes: setFrom(i.productCodes, func(code string) productCode { return productCode{code, "marketplace"} }),
	}
	if setting := c.account().allowedImages[c.region]; setting.state() != allowedDisabled {
		allowed := c.w.imageAllowed(i, c.caller.Account, c.now)
		item.ImageAllowed = &allowed
	}
	if i.owner == amazonAccount {
		item.ImageOwnerAlias = "amazon"
	}
	if i.state(c.now) == "failed" {
		item.StateReason = i.failure
	}
	if i.owner == c.caller.Account {
		item.Protection, item.LastLaunchedTime = i.protection.state(c.now), timestamp(c.lastLaunched(i.id))
		item.SourceImageID, item.SourceImageRegion, item.SourceInstanceID = i.sourceImage, i.sourceRegion, i.sourceInstanceID
	}
	return item
}

func deviceItemOf(d device) deviceItem {
	item := deviceItem{DeviceName: d.name, VirtualName: d.virtual}
	if d.virtual == "" {
		item.EBS = &ebsItem{VolumeSize: d.size, DeleteOnTermination: d.deleteOnTermination, VolumeType: d.volumeType}
		if d.snapshot != nil {
			item.EBS.SnapshotID, item.EBS.Encrypted = d.snapshot.id, d.snapshot.key != nil
		}
	}
	return item
}
