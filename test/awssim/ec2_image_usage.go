package awssim

import (
	"maps"
	"slices"
	"strconv"
	"time"
)

// The rules of image usage reports. Source: EC2 user guide, "View your AMI usage".
const (
	// reportLifetime is when EC2 deletes a report.
	reportLifetime = 30 * 24 * time.Hour
	// instanceReportLag and templateReportLag are how long instances and launch
	// templates are missing from reports: "the past 24 hours", and "the past few days",
	// here three.
	instanceReportLag = 24 * time.Hour
	templateReportLag = 3 * 24 * time.Hour
	// reportTime is how long a report is pending. AWS documents no time.
	reportTime = 10 * time.Minute
	// launchedLag is how late an image's last launch is reported.
	launchedLag = 24 * time.Hour
	// maxPendingReports is how many pending reports an account can have in a Region. An
	// image can have one.
	maxPendingReports = 2_000
	// defaultReportDepth is how many versions of launch templates are checked.
	defaultReportDepth = 20
	maxReportAccounts  = 200
)

// usageReport is an image usage report.
type usageReport struct {
	id, owner, image string
	accounts         []string
	types            []resourceTypeRequest
	created, readyAt time.Time
	// failure is why EC2 couldn't create it. It is then in the state error.
	failure string
	entries []usageEntry
}

type usageEntry struct {
	Account      string `xml:"accountId"`
	ImageID      string `xml:"imageId"`
	Created      string `xml:"reportCreationTime"`
	ReportID     string `xml:"reportId"`
	ResourceType string `xml:"resourceType"`
	Count        int    `xml:"usageCount"`
}

func (r *usageReport) resourceID() string { return r.id }
func (e usageEntry) resourceID() string   { return e.ReportID + " " + e.Account + " " + e.ResourceType }

func (r *usageReport) state(now time.Time) string {
	switch {
	case now.Before(r.readyAt):
		return "pending"
	case r.failure != "":
		return "error"
	default:
		return "available"
	}
}

// ownReports are the caller's reports that EC2 has not deleted.
func (c *call) ownReports() map[string]*usageReport {
	reports := maps.Clone(c.here().usageReports)
	maps.DeleteFunc(reports, func(_ string, r *usageReport) bool {
		return r.owner != c.caller.Account || !c.now.Before(r.created.Add(reportLifetime))
	})
	return reports
}

func (c *call) ownReport(id string) (*usageReport, *Error) {
	if r := c.ownReports()[id]; r != nil {
		return r, nil
	}
	return nil, badRequest("InvalidImageUsageReportId.NotFound", "The image usage report '%s' does not exist", id)
}

type createImageUsageReportRequest struct {
	ImageID           string                `param:"ImageId,required"`
	ResourceTypes     []resourceTypeRequest `param:"ResourceType,required"`
	AccountIDs        []string              `param:"AccountId"`
	ClientToken       string
	TagSpecifications []tagSpecification `param:"TagSpecification"`
}

type createImageUsageReportAnswer struct {
	ReportID string `xml:"reportId"`
}

// createImageUsageReport starts a report on one of the caller's images. AWS doesn't
// document the error code for the quota.
func createImageUsageReport(c *call, r createImageUsageReportRequest) (any, error) {
	if id, problem := c.before(r.ClientToken); id != "" || problem != nil {
		return answerOr(createImageUsageReportAnswer{id}, problem)
	}
	if _, problem := c.ownImage(r.ImageID); problem != nil {
		return nil, problem
	}
	problem := checkResourceTypes(r.ResourceTypes, func(name string) bool { return name == "ec2:Instance" || name == "ec2:LaunchTemplate" })
	if problem != nil {
		return nil, problem
	}
	if len(r.AccountIDs) > maxReportAccounts {
		return nil, badRequest("InvalidParameterValue", "%d account IDs are specified, the maximum is %d", len(r.AccountIDs), maxReportAccounts)
	}
	tags, problem := c.specifiedTags(r.TagSpecifications, "image-usage-report")
	if problem != nil {
		return nil, problem
	}
	pending := 0
	for _, other := range c.ownReports() {
		if other.state(c.now) != "pending" {
			continue
		}
		if pending++; other.image == r.ImageID || pending == maxPendingReports {
			return nil, badRequest("ResourceLimitExceeded", "You have reached the limit of image usage reports in progress")
		}
	}
	report := &usageReport{
		id: c.w.newEC2ID("amiur"), owner: c.caller.Account, image: r.ImageID, accounts: r.AccountIDs, types: r.ResourceTypes,
		created: c.now, readyAt: c.now.Add(reportTime), failure: c.reportFailure(),
	}
	report.entries = c.usage(report)
	c.here().usageReports[report.id] = report
	c.setTags(report.id, tags["image-usage-report"])
	c.remember(r.ClientToken, report.id)
	return createImageUsageReportAnswer{report.id}, nil
}

// FailUsageReport makes the next image usage report of the Region end in the state
// error.
func (w *World) FailUsageReport(region, reason string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.ec2In(region)
	r.reportFailures = append(r.reportFailures, reason)
}

// reportFailure takes the first reason of [World.FailUsageReport]; "" if there is
// none.
func (c *call) reportFailure() string {
	r := c.here()
	if len(r.reportFailures) == 0 {
		return ""
	}
	reason := r.reportFailures[0]
	r.reportFailures = r.reportFailures[1:]
	return reason
}

// usage counts the resources of other accounts that use the image, except those of the
// last days.
func (c *call) usage(r *usageReport) []usageEntry {
	type user struct{ account, resourceType string }
	counts := map[user]int{}
	for _, t := range r.types {
		switch t.ResourceType {
		case "ec2:Instance":
			for _, i := range c.here().instances {
				if i.imageID == r.image && i.state(c.now) != "terminated" && !i.launched.After(c.now.Add(-instanceReportLag)) {
					counts[user{i.owner, t.ResourceType}]++
				}
			}
		case "ec2:LaunchTemplate":
			depth := defaultReportDepth
			for _, o := range t.Options {
				depth, _ = strconv.Atoi(o.OptionValues[0]) // checked before
			}
			for _, template := range c.here().launchTemplates {
				if !template.created.After(c.now.Add(-templateReportLag)) && template.names(r.image, depth) {
					counts[user{template.owner, t.ResourceType}]++
				}
			}
		}
	}
	var entries []usageEntry
	for of, count := range counts {
		if of.account != r.owner && (len(r.accounts) == 0 || slices.Contains(r.accounts, of.account)) {
			entries = append(entries, usageEntry{of.account, r.image, timestamp(r.created), r.id, of.resourceType, count})
		}
	}
	return entries
}

type deleteImageUsageReportRequest struct {
	ReportID string `param:"ReportId,required"`
}

func deleteImageUsageReport(c *call, r deleteImageUsageReportRequest) (any, error) {
	if _, problem := c.ownReport(r.ReportID); problem != nil {
		return nil, problem
	}
	delete(c.here().usageReports, r.ReportID)
	delete(c.here().tags, tagged{c.caller.Account, r.ReportID})
	return done{true}, nil
}

// lastLaunched is when any account last launched the image, which AWS reports a day
// later. It is the zero time if none has.
func (c *call) lastLaunched(image string) time.Time {
	var last time.Time
	for _, i := range c.here().instances {
		if i.imageID == image && !i.launched.After(c.now.Add(-launchedLag)) {
			if i.launched.After(last) {
				last = i.launched
			}
		}
	}
	return last
}
