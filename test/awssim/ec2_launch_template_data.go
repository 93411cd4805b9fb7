package awssim

import "reflect"

// templateData holds the parameters of a launch template's version or of a launch. Many
// parameters describe hardware and network that the simulator doesn't have; it only
// returns them.
type templateData struct {
	// ImageID is an ID, or "resolve:ssm:" and a parameter.
	ImageID                           string              `param:"ImageId"                          xml:"imageId,omitempty"`
	InstanceType                      string              `xml:"instanceType,omitempty"`
	KeyName                           string              `xml:"keyName,omitempty"`
	UserData                          string              `xml:"userData,omitempty"`
	EbsOptimized                      *bool               `xml:"ebsOptimized"`
	InstanceInitiatedShutdownBehavior string              `xml:"instanceInitiatedShutdownBehavior,omitempty"`
	DisableAPITermination             *bool               `param:"DisableApiTermination"            xml:"disableApiTermination"`
	DisableAPIStop                    *bool               `param:"DisableApiStop"                   xml:"disableApiStop"`
	SecurityGroupIDs                  []string            `param:"SecurityGroupId"                  xml:"securityGroupIdSet>item"`
	BlockDevices                      []blockDevice       `param:"BlockDeviceMapping"               xml:"blockDeviceMappingSet>item"`
	TagSpecifications                 []tagSpecification  `param:"TagSpecification"                 xml:"tagSpecificationSet>item"`
	NetworkInterfaces                 []templateInterface `param:"NetworkInterface"                 xml:"networkInterfaceSet>item"`
	Placement                         *templatePlacement  `xml:"placement"`
	IAMInstanceProfile                *templateProfile    `param:"IamInstanceProfile"               xml:"iamInstanceProfile"`
	EnclaveOptions                    *templateSwitch     `xml:"enclaveOptions"`
	Monitoring                        *templateSwitch     `xml:"monitoring"`
	CapacityReservation               *templateCapacity   `param:"CapacityReservationSpecification" xml:"capacityReservationSpecification"`
	CreditSpecification               *templateCredits    `xml:"creditSpecification"`
	MarketOptions                     *templateMarket     `param:"InstanceMarketOptions"            xml:"instanceMarketOptions"`
	CPUOptions                        *templateCPU        `param:"CpuOptions"                       xml:"cpuOptions"`
	MetadataOptions                   *templateMetadata   `xml:"metadataOptions"`
}

type templateInterface struct {
	DeviceIndex              int      `xml:"deviceIndex"`
	NetworkCardIndex         *int     `xml:"networkCardIndex"`
	Description              string   `xml:"description,omitempty"`
	InterfaceType            string   `xml:"interfaceType,omitempty"`
	SubnetID                 string   `param:"SubnetId"                 xml:"subnetId,omitempty"`
	SecurityGroupIDs         []string `param:"SecurityGroupId"          xml:"groupSet>groupId"`
	AssociatePublicIPAddress *bool    `param:"AssociatePublicIpAddress" xml:"associatePublicIpAddress"`
	DeleteOnTermination      *bool    `xml:"deleteOnTermination"`
	IPv6AddressCount         *int     `param:"Ipv6AddressCount"         xml:"ipv6AddressCount"`
	PrimaryIPv6              *bool    `param:"PrimaryIpv6"              xml:"primaryIpv6"`
}

type templatePlacement struct {
	AvailabilityZone string `xml:"availabilityZone,omitempty"`
	Tenancy          string `xml:"tenancy,omitempty"`
}

type templateProfile struct {
	ARN  string `param:"Arn"           xml:"arn,omitempty"`
	Name string `xml:"name,omitempty"`
}

type templateSwitch struct {
	Enabled bool `xml:"enabled"`
}

type templateCapacity struct {
	Preference string `param:"CapacityReservationPreference" xml:"capacityReservationPreference"`
}

type templateCredits struct {
	CPUCredits string `param:"CpuCredits" xml:"cpuCredits"`
}

type templateMarket struct {
	MarketType string `xml:"marketType"`
}

type templateCPU struct {
	CoreCount            *int   `xml:"coreCount"`
	ThreadsPerCore       *int   `xml:"threadsPerCore"`
	NestedVirtualization string `xml:"nestedVirtualization,omitempty"`
}

type templateMetadata struct {
	Endpoint     string `param:"HttpEndpoint"            xml:"httpEndpoint,omitempty"`
	Tokens       string `param:"HttpTokens"              xml:"httpTokens,omitempty"`
	ProtocolIPv6 string `param:"HttpProtocolIpv6"        xml:"httpProtocolIpv6,omitempty"`
	HopLimit     *int   `param:"HttpPutResponseHopLimit" xml:"httpPutResponseHopLimit"`
	InstanceTags string `param:"InstanceMetadataTags"    xml:"instanceMetadataTags,omitempty"`
}

// over returns the parameters, completed from below. Fact: LT-2, LT-3.
func (d templateData) over(below templateData) templateData {
	mine, theirs := reflect.ValueOf(&d).Elem(), reflect.ValueOf(below)
	for n := range mine.NumField() {
		if mine.Field(n).IsZero() {
			mine.Field(n).Set(theirs.Field(n))
		}
	}
	return d
}

// inSubnet returns the parameters of a launch in a subnet that a fleet or an Auto
// Scaling group chooses. The subnet is set in the network interface, if there is one.
func (d templateData) inSubnet(subnet string) runInstancesRequest {
	r := runInstancesRequest{templateData: d, MinCount: 1, MaxCount: 1, SubnetID: subnet}
	if len(d.NetworkInterfaces) > 0 && subnet != "" {
		r.NetworkInterfaces = append([]templateInterface{}, d.NetworkInterfaces...)
		r.NetworkInterfaces[0].SubnetID, r.SubnetID = subnet, ""
	}
	return r
}

// check rejects an image whose parameter can't be resolved.
func (d templateData) check(c *call) *Error {
	_, problem := c.imageID(d.ImageID)
	return problem
}

// templateReference names a version of a launch template. Defaults to the default
// version.
type templateReference struct {
	ID      string `param:"LaunchTemplateId"   xml:"launchTemplateId,omitempty"`
	Name    string `param:"LaunchTemplateName" xml:"launchTemplateName,omitempty"`
	Version string `xml:"version,omitempty"`
}

// templateVersion finds the version.
func (c *call) templateVersion(r templateReference) (versionItem, *Error) {
	t, problem := c.templateNamed(r.ID, r.Name)
	if problem != nil {
		return versionItem{}, problem
	}
	if r.Version == "" {
		return t.item(1), nil
	}
	number, problem := t.number(r.Version)
	if problem != nil {
		return versionItem{}, problem
	}
	return t.item(number), nil
}
