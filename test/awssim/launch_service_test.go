package awssim_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// autoScaling is the service-linked role of EC2 Auto Scaling.
const autoScaling = "AWSServiceRoleForAutoScaling"

// TestLaunchByAServiceLinkedRole checks that only a grant that the role's account
// issued on the regional key helps, since the role's own policy has nothing of KMS.
// Fact: GRANT-9 to GRANT-16, IAM-ROLE-8.
func TestLaunchByAServiceLinkedRole(t *testing.T) {
	roles := awssim.DefaultServiceLinkedRoles()
	grantTo := func(region, role string, operations ...kmstypes.GrantOperation) func(*testing.T, launch) {
		return func(t *testing.T, l launch) {
			l.role = "arn:aws:iam::" + factMember + ":role/" + role
			l.grant(t, strings.Replace(l.key, "us-east-1", region, 1), operations)
		}
	}
	type test struct {
		alter     func(*testing.T, launch)
		diagnosis []string // nil if it runs
	}
	tests := map[string]test{
		"with a grant": {grantTo("us-east-1", roles[0], launchGrantOperations...), nil},
		"with a grant and no key policy": {func(t *testing.T, l launch) {
			grantTo("us-east-1", roles[0], launchGrantOperations...)(t, l)
			l.setKeyPolicy(t)
		}, nil},
		"with a grant that the key's owner issued": {func(t *testing.T, l launch) {
			role := "arn:aws:iam::" + factMember + ":role/" + roles[0]
			newGrant(t, l.kms(), l.key, role, launchGrantOperations...)
		}, []string{"kms:DescribeKey", "issued by account " + awssim.PublishingAccount, "create the grant with credentials of account " + factMember}},
		"with the key policy alone": {func(*testing.T, launch) {}, []string{"no identity-based policy", "no grant on this key"}},
		"with a grant elsewhere":    {grantTo("eu-west-1", roles[0], launchGrantOperations...), []string{"no grant on this key"}},
		"with another role's grant": {grantTo("us-east-1", roles[1], launchGrantOperations...), []string{"no grant on this key"}},
		"with neither of both":      {func(t *testing.T, l launch) { l.setKeyPolicy(t) }, []string{"no resource-based policy"}},
		"with a grant that is revoked": {func(t *testing.T, l launch) {
			grantTo("us-east-1", roles[0], launchGrantOperations...)(t, l)
			grants := must(l.kms().ListGrants(t.Context(), &kms.ListGrantsInput{KeyId: &l.key}))(t).Grants
			must(l.kms().RevokeGrant(t.Context(), &kms.RevokeGrantInput{KeyId: &l.key, GrantId: grants[0].GrantId}))(t)
		}, []string{"no grant on this key"}},
	}
	for _, operation := range launchGrantOperations {
		tests["with a grant without "+string(operation)] = test{
			grantTo("us-east-1", roles[0], without(launchGrantOperations, operation)...), []string{"perform: kms:" + string(operation) + " "},
		}
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inImageWorld(t, awssim.Options{BuildTime: time.Hour}, func(t *testing.T, w *awssim.World) {
				l := newLaunch(t, w)
				test.alter(t, l)
				got, err := w.LaunchAsServiceLinkedRole(factMember, autoScaling, "us-east-1", l.image)
				if err != nil {
					t.Fatal(err)
				}
				want := awssim.LaunchResult{InstanceID: got.InstanceID, State: "running"}
				if test.diagnosis != nil {
					want = awssim.LaunchResult{InstanceID: got.InstanceID, State: "terminated", Reason: internalError, Diagnosis: w.Diagnosis(got.InstanceID)}
				}
				if got != want || got.InstanceID == "" {
					t.Errorf("the launch ended so: %+v, want %+v", got, want)
				}
				for _, text := range test.diagnosis {
					if !strings.Contains(got.Diagnosis, text) {
						t.Errorf("the diagnosis does not say %q: %s", text, got.Diagnosis)
					}
				}
			})
		})
	}
}

// TestLaunchAsServiceLinkedRoleRefuses checks that launches that the service couldn't
// make are rejected.
func TestLaunchAsServiceLinkedRoleRefuses(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		got, err := w.LaunchAsServiceLinkedRole(factMember, autoScaling, "us-east-1", plainImage)
		if err != nil || got.State != "refused" || got.Reason != "InvalidAMIID.NotFound" || got.InstanceID != "" {
			t.Errorf("an image that is not shared: %+v, %v", got, err)
		}
		for name, arguments := range map[string][3]string{
			"account": {"777777777777", autoScaling, "us-east-1"},
			"role":    {factMember, awssim.LauncherRole, "us-east-1"},
			"region":  {factMember, autoScaling, "mars-north-1"},
		} {
			if _, err := w.LaunchAsServiceLinkedRole(arguments[0], arguments[1], arguments[2], plainImage); err == nil {
				t.Errorf("no error about the %s", name)
			}
		}
	})
}

