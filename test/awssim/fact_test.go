package awssim_test

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// The tests named TestFactN go through the facts of one area: 1 key policies, 2
// multi-Region keys, 3 grants, 4 request quotas, 5 images, 6 launches, 7 Organizations
// and STS, 10 Parameter Store.

// factMember is the member account of the tests.
const factMember = "222222222222"

// ownerStatement delegates to the publishing account; every key policy needs it.
const ownerStatement = `{"Sid":"Owner","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"kms:*","Resource":"*"}`

func keyPolicy(statements ...string) *string {
	policy := `{"Version":"2012-10-17","Statement":[` + ownerStatement
	for _, s := range statements {
		policy += "," + s
	}
	return aws.String(policy + "]}")
}

// createGrants lets the member's principals with an IAM policy create grants.
const createGrants = `{"Sid":"Grants","Effect":"Allow","Principal":{"AWS":"222222222222"},"Action":"kms:CreateGrant","Resource":"*"}`

// openStatement allows the organization of the default world.
const openStatement = `{"Sid":"Org","Effect":"Allow","Principal":{"AWS":"*"},"Action":"kms:*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-exampleorgid"}}}`

// newKey creates a key in us-east-1 with the statements and returns its ARN.
func newKey(t *testing.T, w *awssim.World, multiRegion bool, statements ...string) string {
	t.Helper()
	made := must(kmsClient(w, awssim.PublishingAccount, "us-east-1").CreateKey(t.Context(), &kms.CreateKeyInput{
		MultiRegion: &multiRegion, Policy: keyPolicy(statements...),
	}))(t)
	return aws.ToString(made.KeyMetadata.Arn)
}

// newRole makes a role in the account, which its administrator may assume, with
// an identity policy of the statements.
func newRole(t *testing.T, w *awssim.World, account, name string, statements string) (arn string) {
	t.Helper()
	client := iam.NewFromConfig(config(w, account, "us-east-1"))
	trust := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":%q},"Action":"sts:AssumeRole"}]}`, account)
	made := must(client.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: &trust}))(t)
	if statements != "" {
		putRolePolicy(t, w, account, name, statements)
	}
	return aws.ToString(made.Role.Arn)
}

func putRolePolicy(t *testing.T, w *awssim.World, account, role, statements string) {
	t.Helper()
	must(iam.NewFromConfig(config(w, account, "us-east-1")).PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{
		RoleName: &role, PolicyName: aws.String("test"),
		PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[` + statements + `]}`),
	}))(t)
}

// sessionOf is a configuration with the credentials of a session of the role.
func sessionOf(t *testing.T, from aws.Config, roleARN, region string) aws.Config {
	t.Helper()
	got := must(sts.NewFromConfig(from).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: &roleARN, RoleSessionName: aws.String("test")}))(t)
	from.Region = region
	from.Credentials = credentials.NewStaticCredentialsProvider(*got.Credentials.AccessKeyId, *got.Credentials.SecretAccessKey, *got.Credentials.SessionToken)
	return from
}

// asRole is a client of KMS in us-east-1 for a session of the account's role.
func asRole(t *testing.T, w *awssim.World, account, roleARN string) *kms.Client {
	t.Helper()
	return kms.NewFromConfig(sessionOf(t, config(w, account, "us-east-1"), roleARN, "us-east-1"))
}
