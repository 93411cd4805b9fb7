package awssim

import (
	"cmp"
	"fmt"
	"strconv"
)

// network is an account's only VPC in the Region, with a subnet in each
// availability zone. Unless the world says otherwise, it is the default VPC.
type network struct {
	vpc     string
	subnets []subnet
	// standard says that it is the account's default VPC.
	standard bool
}

type subnet struct {
	id, vpc, cidr string
	zone          zone
	// standard says that it is the zone's default subnet. public says that its
	// instances get public addresses. Fact: EC2-INST-4.
	standard, public bool
}

// vpc is the default VPC as a resource.
type vpc string

func (v vpc) resourceID() string    { return string(v) }
func (s subnet) resourceID() string { return s.id }

const vpcCIDR = "172.31.0.0/16"

// network returns the account's network. It creates the network at the first read.
func (c *call) network() *network {
	n := c.here().networks[c.caller.Account]
	if n == nil {
		n = &network{vpc: derivedID("vpc-", c.caller.Account, c.region), standard: !c.account().withoutDefaultVPC[c.region]}
		for i, z := range c.zones() {
			n.subnets = append(n.subnets, subnet{
				id: derivedID("subnet-", c.caller.Account, z.name), vpc: n.vpc, cidr: fmt.Sprintf("172.31.%d.0/20", 16*i), zone: z,
				standard: n.standard, public: n.standard,
			})
		}
		group := &securityGroup{
			id: derivedID("sg-", c.caller.Account, c.region), owner: c.caller.Account, vpc: n.vpc, name: "default", description: "default VPC security group", egress: anyOutbound(),
		}
		c.here().networks[c.caller.Account] = n
		c.here().securityGroups[group.id] = group
	}
	return n
}

// subnetFor finds the subnet of a launch: the one named, or the default of the
// zone, or the first. Fact: EC2-INST-3.
func (c *call) subnetFor(id, zoneName string) (subnet, *Error) {
	if id == "" && !c.network().standard {
		return subnet{}, badRequest("VPCIdNotSpecified", "No default VPC for this user. GroupName is only supported for EC2-Classic and default VPC.")
	}
	for _, s := range c.network().subnets {
		if (id == "" || s.id == id) && (zoneName == "" || s.zone.name == zoneName) {
			return s, nil
		}
	}
	if id != "" {
		return subnet{}, badRequest("InvalidSubnetID.NotFound", "The subnet ID '%s' does not exist", id)
	}
	return subnet{}, badRequest("InvalidParameterValue", "Invalid availability zone: [%s]", zoneName)
}

type describeVPCsRequest struct {
	VpcIDs  []string `param:"VpcId"`
	Filters []filter `param:"Filter"`
	paging
}

type vpcItem struct {
	VpcID           string       `xml:"vpcId"`
	State           string       `xml:"state"`
	CidrBlock       string       `xml:"cidrBlock"`
	OwnerID         string       `xml:"ownerId"`
	InstanceTenancy string       `xml:"instanceTenancy"`
	IsDefault       bool         `xml:"isDefault"`
	Tags            set[tagItem] `xml:"tagSet"`
}

type describeVPCsAnswer struct {
	VPCs set[vpcItem] `xml:"vpcSet"`
}

func describeVPCs(c *call, r describeVPCsRequest) (any, error) {
	own := vpc(c.network().vpc)
	vpcs := []vpc{own}
	for _, id := range r.VpcIDs {
		if id != string(own) {
			return nil, badRequest("InvalidVpcID.NotFound", "The vpc ID '%s' does not exist", id)
		}
	}
	vpcs, problem := vpcFilters.selectBy(c, r.Filters, vpcs)
	if problem != nil {
		return nil, problem
	}
	return describeVPCsAnswer{setFrom(vpcs, func(v vpc) vpcItem {
		return vpcItem{string(v), "available", vpcCIDR, c.caller.Account, "default", c.network().standard, tagSet(c.tags(string(v)))}
	})}, nil
}

var vpcFilters = filterTable[vpc]{
	"cidr":       func(*call, vpc) []string { return []string{vpcCIDR} },
	"is-default": func(c *call, _ vpc) []string { return []string{strconv.FormatBool(c.network().standard)} },
	"isDefault":  func(c *call, _ vpc) []string { return []string{strconv.FormatBool(c.network().standard)} },
	"owner-id":   func(c *call, _ vpc) []string { return []string{c.caller.Account} },
	"state":      func(*call, vpc) []string { return []string{"available"} },
	"vpc-id":     func(_ *call, v vpc) []string { return []string{string(v)} },
}

type describeSubnetsRequest struct {
	SubnetIDs []string `param:"SubnetId"`
	Filters   []filter `param:"Filter"`
	paging
}

type subnetItem struct {
	SubnetID            string       `xml:"subnetId"`
	State               string       `xml:"state"`
	VpcID               string       `xml:"vpcId"`
	CidrBlock           string       `xml:"cidrBlock"`
	AvailableAddresses  int          `xml:"availableIpAddressCount"`
	AvailabilityZone    string       `xml:"availabilityZone"`
	AvailabilityZoneID  string       `xml:"availabilityZoneId"`
	DefaultForAZ        bool         `xml:"defaultForAz"`
	MapPublicIPOnLaunch bool         `xml:"mapPublicIpOnLaunch"`
	OwnerID             string       `xml:"ownerId"`
	Tags                set[tagItem] `xml:"tagSet"`
}

// subnetAddresses is how many addresses of a /20 subnet can be used.
const subnetAddresses = 4091

type describeSubnetsAnswer struct {
	Subnets   set[subnetItem] `xml:"subnetSet"`
	NextToken string          `xml:"nextToken,omitempty"`
}

func describeSubnets(c *call, r describeSubnetsRequest) (any, error) {
	if problem := r.withoutIDs("subnetId", r.SubnetIDs); problem != nil {
		return nil, problem
	}
	byID := map[string]subnet{}
	for _, s := range c.network().subnets {
		byID[s.id] = s
	}
	subnets, problem := ownResources(byID, r.SubnetIDs, func(id string) (subnet, *Error) { return c.subnetFor(cmp.Or(id, "none"), "") })
	if problem != nil {
		return nil, problem
	}
	subnets, problem = subnetFilters.selectBy(c, r.Filters, subnets)
	if problem != nil {
		return nil, problem
	}
	subnets, next, problem := pageOf(r.paging, subnets)
	if problem != nil {
		return nil, problem
	}
	return describeSubnetsAnswer{NextToken: next, Subnets: setFrom(subnets, func(s subnet) subnetItem {
		return subnetItem{
			s.id, "available", s.vpc, s.cidr, subnetAddresses, s.zone.name, s.zone.id, s.standard, s.public, c.caller.Account, tagSet(c.tags(s.id)),
		}
	})}, nil
}

var subnetFilters = filterTable[subnet]{
	"availability-zone":          func(_ *call, s subnet) []string { return []string{s.zone.name} },
	"availabilityZone":           func(_ *call, s subnet) []string { return []string{s.zone.name} },
	"availability-zone-id":       func(_ *call, s subnet) []string { return []string{s.zone.id} },
	"available-ip-address-count": func(*call, subnet) []string { return []string{strconv.Itoa(subnetAddresses)} },
	"default-for-az":             func(_ *call, s subnet) []string { return []string{strconv.FormatBool(s.standard)} },
	"state":                      func(*call, subnet) []string { return []string{"available"} },
	"subnet-id":                  func(_ *call, s subnet) []string { return []string{s.id} },
	"vpc-id":                     func(_ *call, s subnet) []string { return []string{s.vpc} },
}
