package awssim_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	asgtypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// group is an Auto Scaling group of one instance in the member's account.
type group struct {
	launch

	client  *autoscaling.Client
	subnets []string
}

func newGroup(t *testing.T, w *awssim.World) group {
	t.Helper()
	g := group{launch: newLaunch(t, w), client: autoscaling.NewFromConfig(config(w, factMember, "us-east-1"))}
	g.role = "arn:aws:iam::" + factMember + ":role/" + awssim.DefaultServiceLinkedRoles()[0]
	for _, s := range must(g.ec2().DescribeSubnets(t.Context(), nil))(t).Subnets {
		g.subnets = append(g.subnets, *s.SubnetId)
	}
	nodeTemplate(t, g.ec2(), "node", g.image)
	return g
}

func (g group) ec2() *ec2.Client { return ec2In(g.w, factMember, "us-east-1") }

func (g group) create(t *testing.T) error {
	t.Helper()
	_, err := g.client.CreateAutoScalingGroup(t.Context(), &autoscaling.CreateAutoScalingGroupInput{
		AutoScalingGroupName: aws.String("group"), MinSize: aws.Int32(1), MaxSize: aws.Int32(1), DesiredCapacity: aws.Int32(1),
		LaunchTemplate:    &asgtypes.LaunchTemplateSpecification{LaunchTemplateName: aws.String("node"), Version: aws.String("$Latest")},
		VPCZoneIdentifier: aws.String(strings.Join(g.subnets, ",")),
		Tags:              []asgtypes.Tag{{Key: aws.String("run"), Value: aws.String("1"), PropagateAtLaunch: aws.Bool(true)}},
	})
	return err
}

// activities are "status: message", the newest first.
func (g group) activities(t *testing.T) []string {
	t.Helper()
	var list []string
	for _, a := range must(g.client.DescribeScalingActivities(t.Context(), &autoscaling.DescribeScalingActivitiesInput{AutoScalingGroupName: aws.String("group")}))(t).Activities {
		list = append(list, strings.TrimSuffix(string(a.StatusCode)+": "+aws.ToString(a.StatusMessage), ": "))
	}
	return list
}

func (g group) describe(t *testing.T) *asgtypes.AutoScalingGroup {
	t.Helper()
	groups := must(g.client.DescribeAutoScalingGroups(t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{
		Filters: []asgtypes.Filter{{Name: aws.String("tag:run"), Values: []string{"1"}}},
	}))(t).AutoScalingGroups
	if len(groups) == 0 {
		return nil
	}
	return &groups[0]
}

const unhealthy = "Failed: Instance became unhealthy while waiting for instance to be in InService state. Termination Reason: Client.InternalError: Client error on launch"

// TestGroupsLaunchAsTheirRole checks that without its grant the launches fail and are
// repeated; with it, one succeeds.
func TestGroupsLaunchAsTheirRole(t *testing.T) {
	inImageWorld(t, awssim.Options{BuildTime: 10 * time.Second}, func(t *testing.T, w *awssim.World) {
		var journal bytes.Buffer
		w.JournalTo(&journal)
		g := newGroup(t, w)
		if err := g.create(t); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"InProgress"}, g.activities(t)); diff != "" {
			t.Error(diff)
		}
		time.Sleep(10 * time.Second)
		if diff := cmp.Diff([]string{unhealthy}, g.activities(t)); diff != "" {
			t.Error(diff)
		}
		time.Sleep(15 * time.Second)
		if diff := cmp.Diff([]string{"InProgress", unhealthy}, g.activities(t)); diff != "" {
			t.Error(diff)
		}
		g.grant(t, g.key, launchGrantOperations)
		time.Sleep(time.Minute)
		if diff := cmp.Diff([]string{"Successful", unhealthy, unhealthy}, g.activities(t)); diff != "" {
			t.Error(diff)
		}
		described := g.describe(t)
		if len(described.Instances) != 1 || described.Instances[0].LifecycleState != asgtypes.LifecycleStateInService {
			t.Fatalf("the group has %+v", described.Instances)
		}
		first := aws.ToString(described.Instances[0].InstanceId)
		if tags := w.Snapshot().Instances[0].Tags; tags["run"] != "1" || tags["aws:autoscaling:groupName"] != "group" {
			t.Errorf("the instance's tags are %v", tags)
		}
		// An instance that is terminated is replaced.
		must(g.ec2().TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{first}}))(t)
		time.Sleep(time.Minute)
		if described = g.describe(t); len(described.Instances) != 1 || aws.ToString(described.Instances[0].InstanceId) == first {
			t.Errorf("after it was terminated, the group has %+v", described.Instances)
		}
		// A replay launches the same.
		again := must(awssim.New(imageWorldFile(), awssim.Options{BuildTime: 10 * time.Second}))(t)
		if err := again.Resume(&journal); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(w.Snapshot(), again.Snapshot()); diff != "" {
			t.Errorf("the replayed world differs:\n%s", diff)
		}
	})
}

