package awssim

import (
	"cmp"
	"slices"
	"strconv"
)

// runInstancesRequest has the parameters that clients send: those of a launch template,
// which they override, and additional ones.
type runInstancesRequest struct {
	templateData

	MinCount       int `param:",required"`
	MaxCount       int `param:",required"`
	ClientToken    string
	SubnetID       string `param:"SubnetId"`
	LaunchTemplate *templateReference
	// template is the version that LaunchTemplate names.
	template *versionItem `param:"-"`
}

// launchPlan is a launch whose parameters have been checked.
type launchPlan struct {
	image        *image
	instanceType string
	count        int
	keyName      string
	subnetID     string
	zone         string
	groups       []string
	devices      []blockDevice
	tags         map[string]map[string]string // by resource type
	// publicAddress says whether the instance gets a public address. If it is nil, the
	// subnet decides.
	publicAddress *bool
	metadata      templateMetadata
	userData      string
	spot          bool
	template      *versionItem
}

// runInstances launches instances, all or none.
func runInstances(c *call, r runInstancesRequest) (any, error) {
	if reservation, problem := c.before(r.ClientToken); reservation != "" || problem != nil {
		return answerOr(c.reservationItem(reservation), problem)
	}
	plan, problem := c.launchPlan(r)
	if problem != nil {
		return nil, problem
	}
	launched, problem := c.launch(plan)
	if problem != nil {
		return nil, problem
	}
	c.remember(r.ClientToken, launched[0].reservation)
	return c.reservationItem(launched[0].reservation), nil
}

// launchPlan checks the parameters of a launch. A template's parameters apply where the
// request has none. Fact: LT-3.
func (c *call) launchPlan(r runInstancesRequest) (launchPlan, *Error) {
	if r.LaunchTemplate != nil {
		version, problem := c.templateVersion(*r.LaunchTemplate)
		if problem != nil {
			return launchPlan{}, problem
		}
		r.templateData = r.templateData.over(version.Data)
		r.template = &version
	}
	if r.ImageID == "" {
		return launchPlan{}, badRequest("MissingParameter", "The request must contain the parameter ImageId")
	}
	plan := launchPlan{
		count: r.MaxCount, instanceType: cmp.Or(r.InstanceType, "m1.small"), keyName: r.KeyName, subnetID: r.SubnetID,
		groups: slices.Clone(r.SecurityGroupIDs), devices: r.BlockDevices, userData: r.UserData, template: r.template,
		spot: r.MarketOptions != nil && r.MarketOptions.MarketType == "spot",
	}
	if r.Placement != nil {
		plan.zone = r.Placement.AvailabilityZone
	}
	if r.MetadataOptions != nil {
		plan.metadata = *r.MetadataOptions
	}
	var problem *Error
	if plan.tags, problem = c.specifiedTags(r.TagSpecifications, "instance", "volume", "network-interface", "spot-instances-request"); problem != nil {
		return plan, problem
	}
	if r.MinCount < 1 || r.MaxCount < r.MinCount || r.MaxCount > 100 {
		return plan, badRequest("InvalidParameterValue", "Invalid counts: minCount %d, maxCount %d", r.MinCount, r.MaxCount)
	}
	if r.KeyName != "" && c.keyPairNamed(r.KeyName) == nil {
		return plan, badRequest("InvalidKeyPair.NotFound", "The key pair '%s' does not exist", r.KeyName)
	}
	for _, n := range r.NetworkInterfaces {
		if r.SubnetID != "" || len(r.SecurityGroupIDs) > 0 {
			return plan, badRequest("InvalidParameterCombination", "Network interfaces and an instance-level subnet ID or security groups may not be specified on the same request")
		}
		plan.subnetID, plan.groups = cmp.Or(n.SubnetID, plan.subnetID), append(plan.groups, n.SecurityGroupIDs...)
		plan.publicAddress = cmp.Or(n.AssociatePublicIPAddress, plan.publicAddress)
	}
	for _, id := range plan.groups {
		if _, problem := c.ownSecurityGroup(id); problem != nil {
			return plan, problem
		}
	}
	id, problem := c.imageID(r.ImageID)
	if problem != nil {
		return plan, problem
	}
	plan.image, problem = c.launchImage(id)
	return plan, problem
}

