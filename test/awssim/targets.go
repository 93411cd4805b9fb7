package awssim

import (
	"maps"
	"strings"

	"github.com/orgami/packer-plugin-orgami/test/awssim/authz"
)

// targets has, for each operation that policies can allow by the tags of its target,
// the parameter with the target's ID.
var targets = map[string]string{
	"TerminateInstances": "InstanceId.", "DeleteSecurityGroup": "GroupId", "RevokeSecurityGroupEgress": "GroupId",
	"DeleteLaunchTemplate": "LaunchTemplateId", "DeleteAutoScalingGroup": "AutoScalingGroupName",
}

// allowsOnTargets is like allows, for each resource that the call names, with its tags.
// Fact: IAM-EVAL-17.
func (c *call) allowsOnTargets(action string) bool {
	if action == actionRunInstances {
		return c.allowsLaunch()
	}
	parameter := targets[c.operation]
	if parameter == "" {
		context := c.requestContext()
		maps.Copy(context, c.requestTags())
		return c.w.identityAllows(c.caller, action, "*", context, c.now)
	}
	for name, values := range c.form {
		if name != parameter && (!strings.HasSuffix(parameter, ".") || !strings.HasPrefix(name, parameter)) {
			continue
		}
		context := c.requestContext()
		for key, value := range c.tagsOf(values[0]) {
			context["aws:ResourceTag/"+key] = []string{value}
		}
		if !c.w.identityAllows(c.caller, action, "*", context, c.now) {
			return false
		}
	}
	return true
}

const actionRunInstances = "ec2:RunInstances"

// allowsLaunch reports whether the caller's own policies let it launch at all. The
// service control policies are evaluated for each resource of the launch, whose
// condition keys are known then (launchDenial). Fact: IAM-EVAL-18.
func (c *call) allowsLaunch() bool {
	return c.w.ownDecision(c.caller, actionRunInstances, "*", c.requestContext(), c.now).Effect == authz.Allow
}

// tagsOf are the tags of a resource, or of an Auto Scaling group by its name.
func (c *call) tagsOf(id string) map[string]string {
	if c.service != "autoscaling" {
		return c.tags(id)
	}
	tags := map[string]string{}
	if g := c.w.asg.groups[asgKey{c.caller.Account, c.region, id}]; g != nil {
		for _, t := range g.tags {
			tags[t.Key] = t.Value
		}
	}
	return tags
}

// requestTags are the condition keys of the tags that the call sets on an Auto
// Scaling group.
func (c *call) requestTags() map[string][]string {
	context := map[string][]string{}
	for name, values := range c.form {
		number, isKey := strings.CutSuffix(name, ".Key")
		if c.service == "autoscaling" && isKey && strings.HasPrefix(number, "Tags.member.") {
			context["aws:RequestTag/"+values[0]] = []string{c.form.Get(number + ".Value")}
		}
	}
	return context
}
