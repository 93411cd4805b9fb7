package awssim

import "slices"

type usageReportsRequest struct {
	paging

	Filters   []filter `param:"Filter"`
	ImageIDs  []string `param:"ImageId"`
	ReportIDs []string `param:"ReportId"`
}

// reports returns the reports that match the request's IDs.
func (c *call) reports(r usageReportsRequest) ([]*usageReport, *Error) {
	if len(r.ImageIDs) > maxReportAccounts || len(r.ReportIDs) > maxReportAccounts {
		return nil, badRequest("InvalidParameterValue", "The maximum number of IDs is %d", maxReportAccounts)
	}
	reports, problem := ownResources(c.ownReports(), r.ReportIDs, c.ownReport)
	return slices.DeleteFunc(reports, func(report *usageReport) bool {
		return len(r.ImageIDs) > 0 && !slices.Contains(r.ImageIDs, report.image)
	}), problem
}

type usageReportItem struct {
	AccountIDs     set[string]           `xml:"accountIdSet"`
	CreationTime   string                `xml:"creationTime"`
	ExpirationTime string                `xml:"expirationTime"`
	ImageID        string                `xml:"imageId"`
	ReportID       string                `xml:"reportId"`
	ResourceTypes  set[resourceTypeItem] `xml:"resourceTypeSet"`
	State          string                `xml:"state"`
	StateReason    string                `xml:"stateReason,omitempty"`
	Tags           set[tagItem]          `xml:"tagSet"`
}

type resourceTypeItem struct {
	ResourceType string                  `xml:"resourceType"`
	Options      set[resourceTypeOption] `xml:"resourceTypeOptionSet"`
}

type describeImageUsageReportsAnswer struct {
	Reports   set[usageReportItem] `xml:"imageUsageReportSet"`
	NextToken string               `xml:"nextToken,omitempty"`
}

var reportFilters = filterTable[*usageReport]{
	"creation-time": func(_ *call, r *usageReport) []string { return []string{timestamp(r.created)} },
	"state":         func(c *call, r *usageReport) []string { return []string{r.state(c.now)} },
}

func describeImageUsageReports(c *call, r usageReportsRequest) (any, error) {
	reports, problem := c.reports(r)
	if problem == nil {
		reports, problem = reportFilters.selectBy(c, r.Filters, reports)
	}
	if problem != nil {
		return nil, problem
	}
	page, next, problem := pageOf(r.paging, reports)
	if problem != nil {
		return nil, problem
	}
	return describeImageUsageReportsAnswer{setFrom(page, c.reportItem), next}, nil
}

func (c *call) reportItem(r *usageReport) usageReportItem {
	item := usageReportItem{
		AccountIDs: setOf(r.accounts...), CreationTime: timestamp(r.created), ExpirationTime: timestamp(r.created.Add(reportLifetime)),
		ImageID: r.image, ReportID: r.id, State: r.state(c.now), Tags: tagSet(c.tags(r.id)),
		ResourceTypes: setFrom(r.types, func(t resourceTypeRequest) resourceTypeItem {
			return resourceTypeItem{t.ResourceType, setOf(t.Options...)}
		}),
	}
	if item.State == "error" {
		item.StateReason = r.failure
	}
	return item
}

type describeEntriesAnswer struct {
	Entries   set[usageEntry] `xml:"imageUsageReportEntrySet"`
	NextToken string          `xml:"nextToken,omitempty"`
}

var entryFilters = filterTable[usageEntry]{
	"account-id":    func(_ *call, e usageEntry) []string { return []string{e.Account} },
	"creation-time": func(_ *call, e usageEntry) []string { return []string{e.Created} },
	"resource-type": func(_ *call, e usageEntry) []string { return []string{e.ResourceType} },
}

// describeImageUsageReportEntries lists the entries of reports that are available.
func describeImageUsageReportEntries(c *call, r usageReportsRequest) (any, error) {
	reports, problem := c.reports(r)
	if problem != nil {
		return nil, problem
	}
	var entries []usageEntry
	for _, report := range reports {
		if report.state(c.now) == "available" {
			entries = append(entries, report.entries...)
		}
	}
	if entries, problem = entryFilters.selectBy(c, r.Filters, entries); problem != nil {
		return nil, problem
	}
	page, next, problem := pageOf(r.paging, entries)
	if problem != nil {
		return nil, problem
	}
	return describeEntriesAnswer{setOf(page...), next}, nil
}
