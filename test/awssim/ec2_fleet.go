package awssim

import "maps"

// createFleetRequest has the parameters of a fleet of type instant. Allocation
// strategies have no effect, because all overrides cost the same. Fact: FLEET-1.
type createFleetRequest struct {
	Type                    string
	ClientToken             string
	Context                 string
	ExcessCapacityBehavior  string             `param:"ExcessCapacityTerminationPolicy"`
	LaunchTemplateConfigs   []fleetConfig      `param:",required"`
	TagSpecifications       []tagSpecification `param:"TagSpecification"`
	OnDemandOptions         fleetOptions
	SpotOptions             fleetOptions
	TargetCapacity          fleetTargetCapacity `param:"TargetCapacitySpecification,required"`
	TerminateWithExpiration bool                `param:"TerminateInstancesWithExpiration"`
	ReplaceUnhealthy        bool                `param:"ReplaceUnhealthyInstances"`
}

type fleetConfig struct {
	Template  templateReference `param:"LaunchTemplateSpecification,required"`
	Overrides []fleetOverride
}

type fleetOverride struct {
	InstanceType     string        `xml:"instanceType,omitempty"`
	SubnetID         string        `param:"SubnetId"           xml:"subnetId,omitempty"`
	AvailabilityZone string        `xml:"availabilityZone,omitempty"`
	ImageID          string        `param:"ImageId"            xml:"imageId,omitempty"`
	MaxPrice         string        `xml:"maxPrice,omitempty"`
	Priority         string        `xml:"priority,omitempty"`
	WeightedCapacity string        `xml:"weightedCapacity,omitempty"`
	BlockDevices     []blockDevice `param:"BlockDeviceMapping" xml:"blockDeviceMappingSet>item"`
}

type fleetOptions struct {
	AllocationStrategy   string
	InterruptionBehavior string `param:"InstanceInterruptionBehavior"`
	MaxTotalPrice        string
	MinTargetCapacity    *int
	SingleInstanceType   bool
	SingleZone           bool                           `param:"SingleAvailabilityZone"`
	CapacityReservation  struct{ UsageStrategy string } `param:"CapacityReservationOptions"`
}

type fleetTargetCapacity struct {
	Total         int    `param:"TotalTargetCapacity,required"`
	OnDemand      int    `param:"OnDemandTargetCapacity"`
	Spot          int    `param:"SpotTargetCapacity"`
	DefaultType   string `param:"DefaultTargetCapacityType"`
	CapacityUnits string `param:"TargetCapacityUnitType"`
}

type fleetLaunchItem struct {
	Template  templateReference `xml:"launchTemplateSpecification"`
	Overrides fleetOverride     `xml:"overrides"`
}

type fleetInstanceItem struct {
	Launch       fleetLaunchItem `xml:"launchTemplateAndOverrides"`
	Lifecycle    string          `xml:"lifecycle"`
	InstanceIDs  set[string]     `xml:"instanceIds"`
	InstanceType string          `xml:"instanceType"`
	Zone         string          `xml:"availabilityZone"`
	SubnetID     string          `xml:"subnetId"`
}

type fleetErrorItem struct {
	Launch    fleetLaunchItem `xml:"launchTemplateAndOverrides"`
	Lifecycle string          `xml:"lifecycle"`
	Code      string          `xml:"errorCode"`
	Message   string          `xml:"errorMessage"`
}

type createFleetAnswer struct {
	FleetID   string                 `xml:"fleetId"`
	Errors    set[fleetErrorItem]    `xml:"errorSet"`
	Instances set[fleetInstanceItem] `xml:"fleetInstanceSet"`
}

