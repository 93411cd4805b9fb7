package publish_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/internal/canary"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
	"github.com/orgami/packer-plugin-orgami/internal/publish"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

const canaryRole = "orgami-canary"

// canaryAccount is where canaries launch in these tests.
func canaryAccount() string { return awssim.MemberAccounts()[0] }

// withCanary adds the canary's role to the account.
func withCanary(file awssim.WorldFile) awssim.WorldFile {
	document, _ := json.Marshal(policy.Canary("aws", "arn:aws:kms:*:"+awssim.PublishingAccount+":key/*", true))
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + awssim.PublishingAccount + `:root"},"Action":"sts:AssumeRole"}]}`
	for n := range file.Accounts {
		if file.Accounts[n].ID == canaryAccount() {
			file.Accounts[n].Roles = append(slices.Clone(file.Accounts[n].Roles), awssim.RoleFile{
				Name: canaryRole, Trust: json.RawMessage(trust), Policies: map[string]json.RawMessage{"canary": document},
			})
		}
	}
	return file
}

// inCanaryWorld runs the test in a world with a canary's role, in which instances
// take a while.
func inCanaryWorld(t *testing.T, change func(*awssim.WorldFile), test func(*testing.T, *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		file := withCanary(matrixWorld())
		if change != nil {
			change(&file)
		}
		options := timing
		options.CopyTime, options.StatusCheckTime = 90*time.Second, 20*time.Second
		test(t, newWorldWith(t, file, options))
	})
}

// canarySpec launches in all three Regions, in both ways.
func (w *world) canarySpec() publish.Spec {
	spec := w.matrixSpec()
	spec.Canary = &publish.CanarySpec{Account: canaryAccount(), Role: canaryRole, AutoScaling: true, Timeout: 10 * time.Minute}
	return spec
}

// permissions are the launch permissions of the copies, by Region.
func (w *world) permissions() map[string][]string {
	permissions := map[string][]string{}
	for _, image := range w.ourCopies() {
		permissions[image.Region] = image.LaunchPermissions
	}
	return permissions
}

// checkNothingLeft checks that no resource of a canary remains.
func (w *world) checkNothingLeft(t *testing.T) {
	t.Helper()
	if state := w.state(); len(state.Instances)+len(state.LaunchResources) > 0 {
		t.Errorf("left are %+v and %+v", state.Instances, state.LaunchResources)
	}
}

func everywhere(w *world, permissions ...string) map[string][]string {
	all := map[string][]string{}
	for _, region := range w.regions {
		all[region] = permissions
	}
	return all
}

