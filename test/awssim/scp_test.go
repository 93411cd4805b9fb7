package awssim_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// controlPolicies are service control policies: full access, and the statements.
func controlPolicies(statements string) []json.RawMessage {
	return []json.RawMessage{json.RawMessage(awssim.FullAWSAccess), json.RawMessage(`{"Version":"2012-10-17","Statement":[` + statements + `]}`)}
}

// inControlledWorld runs the test in the default world, where service control
// policies apply to the account.
func inControlledWorld(t *testing.T, account string, policies []json.RawMessage, test func(*testing.T, *awssim.World)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		file := awssim.DefaultWorld()
		i := slices.IndexFunc(file.Accounts, func(a awssim.AccountFile) bool { return a.ID == account })
		file.Accounts[i].ServiceControlPolicies = policies
		file.Accounts[i].Roles = append(file.Accounts[i].Roles, awssim.RoleFile{
			Name:     "Launcher",
			Trust:    json.RawMessage(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":"sts:AssumeRole"}]}`),
			Policies: map[string]json.RawMessage{"all": json.RawMessage(awssim.FullAWSAccess)},
		})
		file.Images = []awssim.ImageFile{
			{Account: awssim.PublishingAccount, Region: "us-east-1", ID: plainImage, Name: "plain"},
			{Account: factMember, Region: "us-east-1", ID: theirImage, Name: "theirs"},
		}
		test(t, must(awssim.New(file, awssim.Options{}))(t))
	})
}

// Service control policies restrict the launches of roles and users, KMS through
// EC2 and ec2:RunInstances. They don't restrict service-linked roles.
// Fact: IAM-EVAL-13.
func TestControlPoliciesAtLaunch(t *testing.T) {
	tests := map[string]struct {
		policies []json.RawMessage
		// refused is the code of RunInstances, or else the instance ends with the
		// diagnosis, or runs if there is none.
		refused, diagnosis string
	}{
		"full access":              {policies: controlPolicies(`{"Effect":"Deny","Action":"s3:*","Resource":"*"}`)},
		"Deny without Allow":       {policies: controlPolicies(`{"Effect":"Deny","Action":"s3:*","Resource":"*"}`)[1:], refused: "UnauthorizedOperation"},
		"an allow list":            {policies: controlPolicies(`{"Effect":"Allow","Action":["ec2:*","sts:*"],"Resource":"*"}`)[1:], diagnosis: "no service control policy of account " + factMember + " allows kms:DescribeKey"},
		"RunInstances":             {policies: controlPolicies(`{"Effect":"Deny","Action":"ec2:RunInstances","Resource":"*"}`), refused: "UnauthorizedOperation"},
		"other owners' images":     {policies: controlPolicies(`{"Effect":"Deny","Action":"ec2:RunInstances","Resource":"arn:aws:ec2:*::image/*","Condition":{"StringNotEquals":{"ec2:Owner":["amazon","333333333333"]}}}`), refused: "UnauthorizedOperation"},
		"allowed owners' images":   {policies: controlPolicies(`{"Effect":"Deny","Action":"ec2:RunInstances","Resource":"arn:aws:ec2:*::image/*","Condition":{"StringNotEquals":{"ec2:Owner":["amazon","111111111111"]}}}`)},
		"instance types":           {policies: controlPolicies(`{"Effect":"Deny","Action":"ec2:RunInstances","Resource":"arn:aws:ec2:*:*:instance/*","Condition":{"StringNotLike":{"ec2:InstanceType":"m7*"}}}`), refused: "UnauthorizedOperation"},
		"unencrypted volumes":      {policies: controlPolicies(`{"Effect":"Deny","Action":"ec2:RunInstances","Resource":"arn:aws:ec2:*:*:volume/*","Condition":{"Bool":{"ec2:Encrypted":"false"}}}`)},
		"this Region":              {policies: controlPolicies(`{"Effect":"Deny","Action":"ec2:RunInstances","Resource":"*","Condition":{"StringEquals":{"aws:RequestedRegion":"us-east-1"}}}`), refused: "UnauthorizedOperation"},
		"another Region":           {policies: controlPolicies(`{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:RequestedRegion":"eu-west-1"}}}`)},
		"KMS":                      {policies: controlPolicies(`{"Sid":"NoGrants","Effect":"Deny","Action":"kms:CreateGrant","Resource":"*"}`), diagnosis: "denies kms:CreateGrant explicitly (NoGrants)"},
		"other accounts' keys":     {policies: controlPolicies(`{"Effect":"Deny","Action":"kms:Decrypt","Resource":"arn:aws:kms:*:111111111111:key/*"}`), diagnosis: "denies kms:Decrypt explicitly"},
		"KMS but through services": {policies: controlPolicies(`{"Effect":"Deny","Action":"kms:Decrypt","Resource":"*","Condition":{"Bool":{"aws:ViaAWSService":"false"}}}`)},
		"another role":             {policies: controlPolicies(`{"Effect":"Deny","Action":"kms:*","Resource":"*","Condition":{"ArnNotLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/Launcher"}}}`)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inControlledWorld(t, factMember, test.policies, func(t *testing.T, w *awssim.World) {
				l := launch{w: w, key: newGoldenKey(t, w, openStatement)}
				l.image = aws.ToString(copyImage(t, l.publisher(), copyOf(plainImage)).ImageId)
				must(l.publisher().ModifyImageAttribute(t.Context(), share(l.image, types.LaunchPermission{OrganizationArn: aws.String(awssim.OrganizationARN)})))(t)
				instance, err := run(t, launcher(t, w), l.image)
				if test.refused != "" {
					wantCode(t, err, test.refused)
					if err != nil && !strings.Contains(err.Error(), "service control policy") {
						t.Errorf("the error doesn't name the policy: %v", err)
					}
					decodesDenial(t, w, err)
				} else if diagnosis := w.Diagnosis(aws.ToString(instance.InstanceId)); err != nil || !strings.Contains(diagnosis, test.diagnosis) || (diagnosis == "") != (test.diagnosis == "") {
					t.Errorf("error %v, diagnosis %q, want %q", err, diagnosis, test.diagnosis)
				}
				got := must(w.LaunchAsServiceLinkedRole(factMember, autoScaling, "us-east-1", theirImage))(t)
				if got.State != "running" {
					t.Errorf("the service-linked role is restricted: %+v", got)
				}
			})
		})
	}
}