// createFleet launches as the caller, once, and reports for each template and override
// why it launched nothing. Only fleets of type instant are supported. Fact: FLEET-1 to
// FLEET-4.
func createFleet(c *call, r createFleetRequest) (any, error) {
	if r.Type != "instant" {
		return nil, badRequest("InvalidParameterValue", "the simulator has only fleets of type instant")
	}
	if !c.allowsLaunch() {
		return nil, deniedAction(c, actionRunInstances)
	}
	tags, problem := c.specifiedTags(r.TagSpecifications, "fleet", "instance", "volume", "network-interface", "spot-instances-request")
	if problem != nil {
		return nil, problem
	}
	onDemand, spot := r.TargetCapacity.OnDemand, r.TargetCapacity.Spot
	rest := r.TargetCapacity.Total - onDemand - spot
	switch {
	case rest < 0 || r.TargetCapacity.Total < 1:
		return nil, badRequest("InvalidParameterValue", "The target capacities do not add up to a total of %d", r.TargetCapacity.Total)
	case r.TargetCapacity.DefaultType == "spot":
		spot += rest
	default:
		onDemand += rest
	}
	launches, problem := c.fleetLaunches(r.LaunchTemplateConfigs)
	if problem != nil {
		return nil, problem
	}
	answer := createFleetAnswer{FleetID: "fleet-" + c.w.newID("", 8) + "-0000-4000-8000-" + c.w.newID("", 12)}
	delete(tags, "fleet")
	if onDemand > 0 {
		c.fillFleet(&answer, launches, tags, "on-demand", onDemand)
	}
	if spot > 0 {
		c.fillFleet(&answer, launches, tags, "spot", spot)
	}
	return answer, nil
}

// fleetLaunch is a combination of template and override that a fleet can launch.
type fleetLaunch struct {
	item fleetLaunchItem
	data templateData
	from versionItem
}

func (c *call) fleetLaunches(configs []fleetConfig) ([]fleetLaunch, *Error) {
	var launches []fleetLaunch
	for _, config := range configs {
		version, problem := c.templateVersion(config.Template)
		if problem != nil {
			return nil, problem
		}
		overrides := config.Overrides
		if len(overrides) == 0 {
			overrides = []fleetOverride{{}}
		}
		for _, o := range overrides {
			data := templateData{ImageID: o.ImageID, InstanceType: o.InstanceType, BlockDevices: o.BlockDevices}
			if o.AvailabilityZone != "" {
				data.Placement = &templatePlacement{AvailabilityZone: o.AvailabilityZone}
			}
			launches = append(launches, fleetLaunch{fleetLaunchItem{config.Template, o}, data.over(version.Data), version})
		}
	}
	return launches, nil
}

// fillFleet launches the instances in the first way that works.
func (c *call) fillFleet(answer *createFleetAnswer, launches []fleetLaunch, tags map[string]map[string]string, lifecycle string, count int) {
	for _, l := range launches {
		r := l.data.inSubnet(l.item.Overrides.SubnetID)
		r.MinCount, r.MaxCount, r.template = count, count, &l.from
		if lifecycle == "spot" {
			r.MarketOptions = &templateMarket{MarketType: "spot"}
		}
		plan, problem := c.launchPlan(r)
		var launched []*instance
		if problem == nil {
			plan.tags = withTags(plan.tags, tags)
			launched, problem = c.launch(plan)
		}
		if problem != nil {
			answer.Errors.Items = append(answer.Errors.Items, fleetErrorItem{l.item, lifecycle, problem.Code, problem.Message})
			continue
		}
		item := fleetInstanceItem{Launch: l.item, Lifecycle: lifecycle, InstanceType: plan.instanceType}
		for _, i := range launched {
			c.setTags(i.id, map[string]string{"aws:ec2:fleet-id": answer.FleetID})
			item.InstanceIDs.Items = append(item.InstanceIDs.Items, i.id)
			item.Zone, item.SubnetID = i.subnet.zone.name, i.subnet.id
		}
		answer.Instances.Items = append(answer.Instances.Items, item)
		return
	}
}

// withTags adds tags by resource type.
func withTags(tags, added map[string]map[string]string) map[string]map[string]string {
	all := map[string]map[string]string{}
	for _, from := range []map[string]map[string]string{tags, added} {
		for kind, pairs := range from {
			if all[kind] == nil {
				all[kind] = map[string]string{}
			}
			maps.Copy(all[kind], pairs)
		}
	}
	return all
}
