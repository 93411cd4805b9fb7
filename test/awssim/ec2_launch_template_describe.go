package awssim

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// largestTemplatePage is how many templates or versions a response has at most.
const largestTemplatePage = 200

// atMost limits the size of pages.
func (p paging) atMost(size int) paging {
	if p.MaxResults == nil || *p.MaxResults > size {
		p.MaxResults = &size
	}
	return p
}

type describeLaunchTemplatesRequest struct {
	paging

	// IncludeManagedResources changes nothing: no service hides its resources.
	IncludeManagedResources bool

	LaunchTemplateIDs   []string `param:"LaunchTemplateId"`
	LaunchTemplateNames []string `param:"LaunchTemplateName"`
	Filters             []filter `param:"Filter"`
}

type describeLaunchTemplatesAnswer struct {
	LaunchTemplates set[launchTemplateItem] `xml:"launchTemplates"`
	NextToken       string                  `xml:"nextToken,omitempty"`
}

var templateFilters = filterTable[*launchTemplate]{
	"create-time":          func(_ *call, t *launchTemplate) []string { return []string{timestamp(t.created)} },
	"launch-template-name": func(_ *call, t *launchTemplate) []string { return []string{t.name} },
}

func describeLaunchTemplates(c *call, r describeLaunchTemplatesRequest) (any, error) {
	ids := r.LaunchTemplateIDs
	for _, name := range r.LaunchTemplateNames {
		t, problem := c.templateNamed("", name)
		if problem != nil {
			return nil, problem
		}
		ids = append(ids, t.id)
	}
	templates, problem := ownResources(c.here().launchTemplates, ids, c.ownTemplate)
	if problem != nil {
		return nil, problem
	}
	templates, problem = templateFilters.selectBy(c, r.Filters, templates)
	if problem != nil {
		return nil, problem
	}
	templates, next, problem := pageOf(r.atMost(largestTemplatePage), templates)
	if problem != nil {
		return nil, problem
	}
	return describeLaunchTemplatesAnswer{setFrom(templates, c.templateItem), next}, nil
}

type describeLaunchTemplateVersionsRequest struct {
	paging

	// IncludeManagedResources changes nothing: no service hides its resources.
	IncludeManagedResources bool

	LaunchTemplateID   string `param:"LaunchTemplateId"`
	LaunchTemplateName string
	Versions           []string `param:"LaunchTemplateVersion"`
	Filters            []filter `param:"Filter"`
	ResolveAlias       bool
}

type describeLaunchTemplateVersionsAnswer struct {
	Versions  set[versionItem] `xml:"launchTemplateVersionSet"`
	NextToken string           `xml:"nextToken,omitempty"`
}

func (v versionItem) resourceID() string { return v.ID }

var versionFilters = filterTable[versionItem]{
	"create-time":        func(_ *call, v versionItem) []string { return []string{v.CreateTime} },
	"image-id":           func(_ *call, v versionItem) []string { return some(v.Data.ImageID != "", v.Data.ImageID) },
	"instance-type":      func(_ *call, v versionItem) []string { return some(v.Data.InstanceType != "", v.Data.InstanceType) },
	"is-default-version": func(_ *call, v versionItem) []string { return []string{strconv.FormatBool(v.DefaultVersion)} },
}

// describeLaunchTemplateVersions lists versions, the newest first: of one
// template, or the latest and default versions of all. Source: API reference of
// DescribeLaunchTemplateVersions.
func describeLaunchTemplateVersions(c *call, r describeLaunchTemplateVersionsRequest) (any, error) {
	items, problem := c.templateVersions(r)
	if problem != nil {
		return nil, problem
	}
	if r.ResolveAlias {
		for n := range items {
			if items[n].Data.ImageID, problem = c.imageID(items[n].Data.ImageID); problem != nil {
				return nil, problem
			}
		}
	}
	items, problem = versionFilters.selectBy(c, r.Filters, items)
	if problem != nil {
		return nil, problem
	}
	return versionsPage(r.atMost(largestTemplatePage), items)
}