// decodesDenial decodes the message of a denied call. Fact: STS-5.
func decodesDenial(t *testing.T, w *awssim.World, denied error) {
	t.Helper()
	_, message, _ := strings.Cut(fmt.Sprint(denied), "Encoded authorization failure message: ")
	decoded, err := sts.NewFromConfig(config(w, awssim.PublishingAccount, "us-east-1")).DecodeAuthorizationMessage(t.Context(), &sts.DecodeAuthorizationMessageInput{EncodedMessage: &message})
	if err != nil || !strings.Contains(*decoded.DecodedMessage, `"action":"ec2:RunInstances"`) || !strings.Contains(*decoded.DecodedMessage, "/Launcher/") {
		t.Errorf("%v: %v", denied, err)
	}
}

// launcher is EC2 for a session of the member's role Launcher. The publisher assumes
// it, since the member's administrator is restricted as well.
func launcher(t *testing.T, w *awssim.World) *ec2.Client {
	t.Helper()
	role := "arn:aws:iam::" + factMember + ":role/Launcher"
	return ec2.NewFromConfig(sessionOf(t, config(w, awssim.PublishingAccount, "us-east-1"), role, "us-east-1"))
}

// They don't restrict the management account, and require an organization.
// Fact: IAM-EVAL-13.
func TestControlPoliciesOfAccounts(t *testing.T) {
	denyAll := controlPolicies(`{"Effect":"Deny","Action":"*","Resource":"*"}`)
	inControlledWorld(t, awssim.ManagementAccount, denyAll, func(t *testing.T, w *awssim.World) {
		must(ec2In(w, awssim.ManagementAccount, "us-east-1").DescribeImages(t.Context(), nil))(t)
		must(kmsClient(w, awssim.ManagementAccount, "us-east-1").CreateKey(t.Context(), nil))(t)
	})
	inControlledWorld(t, awssim.PublishingAccount, denyAll, func(t *testing.T, w *awssim.World) {
		_, err := ec2In(w, awssim.PublishingAccount, "us-east-1").DescribeImages(t.Context(), nil)
		wantCode(t, err, "UnauthorizedOperation")
		_, err = kmsClient(w, awssim.PublishingAccount, "us-east-1").CreateKey(t.Context(), nil)
		wantCode(t, err, "AccessDeniedException")
		_, err = kmsClient(w, awssim.PublishingAccount, "us-east-1").CreateAlias(t.Context(), &kms.CreateAliasInput{AliasName: aws.String("alias/a"), TargetKeyId: aws.String("b")})
		wantCode(t, err, "AccessDeniedException")
		client := sts.NewFromConfig(config(w, awssim.PublishingAccount, "us-east-1"))
		_, err = client.AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::" + factMember + ":role/" + awssim.GrantRole), RoleSessionName: aws.String("test")})
		wantCode(t, err, "AccessDenied")
	})
	for name, account := range map[string]int{"outside": 2, "malformed": 1} {
		file := awssim.DefaultWorld()
		file.Accounts[account].ServiceControlPolicies = denyAll
		if name == "malformed" {
			file.Accounts[account].ServiceControlPolicies = []json.RawMessage{json.RawMessage(`{}`)}
		}
		if _, err := awssim.New(file, awssim.Options{}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// They deny what a grant or a key policy allows. Fact: IAM-EVAL-13.
func TestControlPoliciesBeatGrants(t *testing.T) {
	inControlledWorld(t, factMember, controlPolicies(`{"Effect":"Deny","Action":["kms:Decrypt","kms:RetireGrant"],"Resource":"*"}`), func(t *testing.T, w *awssim.World) {
		key := newKey(t, w, false, openStatement)
		role := newRole(t, w, factMember, "Grantee", "")
		id := newGrant(t, kmsClient(w, factMember, "us-east-1"), key, role, "Decrypt", "DescribeKey", "RetireGrant")
		client := asRole(t, w, factMember, role)
		must(client.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &key}))(t)
		_, err := client.Decrypt(t.Context(), &kms.DecryptInput{CiphertextBlob: []byte(key + "\nx")})
		wantCode(t, err, "AccessDeniedException")
		_, err = client.RetireGrant(t.Context(), &kms.RetireGrantInput{KeyId: &key, GrantId: &id})
		wantCode(t, err, "AccessDeniedException")
	})
}