// launch creates the plan's instances with their volumes. Instances whose keys
// can't be used terminate, late and without volumes. Fact: LAUNCH-15.
func (c *call) launch(p launchPlan) ([]*instance, *Error) {
	kind, problem := instanceTypeNamed(p.instanceType)
	if problem != nil {
		return nil, problem
	}
	if kind.architecture != p.image.architecture {
		return nil, badRequest("InvalidParameterValue", "The architecture '%s' of the specified instance type does not match the architecture '%s' of the specified AMI.", kind.architecture, p.image.architecture)
	}
	subnet, problem := c.subnetFor(p.subnetID, p.zone)
	if problem != nil {
		return nil, problem
	}
	if problem := c.w.capacity(kind.name, subnet.zone.name); problem != nil {
		return nil, problem
	}
	volumes, problem := c.planVolumes(p.image, p.devices)
	if problem != nil {
		return nil, problem
	}
	if problem := c.launchDenial(p, kind.name, volumes); problem != nil {
		return nil, problem
	}
	if len(p.groups) == 0 {
		p.groups = []string{derivedID("sg-", c.caller.Account, c.region)}
	}
	reason, diagnosis, problem := c.diagnoseAll(volumes, p.spot)
	if problem != nil {
		return nil, problem
	}
	reservation := c.w.newEC2ID("r")
	var launched []*instance
	for range p.count {
		i := &instance{
			id: c.w.newEC2ID("i"), region: c.region, owner: c.caller.Account, reservation: reservation, imageID: p.image.id,
			instanceType: kind.name, architecture: p.image.architecture, bootMode: p.image.bootMode, rootDeviceType: p.image.rootDeviceType,
			rootDeviceName: p.image.rootDeviceName, ena: p.image.ena, sriov: p.image.sriov, keyName: p.keyName, subnet: subnet,
			securityGroups: slices.Clone(p.groups), launched: c.now, reason: reason, diagnosis: diagnosis,
			publicAddress: subnet.public, metadata: p.metadata, userData: p.userData, spot: p.spot,
			phase: phase{"pending", "running", c.now.Add(c.w.options.BuildTime)},
		}
		if p.publicAddress != nil {
			i.publicAddress = *p.publicAddress
		}
		c.here().instances[i.id] = i
		c.setTags(i.id, p.tags["instance"])
		if p.template != nil { // Fact: LT-4
			c.setTags(i.id, map[string]string{"aws:ec2launchtemplate:id": p.template.ID, "aws:ec2launchtemplate:version": strconv.Itoa(p.template.Version)})
		}
		c.setTags(i.networkInterface(), p.tags["network-interface"])
		if reason != nil {
			i.phase.to = "terminated"
		} else {
			c.makeVolumes(i, volumes, p.tags["volume"])
		}
		launched = append(launched, i)
	}
	return launched, nil
}

func (c *call) makeVolumes(i *instance, plans []volumePlan, tags map[string]string) {
	for _, plan := range plans {
		v := &volume{
			id: c.w.newEC2ID("vol"), region: c.region, owner: c.caller.Account, zone: i.subnet.zone.name, volumeType: plan.volumeType,
			size: plan.size, key: plan.key, created: c.now,
		}
		if plan.snapshot != nil {
			v.snapshot = plan.snapshot.id
		}
		c.here().volumes[v.id] = v
		c.setTags(v.id, tags)
		c.attach(v, i, plan.name, plan.deleteOnTermination)
	}
}

// reservationItem describes the instances of a launch. EC2 always returns the state
// pending, however soon the instances run.
func (c *call) reservationItem(reservation string) reservationItem {
	item := reservationItem{ReservationID: reservation, OwnerID: c.caller.Account}
	for _, i := range c.here().instances {
		if i.reservation == reservation {
			described := c.instanceItem(i)
			described.State, described.StateReason, described.Reason = stateItem("pending"), nil, ""
			item.Instances.Items = append(item.Instances.Items, described)
		}
	}
	slices.SortFunc(item.Instances.Items, func(a, b instanceItem) int { return cmp.Compare(a.InstanceID, b.InstanceID) })
	return item
}