// TestCanary checks that instances run in every Region before any other account sees an
// image. They are harmless, and no resources of them remain.
func TestCanary(t *testing.T) {
	inCanaryWorld(t, nil, func(t *testing.T, w *world) {
		ran := map[string]bool{} // Region and instance
		w.sim.OnCall(func(call awssim.Entry) {
			state := w.state()
			for _, i := range state.Instances {
				ran[i.Region+" "+i.ID] = ran[i.Region+" "+i.ID] || i.State == "running"
				if i.Owner != canaryAccount() || i.PublicAddress || i.KeyName != "" || i.UserData != "" || i.MetadataTokens != "required" || len(i.SecurityGroups) != 1 {
					t.Errorf("the instance is %+v", i)
				}
				for _, group := range state.LaunchResources {
					if group.ID == i.SecurityGroups[0] && group.Rules != 0 {
						t.Errorf("its security group has %d rules", group.Rules)
					}
				}
			}
			for region, permissions := range w.permissions() {
				if !slices.Contains(permissions, awssim.OrganizationARN) {
					continue
				}
				launched := 0
				for instance, running := range ran {
					if running {
						launched++
					}
					_ = instance
				}
				if launched != 2*len(w.regions) || len(state.Instances) > 0 {
					t.Errorf("after %s, the image in %s is shared, and %d canaries launched, %d are left", call.Operation, region, launched, len(state.Instances))
				}
			}
		})
		result := w.mustPublish(t, w.canarySpec())
		w.sim.OnCall(nil)
		var launches []string
		for _, l := range result.Canary {
			launches = append(launches, fmt.Sprintf("%s %s %s %s %s", l.Region, l.By, l.Outcome, l.InstanceType, l.Reason))
			if l.Running < timing.BuildTime || l.Running > time.Minute || l.InstanceID == "" || !strings.HasPrefix(l.Zone, l.Region) {
				t.Errorf("launch %+v", l)
			}
		}
		var want []string
		for _, region := range slices.Sorted(slices.Values(w.regions)) {
			want = append(want, region+" RunInstances launched t4g.nano ", region+" Auto Scaling launched t4g.nano ")
		}
		if diff := cmp.Diff(want, launches); diff != "" {
			t.Errorf("the launches (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(everywhere(w, awssim.OrganizationARN), w.permissions()); diff != "" {
			t.Errorf("in the end, the images are shared so:\n%s", diff)
		}
		w.checkNothingLeft(t)
		w.sim.ResetJournal()
		again := w.mustPublish(t, w.canarySpec())
		if n := len(w.mutations()); n != 0 || len(again.Canary) != 0 {
			t.Errorf("the second run changed %v, and launched %v", w.mutations(), again.Canary)
		}
	})
}

// TestCanaryKeepsAPermissionThatIsConfigured.
func TestCanaryKeepsAPermissionThatIsConfigured(t *testing.T) {
	inCanaryWorld(t, nil, func(t *testing.T, w *world) {
		spec := w.canarySpec()
		spec.Share = publish.ShareSpec{Accounts: []string{canaryAccount(), awssim.MemberAccounts()[1]}}
		spec.Grants.Accounts = spec.Share.Accounts
		w.mustPublish(t, spec)
		if diff := cmp.Diff(everywhere(w, spec.Share.Accounts...), w.permissions()); diff != "" {
			t.Error(diff)
		}
	})
}

// TestCanaryOfAnotherAccount checks that the key policy lets the canary's account
// launch although the image isn't shared with it, and that the image isn't shared with
// it afterwards.
func TestCanaryOfAnotherAccount(t *testing.T) {
	inCanaryWorld(t, nil, func(t *testing.T, w *world) {
		spec := w.canarySpec()
		spec.Canary.AutoScaling = false
		spec.Grants = publish.GrantsSpec{}
		spec.Share = publish.ShareSpec{Accounts: awssim.MemberAccounts()[1:2]}
		w.mustPublish(t, spec)
		if diff := cmp.Diff(everywhere(w, spec.Share.Accounts...), w.permissions()); diff != "" {
			t.Error(diff)
		}
	})
}

// failure is the result of a canary in one Region, and a part of its error.
type canaryFailure struct {
	world  func(*awssim.WorldFile)
	before func(*testing.T, *world, *publish.Spec)
	says   []string
	// tolerated failures publish with on_inconclusive = "warn".
	tolerated bool
}

// denying is a service control policy of the canary's account.
func denying(actions string) func(*awssim.WorldFile) {
	return func(file *awssim.WorldFile) {
		for n := range file.Accounts {
			if file.Accounts[n].ID == canaryAccount() {
				file.Accounts[n].ServiceControlPolicies = []json.RawMessage{
					json.RawMessage(awssim.FullAWSAccess),
					json.RawMessage(`{"Version":"2012-10-17","Statement":[{"Sid":"No","Effect":"Deny","Action":` + actions + `,"Resource":"*"}]}`),
				}
			}
		}
	}
}

func canaryFailures() map[string]canaryFailure {
	zones := func(unsupported bool) func(*awssim.WorldFile) {
		return func(file *awssim.WorldFile) {
			for _, zone := range []string{"a", "b", "c"} {
				file.Capacity = append(file.Capacity, awssim.CapacityFile{Zone: "eu-west-1" + zone, Unsupported: unsupported})
			}
		}
	}
	return map[string]canaryFailure{
		"an SCP on the key":  {world: denying(`"kms:GenerateDataKeyWithoutPlaintext"`), says: []string{"(RunInstances, account 222222222222) failed", "Client.InternalError: Client error on launch", "expects the launch to succeed", "Please report this issue"}},
		"an SCP on launches": {world: denying(`"ec2:RunInstances"`), says: []string{"failed, no instance: EC2 RunInstances returned UnauthorizedOperation", "service control policy"}},
		"Allowed AMIs": {
			world: func(file *awssim.WorldFile) {
				for n := range file.Accounts {
					file.Accounts[n].AllowedImages = map[string]awssim.AllowedImagesFile{"*": {State: "enabled", Criteria: []awssim.ImageCriterionFile{{Providers: []string{"amazon"}}}}}
				}
			},
			says: []string{"InvalidAMIID.NotFound", "failed"},
		},
		"no capacity":       {world: zones(false), says: []string{"the canary in eu-west-1 (RunInstances, account 222222222222) is inconclusive", "the canary in eu-west-1 (Auto Scaling", "not have sufficient t4g.nano capacity", "canary.on_inconclusive"}, tolerated: true},
		"no type in a zone": {world: zones(true), says: []string{"eu-west-1 doesn't offer t4g.nano", "Set canary.instance_type or canary.subnets", "canary.on_inconclusive"}, tolerated: true},
		"no default subnet": {
			world: func(file *awssim.WorldFile) {
				for n := range file.Accounts {
					file.Accounts[n].NoDefaultVPC = []string{"eu-west-1"}
				}
			},
			says: []string{"account 222222222222 has no default subnet in eu-west-1. Set canary.subnets"}, tolerated: true,
		},
		"another architecture": {
			before: func(_ *testing.T, _ *world, spec *publish.Spec) { spec.Canary.InstanceType = "t3.nano" },
			says:   []string{"inconclusive", "does not match the architecture"}, tolerated: true,
		},
		"too little time": {
			before: func(_ *testing.T, _ *world, spec *publish.Spec) { spec.Canary.Timeout = 15 * time.Second },
			says:   []string{"failed", "timed out after 15s"},
		},
	}
}

// TestCanaryFailures checks that no one else sees the image, the canary's account keeps
// its permission, nothing is left, and once the cause is gone, the next run publishes.
func TestCanaryFailures(t *testing.T) {
	for name, test := range canaryFailures() {
		for _, tolerant := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, tolerant %v", name, tolerant), func(t *testing.T) {
				inCanaryWorld(t, test.world, func(t *testing.T, w *world) {
					spec := w.canarySpec()
					if test.before != nil {
						test.before(t, w, &spec)
					}
					spec.Canary.TolerateInconclusive = tolerant
					result, err := w.publish(spec)
					said := w.said()
					if err != nil {
						said += "\n" + err.Error()
					}
					for _, text := range test.says {
						if expected := !tolerant || text != "canary.on_inconclusive"; expected && !strings.Contains(said, text) {
							t.Errorf("%q is not in\n%s", text, said)
						}
					}
					want := everywhere(w, canaryAccount())
					if tolerant && test.tolerated {
						want = everywhere(w, awssim.OrganizationARN)
					}
					if published := err == nil; published != (tolerant && test.tolerated) || result.Complete != published {
						t.Errorf("published is %v: %v", published, err)
					}
					if diff := cmp.Diff(want, w.permissions()); diff != "" {
						t.Errorf("the images are shared so:\n%s", diff)
					}
					w.checkNothingLeft(t)
				})
			})
		}
	}
}

