package awssim

import (
	"regexp"
	"strings"
	"time"
)

var ssmOperations = map[string]operation{
	"PutParameter":          {mutating: true, ownAuthorization: true, handle: putParameter},
	"GetParameter":          {ownAuthorization: true, handle: getParameter},
	"GetParameters":         {ownAuthorization: true, handle: getParameters},
	"GetParameterHistory":   {ownAuthorization: true, handle: getParameterHistory},
	"DeleteParameter":       {mutating: true, ownAuthorization: true, handle: deleteParameter},
	"GetParametersByPath":   {ownAuthorization: true, handle: getParametersByPath},
	"DescribeParameters":    {ownAuthorization: true, handle: describeParameters},
	"LabelParameterVersion": {mutating: true, ownAuthorization: true, handle: labelParameterVersion},
}

// ssmState is Parameter Store: parameters by account, Region and name.
type ssmState struct {
	parameters map[parameterName]*ssmParameter
}

type parameterName struct{ account, region, name string }

type ssmParameter struct {
	dataType string
	tier     string
	versions []parameterVersion // the first is version 1
}

type parameterVersion struct {
	value string
	at    time.Time
	// visible is when readers see the version. A version that names an image becomes
	// visible once it is validated.
	visible time.Time
	labels  []string
	tier    string
}

// maxParameterVersions is how many versions are kept. A new version replaces the
// oldest, unless that has a label. Fact: SSM-6; API reference of PutParameter,
// ParameterMaxVersionLimitExceeded.
const maxParameterVersions = 100

// imageDataType is the data type of a parameter that names an image.
const imageDataType = "aws:ec2:image"

var parameterNameForm = regexp.MustCompile(`^[a-zA-Z0-9_.-]+$|^(/[a-zA-Z0-9_.-]+)+$`)

type putParameterRequest struct {
	Name, Value, Type, DataType, Tier, Description string

	Overwrite bool
	Tags      []map[string]string
}

// putParameter returns before AWS validates an image's value. An invalid value
// never becomes visible, and no error reports it. Fact: SSM-1, SSM-2.
func putParameter(c *call) (any, error) {
	r, err := decodeJSON[putParameterRequest](c)
	if err != nil {
		return nil, err
	}
	if problem := c.mayParameter(r.Name); problem != nil {
		return nil, problem
	}
	key := parameterName{c.caller.Account, c.region, r.Name}
	p := c.w.ssm.parameters[key]
	switch {
	case !parameterNameForm.MatchString(r.Name) || strings.HasPrefix(strings.ToLower(strings.TrimPrefix(r.Name, "/")), "aws") || strings.HasPrefix(strings.ToLower(strings.TrimPrefix(r.Name, "/")), "ssm"):
		return nil, badRequest("ValidationException", "Parameter name: can't be prefixed with \"aws\" or \"ssm\" (case-insensitive), and has letters, numbers and .-_ between slashes.")
	case strings.Count(r.Name, "/") > 15:
		return nil, badRequest("HierarchyLevelLimitExceededException", "Parameter hierarchies are limited to a maximum depth of 15.")
	case p == nil && r.Type != "String", r.Type != "" && r.Type != "String":
		return nil, badRequest("ValidationException", "the simulator knows parameters of the type String only, not %q", r.Type)
	case p != nil && !r.Overwrite:
		return nil, badRequest("ParameterAlreadyExists", "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.")
	case p != nil && r.Overwrite && len(r.Tags) > 0:
		return nil, badRequest("ValidationException", "Invalid request: tags and overwrite can't be used together.")
	case p != nil && r.DataType != "" && r.DataType != p.dataType:
		return nil, badRequest("ValidationException", "Parameter data type cannot be changed: %s", r.Name)
	case p != nil && len(p.oldestKept().labels) > 0:
		return nil, badRequest("ParameterMaxVersionLimitExceeded", "The oldest version of %s has a label. Move the label to another version.", r.Name)
	}
	tier, problem := p.tierAfter(r.Tier)
	if problem != nil {
		return nil, problem
	}
	visible := c.now.Add(c.w.options.PropagationLag)
	if r.DataType == imageDataType && !c.takesImage(r.Value) {
		return map[string]any{"Version": p.count() + 1, "Tier": tier}, nil
	}
	if p == nil {
		p = &ssmParameter{dataType: r.DataType}
		c.w.ssm.parameters[key] = p
	}
	p.tier = tier
	p.versions = append(p.versions, parameterVersion{value: r.Value, at: c.now, visible: visible, tier: tier})
	return map[string]any{"Version": len(p.versions), "Tier": tier}, nil
}

// The tiers. Fact: SSM-14.
const (
	tierStandard = "Standard"
	tierAdvanced = "Advanced"
)

// tierAfter is the tier that the parameter has with the next version. An advanced one
// stays advanced, also if the request names no tier, and can't become a standard one.
// Fact: SSM-14, SSM-17.
func (p *ssmParameter) tierAfter(asked string) (string, *Error) {
	was := tierStandard
	if p != nil {
		was = p.tier
	}
	switch {
	case asked != "" && asked != tierStandard && asked != tierAdvanced:
		return "", badRequest("ValidationException", "the simulator knows no tier %q", asked)
	case asked == tierStandard && was == tierAdvanced:
		return "", badRequest("ValidationException", "This parameter uses the advanced-parameter tier. You can't downgrade a parameter from the advanced-parameter tier to the standard-parameter tier.")
	case asked == tierAdvanced:
		return tierAdvanced, nil
	default:
		return was, nil
	}
}

// takesImage is the validation of an image, which continues after the response.
func (c *call) takesImage(id string) bool {
	_, problem := c.launchImage(id)
	return problem == nil && c.allows("ec2:DescribeImages", "*")
}

func (c *call) parameterARN(name string) string {
	return c.w.arn("ssm", c.region, c.caller.Account, "parameter/"+strings.TrimPrefix(name, "/"))
}

// mayParameter rejects a caller whose policies do not allow the operation on the
// parameter.
func (c *call) mayParameter(name string) *Error {
	return c.mayParameterARN(c.parameterARN(name))
}

func (c *call) mayParameterARN(arn string) *Error {
	if c.allows("ssm:"+c.operation, arn) {
		return nil
	}
	return denied(c)
}

// count returns the number of all versions, including those that are no longer kept.
func (p *ssmParameter) count() int {
	if p == nil {
		return 0
	}
	return len(p.versions)
}

// oldestKept returns the version that the next one replaces, or the zero value if there
// is room.
func (p *ssmParameter) oldestKept() parameterVersion {
	if len(p.versions) < maxParameterVersions {
		return parameterVersion{}
	}
	return p.versions[len(p.versions)-maxParameterVersions]
}

type parameterRequest struct {
	Name           string
	WithDecryption bool
	MaxResults     int
	NextToken      string
}

func deleteParameter(c *call) (any, error) {
	r, err := decodeJSON[parameterRequest](c)
	if err != nil {
		return nil, err
	}
	if problem := c.mayParameter(r.Name); problem != nil {
		return nil, problem
	}
	if _, _, problem := c.seen(r.Name); problem != nil {
		return nil, problem
	}
	delete(c.w.ssm.parameters, parameterName{c.caller.Account, c.region, r.Name})
	return map[string]any{}, nil
}
