package awssim_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// launchActions are the actions that a launch needs on the key.
var launchActions = []string{
	"kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:CreateGrant",
}

// launchGrantOperations are the same as operations of a grant.
var launchGrantOperations = []kmstypes.GrantOperation{
	"DescribeKey", "GenerateDataKeyWithoutPlaintext", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "CreateGrant",
}

// without returns the elements but one.
func without[T comparable](all []T, one T) []T {
	return slices.DeleteFunc(slices.Clone(all), func(e T) bool { return e == one })
}

func quoted(list []string) string { return `"` + strings.Join(list, `","`) + `"` }

// orgStatement allows an organization the actions.
func orgStatement(organization string, actions ...string) string {
	return fmt.Sprintf(`{"Sid":"Org","Effect":"Allow","Principal":{"AWS":"*"},"Action":[%s],"Resource":"*","Condition":{"StringEquals":{"aws:PrincipalOrgID":%q}}}`,
		quoted(actions), organization)
}

// launcherStatements returns the statements of an identity policy that allows launches
// and, under the condition, actions of KMS.
func launcherStatements(condition string, actions ...string) string {
	return fmt.Sprintf(`{"Effect":"Allow","Action":"ec2:*","Resource":"*"},{"Effect":"Allow","Action":[%s],"Resource":"arn:aws:kms:*:%s:key/*"%s}`,
		quoted(actions), awssim.PublishingAccount, condition)
}

// viaEC2 is the condition that the key is used only through EC2.
const viaEC2 = `,"Condition":{"StringLike":{"kms:ViaService":"ec2.*.amazonaws.com"}}`

// launch is a launch in which every link holds, until a test breaks one: a
// member's role, an image of the publisher's in us-east-1 encrypted with a key of the
// publisher's, shared with the organization.
type launch struct {
	w          *awssim.World
	key, image string
	role       string // ARN
}

func newLaunch(t *testing.T, w *awssim.World) launch {
	t.Helper()
	l := launch{w: w, key: newGoldenKey(t, w, orgStatement(awssim.OrganizationID, launchActions...))}
	l.image = aws.ToString(copyImage(t, l.publisher(), copyOf(plainImage)).ImageId)
	must(l.publisher().ModifyImageAttribute(t.Context(), share(l.image, types.LaunchPermission{OrganizationArn: aws.String(awssim.OrganizationARN)})))(t)
	l.role = newRole(t, w, factMember, "Launcher", launcherStatements(viaEC2, launchActions...))
	return l
}

func (l launch) publisher() *ec2.Client { return ec2In(l.w, awssim.PublishingAccount, "us-east-1") }

func (l launch) kms() *kms.Client { return kmsClient(l.w, awssim.PublishingAccount, "us-east-1") }

func (l launch) setKeyPolicy(t *testing.T, statements ...string) {
	t.Helper()
	must(l.kms().PutKeyPolicy(t.Context(), &kms.PutKeyPolicyInput{KeyId: &l.key, Policy: keyPolicy(statements...)}))(t)
}

func (l launch) setIdentity(t *testing.T, statements string) {
	t.Helper()
	putRolePolicy(t, l.w, factMember, "Launcher", statements)
}

// grant creates a grant for the role with credentials of its account, which the key
// policy must allow. Fact: GRANT-10.
func (l launch) grant(t *testing.T, key string, operations []kmstypes.GrantOperation) {
	t.Helper()
	region := strings.Split(key, ":")[3]
	must(kmsClient(l.w, factMember, region).CreateGrant(t.Context(), &kms.CreateGrantInput{
		KeyId: &key, GranteePrincipal: &l.role, Operations: operations,
	}))(t)
}

// member is EC2 for a session of the launching role.
func (l launch) member(t *testing.T) *ec2.Client {
	t.Helper()
	return ec2.NewFromConfig(sessionOf(t, config(l.w, factMember, "us-east-1"), l.role, "us-east-1"))
}

func runInput(image string) *ec2.RunInstancesInput {
	return &ec2.RunInstancesInput{ImageId: &image, InstanceType: types.InstanceTypeT3Micro, MinCount: aws.Int32(1), MaxCount: aws.Int32(1)}
}

// run launches an instance, which AWS always responds as pending, and describes
// it.
func run(t *testing.T, client *ec2.Client, image string) (types.Instance, error) {
	t.Helper()
	answer, err := client.RunInstances(t.Context(), runInput(image))
	if err != nil {
		return types.Instance{}, err
	}
	if state := answer.Instances[0].State.Name; state != types.InstanceStateNamePending {
		t.Errorf("RunInstances answers that the instance is %s", state)
	}
	return describeInstance(t, client, *answer.Instances[0].InstanceId), nil
}

func describeInstance(t *testing.T, client *ec2.Client, id string) types.Instance {
	t.Helper()
	return must(client.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{id}}))(t).Reservations[0].Instances[0]
}

// launchTest breaks one link of a launch.
type launchTest struct {
	alter func(*testing.T, launch)
	// refused is the error code of RunInstances. If it is empty, the instance is
	// terminated with the reason, or runs if that is empty, too.
	refused, reason string
	// diagnosis has these texts.
	diagnosis []string
}

func (test launchTest) check(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		l := newLaunch(t, w)
		test.alter(t, l)
		instance, err := run(t, l.member(t), l.image)
		if test.refused != "" {
			wantCode(t, err, test.refused)
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		want := types.InstanceStateNameRunning
		if test.reason != "" {
			want = types.InstanceStateNameTerminated
		}
		got := ""
		if instance.StateReason != nil {
			got = aws.ToString(instance.StateReason.Code)
		}
		diagnosis := w.Diagnosis(*instance.InstanceId)
		if instance.State.Name != want || got != test.reason {
			t.Errorf("the instance is %s, %q; want %s, %q (%s)", instance.State.Name, got, want, test.reason, diagnosis)
		}
		if (diagnosis == "") != (test.reason == "") {
			t.Errorf("diagnosis is %q", diagnosis)
		}
		for _, text := range test.diagnosis {
			if !strings.Contains(diagnosis, text) {
				t.Errorf("diagnosis is %q, without %q", diagnosis, text)
			}
		}
	})
}

const (
	internalError = "Client.InternalError"
	invalidState  = "Client.InvalidKMSKey.InvalidState"
)

func TestFact6Launch(t *testing.T) {
	for name, test := range map[string]launchTest{
		"all links hold": {alter: func(*testing.T, launch) {}},
		"least privilege": {alter: func(t *testing.T, l launch) {
			l.setIdentity(t, launcherStatements(viaEC2, without(launchActions, "kms:CreateGrant")...)+
				`,{"Effect":"Allow","Action":"kms:CreateGrant","Resource":"*","Condition":{"Bool":{"kms:GrantIsForAWSResource":"true"}}}`)
		}},
		"encryption by default": {alter: func(t *testing.T, l launch) {
			must(ec2In(l.w, factMember, "us-east-1").EnableEbsEncryptionByDefault(t.Context(), nil))(t)
		}},
		"not shared": {refused: "InvalidAMIID.NotFound", alter: func(t *testing.T, l launch) {
			must(l.publisher().ResetImageAttribute(t.Context(), &ec2.ResetImageAttributeInput{ImageId: &l.image, Attribute: "launchPermission"}))(t)
		}},
		"shared with another unit": {refused: "InvalidAMIID.NotFound", alter: func(t *testing.T, l launch) {
			must(l.publisher().ResetImageAttribute(t.Context(), &ec2.ResetImageAttributeInput{ImageId: &l.image, Attribute: "launchPermission"}))(t)
			other := strings.Replace(awssim.OrganizationARN, "organization/", "ou/", 1) + "/" + otherUnit
			must(l.publisher().ModifyImageAttribute(t.Context(), share(l.image, types.LaunchPermission{OrganizationalUnitArn: &other})))(t)
		}},
		"deregistered": {refused: "InvalidAMIID.NotFound", alter: func(t *testing.T, l launch) {
			must(l.publisher().DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: &l.image}))(t)
		}},
		"key disabled": {reason: invalidState, diagnosis: []string{"is disabled"}, alter: func(t *testing.T, l launch) {
			must(l.kms().DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: &l.key}))(t)
		}},
		"key to be deleted": {reason: invalidState, diagnosis: []string{"PendingReplicaDeletion"}, alter: func(t *testing.T, l launch) {
			must(l.kms().ScheduleKeyDeletion(t.Context(), &kms.ScheduleKeyDeletionInput{KeyId: &l.key}))(t)
		}},
		"key policy without the organization": {
			reason: internalError, diagnosis: []string{"no resource-based policy", "kms:DescribeKey"},
			alter: func(t *testing.T, l launch) { l.setKeyPolicy(t) },
		},
		"key policy of another organization": {
			reason: internalError, diagnosis: []string{"no resource-based policy", "aws:PrincipalOrgID"},
			alter: func(t *testing.T, l launch) { l.setKeyPolicy(t, orgStatement("o-anotherorgid", launchActions...)) },
		},
		"key policy denies": {
			reason: internalError, diagnosis: []string{"the key policy denies", "NotThem", "kms:Decrypt"},
			alter: func(t *testing.T, l launch) {
				l.setKeyPolicy(t, openStatement, `{"Sid":"NotThem","Effect":"Deny","Principal":{"AWS":"arn:aws:iam::`+factMember+`:root"},"Action":"kms:Decrypt","Resource":"*"}`)
			},
		},
		"identity without KMS": {
			reason: internalError, diagnosis: []string{"no identity-based policy", "kms:DescribeKey"},
			alter: func(t *testing.T, l launch) { l.setIdentity(t, `{"Effect":"Allow","Action":"ec2:*","Resource":"*"}`) },
		},
		"identity denies": {
			reason: internalError, diagnosis: []string{"an identity-based policy denies", "kms:ReEncryptFrom"},
			alter: func(t *testing.T, l launch) {
				l.setIdentity(t, `{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"kms:ReEncrypt*","Resource":"*"}`)
			},
		},
		"identity via another service": {
			reason: internalError, diagnosis: []string{"no identity-based policy", "kms:ViaService"},
			alter: func(t *testing.T, l launch) {
				l.setIdentity(t, launcherStatements(strings.Replace(viaEC2, "ec2.*", "rds.*", 1), launchActions...))
			},
		},
		"identity for sessions of roles": {alter: func(t *testing.T, l launch) {
			l.setIdentity(t, launcherStatements(`,"Condition":{"StringEquals":{"aws:PrincipalType":"AssumedRole"},"Bool":{"aws:PrincipalIsAWSService":false}}`, launchActions...))
		}},
		"identity for users": {
			reason: internalError, diagnosis: []string{"aws:PrincipalType wants User, and the request has AssumedRole"},
			alter: func(t *testing.T, l launch) {
				l.setIdentity(t, launcherStatements(`,"Condition":{"StringEquals":{"aws:PrincipalType":"User"}}`, launchActions...))
			},
		},
		"identity without EC2": {refused: "UnauthorizedOperation", alter: func(t *testing.T, l launch) {
			l.setIdentity(t, `{"Effect":"Allow","Action":["kms:*","ec2:Describe*"],"Resource":"*"}`)
		}},
	} {
		t.Run(name, test.check)
	}
}

// Every single action is needed, in the key policy and in the identity policy.
func TestFact6EveryActionIsNeeded(t *testing.T) {
	for _, action := range launchActions {
		rest := without(launchActions, action)
		t.Run("key policy without "+action, launchTest{
			alter:  func(t *testing.T, l launch) { l.setKeyPolicy(t, orgStatement(awssim.OrganizationID, rest...)) },
			reason: internalError, diagnosis: []string{"perform: " + action + " ", "no resource-based policy"},
		}.check)
		t.Run("identity policy without "+action, launchTest{
			alter:  func(t *testing.T, l launch) { l.setIdentity(t, launcherStatements(viaEC2, rest...)) },
			reason: internalError, diagnosis: []string{"perform: " + action + " ", "no identity-based policy"},
		}.check)
	}
}

// A grant of the grantee's account replaces key policy and identity policy, on that
// regional key and for the operations that it names. Fact: GRANT-9, GRANT-28.
func TestFact6GrantInsteadOfPolicies(t *testing.T) {
	noPolicies := func(t *testing.T, l launch) {
		l.setKeyPolicy(t)
		l.setIdentity(t, `{"Effect":"Allow","Action":"ec2:*","Resource":"*"}`)
	}
	tests := map[string]launchTest{
		"all operations": {alter: func(t *testing.T, l launch) {
			l.grant(t, l.key, launchGrantOperations)
			noPolicies(t, l)
		}},
		"of another region": {reason: internalError, diagnosis: []string{"kms:DescribeKey", "no grant on this key"}, alter: func(t *testing.T, l launch) {
			l.grant(t, strings.Replace(l.key, "us-east-1", "eu-west-1", 1), launchGrantOperations)
			noPolicies(t, l)
		}},
		"but a denial": {reason: internalError, diagnosis: []string{"the key policy denies"}, alter: func(t *testing.T, l launch) {
			l.grant(t, l.key, launchGrantOperations)
			noPolicies(t, l)
			l.setKeyPolicy(t, `{"Effect":"Deny","Principal":{"AWS":"arn:aws:iam::`+factMember+`:root"},"Action":"kms:Decrypt","Resource":"*"}`)
		}},
	}
	for _, operation := range launchGrantOperations {
		tests["without "+string(operation)] = launchTest{
			reason: internalError, diagnosis: []string{"perform: kms:" + string(operation) + " "},
			alter: func(t *testing.T, l launch) {
				l.grant(t, l.key, without(launchGrantOperations, operation))
				noPolicies(t, l)
			},
		}
	}
	for name, test := range tests {
		t.Run(name, test.check)
	}
}
