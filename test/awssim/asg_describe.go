package awssim

import (
	"slices"
	"strings"
	"time"
)

type describeGroupsRequest struct {
	Names            memberList[string] `param:"AutoScalingGroupNames"`
	Filters          memberList[asgFilter]
	IncludeInstances *bool
	MaxRecords       *int
	NextToken        string
}

type asgFilter struct {
	Name   string
	Values memberList[string]
}

type asgItem struct {
	Name           string `xml:"AutoScalingGroupName"`
	ARN            string `xml:"AutoScalingGroupARN"`
	LaunchTemplate asgTemplateItem
	MinSize        int
	MaxSize        int
	Desired        int             `xml:"DesiredCapacity"`
	Cooldown       int             `xml:"DefaultCooldown"`
	Zones          members[string] `xml:"AvailabilityZones"`
	HealthCheck    string          `xml:"HealthCheckType"`
	Instances      members[asgInstanceItem]
	Created        string `xml:"CreatedTime"`
	Subnets        string `xml:"VPCZoneIdentifier"`
	Status         string `xml:"Status,omitempty"`
	Tags           members[asgTag]
	RoleARN        string `xml:"ServiceLinkedRoleARN"`
}

type asgTemplateItem struct {
	ID      string `xml:"LaunchTemplateId,omitempty"`
	Name    string `xml:"LaunchTemplateName,omitempty"`
	Version string `xml:",omitempty"`
}

type asgInstanceItem struct {
	InstanceID     string `xml:"InstanceId"`
	InstanceType   string
	Zone           string `xml:"AvailabilityZone"`
	LifecycleState string
	HealthStatus   string
	Protected      bool `xml:"ProtectedFromScaleIn"`
}

type describeGroupsAnswer struct {
	Groups    members[asgItem] `xml:"AutoScalingGroups"`
	NextToken string           `xml:"NextToken,omitempty"`
}

// largestGroupPage is the maximum number of groups or activities in a response. Fact:
// ASG-9.
const largestGroupPage = 100

func describeAutoScalingGroups(c *call, r describeGroupsRequest) (any, error) {
	var groups []*asgGroup
	for key, g := range c.w.asg.groups {
		if key.account == c.caller.Account && key.region == c.region &&
			(len(r.Names.Items) == 0 || slices.Contains(r.Names.Items, key.name)) && !slices.ContainsFunc(r.Filters.Items, g.lacks) {
			groups = append(groups, g)
		}
	}
	page, next, problem := pageOf(paging{r.MaxRecords, r.NextToken}.atMost(largestGroupPage), groups)
	if problem != nil {
		return nil, badRequest("InvalidNextToken", "%s", problem.Message)
	}
	return describeGroupsAnswer{membersFrom(page, func(g *asgGroup) asgItem { return c.groupItem(g) }), next}, nil
}

// lacks reports whether the group doesn't pass a filter. Only filters by tags are
// supported.
func (g *asgGroup) lacks(f asgFilter) bool {
	return !slices.ContainsFunc(g.tags, func(t asgTag) bool {
		if key, byKey := strings.CutPrefix(f.Name, "tag:"); byKey {
			return t.Key == key && slices.Contains(f.Values.Items, t.Value)
		}
		return f.Name == "tag-key" && slices.Contains(f.Values.Items, t.Key) || f.Name == "tag-value" && slices.Contains(f.Values.Items, t.Value)
	})
}

func (c *call) groupItem(g *asgGroup) asgItem {
	item := asgItem{
		Name: g.name, ARN: g.arn, LaunchTemplate: asgTemplateItem(g.template), MinSize: g.min, MaxSize: g.max, Desired: g.desired, Cooldown: 300,
		HealthCheck: "EC2", Created: g.created.UTC().Format(time.RFC3339), Subnets: strings.Join(g.subnets, ","),
		RoleARN: c.w.arn("iam", "", g.account, "role/aws-service-role/autoscaling.amazonaws.com/"+g.role),
	}
	if !g.deleted.IsZero() {
		item.Status = "Delete in progress"
	}
	for _, id := range g.subnets {
		if s, problem := c.subnetFor(id, ""); problem == nil && !slices.Contains(item.Zones.Items, s.zone.name) {
			item.Zones.Items = append(item.Zones.Items, s.zone.name)
		}
	}
	for _, tag := range g.tags {
		tag.ResourceID, tag.ResourceType = g.name, "auto-scaling-group"
		item.Tags.Items = append(item.Tags.Items, tag)
	}
	for _, a := range g.activities {
		if a.instance == nil || a.instance.state(c.now) == "terminated" {
			continue
		}
		lifecycle, health := "InService", "Healthy"
		switch a.instance.state(c.now) {
		case "pending":
			lifecycle = "Pending"
		case "shutting-down":
			lifecycle, health = "Terminating", "Unhealthy"
		}
		item.Instances.Items = append(item.Instances.Items, asgInstanceItem{
			a.instance.id, a.instance.instanceType, a.instance.subnet.zone.name, lifecycle, health, false,
		})
	}
	return item
}

type describeActivitiesRequest struct {
	Name           string             `param:"AutoScalingGroupName"`
	IDs            memberList[string] `param:"ActivityIds"`
	IncludeDeleted bool               `param:"IncludeDeletedGroups"`
	MaxRecords     *int
	NextToken      string
}

type activityItem struct {
	ID            string `xml:"ActivityId"`
	Group         string `xml:"AutoScalingGroupName"`
	GroupARN      string `xml:"AutoScalingGroupARN"`
	Description   string
	Cause         string
	StartTime     string
	EndTime       string `xml:"EndTime,omitempty"`
	StatusCode    string
	StatusMessage string `xml:"StatusMessage,omitempty"`
	Progress      int
	Details       string
}

type describeActivitiesAnswer struct {
	Activities members[activityItem]
	NextToken  string `xml:"NextToken,omitempty"`
}

func (a activityItem) resourceID() string { return a.ID }

// describeScalingActivities lists the newest activities first. It doesn't list
// activities of deleted groups. Fact: ASG-4, ASG-9.
func describeScalingActivities(c *call, r describeActivitiesRequest) (any, error) {
	if r.Name == "" || r.NextToken != "" || r.IncludeDeleted {
		return nil, badRequest("ValidationError", "the simulator describes the activities of one existing group, on one page")
	}
	g, problem := c.group(r.Name)
	if problem != nil {
		return nil, problem
	}
	var answer describeActivitiesAnswer
	for _, a := range slices.Backward(g.activities) {
		code, message := a.status()
		item := activityItem{
			ID: a.id, Group: g.name, GroupARN: g.arn, Description: a.description(), Cause: a.cause,
			StartTime: a.started.UTC().Format(time.RFC3339), StatusCode: code, StatusMessage: message, Progress: 50,
		}
		if !a.ended.IsZero() {
			item.EndTime, item.Progress = a.ended.UTC().Format(time.RFC3339), 100
		}
		answer.Activities.Items = append(answer.Activities.Items, item)
	}
	if size := *(paging{MaxResults: r.MaxRecords}).atMost(largestGroupPage).MaxResults; len(answer.Activities.Items) > size {
		answer.Activities.Items = answer.Activities.Items[:size]
	}
	return answer, nil
}
