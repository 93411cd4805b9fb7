package awssim

import (
	"reflect"
	"slices"
	"strconv"
)

// securityGroup is a security group. Its rules are stored but never evaluated, because
// nothing connects to instances.
type securityGroup struct {
	id, owner, vpc, name, description string
	rules, egress                     []ipPermission
}

// anyOutbound is the rule that a new group has. Fact: EC2-INST-9.
func anyOutbound() []ipPermission {
	return []ipPermission{{IPProtocol: "-1", IPRanges: []ipRange{{CidrIP: "0.0.0.0/0"}}}}
}

// ipPermission is a rule, in requests and in answers.
type ipPermission struct {
	IPProtocol string      `param:"IpProtocol" xml:"ipProtocol"`
	FromPort   *int        `xml:"fromPort"`
	ToPort     *int        `xml:"toPort"`
	IPRanges   []ipRange   `param:"IpRanges" xml:"ipRanges>item"`
	IPv6Ranges []ipv6Range `param:"Ipv6Ranges" xml:"ipv6Ranges>item"`
	Groups     []groupPair `xml:"groups>item"`
}

type ipRange struct {
	CidrIP      string `param:"CidrIp" xml:"cidrIp"`
	Description string `xml:"description,omitempty"`
}

type ipv6Range struct {
	CidrIPv6    string `param:"CidrIpv6" xml:"cidrIpv6"`
	Description string `xml:"description,omitempty"`
}

type groupPair struct {
	GroupID string `param:"GroupId" xml:"groupId"`
	UserID  string `param:"UserId" xml:"userId,omitempty"`
}

// ownSecurityGroup finds one of the caller's security groups.
func (c *call) ownSecurityGroup(id string) (*securityGroup, *Error) {
	c.network() // the default group is there from the start
	g := c.here().securityGroups[id]
	if g == nil || g.owner != c.caller.Account {
		return nil, badRequest("InvalidGroup.NotFound", "The security group '%s' does not exist", id)
	}
	return g, nil
}

type createSecurityGroupRequest struct {
	GroupName         string             `param:",required"`
	Description       string             `param:"GroupDescription,required"`
	VpcID             string             `param:"VpcId"`
	TagSpecifications []tagSpecification `param:"TagSpecification"`
}

type createSecurityGroupAnswer struct {
	GroupID string       `xml:"groupId"`
	Tags    set[tagItem] `xml:"tagSet"`
}

func createSecurityGroup(c *call, r createSecurityGroupRequest) (any, error) {
	tags, problem := c.specifiedTags(r.TagSpecifications, "security-group")
	if problem != nil {
		return nil, problem
	}
	if r.VpcID == "" && !c.network().standard { // Fact: EC2-INST-3
		return nil, badRequest("VPCIdNotSpecified", "No default VPC for this user")
	}
	if r.VpcID != "" && r.VpcID != c.network().vpc {
		return nil, badRequest("InvalidVpcID.NotFound", "The vpc ID '%s' does not exist", r.VpcID)
	}
	for _, g := range c.here().securityGroups {
		if g.owner == c.caller.Account && g.name == r.GroupName {
			return nil, badRequest("InvalidGroup.Duplicate", "The security group '%s' already exists for VPC '%s'", r.GroupName, g.vpc)
		}
	}
	g := &securityGroup{id: c.w.newEC2ID("sg"), owner: c.caller.Account, vpc: c.network().vpc, name: r.GroupName, description: r.Description, egress: anyOutbound()}
	c.here().securityGroups[g.id] = g
	c.setTags(g.id, tags["security-group"])
	return createSecurityGroupAnswer{g.id, tagSet(tags["security-group"])}, nil
}

type authorizeIngressRequest struct {
	GroupID string         `param:"GroupId,required"`
	Rules   []ipPermission `param:"IpPermissions,required"`
}

func authorizeSecurityGroupIngress(c *call, r authorizeIngressRequest) (any, error) {
	g, problem := c.ownSecurityGroup(r.GroupID)
	if problem != nil {
		return nil, problem
	}
	for _, rule := range r.Rules {
		if rule.IPProtocol == "" {
			return nil, badRequest("MissingParameter", "The request must contain the parameter ipProtocol")
		}
	}
	g.rules = append(g.rules, r.Rules...)
	return done{true}, nil
}

type revokeEgressRequest struct {
	GroupID string         `param:"GroupId,required"`
	Rules   []ipPermission `param:"IpPermissions,required"`
}