// TestAttachedVolumesHoldGrants checks that EC2 creates a grant for each attached
// encrypted volume on the volume's key. An instance of another account has its own
// account's key, unless the launch names the shared one. Fact: GRANT-31, GRANT-32,
// LAUNCH-11, LAUNCH-13.
func TestAttachedVolumesHoldGrants(t *testing.T) {
	inImageWorld(t, awssim.Options{BuildTime: physics.BuildTime}, func(t *testing.T, w *awssim.World) {
		l := newLaunch(t, w)
		client := l.member(t)
		must(run(t, client, l.image))(t)
		input := runInput(l.image)
		input.BlockDeviceMappings = []types.BlockDeviceMapping{
			{DeviceName: aws.String("/dev/xvda"), Ebs: &types.EbsBlockDevice{Encrypted: aws.Bool(true), KmsKeyId: &l.key}},
		}
		instance := must(client.RunInstances(t.Context(), input))(t).Instances[0]
		time.Sleep(physics.BuildTime)
		instance = describeInstance(t, client, *instance.InstanceId)
		grants := func() []kmstypes.GrantListEntry {
			return must(l.kms().ListGrants(t.Context(), &kms.ListGrantsInput{KeyId: &l.key}))(t).Grants
		}
		held := grants()
		if len(held) != 1 {
			t.Fatalf("%d grants for one volume", len(held))
		}
		id := aws.ToString(instance.InstanceId)
		if grantee := aws.ToString(held[0].GranteePrincipal); !strings.HasSuffix(grantee, "/"+id) {
			t.Errorf("the grantee is %s", grantee)
		}
		must(client.StopInstances(t.Context(), &ec2.StopInstancesInput{InstanceIds: []string{id}}))(t)
		time.Sleep(physics.BuildTime)
		if n := len(grants()); n != 1 {
			t.Errorf("%d grants of a stopped instance", n)
		}
		must(client.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{id}}))(t)
		if n := len(grants()); n != 0 {
			t.Errorf("%d grants of a terminated instance", n)
		}
		_, err := client.DescribeVolumes(t.Context(), &ec2.DescribeVolumesInput{VolumeIds: []string{aws.ToString(instance.BlockDeviceMappings[0].Ebs.VolumeId)}})
		wantCode(t, err, "InvalidVolume.NotFound")
	})
}

// TestLaunchUnderAnotherKey checks that the launcher may name a key of its own, which
// EC2 then encrypts the volume with.
func TestLaunchUnderAnotherKey(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		l := newLaunch(t, w)
		client := ec2In(w, factMember, "us-east-1")
		under := func(key string) types.Instance {
			input := runInput(l.image)
			input.BlockDeviceMappings = []types.BlockDeviceMapping{
				{DeviceName: aws.String("/dev/xvda"), Ebs: &types.EbsBlockDevice{Encrypted: aws.Bool(true), KmsKeyId: &key}},
			}
			answer := must(client.RunInstances(t.Context(), input))(t)
			return describeInstance(t, client, aws.ToString(answer.Instances[0].InstanceId))
		}
		instance := under("alias/aws/ebs")
		if instance.State.Name != types.InstanceStateNameRunning || len(instance.BlockDeviceMappings) != 1 {
			t.Fatalf("the instance is %s with %d volumes: %s", instance.State.Name, len(instance.BlockDeviceMappings), w.Diagnosis(aws.ToString(instance.InstanceId)))
		}
		volume := must(client.DescribeVolumes(t.Context(), &ec2.DescribeVolumesInput{VolumeIds: []string{aws.ToString(instance.BlockDeviceMappings[0].Ebs.VolumeId)}}))(t).Volumes[0]
		if !strings.Contains(aws.ToString(volume.KmsKeyId), ":"+factMember+":key/") {
			t.Errorf("the volume is under %s", aws.ToString(volume.KmsKeyId))
		}
		instance = under("alias/nobody's")
		if diagnosis := w.Diagnosis(aws.ToString(instance.InstanceId)); instance.State.Name != types.InstanceStateNameTerminated || !strings.Contains(diagnosis, "alias/nobody's") {
			t.Errorf("the instance is %s: %s", instance.State.Name, diagnosis)
		}
	})
}
