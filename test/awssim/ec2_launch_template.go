package awssim

import (
	"strconv"
	"time"
)

// launchTemplate is a launch template with its versions, of which the simulator
// keeps only what says which image they launch. No version is ever deleted.
type launchTemplate struct {
	id, owner, name string
	createdBy       string
	created         time.Time
	versions        []templateVersion // the first is version 1
}

type templateVersion struct {
	created time.Time
	data    templateData
}

type templateData struct {
	ImageID      string `param:"ImageId"      xml:"imageId,omitempty"`
	InstanceType string `xml:"instanceType,omitempty"`
}

func (t *launchTemplate) resourceID() string { return t.id }

// ownTemplate finds a launch template of the caller's.
func (c *call) ownTemplate(id string) (*launchTemplate, *Error) {
	t := c.here().launchTemplates[id]
	if t == nil || t.owner != c.caller.Account {
		return nil, badRequest("InvalidLaunchTemplateId.NotFound", "The specified launch template, with template ID %s, does not exist.", id)
	}
	return t, nil
}

type createLaunchTemplateRequest struct {
	LaunchTemplateName string       `param:",required"`
	LaunchTemplateData templateData `param:",required"`
	VersionDescription string
	ClientToken        string
	TagSpecifications  []tagSpecification `param:"TagSpecification"`
}

type launchTemplateItem struct {
	ID             string       `xml:"launchTemplateId"`
	Name           string       `xml:"launchTemplateName"`
	CreateTime     string       `xml:"createTime"`
	CreatedBy      string       `xml:"createdBy"`
	DefaultVersion int          `xml:"defaultVersionNumber"`
	LatestVersion  int          `xml:"latestVersionNumber"`
	Tags           set[tagItem] `xml:"tagSet"`
}

type createLaunchTemplateAnswer struct {
	LaunchTemplate launchTemplateItem `xml:"launchTemplate"`
}

func createLaunchTemplate(c *call, r createLaunchTemplateRequest) (any, error) {
	for _, t := range c.here().launchTemplates {
		if t.owner == c.caller.Account && t.name == r.LaunchTemplateName {
			return nil, badRequest("InvalidLaunchTemplateName.AlreadyExistsException", "Launch template name already in use.")
		}
	}
	tags, problem := c.specifiedTags(r.TagSpecifications, "launch-template")
	if problem != nil {
		return nil, problem
	}
	t := &launchTemplate{
		id: c.w.newEC2ID("lt"), owner: c.caller.Account, name: r.LaunchTemplateName, createdBy: c.caller.ARN, created: c.now,
		versions: []templateVersion{{c.now, r.LaunchTemplateData}},
	}
	c.here().launchTemplates[t.id] = t
	c.setTags(t.id, tags["launch-template"])
	return createLaunchTemplateAnswer{c.templateItem(t)}, nil
}

func (c *call) templateItem(t *launchTemplate) launchTemplateItem {
	return launchTemplateItem{t.id, t.name, timestamp(t.created), t.createdBy, 1, len(t.versions), tagSet(c.tags(t.id))}
}

type createLaunchTemplateVersionRequest struct {
	LaunchTemplateID   string       `param:"LaunchTemplateId,required"`
	LaunchTemplateData templateData `param:",required"`
	VersionDescription string
	ClientToken        string
}

type versionItem struct {
	ID             string       `xml:"launchTemplateId"`
	Name           string       `xml:"launchTemplateName"`
	Version        int          `xml:"versionNumber"`
	CreateTime     string       `xml:"createTime"`
	CreatedBy      string       `xml:"createdBy"`
	DefaultVersion bool         `xml:"defaultVersion"`
	Data           templateData `xml:"launchTemplateData"`
}

type createLaunchTemplateVersionAnswer struct {
	Version versionItem `xml:"launchTemplateVersion"`
}

func createLaunchTemplateVersion(c *call, r createLaunchTemplateVersionRequest) (any, error) {
	t, problem := c.ownTemplate(r.LaunchTemplateID)
	if problem != nil {
		return nil, problem
	}
	t.versions = append(t.versions, templateVersion{c.now, r.LaunchTemplateData})
	return createLaunchTemplateVersionAnswer{t.item(len(t.versions))}, nil
}

// item is a version by its number.
func (t *launchTemplate) item(number int) versionItem {
	v := t.versions[number-1]
	return versionItem{t.id, t.name, number, timestamp(v.created), t.createdBy, number == 1, v.data}
}

type deleteLaunchTemplateRequest struct {
	LaunchTemplateID string `param:"LaunchTemplateId,required"`
}

func deleteLaunchTemplate(c *call, r deleteLaunchTemplateRequest) (any, error) {
	t, problem := c.ownTemplate(r.LaunchTemplateID)
	if problem != nil {
		return nil, problem
	}
	answer := createLaunchTemplateAnswer{c.templateItem(t)}
	delete(c.here().launchTemplates, t.id)
	delete(c.here().tags, tagged{t.owner, t.id})
	return answer, nil
}

// largestTemplatePage is how many templates or versions an answer has at most.
const largestTemplatePage = 200

type describeLaunchTemplatesRequest struct {
	paging

	LaunchTemplateIDs []string `param:"LaunchTemplateId"`
}

type describeLaunchTemplatesAnswer struct {
	LaunchTemplates set[launchTemplateItem] `xml:"launchTemplates"`
	NextToken       string                  `xml:"nextToken,omitempty"`
}

func describeLaunchTemplates(c *call, r describeLaunchTemplatesRequest) (any, error) {
	templates, problem := ownResources(c.here().launchTemplates, r.LaunchTemplateIDs, c.ownTemplate)
	if problem != nil {
		return nil, problem
	}
	templates, next, problem := pageOf(r.atMost(largestTemplatePage), templates)
	if problem != nil {
		return nil, problem
	}
	return describeLaunchTemplatesAnswer{setFrom(templates, c.templateItem), next}, nil
}

// atMost makes pages no larger than that.
func (p paging) atMost(size int) paging {
	if p.MaxResults == nil || *p.MaxResults > size {
		p.MaxResults = &size
	}
	return p
}

type describeLaunchTemplateVersionsRequest struct {
	paging

	LaunchTemplateID string `param:"LaunchTemplateId,required"`
}

type describeLaunchTemplateVersionsAnswer struct {
	Versions  set[versionItem] `xml:"launchTemplateVersionSet"`
	NextToken string           `xml:"nextToken,omitempty"`
}

// describeLaunchTemplateVersions lists the versions of one template, the newest
// first.
func describeLaunchTemplateVersions(c *call, r describeLaunchTemplateVersionsRequest) (any, error) {
	t, problem := c.ownTemplate(r.LaunchTemplateID)
	if problem != nil {
		return nil, problem
	}
	size := min(largestTemplatePage, len(t.versions))
	if r.MaxResults != nil {
		size = min(size, max(1, *r.MaxResults))
	}
	next := len(t.versions) // the number of the page's first version
	if r.NextToken != "" {
		number, err := strconv.Atoi(r.NextToken)
		if err != nil || number < 1 || number > len(t.versions) {
			return nil, badRequest("InvalidNextToken", "The specified next token is not valid.")
		}
		next = number
	}
	var answer describeLaunchTemplateVersionsAnswer
	for number := next; number > max(0, next-size); number-- {
		answer.Versions.Items = append(answer.Versions.Items, t.item(number))
	}
	if rest := next - size; rest > 0 {
		answer.NextToken = strconv.Itoa(rest)
	}
	return answer, nil
}