// TestCanaryWithItsOwnNetwork checks that canaries launch in the configured subnets and
// security groups.
func TestCanaryWithItsOwnNetwork(t *testing.T) {
	noDefault := func(file *awssim.WorldFile) {
		for n := range file.Accounts {
			file.Accounts[n].NoDefaultVPC = []string{"*"}
		}
	}
	inCanaryWorld(t, noDefault, func(t *testing.T, w *world) {
		spec := w.canarySpec()
		spec.Canary.Subnets, spec.Canary.SecurityGroups = map[string]string{}, map[string]string{}
		spec.Canary.InstanceType = "t4g.small"
		for _, region := range w.regions {
			client := ec2.NewFromConfig(w.config(canaryAccount(), region))
			subnets, err := client.DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{Filters: []ec2types.Filter{{Name: aws.String("availability-zone"), Values: []string{region + "b"}}}})
			if err != nil {
				t.Fatal(err)
			}
			spec.Canary.Subnets[region] = *subnets.Subnets[0].SubnetId
			if region == "us-east-1" {
				continue // with a temporary group
			}
			groups, err := client.DescribeSecurityGroups(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			spec.Canary.SecurityGroups[region] = *groups.SecurityGroups[0].GroupId
		}
		w.sim.ResetJournal()
		result := w.mustPublish(t, spec)
		for _, l := range result.Canary {
			if l.Outcome != canary.Launched || l.Zone != l.Region+"b" || l.InstanceType != "t4g.small" {
				t.Errorf("launch %+v", l)
			}
		}
		if n := w.mutations()["ec2 CreateSecurityGroup"]; n != 1 {
			t.Errorf("%d security groups were created", n)
		}
		w.checkNothingLeft(t)
	})
}

