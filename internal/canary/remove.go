package canary

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	asgtypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/wait"
)

// resources are the IDs of what canaries created, and the names of Auto Scaling groups.
type resources struct {
	scalingGroups, instances, templates, securityGroups []string
}

// with returns the resources together with others.
func (r resources) with(more resources) resources {
	union := func(a, b []string) []string {
		all := slices.Concat(a, b)
		slices.Sort(all)
		return slices.Compact(all)
	}
	return resources{
		union(r.scalingGroups, more.scalingGroups), union(r.instances, more.instances),
		union(r.templates, more.templates), union(r.securityGroups, more.securityGroups),
	}
}

func (r resources) all() []string {
	return slices.Concat(r.scalingGroups, r.instances, r.templates, r.securityGroups)
}

// owned reports whether to remove a resource with these tags and this name.
type owned func(tags map[string]string, name string) bool

// sweep removes what canaries of runs that have ended left behind.
func (r regional) sweep(ctx context.Context) error {
	left, err := r.list(ctx, r.removable)
	if err != nil || len(left.all()) == 0 {
		return err
	}
	r.stage.Logf(r.region, "removing resources of an earlier canary in account %s: %s", r.Account, strings.Join(left.all(), ", "))
	return r.remove(ctx, left, 0, r.removable)
}

// remove removes the resources, and all others that are owned: Auto Scaling groups and
// instances, then templates, and security groups last. It continues for a while after
// the context ends, so that a canceled run terminates its instances. It looks for
// others at least that long.
func (r regional) remove(ctx context.Context, left resources, atLeast time.Duration, owned owned) error {
	ctx, done := lingering(ctx, removalGrace)
	defer done()
	ctx, stop := context.WithTimeout(ctx, removalTimeout)
	defer stop()
	left, err := r.removeInstances(ctx, left, atLeast, owned)
	for _, id := range left.templates {
		err = errors.Join(err, r.deleteTemplate(ctx, id))
	}
	if err == nil {
		for _, id := range left.securityGroups {
			err = errors.Join(err, r.deleteSecurityGroup(ctx, id))
		}
	}
	if err != nil {
		return fmt.Errorf("the canary left resources in account %s in %s, some of %s: %w\nThe next run with a canary removes them. Remove them before that to save their cost", r.Account, r.region, strings.Join(left.all(), ", "), err)
	}
	return nil
}

// removeInstances deletes the groups, terminates the instances, and waits until they
// are gone. It returns the resources with those that it found. Fact: ASG-7, ASG-8.
func (r regional) removeInstances(ctx context.Context, left resources, atLeast time.Duration, owned owned) (resources, error) {
	start := time.Now()
	going := map[string]bool{} // AWS has accepted to remove them
	err := wait.Until(ctx, wait.Policy{Interval: 5 * time.Second}, func(ctx context.Context) (string, error) {
		found, err := r.list(ctx, owned)
		left = left.with(found)
		pending := slices.Concat(found.scalingGroups, found.instances)
		for _, name := range left.scalingGroups {
			if !going[name] {
				err = errors.Join(err, r.deleteScalingGroup(ctx, name))
				going[name] = true
			}
		}
		for _, id := range left.instances {
			if going[id] {
				continue
			}
			visible, problem := r.terminate(ctx, id)
			err = errors.Join(err, problem)
			if going[id] = visible || time.Since(start) > visibility; !going[id] {
				pending = append(pending, id)
			}
		}
		switch {
		case err != nil:
			return "", err
		case len(pending) == 0 && time.Since(start) < atLeast:
			return "something else may have been created", nil
		case len(pending) == 0:
			return "", nil
		}
		return strings.Join(pending, ", ") + " still exist", nil
	})
	return left, err
}

