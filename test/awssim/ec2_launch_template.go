package awssim

import (
	"cmp"
	"regexp"
	"time"
)

// templateNamePattern is the pattern of a launch template's name. Fact: LT-1.
var templateNamePattern = regexp.MustCompile(`^[a-zA-Z0-9().\-/_]{3,128}$`)

// launchTemplate is a launch template with its versions. Versions are never
// deleted, and the first is the default version.
type launchTemplate struct {
	id, owner, name string
	createdBy       string
	created         time.Time
	versions        []templateVersion // the first is version 1
}

type templateVersion struct {
	created     time.Time
	description string
	data        templateData
}

func (t *launchTemplate) resourceID() string { return t.id }

// ownTemplate finds one of the caller's launch templates.
func (c *call) ownTemplate(id string) (*launchTemplate, *Error) {
	t := c.here().launchTemplates[id]
	if t == nil || t.owner != c.caller.Account {
		return nil, badRequest("InvalidLaunchTemplateId.NotFound", "The specified launch template, with template ID %s, does not exist.", id)
	}
	return t, nil
}

// templateNamed finds one of the caller's launch templates by ID or name. A request
// must have exactly one of these.
func (c *call) templateNamed(id, name string) (*launchTemplate, *Error) {
	switch {
	case id == "" && name == "":
		return nil, badRequest("MissingParameter", "The request must contain the parameter LaunchTemplateId or LaunchTemplateName")
	case id != "" && name != "":
		return nil, badRequest("InvalidParameterCombination", "The parameters LaunchTemplateId and LaunchTemplateName cannot be used together")
	case id != "":
		return c.ownTemplate(id)
	}
	for _, t := range c.here().launchTemplates {
		if t.owner == c.caller.Account && t.name == name {
			return t, nil
		}
	}
	return nil, badRequest("InvalidLaunchTemplateName.NotFoundException", "The specified launch template, with template name %s, does not exist.", name)
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
	if id, problem := c.before(r.ClientToken); id != "" || problem != nil { // Fact: LT-5
		if problem != nil || c.here().launchTemplates[id] == nil {
			return nil, cmp.Or(problem, badRequest("InvalidLaunchTemplateId.NotFound", "The specified launch template, with template ID %s, does not exist.", id))
		}
		return createLaunchTemplateAnswer{c.templateItem(c.here().launchTemplates[id])}, nil
	}
	if !templateNamePattern.MatchString(r.LaunchTemplateName) { // Fact: LT-1
		return nil, badRequest("InvalidLaunchTemplateName.MalformedException", "The launch template name %q is not valid: 3 to 128 letters, digits and ().-/_ are allowed.", r.LaunchTemplateName)
	}
	for _, t := range c.here().launchTemplates {
		if t.owner == c.caller.Account && t.name == r.LaunchTemplateName {
			return nil, badRequest("InvalidLaunchTemplateName.AlreadyExistsException", "Launch template name already in use.")
		}
	}
	if problem := r.LaunchTemplateData.check(c); problem != nil {
		return nil, problem
	}
	tags, problem := c.specifiedTags(r.TagSpecifications, "launch-template")
	if problem != nil {
		return nil, problem
	}
	t := &launchTemplate{
		id: c.w.newEC2ID("lt"), owner: c.caller.Account, name: r.LaunchTemplateName, createdBy: c.caller.ARN, created: c.now,
		versions: []templateVersion{{c.now, r.VersionDescription, r.LaunchTemplateData}},
	}
	c.here().launchTemplates[t.id] = t
	c.setTags(t.id, tags["launch-template"])
	c.remember(r.ClientToken, t.id)
	return createLaunchTemplateAnswer{c.templateItem(t)}, nil
}

func (c *call) templateItem(t *launchTemplate) launchTemplateItem {
	return launchTemplateItem{t.id, t.name, timestamp(t.created), t.createdBy, 1, len(t.versions), tagSet(c.tags(t.id))}
}

type createLaunchTemplateVersionRequest struct {
	LaunchTemplateID   string `param:"LaunchTemplateId"`
	LaunchTemplateName string
	LaunchTemplateData templateData `param:",required"`
	// The new version takes the parameters that it doesn't set from SourceVersion.
	SourceVersion      string
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
	Description    string       `xml:"versionDescription,omitempty"`
	Data           templateData `xml:"launchTemplateData"`
}

type createLaunchTemplateVersionAnswer struct {
	Version versionItem `xml:"launchTemplateVersion"`
}

func createLaunchTemplateVersion(c *call, r createLaunchTemplateVersionRequest) (any, error) {
	t, problem := c.templateNamed(r.LaunchTemplateID, r.LaunchTemplateName)
	if problem != nil {
		return nil, problem
	}
	data := r.LaunchTemplateData
	if r.SourceVersion != "" { // Fact: LT-2
		number, problem := t.number(r.SourceVersion)
		if problem != nil {
			return nil, problem
		}
		data = data.over(t.versions[number-1].data)
	}
	if problem := data.check(c); problem != nil {
		return nil, problem
	}
	t.versions = append(t.versions, templateVersion{c.now, r.VersionDescription, data})
	return createLaunchTemplateVersionAnswer{t.item(len(t.versions))}, nil
}

// item describes the version with the number.
func (t *launchTemplate) item(number int) versionItem {
	v := t.versions[number-1]
	return versionItem{t.id, t.name, number, timestamp(v.created), t.createdBy, number == 1, v.description, v.data}
}

type deleteLaunchTemplateRequest struct {
	LaunchTemplateID   string `param:"LaunchTemplateId"`
	LaunchTemplateName string
}

func deleteLaunchTemplate(c *call, r deleteLaunchTemplateRequest) (any, error) {
	t, problem := c.templateNamed(r.LaunchTemplateID, r.LaunchTemplateName)
	if problem != nil {
		return nil, problem
	}
	answer := createLaunchTemplateAnswer{c.templateItem(t)}
	delete(c.here().launchTemplates, t.id)
	delete(c.here().tags, tagged{t.owner, t.id})
	return answer, nil
}