// TestCanaryInAnotherZone checks that the canary launches in another zone if one has no
// capacity.
func TestCanaryInAnotherZone(t *testing.T) {
	one := func(file *awssim.WorldFile) {
		file.Capacity = []awssim.CapacityFile{{Zone: "us-east-1a"}, {Zone: "eu-west-1a", InstanceType: "t4g.nano", Unsupported: true}}
	}
	inCanaryWorld(t, one, func(t *testing.T, w *world) {
		for _, l := range w.mustPublish(t, w.canarySpec()).Canary {
			want := map[string]string{"us-east-1": "us-east-1b", "eu-west-1": "eu-west-1b", "ap-southeast-2": "ap-southeast-2a"}[l.Region]
			if l.Outcome != canary.Launched || l.Zone != want {
				t.Errorf("launch %+v", l)
			}
		}
	})
}

// TestCanaryWaitsForANewGrant checks that Auto Scaling's launches fail until the grant
// counts. A grant that never counts is a failure after five minutes.
func TestCanaryWaitsForANewGrant(t *testing.T) {
	for _, after := range []time.Duration{2 * time.Minute, time.Hour} {
		t.Run(after.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				options := timing
				options.CopyTime, options.PropagationLag = time.Second, 0
				w := newWorldWith(t, withCanary(matrixWorld()), options)
				spec := w.canarySpec()
				spec.Canary.Regions = []string{"eu-west-1"}
				var once sync.Once
				w.sim.OnCall(func(call awssim.Entry) {
					if call.Operation == "CreateLaunchTemplate" { // the grant doesn't count yet
						once.Do(func() { w.withoutScalingGrant(t, "eu-west-1", after) })
					}
				})
				start := time.Now()
				_, err := w.publish(spec)
				if took := time.Since(start); (err == nil) != (after < 5*time.Minute) || took > 8*time.Minute {
					t.Errorf("after %v the error is %v", took, err)
				}
				if err != nil && !strings.Contains(err.Error(), "(Auto Scaling, account 222222222222) failed, instance i-") {
					t.Errorf("error is %v", err)
				}
				w.sim.OnCall(nil)
				w.checkNothingLeft(t)
				time.Sleep(after) // until the grant is there again
			})
		})
	}
}

