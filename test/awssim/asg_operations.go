package awssim

import (
	"cmp"
	"net/http"
	"strings"
)

// asgOperations are the operations of EC2 Auto Scaling that a group of one instance
// needs.
var asgOperations = map[string]operation{
	"CreateAutoScalingGroup":    {mutating: true, handle: decodedQuery(createAutoScalingGroup)},
	"DeleteAutoScalingGroup":    {mutating: true, handle: decodedQuery(deleteAutoScalingGroup)},
	"DescribeAutoScalingGroups": {handle: decodedQuery(describeAutoScalingGroups)},
	"DescribeScalingActivities": {handle: decodedQuery(describeScalingActivities)},
	"StartInstanceRefresh":      {mutating: true, handle: decodedQuery(startInstanceRefresh)},
	"UpdateAutoScalingGroup":    {mutating: true, handle: decodedQuery(updateAutoScalingGroup)},
}

// decodedQuery decodes the parameters of an operation. The service has no dry runs.
func decodedQuery[R any](handle func(*call, R) (any, error)) func(*call) (any, error) {
	return func(c *call) (any, error) {
		var request R
		if problem := decodeParams(c.form, &request); problem != nil {
			return nil, badRequest("ValidationError", "%s", problem.Message)
		}
		return handle(c, request)
	}
}

// members is a list in a response of Auto Scaling.
type members[T any] struct {
	Items []T `xml:"member"`
}

func membersFrom[S, T any](from []S, convert func(S) T) members[T] {
	return members[T](setFrom(from, convert))
}

// memberList is a list in a request.
type memberList[T any] struct {
	Items []T `param:"member"`
}

type asgTag struct {
	Key, Value   string
	Propagate    bool   `param:"PropagateAtLaunch" xml:"PropagateAtLaunch"`
	ResourceID   string `param:"ResourceId"        xml:"ResourceId"`
	ResourceType string
}

type createGroupRequest struct {
	Name              string `param:"AutoScalingGroupName,required"`
	MinSize           int    `param:",required"`
	MaxSize           int    `param:",required"`
	DesiredCapacity   *int
	LaunchTemplate    templateReference
	VPCZoneIdentifier string
	HealthCheckType   string
	RoleARN           string `param:"ServiceLinkedRoleARN"`
	Tags              memberList[asgTag]
}

// createAutoScalingGroup checks that the caller could make the launch, and creates the
// service-linked role if it is missing. Fact: ASG-1, ASG-2, ASG-10, IAM-ROLE-9.
func createAutoScalingGroup(c *call, r createGroupRequest) (any, error) {
	key := asgKey{c.caller.Account, c.region, r.Name}
	if c.w.asg.groups[key] != nil {
		return nil, badRequest("AlreadyExists", "AutoScalingGroup by this name already exists - A group with the name %s already exists", r.Name)
	}
	desired := r.MinSize
	if r.DesiredCapacity != nil {
		desired = *r.DesiredCapacity
	}
	switch {
	case r.MinSize < 0 || r.MaxSize < r.MinSize || desired < r.MinSize || desired > r.MaxSize:
		return nil, badRequest("ValidationError", "Desired capacity:%d must be between the specified min size:%d and max size:%d", desired, r.MinSize, r.MaxSize)
	case r.VPCZoneIdentifier == "":
		return nil, badRequest("ValidationError", "At least one Availability Zone or VPC Subnet is required.")
	case len(r.Tags.Items) > 0 && !c.allowsOnTargets("autoscaling:CreateOrUpdateTags"):
		return nil, deniedAction(c, "autoscaling:CreateOrUpdateTags")
	}
	for _, tag := range r.Tags.Items {
		if _, problem := checkedTags([]tagParameter{{tag.Key, tag.Value}}); problem != nil {
			return nil, badRequest("ValidationError", "%s", problem.Message)
		}
	}
	subnets := strings.Split(r.VPCZoneIdentifier, ",")
	if problem := c.usable(r.LaunchTemplate, subnets); problem != nil {
		return nil, problem
	}
	role, problem := c.autoScalingRole(r.RoleARN)
	if problem != nil {
		return nil, problem
	}
	g := &asgGroup{
		asgKey: key, role: role, template: r.LaunchTemplate, min: r.MinSize, max: r.MaxSize, desired: desired,
		subnets: subnets, tags: r.Tags.Items, created: c.now,
	}
	g.arn = c.w.arn("autoscaling", c.region, c.caller.Account, "autoScalingGroup:"+c.w.newID("", 32)+":autoScalingGroupName/"+r.Name)
	c.w.asg.groups[key] = g
	c.w.advanceGroups(c.now)
	return nil, nil
}

// usable checks whether the caller could launch the template in the subnets.
func (c *call) usable(template templateReference, subnets []string) *Error {
	if !c.allows(actionRunInstances, "*") {
		return &Error{Status: http.StatusForbidden, Code: "AccessDenied", Message: "You are not authorized to use launch template: " + cmp.Or(template.ID, template.Name)}
	}
	for _, subnet := range subnets {
		if _, problem := c.subnetFor(subnet, ""); problem != nil {
			return badRequest("ValidationError", "%s", problem.Message)
		}
		if problem := c.checkTemplate(template, subnet); problem != nil {
			return badRequest("ValidationError", "You must use a valid fully-formed launch template. %s", problem.Message)
		}
	}
	return nil
}

// checkTemplate checks the launch without launching anything.
func (c *call) checkTemplate(template templateReference, subnet string) *Error {
	version, problem := c.templateVersion(template)
	if problem != nil {
		return problem
	}
	if version.Data.InstanceType == "" {
		return badRequest("MissingParameter", "You must specify an instance type.")
	}
	_, problem = c.launchPlan(version.Data.inSubnet(subnet))
	return problem
}

// autoScalingRole is the name of the service-linked role that launches instances.
func (c *call) autoScalingRole(arn string) (string, *Error) {
	name := serviceLinkedRoleNames["autoscaling.amazonaws.com"]
	if arn != "" {
		name = roleName(arn)
	}
	if _, err := c.w.serviceLinkedSession(c.caller.Account, name); err == nil {
		return name, nil
	}
	if arn != "" {
		return "", badRequest("ValidationError", "ARN specified for Service-Linked Role does not exist.")
	}
	if !c.allows("iam:CreateServiceLinkedRole", "*") {
		return "", deniedAction(c, "iam:CreateServiceLinkedRole")
	}
	_, problem := c.w.addRole(c.account(), "/aws-service-role/autoscaling.amazonaws.com/", name, "", c.now)
	return name, problem
}

type deleteGroupRequest struct {
	Name        string `param:"AutoScalingGroupName,required"`
	ForceDelete bool
}

// deleteAutoScalingGroup terminates the instances if the request sets ForceDelete. The
// group exists until they are terminated. Fact: ASG-7, ASG-8.
func deleteAutoScalingGroup(c *call, r deleteGroupRequest) (any, error) {
	g, problem := c.group(r.Name)
	if problem != nil {
		return nil, problem
	}
	if len(g.live(c.now)) > 0 && !r.ForceDelete {
		return nil, badRequest("ResourceInUse", "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in the group.")
	}
	if g.deleted.IsZero() {
		g.deleted = c.now
	}
	if err := c.terminate(g); err != nil {
		return nil, err
	}
	c.w.advanceGroups(c.now)
	return nil, nil
}