// revokeSecurityGroupEgress removes outbound rules that match a rule of the group
// exactly.
func revokeSecurityGroupEgress(c *call, r revokeEgressRequest) (any, error) {
	g, problem := c.ownSecurityGroup(r.GroupID)
	if problem != nil {
		return nil, problem
	}
	for _, rule := range r.Rules {
		n := slices.IndexFunc(g.egress, func(e ipPermission) bool { return reflect.DeepEqual(e, rule) })
		if n < 0 {
			return nil, badRequest("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
		}
		g.egress = slices.Delete(g.egress, n, n+1)
	}
	return done{true}, nil
}

type describeSecurityGroupsRequest struct {
	GroupIDs   []string `param:"GroupId"`
	GroupNames []string `param:"GroupName"`
	Filters    []filter `param:"Filter"`
	paging
}

type securityGroupItem struct {
	OwnerID     string            `xml:"ownerId"`
	GroupID     string            `xml:"groupId"`
	GroupName   string            `xml:"groupName"`
	Description string            `xml:"groupDescription"`
	VpcID       string            `xml:"vpcId"`
	Rules       set[ipPermission] `xml:"ipPermissions"`
	Egress      set[ipPermission] `xml:"ipPermissionsEgress"`
	Tags        set[tagItem]      `xml:"tagSet"`
}

type describeSecurityGroupsAnswer struct {
	Groups    set[securityGroupItem] `xml:"securityGroupInfo"`
	NextToken string                 `xml:"nextToken,omitempty"`
}

func describeSecurityGroups(c *call, r describeSecurityGroupsRequest) (any, error) {
	if problem := r.withoutIDs("groupId", r.GroupIDs); problem != nil {
		return nil, problem
	}
	c.network()
	groups, problem := ownResources(c.here().securityGroups, r.GroupIDs, c.ownSecurityGroup)
	if problem != nil {
		return nil, problem
	}
	groups = slices.DeleteFunc(groups, func(g *securityGroup) bool {
		return len(r.GroupNames) > 0 && !slices.Contains(r.GroupNames, g.name)
	})
	groups, problem = securityGroupFilters.selectBy(c, r.Filters, groups)
	if problem != nil {
		return nil, problem
	}
	groups, next, problem := pageOf(r.paging, groups)
	if problem != nil {
		return nil, problem
	}
	return describeSecurityGroupsAnswer{NextToken: next, Groups: setFrom(groups, func(g *securityGroup) securityGroupItem {
		return securityGroupItem{g.owner, g.id, g.name, g.description, g.vpc, setOf(g.rules...), setOf(g.egress...), tagSet(c.tags(g.id))}
	})}, nil
}

var securityGroupFilters = filterTable[*securityGroup]{
	"description": func(_ *call, g *securityGroup) []string { return []string{g.description} },
	"group-id":    func(_ *call, g *securityGroup) []string { return []string{g.id} },
	"group-name":  func(_ *call, g *securityGroup) []string { return []string{g.name} },
	"owner-id":    func(_ *call, g *securityGroup) []string { return []string{g.owner} },
	"vpc-id":      func(_ *call, g *securityGroup) []string { return []string{g.vpc} },
	"ip-permission.to-port": func(_ *call, g *securityGroup) []string {
		var ports []string
		for _, rule := range g.rules {
			if rule.ToPort != nil {
				ports = append(ports, strconv.Itoa(*rule.ToPort))
			}
		}
		return ports
	},
}

type deleteSecurityGroupRequest struct {
	GroupID string `param:"GroupId,required"`
}

type deleteSecurityGroupAnswer struct {
	Return  bool   `xml:"return"`
	GroupID string `xml:"groupId"`
}

// deleteSecurityGroup rejects a group that an instance uses.
func deleteSecurityGroup(c *call, r deleteSecurityGroupRequest) (any, error) {
	g, problem := c.ownSecurityGroup(r.GroupID)
	if problem != nil {
		return nil, problem
	}
	if g.name == "default" {
		return nil, badRequest("CannotDelete", "the specified group: \"%s\" name: \"default\" cannot be deleted by a user", g.id)
	}
	for _, i := range c.here().instances {
		if i.state(c.now) != "terminated" && slices.Contains(i.securityGroups, g.id) {
			return nil, badRequest("DependencyViolation", "resource %s has a dependent object", g.id)
		}
	}
	delete(c.here().securityGroups, g.id)
	delete(c.here().tags, tagged{g.owner, g.id})
	return deleteSecurityGroupAnswer{true, g.id}, nil
}