// TestDeletingGroups checks that a group with instances can only be deleted by force,
// and exists until they are terminated.
func TestDeletingGroups(t *testing.T) {
	inImageWorld(t, awssim.Options{BuildTime: 10 * time.Second}, func(t *testing.T, w *awssim.World) {
		g := newGroup(t, w)
		g.grant(t, g.key, launchGrantOperations)
		if err := g.create(t); err != nil {
			t.Fatal(err)
		}
		wantCode(t, g.create(t), "AlreadyExists")
		name := aws.String("group")
		_, err := g.client.DeleteAutoScalingGroup(t.Context(), &autoscaling.DeleteAutoScalingGroupInput{AutoScalingGroupName: name})
		wantCode(t, err, "ResourceInUse")
		must(g.client.DeleteAutoScalingGroup(t.Context(), &autoscaling.DeleteAutoScalingGroupInput{AutoScalingGroupName: name, ForceDelete: aws.Bool(true)}))(t)
		if described := g.describe(t); described == nil || aws.ToString(described.Status) != "Delete in progress" {
			t.Errorf("while its instance shuts down, the group is %+v", described)
		}
		time.Sleep(10 * time.Second)
		if described := g.describe(t); described != nil {
			t.Errorf("afterwards it is %+v", described)
		}
		if state := w.Snapshot(); len(state.Instances) != 0 || len(state.LaunchResources) != 1 {
			t.Errorf("left are %+v and %+v", state.Instances, state.LaunchResources)
		}
		_, err = g.client.DeleteAutoScalingGroup(t.Context(), &autoscaling.DeleteAutoScalingGroupInput{AutoScalingGroupName: name})
		wantCode(t, err, "ValidationError")
	})
}

// TestGroupsAndCapacity checks that a group tries its zones, and reports why none
// works.
func TestGroupsAndCapacity(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		g := newGroup(t, w)
		g.grant(t, g.key, launchGrantOperations)
		for _, zone := range []string{"us-east-1a", "us-east-1b", "us-east-1c"} {
			w.WithoutCapacity(awssim.CapacityFile{Zone: zone})
		}
		if err := g.create(t); err != nil {
			t.Fatal(err)
		}
		if got := g.activities(t); len(got) != 1 || !strings.HasPrefix(got[0], "Failed: We currently do not have sufficient t3.micro capacity") || !strings.HasSuffix(got[0], "Launching EC2 instance failed.") {
			t.Errorf("the activities are %q", got)
		}
		w.WithCapacity()
		w.WithoutCapacity(awssim.CapacityFile{Zone: "us-east-1a", InstanceType: "t3.micro", Unsupported: true})
		time.Sleep(15 * time.Second)
		if described := g.describe(t); len(described.Instances) != 1 || aws.ToString(described.Instances[0].AvailabilityZone) != "us-east-1b" {
			t.Errorf("the group has %+v", described.Instances)
		}
		offered := must(g.ec2().DescribeInstanceTypeOfferings(t.Context(), &ec2.DescribeInstanceTypeOfferingsInput{
			LocationType: types.LocationTypeAvailabilityZone, Filters: []types.Filter{{Name: aws.String("instance-type"), Values: []string{"t3.micro"}}},
		}))(t).InstanceTypeOfferings
		if len(offered) != 2 {
			t.Errorf("the type is offered in %+v", offered)
		}
	})
}

// TestGroupsNeed checks that a group requires permissions, a possible launch, and a
// role, which is created.
func TestGroupsNeed(t *testing.T) {
	allowed := []string{"autoscaling:CreateAutoScalingGroup", "autoscaling:CreateOrUpdateTags", "ec2:RunInstances", "ec2:CreateTags", "iam:CreateServiceLinkedRole"}
	for _, missing := range allowed {
		file := imageWorldFile()
		for n := range file.Accounts {
			file.Accounts[n].ServiceLinkedRoles = nil
		}
		w := must(awssim.New(file, awssim.Options{}))(t)
		t.Run("without "+missing, func(t *testing.T) {
			g := newGroup(t, w)
			role := newRole(t, w, factMember, "Scaler", `{"Effect":"Allow","Action":[`+quoted(without(allowed, missing))+`],"Resource":"*"}`)
			g.client = autoscaling.NewFromConfig(sessionOf(t, config(w, factMember, "us-east-1"), role, "us-east-1"))
			if err := g.create(t); err == nil {
				t.Errorf("a group is created without %s", missing)
			}
			putRolePolicy(t, w, factMember, "Scaler", `{"Effect":"Allow","Action":[`+quoted(append(allowed, "autoscaling:Describe*"))+`],"Resource":"*"}`)
			if err := g.create(t); err != nil {
				t.Error(err)
			}
			if described := g.describe(t); !strings.HasSuffix(aws.ToString(described.ServiceLinkedRoleARN), "/AWSServiceRoleForAutoScaling") {
				t.Errorf("the group's role is %s", aws.ToString(described.ServiceLinkedRoleARN))
			}
		})
	}
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		g := newGroup(t, w)
		must(g.publisher().ModifyImageAttribute(t.Context(), &ec2.ModifyImageAttributeInput{ImageId: &g.image, LaunchPermission: &types.LaunchPermissionModifications{
			Remove: []types.LaunchPermission{{OrganizationArn: aws.String(awssim.OrganizationARN)}},
		}}))(t)
		wantCode(t, g.create(t), "ValidationError") // Fact: ASG-2
	})
}

