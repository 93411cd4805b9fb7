package awssim_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

func usageReport(image string) *ec2.CreateImageUsageReportInput {
	return &ec2.CreateImageUsageReportInput{
		ImageId:           &image,
		ResourceTypes:     []types.ImageUsageResourceTypeRequest{{ResourceType: aws.String("ec2:Instance")}, {ResourceType: aws.String("ec2:LaunchTemplate")}},
		TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeImageUsageReport, Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("1")}}}},
	}
}

// TestImageUsageReport checks that a report is pending, then shows the use by other
// accounts except during the last days, and disappears after 30 days.
func TestImageUsageReport(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		client, member := ec2In(w, awssim.PublishingAccount, "us-east-1"), ec2In(w, factMember, "us-east-1")
		must(client.ModifyImageAttribute(t.Context(), &ec2.ModifyImageAttributeInput{
			ImageId: aws.String(plainImage), LaunchPermission: &types.LaunchPermissionModifications{Add: []types.LaunchPermission{{UserId: aws.String(factMember)}}},
		}))(t)
		runPlain(t, client, plainImage) // its owner's, which no report shows
		newDeepTemplate(t, member, "shallow", plainImage, 19)
		newDeepTemplate(t, member, "deep", plainImage, 20)
		runPlain(t, member, plainImage)
		report := func() (state string, entries map[string]int64) {
			t.Helper()
			id := must(client.CreateImageUsageReport(t.Context(), usageReport(plainImage)))(t).ReportId
			time.Sleep(time.Hour)
			described := must(client.DescribeImageUsageReports(t.Context(), &ec2.DescribeImageUsageReportsInput{ReportIds: []string{*id}}))(t).ImageUsageReports[0]
			if described.ExpirationTime.Sub(*described.CreationTime) != 30*24*time.Hour || *described.ImageId != plainImage || len(described.Tags) != 1 || len(described.ResourceTypes) != 2 {
				t.Errorf("report %+v", described)
			}
			entries = map[string]int64{}
			for _, e := range must(client.DescribeImageUsageReportEntries(t.Context(), &ec2.DescribeImageUsageReportEntriesInput{ReportIds: []string{*id}}))(t).ImageUsageReportEntries {
				entries[*e.AccountId+" "+*e.ResourceType] = *e.UsageCount
			}
			return *described.State, entries
		}
		for _, step := range []struct {
			after time.Duration
			want  map[string]int64
		}{
			{0, map[string]int64{}},
			{24 * time.Hour, map[string]int64{factMember + " ec2:Instance": 1}},
			{3 * 24 * time.Hour, map[string]int64{factMember + " ec2:Instance": 1, factMember + " ec2:LaunchTemplate": 1}},
		} {
			time.Sleep(step.after)
			state, got := report()
			if diff := cmp.Diff(step.want, got); diff != "" || state != "available" {
				t.Errorf("after %v, %s:\n%s", step.after, state, diff)
			}
		}
		launched := aws.ToString(describe(t, client, plainImage).LastLaunchedTime)
		if at, err := time.Parse(time.RFC3339, launched); err != nil || time.Since(at) < 24*time.Hour {
			t.Errorf("last launched on %q", launched)
		}
		time.Sleep(30 * 24 * time.Hour)
		if left := must(client.DescribeImageUsageReports(t.Context(), &ec2.DescribeImageUsageReportsInput{}))(t).ImageUsageReports; len(left) != 0 {
			t.Errorf("%d reports are left", len(left))
		}
	})
}

// TestImageUsageReportLimits checks that one report of an image is in progress at a
// time, the same token is the same report, and only the image's owner gets one.
func TestImageUsageReportLimits(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		client := ec2In(w, awssim.PublishingAccount, "us-east-1")
		w.FailUsageReport("us-east-1", "internal error")
		input := usageReport(plainImage)
		input.ClientToken = aws.String("one")
		first := *must(client.CreateImageUsageReport(t.Context(), input))(t).ReportId
		if again := *must(client.CreateImageUsageReport(t.Context(), input))(t).ReportId; again != first {
			t.Errorf("the token made %s and %s", first, again)
		}
		_, err := client.CreateImageUsageReport(t.Context(), usageReport(plainImage))
		wantCode(t, err, "ResourceLimitExceeded")
		must(client.CreateImageUsageReport(t.Context(), usageReport(managedImage)))(t)
		time.Sleep(time.Hour)
		failed := must(client.DescribeImageUsageReports(t.Context(), &ec2.DescribeImageUsageReportsInput{ImageIds: []string{plainImage}}))(t).ImageUsageReports
		if len(failed) != 1 || *failed[0].State != "error" || aws.ToString(failed[0].StateReason) != "internal error" {
			t.Errorf("reports %+v", failed)
		}
		must(client.DeleteImageUsageReport(t.Context(), &ec2.DeleteImageUsageReportInput{ReportId: &first}))(t)
		_, err = client.DeleteImageUsageReport(t.Context(), &ec2.DeleteImageUsageReportInput{ReportId: &first})
		wantCode(t, err, "InvalidImageUsageReportId.NotFound")
		_, err = client.CreateImageUsageReport(t.Context(), usageReport(theirImage))
		wantCode(t, err, "AuthFailure")
		wrong := usageReport(plainImage)
		wrong.ResourceTypes[0].ResourceType = aws.String("ssm:Parameter")
		_, err = client.CreateImageUsageReport(t.Context(), wrong)
		wantCode(t, err, "InvalidParameterValue")
		wrong = usageReport(plainImage)
		wrong.TagSpecifications[0].ResourceType = types.ResourceTypeImage
		_, err = client.CreateImageUsageReport(t.Context(), wrong)
		wantCode(t, err, "InvalidParameterValue")
	})
}
