package awssim_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// sharedImage is an unencrypted image of the publisher's that is shared with the
// member, named golden.
func sharedImage(t *testing.T, w *awssim.World) string {
	t.Helper()
	client := ec2In(w, awssim.PublishingAccount, "us-east-1")
	input := copyOf(plainImage)
	input.Encrypted, input.KmsKeyId = nil, nil
	id := *must(client.CopyImage(t.Context(), input))(t).ImageId
	must(client.ModifyImageAttribute(t.Context(), share(id, types.LaunchPermission{UserId: aws.String(factMember)})))(t)
	return id
}

func allow(t *testing.T, client *ec2.Client, state types.AllowedImagesSettingsEnabledState, criteria ...types.ImageCriterionRequest) {
	t.Helper()
	must(client.ReplaceImageCriteriaInAllowedImagesSettings(t.Context(), &ec2.ReplaceImageCriteriaInAllowedImagesSettingsInput{ImageCriteria: criteria}))(t)
	must(client.EnableAllowedImagesSettings(t.Context(), &ec2.EnableAllowedImagesSettingsInput{AllowedImagesSettingsState: state}))(t)
}

// An image must meet all parts of at least one criterion. Fact: EC2-ALLOW-2,
// EC2-ALLOW-5, EC2-ALLOW-6, EC2-ALLOW-8.
func TestAllowedImagesCriteria(t *testing.T) {
	providers := func(names ...string) types.ImageCriterionRequest {
		return types.ImageCriterionRequest{ImageProviders: names}
	}
	created := func(days int32) types.ImageCriterionRequest {
		return types.ImageCriterionRequest{CreationDateCondition: &types.CreationDateConditionRequest{MaximumDaysSinceCreated: &days}}
	}
	deprecated := func(days int32) types.ImageCriterionRequest {
		return types.ImageCriterionRequest{DeprecationTimeCondition: &types.DeprecationTimeConditionRequest{MaximumDaysSinceDeprecated: &days}}
	}
	both := providers(awssim.PublishingAccount)
	both.ImageNames = []string{"silver*"}
	tests := map[string]struct {
		criteria []types.ImageCriterionRequest
		// The image is created, deprecated after 10 days, and described on this day.
		day     int
		allowed bool
	}{
		"no criterion":                     {nil, 0, false},
		"its owner":                        {[]types.ImageCriterionRequest{providers("333333333333", awssim.PublishingAccount)}, 0, true},
		"another owner":                    {[]types.ImageCriterionRequest{providers("333333333333")}, 0, false},
		"Amazon":                           {[]types.ImageCriterionRequest{providers("amazon", "aws-marketplace", "aws-backup-vault")}, 0, false},
		"none":                             {[]types.ImageCriterionRequest{providers("none")}, 0, false},
		"its name":                         {[]types.ImageCriterionRequest{{ImageNames: []string{"silver", "g?ld*"}}}, 0, true},
		"another name":                     {[]types.ImageCriterionRequest{{ImageNames: []string{"gold"}}}, 0, false},
		"its owner and another name":       {[]types.ImageCriterionRequest{both}, 0, false},
		"the second criterion":             {[]types.ImageCriterionRequest{both, providers(awssim.PublishingAccount)}, 0, true},
		"a product code":                   {[]types.ImageCriterionRequest{{MarketplaceProductCodes: []string{"abc"}}}, 0, false},
		"young enough":                     {[]types.ImageCriterionRequest{created(5)}, 5, true},
		"too old":                          {[]types.ImageCriterionRequest{created(5)}, 6, false},
		"not deprecated":                   {[]types.ImageCriterionRequest{deprecated(0)}, 9, true},
		"deprecated":                       {[]types.ImageCriterionRequest{deprecated(0)}, 11, false},
		"deprecated not long ago":          {[]types.ImageCriterionRequest{deprecated(5)}, 14, true},
		"deprecated long ago":              {[]types.ImageCriterionRequest{deprecated(5)}, 16, false},
		"deprecated, with another's month": {[]types.ImageCriterionRequest{providers(awssim.PublishingAccount)}, 60, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
				id := sharedImage(t, w)
				must(ec2In(w, awssim.PublishingAccount, "us-east-1").EnableImageDeprecation(t.Context(), &ec2.EnableImageDeprecationInput{
					ImageId: &id, DeprecateAt: aws.Time(time.Now().AddDate(0, 0, 10)),
				}))(t)
				client := ec2In(w, factMember, "us-east-1")
				allow(t, client, types.AllowedImagesSettingsEnabledStateEnabled, test.criteria...)
				time.Sleep(time.Duration(test.day) * 24 * time.Hour)
				_, err := client.DescribeImages(t.Context(), &ec2.DescribeImagesInput{ImageIds: []string{id}})
				launched, launchErr := w.LaunchAsServiceLinkedRole(factMember, autoScaling, "us-east-1", id)
				if launchErr != nil {
					t.Fatal(launchErr)
				}
				if test.allowed && (err != nil || launched.State != "running") {
					t.Errorf("not allowed: %v, %+v", err, launched)
				}
				if !test.allowed {
					wantCode(t, err, "InvalidAMIID.NotFound")
					if launched.State != "refused" || launched.Reason != "InvalidAMIID.NotFound" || !strings.Contains(launched.Diagnosis, "Allowed AMIs of account "+factMember) {
						t.Errorf("the launch: %+v", launched)
					}
				}
			})
		})
	}
}

