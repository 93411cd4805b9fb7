package awssim

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// asgState is EC2 Auto Scaling: groups by account, Region and name.
type asgState struct {
	groups map[asgKey]*asgGroup
}

type asgKey struct{ account, region, name string }

func newASGState() asgState { return asgState{groups: map[asgKey]*asgGroup{}} }

// asgRetry is how long a group waits after a failed launch or a terminated instance
// before it launches again. AWS documents no time, so the value is an assumption. Fact:
// ASG-6.
const asgRetry = 15 * time.Second

// asgGroup is an Auto Scaling group.
type asgGroup struct {
	asgKey

	arn, role         string
	template          templateReference
	min, max, desired int
	subnets           []string
	tags              []asgTag
	created           time.Time
	// deleted is the time when deletion was requested, or zero.
	deleted    time.Time
	activities []*asgActivity // the oldest first
}

// asgActivity is the launch of one instance.
type asgActivity struct {
	id, cause string
	started   time.Time
	// instance is nil if EC2 rejected the launch.
	instance *instance
	// ended and failure are the outcome. They are zero while the activity is in
	// progress.
	ended   time.Time
	failure string
}

func (g *asgGroup) resourceID() string { return g.name }

// advanceGroups launches all instances that the groups of all Regions should have
// launched by now, in chronological order. It depends only on earlier changes, so that
// a replay of the journal launches the same.
func (w *World) advanceGroups(now time.Time) {
	for {
		var next *asgGroup
		var at time.Time
		for _, key := range slices.SortedFunc(maps.Keys(w.asg.groups), asgKey.compare) {
			g := w.asg.groups[key]
			g.settle(now)
			if g.gone(now) {
				delete(w.asg.groups, key)
				continue
			}
			if due := g.launchDue(now); !due.IsZero() && !due.After(now) && (next == nil || due.Before(at)) {
				next, at = g, due
			}
		}
		if next == nil {
			return
		}
		w.launchInGroup(next, at)
	}
}

func (k asgKey) compare(other asgKey) int {
	return cmp.Or(cmp.Compare(k.account, other.account), cmp.Compare(k.region, other.region), cmp.Compare(k.name, other.name))
}

// settle ends the activities whose instances run or failed. Fact: ASG-4.
func (g *asgGroup) settle(now time.Time) {
	for _, a := range g.activities {
		if !a.ended.IsZero() || a.instance == nil {
			continue
		}
		switch state := a.instance.state(now); {
		case state == "running":
			a.ended = a.instance.phase.at
		case state != "pending":
			a.ended = a.instance.phase.at
			a.failure = "Instance became unhealthy while waiting for instance to be in InService state. Termination Reason: " + a.instance.reason.Message
		}
	}
}

// live returns the instances that count toward the group's size.
func (g *asgGroup) live(now time.Time) []*instance {
	var live []*instance
	for _, a := range g.activities {
		if a.instance != nil && slices.Contains([]string{"pending", "running"}, a.instance.state(now)) {
			live = append(live, a.instance)
		}
	}
	return live
}

// launchDue returns when the group launches next. It is zero if it doesn't.
func (g *asgGroup) launchDue(now time.Time) time.Time {
	if !g.deleted.IsZero() || len(g.live(now)) >= g.desired {
		return time.Time{}
	}
	if len(g.activities) < g.desired {
		return g.created
	}
	last := g.created
	for _, a := range g.activities {
		at := a.started
		if a.instance != nil {
			at = a.instance.phase.at
		}
		if at.After(last) && !slices.Contains(g.live(now), a.instance) {
			last = at
		}
	}
	return last.Add(asgRetry)
}

// launchInGroup launches an instance as the group's service-linked role, in the
// first zone that has capacity. Fact: GRANT-10, ASG-3.
func (w *World) launchInGroup(g *asgGroup, at time.Time) {
	activity := &asgActivity{
		id: w.newID("", 32), started: at,
		cause: fmt.Sprintf("At %s an instance was started in response to a difference between desired and actual capacity, increasing the capacity from %d to %d.", at.UTC().Format(time.RFC3339), len(g.live(at)), len(g.live(at))+1),
	}
	g.activities = append(g.activities, activity)
	fail := func(why string) { activity.ended, activity.failure = at, why+" Launching EC2 instance failed." }
	principal, err := w.serviceLinkedSession(g.account, g.role)
	if err != nil {
		fail(err.Error() + ".")
		return
	}
	c := &call{w: w, now: at, service: "ec2", operation: "RunInstances", region: g.region, caller: principal}
	var problem *Error
	for _, subnet := range g.subnets {
		var launched []*instance
		if launched, problem = c.launchTemplateIn(g.template, subnet); problem == nil {
			activity.instance = launched[0]
			for _, tag := range g.tags {
				if tag.Propagate {
					c.setTags(activity.instance.id, map[string]string{tag.Key: tag.Value})
				}
			}
			c.setTags(activity.instance.id, map[string]string{"aws:autoscaling:groupName": g.name})
			return
		}
		if problem.Code != "InsufficientInstanceCapacity" && problem.Code != "Unsupported" {
			break
		}
	}
	fail(problem.Message)
}

// launchTemplateIn launches one instance from a template in a subnet.
func (c *call) launchTemplateIn(template templateReference, subnet string) ([]*instance, *Error) {
	version, problem := c.templateVersion(template)
	if problem != nil {
		return nil, problem
	}
	r := version.Data.inSubnet(subnet)
	r.template = &version
	plan, problem := c.launchPlan(r)
	if problem != nil {
		return nil, problem
	}
	return c.launch(plan)
}

// gone reports whether a group that is being deleted has no instances left.
func (g *asgGroup) gone(now time.Time) bool {
	return !g.deleted.IsZero() && !slices.ContainsFunc(g.activities, func(a *asgActivity) bool {
		return a.instance != nil && a.instance.state(now) != "terminated"
	})
}

// status is the activity's state with its message. Fact: ASG-4, ASG-5.
func (a *asgActivity) status() (code, message string) {
	switch {
	case a.ended.IsZero():
		return "InProgress", ""
	case a.failure != "":
		return "Failed", a.failure
	default:
		return "Successful", ""
	}
}

func (a *asgActivity) description() string {
	text := "Launching a new EC2 instance"
	if a.instance != nil {
		text += ": " + a.instance.id
	}
	if _, message := a.status(); message != "" {
		text += ".  Status Reason: " + message
	}
	return text
}

// roleName returns the name in a role's ARN.
func roleName(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }
