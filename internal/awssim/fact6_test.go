package awssim_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/orgami/packer-plugin-orgami/internal/awssim"
)

// launchStatements are what a role needs of its own to launch: EC2, and the key
// through EC2.
const launchStatements = `{"Effect":"Allow","Action":"ec2:*","Resource":"*"},
	{"Effect":"Allow","Action":["kms:Decrypt","kms:DescribeKey","kms:GenerateDataKeyWithoutPlaintext","kms:ReEncrypt*"],"Resource":"*","Condition":{"StringLike":{"kms:ViaService":"ec2.*.amazonaws.com"}}},
	{"Effect":"Allow","Action":"kms:CreateGrant","Resource":"*","Condition":{"Bool":{"kms:GrantIsForAWSResource":"true"}}}`

var organization = types.LaunchPermission{OrganizationArn: aws.String("arn:aws:organizations::999999999999:organization/o-exampleorgid")}

// goldenImage makes the key and a copy of the plain image under it, shared with
// the organisation, in eu-west-1.
func goldenImage(t *testing.T, w *awssim.World) (image, key string) {
	t.Helper()
	key = newGoldenKey(t, w, openStatement)
	publisher := ec2In(w, awssim.PublishingAccount, "eu-west-1")
	image = aws.ToString(copyImage(t, publisher, copyOf(plainImage)).ImageId)
	must(publisher.ModifyImageAttribute(t.Context(), share(image, organization)))(t)
	return image, strings.Replace(key, "us-east-1", "eu-west-1", 1)
}

// launchAs launches the image and returns the instance as EC2 describes it.
func launchAs(t *testing.T, client *ec2.Client, image string) types.Instance {
	t.Helper()
	launched := must(client.RunInstances(t.Context(), &ec2.RunInstancesInput{
		ImageId: &image, InstanceType: types.InstanceTypeT3Micro, MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
	}))(t)
	described := must(client.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{*launched.Instances[0].InstanceId}}))(t)
	return described.Reservations[0].Instances[0]
}

// A role of a member launches, and EC2 holds a grant for the attached volume for
// as long as the instance is there. With encryption by default on, the volume
// keeps the snapshot's key.
func TestFact6LaunchInAMember(t *testing.T) {
	for name, byDefault := range map[string]bool{"default": false, "encryption by default": true} {
		t.Run(name, func(t *testing.T) {
			inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
				image, key := goldenImage(t, w)
				role := newRole(t, w, factMember, "Launcher", launchStatements)
				client := ec2.NewFromConfig(sessionOf(t, config(w, factMember, "us-east-1"), role, "eu-west-1"))
				if byDefault {
					must(ec2In(w, factMember, "eu-west-1").EnableEbsEncryptionByDefault(t.Context(), nil))(t)
				}
				instance := launchAs(t, client, image)
				if instance.State.Name != types.InstanceStateNameRunning {
					t.Fatalf("the instance is %s: %s", instance.State.Name, w.Diagnosis(*instance.InstanceId))
				}
				volume := must(client.DescribeVolumes(t.Context(), &ec2.DescribeVolumesInput{VolumeIds: []string{*instance.BlockDeviceMappings[0].Ebs.VolumeId}}))(t).Volumes[0]
				if got := aws.ToString(volume.KmsKeyId); got != key {
					t.Errorf("the volume is under %s, want %s", got, key)
				}
				grants := func() int {
					return len(must(kmsClient(w, awssim.PublishingAccount, "eu-west-1").ListGrants(t.Context(), &kms.ListGrantsInput{KeyId: &key}))(t).Grants)
				}
				if got := grants(); got != 1 {
					t.Errorf("%d grants while a volume is attached, want 1", got)
				}
				must(client.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{*instance.InstanceId}}))(t)
				if got := grants(); got != 0 {
					t.Errorf("%d grants after the termination, want 0", got)
				}
			})
		})
	}
}

// Every missing permission of a member's role ends the instance, with AWS's terse
// reason and the simulator's diagnosis.
func TestFact6IdentityPolicyOfTheLauncher(t *testing.T) {
	tests := map[string]struct {
		from, to  string // replaced in the role's statements
		diagnosis string
	}{
		"kms:ReEncrypt is no action, Fact 9": {`"kms:ReEncrypt*"`, `"kms:ReEncrypt"`, "kms:ReEncryptFrom"},
		"no kms:CreateGrant":                 {`"kms:CreateGrant"`, `"kms:RetireGrant"`, "kms:CreateGrant"},
		"no data key":                        {`"kms:GenerateDataKeyWithoutPlaintext",`, ``, "kms:GenerateDataKeyWithoutPlaintext"},
		"no kms:Decrypt":                     {`"kms:Decrypt",`, ``, "kms:Decrypt"},
		"no kms:DescribeKey":                 {`"kms:DescribeKey",`, ``, "kms:DescribeKey"},
		"the pattern of China":               {`ec2.*.amazonaws.com"`, `ec2.*.amazonaws.com.cn"`, "ec2.eu-west-1.amazonaws.com"},
		"another region's host":              {`ec2.*.amazonaws.com"`, `ec2.us-east-1.amazonaws.com"`, "wants ec2.us-east-1.amazonaws.com"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
				image, _ := goldenImage(t, w)
				statements := strings.ReplaceAll(launchStatements, test.from, test.to)
				if statements == launchStatements {
					t.Fatal("the test changes nothing")
				}
				role := newRole(t, w, factMember, "Launcher", statements)
				instance := launchAs(t, ec2.NewFromConfig(sessionOf(t, config(w, factMember, "us-east-1"), role, "eu-west-1")), image)
				if instance.State.Name != types.InstanceStateNameTerminated || aws.ToString(instance.StateReason.Code) != "Client.InternalError" {
					t.Errorf("the instance is %s, %+v; want terminated with Client.InternalError", instance.State.Name, instance.StateReason)
				}
				if got := w.Diagnosis(*instance.InstanceId); !strings.Contains(got, test.diagnosis) {
					t.Errorf("diagnosis %q does not name %s", got, test.diagnosis)
				}
			})
		})
	}
}

// A service-linked role launches by a grant on the key of that region, and by
// nothing else.
func TestFact6ServiceLinkedRoleNeedsAGrant(t *testing.T) {
	const slr = "AWSServiceRoleForAutoScaling"
	operations := []string{"Decrypt", "DescribeKey", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo", "CreateGrant"}
	tests := map[string]struct {
		region  string // of the key that the grant is on, "" for no grant
		without string // an operation that the grant lacks
		want    string
	}{
		"all operations":      {"eu-west-1", "", "running"},
		"no grant":            {"", "", "terminated"},
		"in another region":   {"us-east-1", "", "terminated"},
		"without CreateGrant": {"eu-west-1", "CreateGrant", "terminated"},
		"without Decrypt":     {"eu-west-1", "Decrypt", "terminated"},
		"without ReEncryptTo": {"eu-west-1", "ReEncryptTo", "terminated"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
				image, key := goldenImage(t, w)
				if test.region != "" {
					grant := &kms.CreateGrantInput{
						KeyId:            aws.String(strings.Replace(key, "eu-west-1", test.region, 1)),
						GranteePrincipal: aws.String("arn:aws:iam::" + factMember + ":role/aws-service-role/autoscaling.amazonaws.com/" + slr),
					}
					for _, operation := range operations {
						if operation != test.without {
							grant.Operations = append(grant.Operations, kmstypes.GrantOperation(operation))
						}
					}
					must(kmsClient(w, awssim.PublishingAccount, test.region).CreateGrant(t.Context(), grant))(t)
				}
				got, err := w.LaunchAsServiceLinkedRole(factMember, slr, "eu-west-1", image)
				if err != nil {
					t.Fatal(err)
				}
				if got.State != test.want || (got.State == "running") != (got.Diagnosis == "") {
					t.Errorf("got %+v, want %s", got, test.want)
				}
			})
		})
	}
}

// An image is launched by its owner and by those it is shared with: an account,
// its organisation, a unit above it.
func TestFact6ImageLink(t *testing.T) {
	unit := types.LaunchPermission{OrganizationalUnitArn: aws.String("arn:aws:organizations::999999999999:ou/o-exampleorgid/" + awssim.WorkloadsUnit)}
	tests := map[string]struct {
		permission *types.LaunchPermission
		account    string
		visible    bool
	}{
		"owner":                    {nil, awssim.PublishingAccount, true},
		"not shared":               {nil, factMember, false},
		"shared with the account":  {&types.LaunchPermission{UserId: aws.String(factMember)}, factMember, true},
		"shared with another":      {&types.LaunchPermission{UserId: aws.String("333333333333")}, factMember, false},
		"shared with the unit":     {&unit, factMember, true},
		"unit, account beside it":  {&unit, awssim.ManagementAccount, false},
		"shared with organisation": {&organization, factMember, true},
		"organisation, outsider":   {&organization, awssim.OutsideAccount, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
				if test.permission != nil {
					must(ec2In(w, awssim.PublishingAccount, "us-east-1").ModifyImageAttribute(t.Context(), share(plainImage, *test.permission)))(t)
				}
				_, err := ec2In(w, test.account, "us-east-1").RunInstances(t.Context(), &ec2.RunInstancesInput{
					ImageId: aws.String(plainImage), InstanceType: types.InstanceTypeT3Micro, MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
				})
				if test.visible && err != nil {
					t.Error(err)
				}
				if !test.visible {
					wantCode(t, err, "InvalidAMIID.NotFound")
				}
			})
		})
	}
}
