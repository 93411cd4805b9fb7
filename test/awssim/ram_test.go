package awssim_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ram"
	ramtypes "github.com/aws/aws-sdk-go-v2/service/ram/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

const (
	sharedARN = "arn:aws:ssm:us-east-1:" + awssim.PublishingAccount + ":parameter/golden"
)

// wantOutcome checks the code of an error, "" for none.
func wantOutcome(t *testing.T, err error, code string) {
	t.Helper()
	if code != "" {
		wantCode(t, err, code)
	} else if err != nil {
		t.Error(err)
	}
}

func ramIn(w *awssim.World, account, region string) *ram.Client {
	return ram.NewFromConfig(config(w, account, region))
}

func putTier(t *testing.T, w *awssim.World, tier ssmtypes.ParameterTier) error {
	t.Helper()
	_, err := ssmIn(w, awssim.PublishingAccount, "us-east-1").PutParameter(t.Context(), &ssm.PutParameterInput{
		Name: aws.String("golden"), Value: aws.String("text"), Type: ssmtypes.ParameterTypeString, Tier: tier, Overwrite: aws.Bool(true),
	})
	return err
}

func shareGolden(t *testing.T, w *awssim.World, external bool, principals ...string) (*ram.CreateResourceShareOutput, error) {
	t.Helper()
	return ramIn(w, awssim.PublishingAccount, "us-east-1").CreateResourceShare(t.Context(), &ram.CreateResourceShareInput{
		Name: aws.String("golden"), AllowExternalPrincipals: &external, Principals: principals, ResourceArns: []string{sharedARN},
	})
}

// TestSharedParameter checks that accounts of the principals read an advanced parameter
// by its ARN once it is associated, also in a launch, and no other account does.
func TestSharedParameter(t *testing.T) {
	for name, c := range map[string]struct {
		principal string
		member    bool
	}{
		"organization": {principal: awssim.OrganizationARN, member: true},
		"unit":         {principal: awssim.WorkloadsUnitARN, member: true},
		"one account":  {principal: factMember, member: true},
		"another":      {principal: awssim.MemberAccounts()[2], member: false},
	} {
		t.Run(name, func(t *testing.T) {
			inImageWorld(t, awssim.Options{PropagationLag: 5 * time.Second}, func(t *testing.T, w *awssim.World) {
				if err := putTier(t, w, ssmtypes.ParameterTierAdvanced); err != nil {
					t.Fatal(err)
				}
				must(shareGolden(t, w, false, c.principal))(t)
				read := func(account string) error {
					_, err := ssmIn(w, account, "us-east-1").GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String(sharedARN)})
					return err
				}
				wantOutcome(t, read(factMember), "ParameterNotFound") // still associating
				time.Sleep(6 * time.Second)
				for account, allowed := range map[string]bool{factMember: c.member, awssim.OutsideAccount: false} {
					want := "ParameterNotFound"
					if allowed {
						want = ""
					}
					wantOutcome(t, read(account), want)
					answer := must(ssmIn(w, account, "us-east-1").GetParameters(t.Context(), &ssm.GetParametersInput{Names: []string{sharedARN}}))(t)
					if (len(answer.Parameters) == 1) != allowed || (len(answer.InvalidParameters) == 0) != allowed {
						t.Errorf("GetParameters in %s: %+v", account, answer)
					}
				}
				_, err := ssmIn(w, factMember, "us-east-1").GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String("golden")})
				wantOutcome(t, err, "ParameterNotFound") // by the ARN only
				_, err = ssmIn(w, factMember, "us-east-1").GetParameterHistory(t.Context(), &ssm.GetParameterHistoryInput{Name: aws.String("golden")})
				wantOutcome(t, err, "ParameterNotFound")
			})
		})
	}
}

// TestRefusedShares checks what RAM rejects.
func TestRefusedShares(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		if err := putTier(t, w, ""); err != nil {
			t.Fatal(err)
		}
		_, err := shareGolden(t, w, false, awssim.OrganizationARN)
		wantCode(t, err, "InvalidParameterException") // the standard tier
		if err := putTier(t, w, ssmtypes.ParameterTierAdvanced); err != nil {
			t.Fatal(err)
		}
		wantOutcome(t, putTier(t, w, ssmtypes.ParameterTierStandard), "ValidationException")
		for principal, code := range map[string]string{
			awssim.OutsideAccount: "OperationNotPermittedException",
			"o-exampleorgid":      "InvalidParameterException",
			"arn:aws:organizations::" + awssim.ManagementAccount + ":organization/o-another000": "UnknownResourceException",
			awssim.WorkloadsUnitARN + "0": "UnknownResourceException",
		} {
			_, err := shareGolden(t, w, false, principal)
			wantOutcome(t, err, code)
		}
		if got := w.ParameterShares(awssim.PublishingAccount); len(got) > 0 {
			t.Errorf("refused, and created: %+v", got)
		}
	})
}

// TestSharingWithOrganizationOff checks that RAM doesn't find the organization until
// its management account enables sharing.
func TestSharingWithOrganizationOff(t *testing.T) {
	file := awssim.DefaultWorld()
	file.Organization.ResourceSharing = false
	w := must(awssim.New(file, awssim.Options{}))(t)
	if err := putTier(t, w, ssmtypes.ParameterTierAdvanced); err != nil {
		t.Fatal(err)
	}
	_, err := shareGolden(t, w, false, awssim.OrganizationARN)
	wantOutcome(t, err, "UnknownResourceException")
	_, err = ramIn(w, awssim.PublishingAccount, "us-east-1").EnableSharingWithAwsOrganization(t.Context(), &ram.EnableSharingWithAwsOrganizationInput{})
	wantOutcome(t, err, "OperationNotPermittedException")
	must(ramIn(w, awssim.ManagementAccount, "us-east-1").EnableSharingWithAwsOrganization(t.Context(), &ram.EnableSharingWithAwsOrganizationInput{}))(t)
	created := must(shareGolden(t, w, false, awssim.OrganizationARN))(t)
	list := must(ramIn(w, awssim.PublishingAccount, "us-east-1").GetResourceShareAssociations(t.Context(), &ram.GetResourceShareAssociationsInput{
		AssociationType: ramtypes.ResourceShareAssociationTypePrincipal, ResourceShareArns: []string{*created.ResourceShare.ResourceShareArn},
	}))(t)
	if len(list.ResourceShareAssociations) != 1 || list.ResourceShareAssociations[0].Status != ramtypes.ResourceShareAssociationStatusAssociated {
		t.Errorf("associations: %+v", list.ResourceShareAssociations)
	}
}

