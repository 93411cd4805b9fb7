package awssim

import (
	"slices"
	"time"
)

type describeInstancesRequest struct {
	InstanceIDs []string `param:"InstanceId"`
	Filters     []filter `param:"Filter"`
	// IncludeManagedResources changes nothing: no service hides its resources.
	IncludeManagedResources bool
	paging
}

type describeInstancesAnswer struct {
	Reservations set[reservationItem] `xml:"reservationSet"`
	NextToken    string               `xml:"nextToken,omitempty"`
}

type reservationItem struct {
	ReservationID string            `xml:"reservationId"`
	OwnerID       string            `xml:"ownerId"`
	Groups        set[groupItem]    `xml:"groupSet"`
	Instances     set[instanceItem] `xml:"instancesSet"`
}

type groupItem struct {
	GroupID   string `xml:"groupId"`
	GroupName string `xml:"groupName"`
}

// instanceItem is how EC2 describes an instance.
type instanceItem struct {
	InstanceID         string                       `xml:"instanceId"`
	ImageID            string                       `xml:"imageId"`
	State              instanceStateItem            `xml:"instanceState"`
	PrivateDNSName     string                       `xml:"privateDnsName"`
	DNSName            string                       `xml:"dnsName"`
	Reason             string                       `xml:"reason"`
	KeyName            string                       `xml:"keyName,omitempty"`
	AMILaunchIndex     int                          `xml:"amiLaunchIndex"`
	InstanceType       string                       `xml:"instanceType"`
	LaunchTime         string                       `xml:"launchTime"`
	Placement          placementItem                `xml:"placement"`
	Monitoring         monitoringItem               `xml:"monitoring"`
	SubnetID           string                       `xml:"subnetId,omitempty"`
	VpcID              string                       `xml:"vpcId,omitempty"`
	Groups             set[groupItem]               `xml:"groupSet"`
	StateReason        *stateReasonItem             `xml:"stateReason"`
	Architecture       string                       `xml:"architecture"`
	RootDeviceType     string                       `xml:"rootDeviceType"`
	RootDeviceName     string                       `xml:"rootDeviceName"`
	BlockDevices       set[instanceBlockDeviceItem] `xml:"blockDeviceMapping"`
	VirtualizationType string                       `xml:"virtualizationType"`
	Tags               set[tagItem]                 `xml:"tagSet"`
	Hypervisor         string                       `xml:"hypervisor"`
	NetworkInterfaces  set[networkInterfaceItem]    `xml:"networkInterfaceSet"`
	EnaSupport         bool                         `xml:"enaSupport"`
	SriovNetSupport    string                       `xml:"sriovNetSupport,omitempty"`
	BootMode           string                       `xml:"bootMode,omitempty"`
	Lifecycle          string                       `xml:"instanceLifecycle,omitempty"`
	MetadataOptions    *templateMetadata            `xml:"metadataOptions"`
}

type placementItem struct {
	AvailabilityZone string `xml:"availabilityZone"`
	Tenancy          string `xml:"tenancy"`
}

type monitoringItem struct {
	State string `xml:"state"`
}

type instanceBlockDeviceItem struct {
	DeviceName string             `xml:"deviceName"`
	EBS        instanceVolumeItem `xml:"ebs"`
}

type instanceVolumeItem struct {
	VolumeID            string `xml:"volumeId"`
	Status              string `xml:"status"`
	AttachTime          string `xml:"attachTime"`
	DeleteOnTermination bool   `xml:"deleteOnTermination"`
}

type networkInterfaceItem struct {
	NetworkInterfaceID string         `xml:"networkInterfaceId"`
	SubnetID           string         `xml:"subnetId"`
	VpcID              string         `xml:"vpcId"`
	OwnerID            string         `xml:"ownerId"`
	Status             string         `xml:"status"`
	Groups             set[groupItem] `xml:"groupSet"`
}

func describeInstances(c *call, r describeInstancesRequest) (any, error) {
	instances, next, problem := c.selectInstances(r)
	if problem != nil {
		return nil, problem
	}
	answer := describeInstancesAnswer{NextToken: next}
	for _, i := range instances {
		n := slices.IndexFunc(answer.Reservations.Items, func(r reservationItem) bool { return r.ReservationID == i.reservation })
		if n < 0 {
			answer.Reservations.Items = append(answer.Reservations.Items, reservationItem{ReservationID: i.reservation, OwnerID: i.owner})
			n = len(answer.Reservations.Items) - 1
		}
		r := &answer.Reservations.Items[n]
		r.Instances.Items = append(r.Instances.Items, c.instanceItem(i))
	}
	return answer, nil
}

func (c *call) selectInstances(r describeInstancesRequest) ([]*instance, string, *Error) {
	if problem := r.withoutIDs("instancesSet", r.InstanceIDs); problem != nil {
		return nil, "", problem
	}
	instances, problem := ownResources(c.here().instances, r.InstanceIDs, c.ownInstance)
	if problem != nil {
		return nil, "", problem
	}
	instances, problem = instanceFilters.selectBy(c, r.Filters, instances)
	if problem != nil {
		return nil, "", problem
	}
	return pageOf(r.paging, instances)
}