// templateVersions finds the versions that the request names.
func (c *call) templateVersions(r describeLaunchTemplateVersionsRequest) ([]versionItem, *Error) {
	one := r.LaunchTemplateID != "" || r.LaunchTemplateName != ""
	// That aliases are resolved for one named version of one template only is a
	// field report (wata727/packer-plugin-amazon-ami-management#431); the code of
	// the error is believed.
	if r.ResolveAlias && (!one || len(r.Versions) != 1) {
		return nil, badRequest("InvalidParameterCombination", "The parameter ResolveAlias requires a launch template and a single version of it.")
	}
	if !one {
		return c.versionsOfAll(r.Versions)
	}
	t, problem := c.templateNamed(r.LaunchTemplateID, r.LaunchTemplateName)
	if problem != nil {
		return nil, problem
	}
	var numbers []int
	for number := range t.versions {
		numbers = append(numbers, number+1)
	}
	if len(r.Versions) > 0 {
		numbers = nil
	}
	for _, version := range r.Versions {
		number, problem := t.number(version)
		if problem != nil {
			return nil, problem
		}
		numbers = append(numbers, number)
	}
	return t.items(numbers), nil
}

// versionsOfAll finds the versions $Latest and $Default of all templates.
func (c *call) versionsOfAll(versions []string) ([]versionItem, *Error) {
	if len(versions) == 0 || slices.ContainsFunc(versions, func(v string) bool { return v != "$Latest" && v != "$Default" }) {
		return nil, badRequest("InvalidParameterValue", "Without a launch template, the versions must be $Latest, $Default, or both.")
	}
	templates, problem := ownResources(c.here().launchTemplates, nil, c.ownTemplate)
	if problem != nil {
		return nil, problem
	}
	slices.SortFunc(templates, func(a, b *launchTemplate) int { return cmp.Compare(a.id, b.id) })
	var items []versionItem
	for _, t := range templates {
		var numbers []int
		for _, version := range versions {
			number, problem := t.number(version)
			if problem != nil {
				return nil, problem
			}
			numbers = append(numbers, number)
		}
		items = append(items, t.items(numbers)...)
	}
	return items, nil
}

// number is the number of the version that a request names. The default version
// is always the first.
func (t *launchTemplate) number(version string) (int, *Error) {
	switch version {
	case "$Latest":
		return len(t.versions), nil
	case "$Default":
		return 1, nil
	}
	number, err := strconv.Atoi(version)
	if err != nil || number < 1 || number > len(t.versions) {
		return 0, badRequest("InvalidLaunchTemplateId.VersionNotFound", "Could not find the specified version %s for the launch template with ID %s.", version, t.id)
	}
	return number, nil
}

// items describes the versions with these numbers, each once, the newest first.
func (t *launchTemplate) items(numbers []int) []versionItem {
	slices.SortFunc(numbers, func(a, b int) int { return cmp.Compare(b, a) })
	var items []versionItem
	for _, number := range slices.Compact(numbers) {
		items = append(items, t.item(number))
	}
	return items
}

// versionsPage returns a page of the sorted versions. The token names the last version
// before it, so that new versions don't shift the pages.
func versionsPage(p paging, items []versionItem) (any, error) {
	if p.NextToken != "" {
		id, digits, _ := strings.Cut(p.NextToken, ".")
		last, err := strconv.Atoi(digits)
		if err != nil {
			return nil, badRequest("InvalidNextToken", "The specified next token is not valid.")
		}
		items = slices.DeleteFunc(items, func(v versionItem) bool { return v.ID < id || v.ID == id && v.Version >= last })
	}
	answer := describeLaunchTemplateVersionsAnswer{Versions: setOf(items...)}
	if size := max(1, *p.MaxResults); len(items) > size {
		end := items[size-1]
		answer.Versions.Items = items[:size]
		answer.NextToken = end.ID + "." + strconv.Itoa(end.Version)
	}
	return answer, nil
}
