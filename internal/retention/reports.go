package retention

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
)

// TagReport marks the image usage reports of this plugin. Its value is the scope
// that was asked for; a report of another scope doesn't count.
const (
	TagReport   = ami.TagPrefix + "usage-report"
	ReportScope = "all-accounts/instances/launch-templates-" + versionDepth
)

// maxReportAge is the age up to which a report counts. EC2 keeps it for 30 days.
const maxReportAge = 7 * 24 * time.Hour

// recentLaunch is how long after its last launch an image is kept. A report of
// maxReportAge doesn't show the launches since then and those of the day before
// it, and EC2 reports the last launch up to a day later.
const recentLaunch = maxReportAge + 24*time.Hour

// The states of an image usage report. Source: SDK, types.ImageUsageReport.State.
const (
	reportAvailable = "available"
	reportPending   = "pending"
	reportError     = "error"
)

// Report is an image usage report: which other accounts use an image.
type Report struct {
	ID      string
	Pending bool
	Created time.Time
}

// byReports finds the report of each image that counts, and reads it. An image
// whose only report is being created has that one.
func (u *Uses) byReports(ctx context.Context, api API, account string, ids []string, now time.Time) error {
	for some := range slices.Chunk(ids, imagesPerFilter) {
		err := eachPage(ctx, api.DescribeImageUsageReports, func(token *string) *ec2.DescribeImageUsageReportsInput {
			return &ec2.DescribeImageUsageReportsInput{ImageIds: some, NextToken: token}
		}, func(answer *ec2.DescribeImageUsageReportsOutput) *string {
			for _, report := range answer.ImageUsageReports {
				u.addReport(report, some, now)
			}
			return answer.NextToken
		})
		if err != nil {
			return err
		}
	}
	for _, id := range ids {
		if report, known := u.Reports[id]; known && !report.Pending {
			if err := u.byEntries(ctx, api, account, id, report); err != nil {
				return err
			}
		}
	}
	return nil
}

func (u *Uses) addReport(described types.ImageUsageReport, asked []string, now time.Time) {
	id, image, state := aws.ToString(described.ReportId), aws.ToString(described.ImageId), aws.ToString(described.State)
	if id == "" || !slices.Contains(asked, image) || state == "" || described.CreationTime == nil {
		u.unknownf("EC2 returned the image usage report %q on image %q without its image, state or timein response to a request for those on %s. Run again.", id, image, few(asked))
		return
	}
	report := Report{ID: id, Created: *described.CreationTime}
	ours := slices.ContainsFunc(described.Tags, func(t types.Tag) bool {
		return aws.ToString(t.Key) == TagReport && aws.ToString(t.Value) == ReportScope
	})
	known, exists := u.Reports[image]
	switch {
	case state == reportError:
	case state == reportPending: // including another principal's: EC2 creates one report at a time for an image
		report.Pending = true
		if !exists {
			u.Reports[image] = report
		}
	case state == reportAvailable && ours && now.Sub(report.Created) < maxReportAge:
		if !exists || known.Pending || report.Created.After(known.Created) {
			u.Reports[image] = report
		}
	}
}

// byEntries reads a report. It omits entries about the image's own account,
// because a direct read of that account is more recent.
func (u *Uses) byEntries(ctx context.Context, api API, account, image string, report Report) error {
	return eachPage(ctx, api.DescribeImageUsageReportEntries, func(token *string) *ec2.DescribeImageUsageReportEntriesInput {
		return &ec2.DescribeImageUsageReportEntriesInput{ReportIds: []string{report.ID}, NextToken: token}
	}, func(answer *ec2.DescribeImageUsageReportEntriesOutput) *string {
		for _, entry := range answer.ImageUsageReportEntries {
			who, kind := aws.ToString(entry.AccountId), aws.ToString(entry.ResourceType)
			if aws.ToString(entry.ReportId) != report.ID || aws.ToString(entry.ImageId) != image || who == "" || kind == "" || entry.UsageCount == nil {
				u.unknownf("EC2 returned an entry of the image usage report %s on %s without its image, account, resource type or count. Run again.", report.ID, image)
				continue
			}
			if who == account || *entry.UsageCount == 0 {
				continue
			}
			if known := referenceKinds[types.ImageReferenceResourceType(kind)]; known != "" {
				kind = known
			}
			u.add(image, Use{Account: who, Kind: kind, Count: *entry.UsageCount, Note: "by report " + report.ID + " of " + report.Created.UTC().Format(time.DateOnly)})
		}
		return answer.NextToken
	})
}

// createReport asks EC2 for a report on the image in all accounts.
func createReport(ctx context.Context, api API, image ami.Image) error {
	answer, err := api.CreateImageUsageReport(ctx, &ec2.CreateImageUsageReportInput{
		ImageId: &image.ID,
		ResourceTypes: []types.ImageUsageResourceTypeRequest{
			{ResourceType: aws.String(string(types.ImageReferenceResourceTypeEc2Instance))},
			{ResourceType: aws.String(string(types.ImageReferenceResourceTypeEc2LaunchTemplate)), ResourceTypeOptions: []types.ImageUsageResourceTypeOptionRequest{
				{OptionName: aws.String(string(types.ImageReferenceOptionNameVersionDepth)), OptionValues: []string{versionDepth}},
			}},
		},
		TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeImageUsageReport, Tags: ami.TagList(map[string]string{TagReport: ReportScope})}},
	})
	if err != nil {
		return awsclient.Wrap(err, "creating an image usage report on %s in %s", image.ID, image.Region)
	}
	if answer == nil || aws.ToString(answer.ReportId) == "" {
		return fmt.Errorf("creating an image usage report on %s in %s: EC2 returned no report ID; run again", image.ID, image.Region)
	}
	return nil
}