// Enabled hides images of others from lists, copies and launches, audit mode marks
// them, and the account's own images are exempt. The setting is of one account and
// Region. Fact: EC2-ALLOW-1 to EC2-ALLOW-4.
func TestAllowedImagesStates(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		id, member := sharedImage(t, w), ec2In(w, factMember, "us-east-1")
		listed := func(client *ec2.Client) map[string]*bool {
			images := map[string]*bool{}
			for _, i := range must(client.DescribeImages(t.Context(), nil))(t).Images {
				if *i.ImageId == id || *i.ImageId == theirImage {
					images[*i.ImageId] = i.ImageAllowed
				}
			}
			return images
		}
		none := types.ImageCriterionRequest{ImageProviders: []string{"none"}}
		for _, step := range []struct {
			name   string
			change func()
			want   map[string]*bool
		}{
			{"at first", func() {}, map[string]*bool{id: nil, theirImage: nil}},
			{"audit mode", func() { allow(t, member, types.AllowedImagesSettingsEnabledStateAuditMode, none) }, map[string]*bool{id: aws.Bool(false), theirImage: aws.Bool(true)}},
			{"enabled", func() { allow(t, member, types.AllowedImagesSettingsEnabledStateEnabled, none) }, map[string]*bool{theirImage: aws.Bool(true)}},
		} {
			step.change()
			if diff := cmp.Diff(step.want, listed(member)); diff != "" {
				t.Errorf("%s:\n%s", step.name, diff)
			}
		}
		_, err := run(t, member, id)
		wantCode(t, err, "InvalidAMIID.NotFound")
		input := copyOf(id)
		_, err = ec2In(w, factMember, "eu-west-1").CopyImage(t.Context(), input)
		wantCode(t, err, "InvalidAMIID.NotFound")
		must(run(t, member, theirImage))(t)
		if len(listed(ec2In(w, awssim.PublishingAccount, "us-east-1"))) != 2 {
			t.Error("the setting hides images from another account")
		}
		must(run(t, ec2In(w, factMember, "eu-west-1"), awssim.BaseImage("eu-west-1")))(t)
		_, err = run(t, member, awssim.BaseImage("us-east-1"))
		wantCode(t, err, "InvalidAMIID.NotFound")
		must(member.DisableAllowedImagesSettings(t.Context(), nil))(t)
		must(run(t, member, id))(t)
	})
}