// TestAccountsWithoutDefaultVPC checks that a launch requires a subnet, and a security
// group a VPC. Fact: EC2-INST-3.
func TestAccountsWithoutDefaultVPC(t *testing.T) {
	file := imageWorldFile()
	for n := range file.Accounts {
		file.Accounts[n].NoDefaultVPC = []string{"us-east-1"}
	}
	w := must(awssim.New(file, awssim.Options{}))(t)
	client := ec2In(w, awssim.PublishingAccount, "us-east-1")
	_, err := run(t, client, plainImage)
	wantCode(t, err, "VPCIdNotSpecified")
	_, err = client.CreateSecurityGroup(t.Context(), &ec2.CreateSecurityGroupInput{GroupName: aws.String("g"), Description: aws.String("g")})
	wantCode(t, err, "VPCIdNotSpecified")
	byDefault := []types.Filter{{Name: aws.String("default-for-az"), Values: []string{"true"}}}
	if n := len(must(client.DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{Filters: byDefault}))(t).Subnets); n != 0 {
		t.Errorf("there are %d default subnets", n)
	}
	subnet := must(client.DescribeSubnets(t.Context(), nil))(t).Subnets[0]
	input := runInput(plainImage)
	input.SubnetId = subnet.SubnetId
	must(client.RunInstances(t.Context(), input))(t)
	if w.Snapshot().Instances[0].PublicAddress {
		t.Error("the subnet gives public addresses")
	}
	must(client.CreateSecurityGroup(t.Context(), &ec2.CreateSecurityGroupInput{GroupName: aws.String("g"), Description: aws.String("g"), VpcId: subnet.VpcId}))(t)
}

// TestStatusChecksTakeTime checks that status checks are initializing first, and then
// ok.
func TestStatusChecksTakeTime(t *testing.T) {
	inImageWorld(t, awssim.Options{BuildTime: time.Second, StatusCheckTime: time.Minute}, func(t *testing.T, w *awssim.World) {
		client := ec2In(w, awssim.PublishingAccount, "us-east-1")
		id := *must(run(t, client, plainImage))(t).InstanceId
		var got []types.SummaryStatus
		for _, wait := range []time.Duration{0, time.Second, time.Minute} {
			time.Sleep(wait)
			status := must(client.DescribeInstanceStatus(t.Context(), &ec2.DescribeInstanceStatusInput{InstanceIds: []string{id}, IncludeAllInstances: aws.Bool(true)}))(t)
			got = append(got, status.InstanceStatuses[0].SystemStatus.Status)
		}
		if diff := cmp.Diff([]types.SummaryStatus{"not-applicable", "initializing", "ok"}, got); diff != "" {
			t.Error(diff)
		}
	})
}

// TestGroupsResolveSharedParameters checks that a group launches the image that another
// account's shared parameter names when the instance starts. Fact: ASG-11.
func TestGroupsResolveSharedParameters(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		g := newGroup(t, w)
		g.grant(t, g.key, launchGrantOperations)
		owner := ssmIn(w, awssim.PublishingAccount, "us-east-1")
		put := func(image string) {
			must(owner.PutParameter(t.Context(), &ssm.PutParameterInput{
				Name: aws.String("golden"), Value: &image, Type: ssmtypes.ParameterTypeString, DataType: aws.String("aws:ec2:image"), Tier: ssmtypes.ParameterTierAdvanced, Overwrite: aws.Bool(true),
			}))(t)
		}
		put(g.image)
		must(shareGolden(t, w, false, awssim.OrganizationARN))(t)
		nodeTemplate(t, g.ec2(), "shared", "resolve:ssm:"+sharedARN)
		must(g.client.CreateAutoScalingGroup(t.Context(), &autoscaling.CreateAutoScalingGroupInput{
			AutoScalingGroupName: aws.String("group"), MinSize: aws.Int32(1), MaxSize: aws.Int32(1), DesiredCapacity: aws.Int32(1),
			LaunchTemplate:    &asgtypes.LaunchTemplateSpecification{LaunchTemplateName: aws.String("shared"), Version: aws.String("1")},
			VPCZoneIdentifier: aws.String(strings.Join(g.subnets, ",")),
		}))(t)
		time.Sleep(time.Minute)
		if got := g.activities(t); len(got) != 1 || got[0] != "Successful" {
			t.Errorf("activities: %v", got)
		}
	})
}
