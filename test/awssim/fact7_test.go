package awssim_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// Every member can read the organization, and only the management account can list
// accounts. An account outside has no organization.
func TestFact7WhoMayAsk(t *testing.T) {
	inVirtualTime(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		client := func(account string) *organizations.Client {
			return organizations.NewFromConfig(config(w, account, "us-east-1"))
		}
		got := must(client(factMember).DescribeOrganization(t.Context(), nil))(t).Organization
		if aws.ToString(got.Id) != awssim.OrganizationID || aws.ToString(got.MasterAccountId) != awssim.ManagementAccount {
			t.Errorf("organization %s of %s", aws.ToString(got.Id), aws.ToString(got.MasterAccountId))
		}
		_, err := client(awssim.OutsideAccount).DescribeOrganization(t.Context(), nil)
		wantCode(t, err, "AWSOrganizationsNotInUseException")
		_, err = client(factMember).ListAccounts(t.Context(), nil)
		wantCode(t, err, "AccessDeniedException")
		first := must(client(awssim.ManagementAccount).ListAccounts(t.Context(), nil))(t)
		if len(first.Accounts) != 0 || first.NextToken == nil {
			t.Errorf("the first page has %d accounts; want none, and a token: pages can be empty", len(first.Accounts))
		}
		nowhere := aws.String("ou-ab12-99999999")
		_, err = client(awssim.ManagementAccount).ListAccountsForParent(t.Context(), &organizations.ListAccountsForParentInput{ParentId: nowhere})
		wantCode(t, err, "ParentNotFoundException")
		_, err = client(awssim.ManagementAccount).ListOrganizationalUnitsForParent(t.Context(), &organizations.ListOrganizationalUnitsForParentInput{ParentId: nowhere})
		wantCode(t, err, "ParentNotFoundException")
	})
}

// The role's trust policy and its conditions decide.
func TestFact7AssumeRole(t *testing.T) {
	inVirtualTime(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		role := "arn:aws:iam::" + factMember + ":role/" + awssim.GrantRole
		assume := &sts.AssumeRoleInput{RoleArn: &role, RoleSessionName: aws.String("test")}
		must(sts.NewFromConfig(config(w, awssim.PublishingAccount, "us-east-1")).AssumeRole(t.Context(), assume))(t)
		_, err := sts.NewFromConfig(config(w, awssim.OutsideAccount, "us-east-1")).AssumeRole(t.Context(), assume)
		wantCode(t, err, "AccessDenied")
		// A role of the trusted account needs permission of its own.
		caller := newRole(t, w, awssim.PublishingAccount, "NoPermission", "")
		session := sts.NewFromConfig(sessionOf(t, config(w, awssim.PublishingAccount, "us-east-1"), caller, "us-east-1"))
		_, err = session.AssumeRole(t.Context(), assume)
		wantCode(t, err, "AccessDenied")
		putRolePolicy(t, w, awssim.PublishingAccount, "NoPermission", `{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"`+role+`"}`)
		must(session.AssumeRole(t.Context(), assume))(t)
		assume.DurationSeconds = aws.Int32(7200)
		_, err = session.AssumeRole(t.Context(), assume) // role chaining: an hour at most
		wantCode(t, err, "ValidationError")
	})
}

// Sessions end.
func TestFact7SessionsExpire(t *testing.T) {
	inVirtualTime(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		role := newRole(t, w, factMember, "Session", `{"Effect":"Allow","Action":"kms:ListKeys","Resource":"*"}`)
		client := asRole(t, w, factMember, role)
		must(client.ListKeys(t.Context(), nil))(t)
		time.Sleep(time.Hour + time.Second)
		_, err := client.ListKeys(t.Context(), nil)
		wantCode(t, err, "ExpiredTokenException")
	})
}

// A Region that the account hasn't enabled rejects its credentials. Fact 8.
func TestFact8RegionNotEnabled(t *testing.T) {
	inVirtualTime(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		_, err := kmsClient(w, factMember, "af-south-1").ListKeys(t.Context(), &kms.ListKeysInput{})
		wantCode(t, err, "UnrecognizedClientException")
		_, err = sts.NewFromConfig(config(w, factMember, "af-south-1")).GetCallerIdentity(t.Context(), nil)
		wantCode(t, err, "InvalidClientTokenId")
	})
}