var instanceFilters = filterTable[*instance]{
	"architecture":        func(_ *call, i *instance) []string { return []string{i.architecture} },
	"availability-zone":   func(_ *call, i *instance) []string { return []string{i.subnet.zone.name} },
	"image-id":            func(_ *call, i *instance) []string { return []string{i.imageID} },
	"instance-id":         func(_ *call, i *instance) []string { return []string{i.id} },
	"instance-state-name": func(c *call, i *instance) []string { return []string{i.state(c.now)} },
	"instance-type":       func(_ *call, i *instance) []string { return []string{i.instanceType} },
	"key-name":            func(_ *call, i *instance) []string { return some(i.keyName != "", i.keyName) },
	"owner-id":            func(_ *call, i *instance) []string { return []string{i.owner} },
	"subnet-id":           func(_ *call, i *instance) []string { return []string{i.subnet.id} },
	"vpc-id":              func(_ *call, i *instance) []string { return []string{i.subnet.vpc} },
}

// groups describes an instance's security groups.
func (c *call) groups(i *instance) set[groupItem] {
	return setFrom(i.securityGroups, func(id string) groupItem {
		item := groupItem{GroupID: id}
		if g := c.here().securityGroups[id]; g != nil {
			item.GroupName = g.name
		}
		return item
	})
}

func (c *call) instanceItem(i *instance) instanceItem {
	state := i.state(c.now)
	item := instanceItem{
		InstanceID: i.id, ImageID: i.imageID, State: stateItem(state), KeyName: i.keyName, InstanceType: i.instanceType,
		LaunchTime: timestamp(i.launched), Placement: placementItem{i.subnet.zone.name, "default"}, Monitoring: monitoringItem{"disabled"},
		Architecture: i.architecture, RootDeviceType: i.rootDeviceType, RootDeviceName: i.rootDeviceName,
		VirtualizationType: "hvm", Tags: tagSet(c.tags(i.id)), Hypervisor: "xen", EnaSupport: i.ena, SriovNetSupport: i.sriov, BootMode: i.bootMode,
	}
	if i.spot {
		item.Lifecycle = "spot"
	}
	if state != "pending" && i.reason != nil {
		item.StateReason, item.Reason = i.reason, i.reason.Message
	}
	if state == "terminated" {
		return item
	}
	item.MetadataOptions = &i.metadata
	item.SubnetID, item.VpcID, item.Groups = i.subnet.id, i.subnet.vpc, c.groups(i)
	item.NetworkInterfaces = setOf(networkInterfaceItem{i.networkInterface(), i.subnet.id, i.subnet.vpc, i.owner, "in-use", c.groups(i)})
	item.BlockDevices = setFrom(c.volumesOf(i), func(v *volume) instanceBlockDeviceItem {
		a := v.attachment
		return instanceBlockDeviceItem{a.device, instanceVolumeItem{v.id, "attached", timestamp(a.at), a.deleteOnTermination}}
	})
	return item
}

type describeInstanceStatusRequest struct {
	IncludeAllInstances bool
	describeInstancesRequest
}

type instanceStatusItem struct {
	InstanceID       string            `xml:"instanceId"`
	AvailabilityZone string            `xml:"availabilityZone"`
	State            instanceStateItem `xml:"instanceState"`
	System           statusItem        `xml:"systemStatus"`
	Instance         statusItem        `xml:"instanceStatus"`
}

type statusItem struct {
	Status string `xml:"status"`
}

type describeInstanceStatusAnswer struct {
	Statuses  set[instanceStatusItem] `xml:"instanceStatusSet"`
	NextToken string                  `xml:"nextToken,omitempty"`
}

// status is the outcome of the status checks, which take a while after the
// instance runs. Fact: EC2-INST-1, EC2-INST-2.
func (i *instance) status(now time.Time, takes time.Duration) string {
	switch {
	case i.state(now) != "running":
		return "not-applicable"
	case now.Before(i.phase.at.Add(takes)):
		return "initializing"
	default:
		return "ok"
	}
}

// describeInstanceStatus returns only running instances, unless all are
// requested.
func describeInstanceStatus(c *call, r describeInstanceStatusRequest) (any, error) {
	instances, next, problem := c.selectInstances(r.describeInstancesRequest)
	if problem != nil {
		return nil, problem
	}
	answer := describeInstanceStatusAnswer{NextToken: next}
	for _, i := range instances {
		state, status := i.state(c.now), statusItem{i.status(c.now, c.w.options.StatusCheckTime)}
		if state == "running" || r.IncludeAllInstances {
			answer.Statuses.Items = append(answer.Statuses.Items, instanceStatusItem{i.id, i.subnet.zone.name, stateItem(state), status, status})
		}
	}
	return answer, nil
}
