package canary

import (
	"context"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/fanout"
	"github.com/orgami/packer-plugin-orgami/internal/wait"
)

// attempt is one try to launch in a Region.
type attempt struct {
	regional
	place

	number int
	group  string // the security group

	mu   sync.Mutex
	made resources
	// lost means that the ID of a created resource may be unknown because a response
	// was lost.
	lost bool
}

// ending is the result of a launch. The outcome is empty if it isn't known.
type ending struct {
	Launch

	// interrupted means that another client terminated the instance.
	interrupted bool
	// elsewhere means that another zone may work.
	elsewhere bool
}

// creates records what the attempt created.
func (a *attempt) creates(more resources) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.made = a.made.with(more)
}

func (a *attempt) unsure() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lost = true
}

// settling is how long removing looks for resources of calls whose response was lost.
// They may not be visible yet. Fact: EC2-API-1.
const settling = 15 * time.Second

// remove removes what the attempt created.
func (a *attempt) remove(ctx context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var atLeast time.Duration
	if a.lost {
		atLeast = settling
	}
	return a.regional.remove(ctx, a.made, atLeast, func(tags map[string]string, _ string) bool { return tags[TagRun] == a.run })
}

// launch launches with RunInstances and, if configured, through an Auto Scaling
// group at the same time.
func (a *attempt) launch(ctx context.Context) (direct, scaled ending, err error) {
	direct.Launch, scaled.Launch = a.result(ByRunInstances, "", ""), a.result(ByAutoScaling, "", "")
	if a.group == "" {
		if a.group, err = a.createSecurityGroup(ctx); err != nil {
			return direct, scaled, err
		}
	}
	tasks := []fanout.Task{{Name: a.region, Run: func(ctx context.Context) (err error) {
		direct, err = a.runInstance(ctx)
		return err
	}}}
	if a.ThroughGroup {
		tasks = append(tasks, fanout.Task{Name: a.region, Run: func(ctx context.Context) (err error) {
			scaled, err = a.runGroup(ctx)
			return err
		}})
	}
	err = fanout.Together(ctx, tasks...)
	return direct, scaled, err
}

// createSecurityGroup creates a group without rules. The group's name is the
// attempt's own, so that a group that has it is the one of a lost response.
// Fact: EC2-INST-9.
func (a *attempt) createSecurityGroup(ctx context.Context) (string, error) {
	creating, done := lingering(ctx, answerGrace)
	defer done()
	name := a.name(a.number)
	_, err := a.client.CreateSecurityGroup(creating, &ec2.CreateSecurityGroupInput{
		GroupName: &name, Description: aws.String("Temporary group of a canary launch of " + a.image.ID), VpcId: &a.vpc,
		TagSpecifications: specify(a.tags(a.number), types.ResourceTypeSecurityGroup),
	})
	if err != nil && !awsclient.Is(err, "InvalidGroup.Duplicate") {
		a.unsure()
		return "", awsclient.Wrap(err, "creating a security group for the canary in %s in account %s (set canary.security_groups to use another)", a.region, a.Account)
	}
	var group types.SecurityGroup
	err = wait.Until(ctx, wait.Policy{Interval: 2 * time.Second, Timeout: visibility}, func(ctx context.Context) (string, error) {
		found, err := a.client.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{Filters: []types.Filter{
			{Name: aws.String("group-name"), Values: []string{name}}, {Name: aws.String("vpc-id"), Values: []string{a.vpc}},
		}})
		switch {
		case err != nil:
			return "", awsclient.Wrap(err, "reading the security group %s in %s in account %s", name, a.region, a.Account)
		case len(found.SecurityGroups) == 0:
			return "the security group " + name + " isn't visible", nil
		case aws.ToString(found.SecurityGroups[0].GroupId) == "":
			return "", awsclient.Incomplete("EC2 DescribeSecurityGroups", a.region, "GroupId")
		}
		group = found.SecurityGroups[0]
		return "", nil
	})
	if err != nil {
		a.unsure()
		return "", err
	}
	a.creates(resources{securityGroups: []string{*group.GroupId}})
	if len(group.IpPermissionsEgress) == 0 {
		return *group.GroupId, nil
	}
	_, err = a.client.RevokeSecurityGroupEgress(ctx, &ec2.RevokeSecurityGroupEgressInput{GroupId: group.GroupId, IpPermissions: group.IpPermissionsEgress})
	if awsclient.Is(err, "InvalidPermission.NotFound") {
		err = nil // a response was lost
	}
	return *group.GroupId, awsclient.Wrap(err, "removing the outbound rules of security group %s in %s in account %s", *group.GroupId, a.region, a.Account)
}