// list finds owned resources that exist. It looks for Auto Scaling groups only if the
// canary creates one, or if there is a template, which is deleted after its group.
func (r regional) list(ctx context.Context, owned owned) (resources, error) {
	var found resources
	ours := []types.Filter{{Name: aws.String("tag-key"), Values: []string{TagRun}}}
	live := append(slices.Clone(ours), types.Filter{Name: aws.String("instance-state-name"), Values: []string{"pending", "running", "shutting-down", "stopping", "stopped"}})
	instances := eachPage(func(token *string) (*string, error) {
		page, err := r.client.DescribeInstances(ctx, &ec2.DescribeInstancesInput{Filters: live, NextToken: token})
		if err != nil {
			return nil, err
		}
		for _, reservation := range page.Reservations {
			for _, i := range reservation.Instances {
				if tags := tagMap(i.Tags); i.InstanceId != nil && owned(tags, tags[tagName]) {
					found.instances = append(found.instances, *i.InstanceId)
				}
			}
		}
		return page.NextToken, nil
	})
	templates := eachPage(func(token *string) (*string, error) {
		page, err := r.client.DescribeLaunchTemplates(ctx, &ec2.DescribeLaunchTemplatesInput{Filters: ours, NextToken: token})
		if err != nil {
			return nil, err
		}
		for _, t := range page.LaunchTemplates {
			if t.LaunchTemplateId != nil && owned(tagMap(t.Tags), aws.ToString(t.LaunchTemplateName)) {
				found.templates = append(found.templates, *t.LaunchTemplateId)
			}
		}
		return page.NextToken, nil
	})
	groups := eachPage(func(token *string) (*string, error) {
		page, err := r.client.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{
			Filters: append(slices.Clone(ours), types.Filter{Name: aws.String("owner-id"), Values: []string{r.Account}}), NextToken: token,
		})
		if err != nil {
			return nil, err
		}
		for _, g := range page.SecurityGroups {
			if g.GroupId != nil && owned(tagMap(g.Tags), aws.ToString(g.GroupName)) {
				found.securityGroups = append(found.securityGroups, *g.GroupId)
			}
		}
		return page.NextToken, nil
	})
	var scaling error
	if r.ThroughGroup || len(found.templates) > 0 {
		scaling = r.listScalingGroups(ctx, owned, &found)
	}
	return found, awsclient.Wrap(cmp.Or(instances, templates, groups, scaling), "looking for resources of canaries in %s in account %s", r.region, r.Account)
}

func (r regional) listScalingGroups(ctx context.Context, owned owned, found *resources) error {
	return eachPage(func(token *string) (*string, error) {
		page, err := r.groups.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{
			Filters: []asgtypes.Filter{{Name: aws.String("tag-key"), Values: []string{TagRun}}}, NextToken: token,
		})
		if err != nil {
			return nil, err
		}
		for _, g := range page.AutoScalingGroups {
			tags := map[string]string{}
			for _, t := range g.Tags {
				tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
			}
			if name := aws.ToString(g.AutoScalingGroupName); name != "" && owned(tags, name) {
				found.scalingGroups = append(found.scalingGroups, name)
			}
		}
		return page.NextToken, nil
	})
}

// gone reports whether a call was rejected because its resource no longer exists, and
// so has no tags that allow the call. Fact: IAM-EVAL-17.
func (r regional) gone(ctx context.Context, err error, id string) bool {
	if !awsclient.IsAccessDenied(err) {
		return false
	}
	found, err := r.list(ctx, func(map[string]string, string) bool { return true })
	return err == nil && !slices.Contains(found.all(), id)
}

// deleteScalingGroup deletes a group with its instances, unless it is gone.
func (r regional) deleteScalingGroup(ctx context.Context, name string) error {
	_, err := r.groups.DeleteAutoScalingGroup(ctx, &autoscaling.DeleteAutoScalingGroupInput{AutoScalingGroupName: &name, ForceDelete: aws.Bool(true)})
	if awsclient.Is(err, "ValidationError") || r.gone(ctx, err, name) {
		return nil
	}
	return awsclient.Wrap(err, "deleting the Auto Scaling group %s in %s in account %s", name, r.region, r.Account)
}

// terminate terminates an instance. visible is false if EC2 doesn't know it, yet or
// anymore.
func (r regional) terminate(ctx context.Context, id string) (visible bool, err error) {
	_, err = r.client.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{id}})
	if awsclient.Is(err, "InvalidInstanceID.NotFound") {
		return false, nil
	}
	if r.gone(ctx, err, id) {
		return true, nil
	}
	return true, awsclient.Wrap(err, "terminating the instance %s in %s in account %s", id, r.region, r.Account)
}

func (r regional) deleteTemplate(ctx context.Context, id string) error {
	_, err := r.client.DeleteLaunchTemplate(ctx, &ec2.DeleteLaunchTemplateInput{LaunchTemplateId: &id})
	if awsclient.Is(err, "InvalidLaunchTemplateId.NotFound") || r.gone(ctx, err, id) {
		return nil
	}
	return awsclient.Wrap(err, "deleting the launch template %s in %s in account %s", id, r.region, r.Account)
}

// deleteSecurityGroup deletes a group once nothing uses it. Fact: EC2-INST-8.
func (r regional) deleteSecurityGroup(ctx context.Context, id string) error {
	return wait.Until(ctx, wait.Policy{Interval: 5 * time.Second}, func(ctx context.Context) (string, error) {
		_, err := r.client.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: &id})
		switch {
		case awsclient.Is(err, "InvalidGroup.NotFound"), r.gone(ctx, err, id):
			return "", nil
		case awsclient.Is(err, "DependencyViolation"):
			return "the security group " + id + " is in use", nil
		default:
			return "", awsclient.Wrap(err, "deleting the security group %s in %s in account %s", id, r.region, r.Account)
		}
	})
}