// The settings are read as they were written, from requests and world files. A setting
// of a declarative policy can't be changed. Fact: EC2-ALLOW-1, EC2-ALLOW-9.
func TestAllowedImagesSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := awssim.DefaultWorld()
		for i, a := range file.Accounts {
			if a.ID == factMember {
				file.Accounts[i].AllowedImages = map[string]awssim.AllowedImagesFile{
					"*":         {Criteria: []awssim.ImageCriterionFile{{Providers: []string{"amazon"}, MaximumDaysSinceDeprecated: aws.Int(0)}}},
					"eu-west-1": {State: "audit-mode", DeclarativePolicy: true},
				}
			}
		}
		w := must(awssim.New(file, awssim.Options{}))(t)
		here, managed := ec2In(w, factMember, "us-east-1"), ec2In(w, factMember, "eu-west-1")
		wantSettings := func(client *ec2.Client, state, by string, criteria ...types.ImageCriterion) {
			t.Helper()
			got := must(client.GetAllowedImagesSettings(t.Context(), nil))(t)
			if *got.State != state || string(got.ManagedBy) != by {
				t.Errorf("the state is %s, managed by %s", *got.State, got.ManagedBy)
			}
			if diff := cmp.Diff(criteria, got.ImageCriteria, cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(types.ImageCriterion{}, types.CreationDateCondition{}, types.DeprecationTimeCondition{})); diff != "" {
				t.Errorf("criteria:\n%s", diff)
			}
		}
		wantSettings(here, "enabled", "account", types.ImageCriterion{
			ImageProviders: []string{"amazon"}, DeprecationTimeCondition: &types.DeprecationTimeCondition{MaximumDaysSinceDeprecated: aws.Int32(0)},
		})
		wantSettings(managed, "audit-mode", "declarative-policy")
		wantSettings(ec2In(w, "333333333333", "us-east-1"), "disabled", "account")
		_, err := managed.DisableAllowedImagesSettings(t.Context(), nil)
		wantCode(t, err, "OperationNotPermitted")
		allow(t, here, types.AllowedImagesSettingsEnabledStateAuditMode, types.ImageCriterionRequest{
			ImageNames: []string{"golden-*"}, MarketplaceProductCodes: []string{"abc1"},
			CreationDateCondition: &types.CreationDateConditionRequest{MaximumDaysSinceCreated: aws.Int32(30)},
		})
		wantSettings(here, "audit-mode", "account", types.ImageCriterion{
			ImageNames: []string{"golden-*"}, MarketplaceProductCodes: []string{"abc1"},
			CreationDateCondition: &types.CreationDateCondition{MaximumDaysSinceCreated: aws.Int32(30)},
		})
		for name, criteria := range map[string][]types.ImageCriterionRequest{
			"a provider":      {{ImageProviders: []string{"self"}}},
			"none and more":   {{ImageProviders: []string{"none", "amazon"}}},
			"a name":          {{ImageNames: []string{"golden#1"}}},
			"a short name":    {{ImageNames: []string{"g?"}}},
			"a product code":  {{MarketplaceProductCodes: []string{"a-b"}}},
			"negative days":   {{CreationDateCondition: &types.CreationDateConditionRequest{MaximumDaysSinceCreated: aws.Int32(-1)}}},
			"eleven criteria": make([]types.ImageCriterionRequest, 11),
		} {
			if name == "eleven criteria" {
				for i := range criteria {
					criteria[i].ImageProviders = []string{"amazon"}
				}
			}
			_, err := here.ReplaceImageCriteriaInAllowedImagesSettings(t.Context(), &ec2.ReplaceImageCriteriaInAllowedImagesSettingsInput{ImageCriteria: criteria})
			t.Log(name)
			wantCode(t, err, "InvalidParameterValue")
		}
		_, err = here.EnableAllowedImagesSettings(t.Context(), &ec2.EnableAllowedImagesSettingsInput{AllowedImagesSettingsState: "disabled"})
		wantCode(t, err, "InvalidParameterValue")
	})
	for name, setting := range map[string]map[string]awssim.AllowedImagesFile{
		"state":    {"*": {State: "on"}},
		"region":   {"mars-north-1": {}},
		"criteria": {"*": {Criteria: []awssim.ImageCriterionFile{{Providers: []string{"self"}}}}},
	} {
		file := awssim.DefaultWorld()
		file.Accounts[0].AllowedImages = setting
		if _, err := awssim.New(file, awssim.Options{}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