// withoutScalingGrant revokes Auto Scaling's grants in the canary's account for a
// while.
func (w *world) withoutScalingGrant(t *testing.T, region string, during time.Duration) {
	publisher := kms.NewFromConfig(w.config(awssim.PublishingAccount, region))
	for _, key := range w.state().Keys {
		for _, g := range key.Grants {
			if key.Region != region || !strings.Contains(g.Grantee, canaryAccount()) || !strings.HasSuffix(g.Grantee, "AWSServiceRoleForAutoScaling") {
				continue
			}
			if _, err := publisher.RevokeGrant(context.Background(), &kms.RevokeGrantInput{KeyId: &key.ARN, GrantId: &g.ID}); err != nil {
				t.Error(err)
			}
			time.AfterFunc(during, func() {
				var operations []kmstypes.GrantOperation
				for _, o := range g.Operations {
					operations = append(operations, kmstypes.GrantOperation(o))
				}
				if _, err := kms.NewFromConfig(w.config(canaryAccount(), region)).CreateGrant(context.Background(), &kms.CreateGrantInput{KeyId: &key.ARN, GranteePrincipal: &g.Grantee, Operations: operations}); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// TestCanaryProblems checks that the plan reports a canary that shows nothing or can't
// work, and that nothing changes.
func TestCanaryProblems(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*publish.Spec)
		says   string
	}{
		"the publisher's account": {func(s *publish.Spec) { s.Canary.Account, s.Canary.AutoScaling = awssim.PublishingAccount, false }, "is the publishing account"},
		"no grant":                {func(s *publish.Spec) { s.Grants.Accounts = awssim.MemberAccounts()[1:] }, "Add the account to grants.accounts"},
		"another role's grant":    {func(s *publish.Spec) { s.Grants.Roles = s.Grants.Roles[1:] }, "the role to grants.roles"},
		"a pending grant":         {func(s *publish.Spec) { s.Grants.MemberRole = "" }, "which the account has to create. Create it with the account's credentials: aws kms create-grant"},
		"no role":                 {func(s *publish.Spec) { s.Canary.Role = "nobody" }, "assuming arn:aws:iam::222222222222:role/nobody for the canary (canary.role)"},
	} {
		t.Run(name, func(t *testing.T) {
			inCanaryWorld(t, nil, func(t *testing.T, w *world) {
				spec := w.canarySpec()
				test.change(&spec)
				_, err := w.publish(spec)
				if err == nil || !strings.Contains(err.Error(), test.says) {
					t.Errorf("error is %v", err)
				}
				if n := len(w.mutations()); n != 0 {
					t.Errorf("the run changed %v", w.mutations())
				}
			})
		})
	}
}

// TestPlanOnlyLaunchesNoCanary checks that a plan launches nothing, and reports that a
// run would.
func TestPlanOnlyLaunchesNoCanary(t *testing.T) {
	inCanaryWorld(t, nil, func(t *testing.T, w *world) {
		spec := w.canarySpec()
		spec.PlanOnly = true
		w.mustPublish(t, spec)
		if n := len(w.mutations()); n != 0 {
			t.Errorf("the plan changed %v", w.mutations())
		}
		if says := "a canary is launched and terminated in ap-southeast-2, eu-west-1, us-east-1"; !strings.Contains(w.said(), says) {
			t.Errorf("%q is not in\n%s", says, w.said())
		}
		spec.PlanOnly = false
		w.mustPublish(t, spec)
		w.lines, spec.PlanOnly = nil, true
		w.mustPublish(t, spec)
		if strings.Contains(w.said(), "canary") {
			t.Errorf("a plan without changes says\n%s", w.said())
		}
	})
}

// TestSweepLeavesOthersAlone checks that only canaries of the publication, and those of
// others whose time is over, are removed.
func TestSweepLeavesOthersAlone(t *testing.T) {
	const run = "0123456789abcdef"
	soon, past := time.Hour, -time.Hour
	for name, test := range map[string]struct {
		name, run, publication string
		until                  time.Duration
		goes                   bool
	}{
		"of another publication, still going on": {"orgami-canary-" + run + "-1", run, "pub-0", soon, false},
		"of another publication, over":           {"orgami-canary-" + run + "-1", run, "pub-0", past, true},
		"of another name":                        {"copied", run, "pub-0", past, false},
		"of another run's name":                  {"orgami-canary-fedcba9876543210-1", run, "pub-0", past, false},
		"without a run":                          {"orgami-canary-" + run + "-1", "", "pub-0", past, false},
	} {
		t.Run(name, func(t *testing.T) {
			inCanaryWorld(t, nil, func(t *testing.T, w *world) {
				client := ec2.NewFromConfig(w.config(canaryAccount(), "us-east-1"))
				tags := []ec2types.Tag{
					{Key: aws.String("Name"), Value: &test.name},
					{Key: aws.String("orgami:publication"), Value: &test.publication},
					{Key: aws.String("orgami:canary-until"), Value: aws.String(time.Now().Add(test.until).UTC().Format(time.RFC3339))},
				}
				if test.run != "" {
					tags = append(tags, ec2types.Tag{Key: aws.String("orgami:canary"), Value: &test.run})
				}
				if _, err := client.RunInstances(t.Context(), &ec2.RunInstancesInput{
					ImageId: aws.String(awssim.BaseImage("us-east-1")), InstanceType: "t3.micro", MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
					TagSpecifications: []ec2types.TagSpecification{{ResourceType: "instance", Tags: tags}},
				}); err != nil {
					t.Fatal(err)
				}
				if _, err := client.CreateSecurityGroup(t.Context(), &ec2.CreateSecurityGroupInput{
					GroupName: &test.name, Description: aws.String("x"), TagSpecifications: []ec2types.TagSpecification{{ResourceType: "security-group", Tags: tags}},
				}); err != nil {
					t.Fatal(err)
				}
				w.mustPublish(t, w.canarySpec())
				state := w.state()
				if left := len(state.Instances) + len(state.LaunchResources); left != map[bool]int{true: 0, false: 2}[test.goes] {
					t.Errorf("%d things are left: %+v, %+v", left, state.Instances, state.LaunchResources)
				}
			})
		})
	}
}

// TestCanaryThatSomeoneTerminates checks that a canary is launched again if another
// client terminates it.
func TestCanaryThatSomeoneTerminates(t *testing.T) {
	inCanaryWorld(t, nil, func(t *testing.T, w *world) {
		spec := w.canarySpec()
		spec.Canary.Regions, spec.Canary.AutoScaling = []string{"eu-west-1"}, false
		killed := false
		w.sim.OnCall(func(call awssim.Entry) {
			state := w.state()
			if killed || call.Operation != "DescribeInstances" || len(state.Instances) == 0 {
				return
			}
			killed = true
			go func() {
				_, _ = ec2.NewFromConfig(w.config(canaryAccount(), "eu-west-1")).TerminateInstances(context.Background(), &ec2.TerminateInstancesInput{InstanceIds: []string{state.Instances[0].ID}})
			}()
		})
		result := w.mustPublish(t, spec)
		if len(result.Canary) != 1 || result.Canary[0].Outcome != canary.Launched || !killed {
			t.Errorf("the launches are %+v", result.Canary)
		}
		if !strings.Contains(w.said(), "another principal terminated the canary") {
			t.Errorf("the run says\n%s", w.said())
		}
		w.checkNothingLeft(t)
	})
}

// TestEachPermissionOfTheCanaryIsNeeded checks that without any action of the
// documented policy, a run says which one is missing, no one else sees the image, and
// the next run with the whole policy publishes and removes what was left.
func TestEachPermissionOfTheCanaryIsNeeded(t *testing.T) {
	document := policy.Canary("aws", "arn:aws:kms:*:"+awssim.PublishingAccount+":key/*", true)
	for n, raw := range document.Statements {
		var statement struct {
			Sid       string
			Effect    string
			Action    any
			Resource  any
			Condition any `json:",omitempty"`
		}
		if err := json.Unmarshal(raw, &statement); err != nil {
			t.Fatal(err)
		}
		actions, several := statement.Action.([]any)
		if !several {
			actions = []any{statement.Action}
		}
		for _, action := range actions {
			name := action.(string)
			if slices.Contains(unusedByLaunches, name) {
				continue
			}
			t.Run(statement.Sid+" without "+name, func(t *testing.T) {
				inCanaryWorld(t, nil, func(t *testing.T, w *world) {
					less := statement
					less.Action = append(slices.DeleteFunc(slices.Clone(actions), func(a any) bool { return a == action }), "ec2:DescribeNothing")
					changed := slices.Clone(document.Statements)
					changed[n], _ = json.Marshal(less)
					w.setCanaryPolicy(t, policy.Document{Version: document.Version, Statements: changed})
					_, err := w.publish(w.canarySpec())
					says := name
					if strings.HasPrefix(name, "kms:") {
						says = "Client.InternalError"
					}
					if err == nil || !strings.Contains(err.Error(), says) {
						t.Errorf("the error doesn't name %s: %v", says, err)
					}
					if diff := cmp.Diff(everywhere(w, canaryAccount()), w.permissions()); diff != "" {
						t.Error(diff)
					}
					w.setCanaryPolicy(t, document)
					w.mustPublish(t, w.canarySpec())
					w.checkNothingLeft(t)
				})
			})
		}
	}
}

// unusedByLaunches are in Karpenter's policy, and no launch in the simulator uses them.
var unusedByLaunches = []string{"kms:Encrypt", "kms:GenerateDataKey*"}

func (w *world) setCanaryPolicy(t *testing.T, document policy.Document) {
	t.Helper()
	_, err := iam.NewFromConfig(w.config(canaryAccount(), w.regions[0])).PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{
		RoleName: aws.String(canaryRole), PolicyName: aws.String("canary"), PolicyDocument: aws.String(document.String()),
	})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Minute)
}