// TestResolveSharedParameter checks that a member's launch template names the parameter
// by ARN.
func TestResolveSharedParameter(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		_, err := ssmIn(w, awssim.PublishingAccount, "us-east-1").PutParameter(t.Context(), &ssm.PutParameterInput{
			Name: aws.String("golden"), Value: aws.String(plainImage), Type: ssmtypes.ParameterTypeString, Tier: ssmtypes.ParameterTierAdvanced, DataType: aws.String("aws:ec2:image"),
		})
		if err != nil {
			t.Fatal(err)
		}
		member := ec2.NewFromConfig(config(w, factMember, "us-east-1"))
		_, err = newTemplate(t, member, "web", "resolve:ssm:"+sharedARN)
		wantOutcome(t, err, "SsmInvalidParameter")
		must(shareGolden(t, w, false, awssim.OrganizationARN))(t)
		must(newTemplate(t, member, "web", "resolve:ssm:"+sharedARN))(t)
		answer := must(member.DescribeLaunchTemplateVersions(t.Context(), &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateName: aws.String("web"), Versions: []string{"1"}, ResolveAlias: aws.Bool(true)}))(t)
		if got := aws.ToString(answer.LaunchTemplateVersions[0].LaunchTemplateData.ImageId); got != plainImage {
			t.Errorf("it names %s", got)
		}
	})
}

// TestRepeatedShare checks that a request with a client token that was used creates no
// second share, and is rejected if anything else differs.
func TestRepeatedShare(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		if err := putTier(t, w, ssmtypes.ParameterTierAdvanced); err != nil {
			t.Fatal(err)
		}
		request := ram.CreateResourceShareInput{Name: aws.String("golden"), ClientToken: aws.String("one"), Principals: []string{awssim.OrganizationARN}, ResourceArns: []string{sharedARN}}
		client := ramIn(w, awssim.PublishingAccount, "us-east-1")
		first := must(client.CreateResourceShare(t.Context(), &request))(t)
		again := must(client.CreateResourceShare(t.Context(), &request))(t)
		if *first.ResourceShare.ResourceShareArn != *again.ResourceShare.ResourceShareArn || len(w.ParameterShares(awssim.PublishingAccount)) != 1 {
			t.Errorf("two shares: %s and %s", *first.ResourceShare.ResourceShareArn, *again.ResourceShare.ResourceShareArn)
		}
		request.Principals = []string{awssim.WorkloadsUnitARN}
		_, err := client.CreateResourceShare(t.Context(), &request)
		wantCode(t, err, "IdempotentParameterMismatchException")
		request.ClientToken = aws.String("two")
		must(client.CreateResourceShare(t.Context(), &request))(t)
	})
}

// TestFailedAssociation checks that an association can fail with a message, that a later
// request repeats it, and that readers still see the failure at first.
func TestFailedAssociation(t *testing.T) {
	inImageWorld(t, awssim.Options{PropagationLag: 10 * time.Second}, func(t *testing.T, w *awssim.World) {
		if err := putTier(t, w, ssmtypes.ParameterTierAdvanced); err != nil {
			t.Fatal(err)
		}
		w.FailAssociation(awssim.OrganizationARN, "not today")
		share := must(shareGolden(t, w, false, awssim.OrganizationARN, awssim.WorkloadsUnitARN, factMember))(t).ResourceShare.ResourceShareArn
		client := ramIn(w, awssim.PublishingAccount, "us-east-1")
		statuses := func() map[string]string {
			list := map[string]string{}
			for pages := ram.NewGetResourceShareAssociationsPaginator(client, &ram.GetResourceShareAssociationsInput{AssociationType: ramtypes.ResourceShareAssociationTypePrincipal, ResourceShareArns: []string{*share}}); pages.HasMorePages(); {
				for _, a := range must(pages.NextPage(t.Context()))(t).ResourceShareAssociations {
					list[*a.AssociatedEntity] = string(a.Status) + aws.ToString(a.StatusMessage)
				}
			}
			return list
		}
		if got := statuses(); len(got) > 0 {
			t.Errorf("a new share is seen at once: %v", got)
		}
		time.Sleep(10 * time.Second)
		for _, want := range []struct {
			after  time.Duration
			status string
		}{{0, "FAILEDnot today"}, {time.Second, "FAILEDnot today"}, {5 * time.Second, "ASSOCIATING"}, {5 * time.Second, "ASSOCIATED"}} {
			time.Sleep(want.after)
			got := statuses()
			if got[awssim.OrganizationARN] != want.status || got[awssim.WorkloadsUnitARN] != "ASSOCIATED" || got[factMember] != "ASSOCIATED" {
				t.Errorf("after %v: %v", want.after, got)
			}
			if want.after == 0 {
				must(client.AssociateResourceShare(t.Context(), &ram.AssociateResourceShareInput{ResourceShareArn: share, Principals: []string{awssim.OrganizationARN}}))(t)
			}
		}
	})
}
