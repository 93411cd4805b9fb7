package awssim_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// Problems with a key show late: until BuildTime has passed, the instance is pending
// and has no state reason. Fact: LAUNCH-15.
func TestLaunchFailureShowsLate(t *testing.T) {
	inImageWorld(t, awssim.Options{BuildTime: physics.BuildTime}, func(t *testing.T, w *awssim.World) {
		l := newLaunch(t, w)
		must(l.kms().DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: &l.key}))(t)
		client := l.member(t)
		started := must(run(t, client, l.image))(t)
		time.Sleep(physics.BuildTime - time.Millisecond)
		if got := describeInstance(t, client, *started.InstanceId); got.State.Name != types.InstanceStateNamePending || got.StateReason != nil {
			t.Errorf("at first the instance is %s, %+v", got.State.Name, got.StateReason)
		}
		time.Sleep(time.Millisecond)
		got := describeInstance(t, client, *started.InstanceId)
		if got.State.Name != types.InstanceStateNameTerminated || got.StateReason == nil || aws.ToString(got.StateReason.Code) != invalidState {
			t.Errorf("in the end the instance is %s, %+v", got.State.Name, got.StateReason)
		}
	})
}

// A copy cannot be launched while it is pending. Fact: EC2-IMG-4.
func TestLaunchNeedsAnAvailableImage(t *testing.T) {
	inImageWorld(t, awssim.Options{CopyTime: physics.CopyTime}, func(t *testing.T, w *awssim.World) {
		newGoldenKey(t, w)
		client := ec2In(w, awssim.PublishingAccount, "us-east-1")
		image := *copyImage(t, client, copyOf(plainImage)).ImageId
		_, err := run(t, client, image)
		wantCode(t, err, "InvalidAMIID.Unavailable")
		time.Sleep(physics.CopyTime)
		if got := must(run(t, client, image))(t); got.State.Name != types.InstanceStateNameRunning {
			t.Errorf("the instance of the finished copy is %s: %s", got.State.Name, w.Diagnosis(*got.InstanceId))
		}
	})
}

// A grant that was just created isn't effective yet, because EC2 and Auto Scaling can't
// be given its token. Fact: GRANT-24, GRANT-25.
func TestLaunchWithAGrantJustMade(t *testing.T) {
	inImageWorld(t, awssim.Options{PropagationLag: physics.PropagationLag}, func(t *testing.T, w *awssim.World) {
		l := launch{w: w, key: newKey(t, w, true, createGrants), role: "arn:aws:iam::" + factMember + ":role/" + awssim.DefaultServiceLinkedRoles()[0]}
		input := copyOf(plainImage)
		input.KmsKeyId = &l.key // the alias doesn't exist yet
		l.image = *copyImage(t, l.publisher(), input).ImageId
		must(l.publisher().ModifyImageAttribute(t.Context(), share(l.image, types.LaunchPermission{UserId: aws.String(factMember)})))(t)

		l.grant(t, l.key, launchGrantOperations)
		time.Sleep(physics.PropagationLag - time.Millisecond)
		if got := must(w.LaunchAsServiceLinkedRole(factMember, autoScaling, "us-east-1", l.image))(t); got.State != "terminated" || got.Reason != internalError {
			t.Errorf("before the grant is everywhere: %+v", got)
		}
		time.Sleep(time.Millisecond)
		if got := must(w.LaunchAsServiceLinkedRole(factMember, autoScaling, "us-east-1", l.image))(t); got.State != "running" {
			t.Errorf("once it is: %+v", got)
		}
	})
}
