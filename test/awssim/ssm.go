package awssim

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

var ssmOperations = map[string]operation{
	"PutParameter":        {mutating: true, ownAuthorization: true, handle: putParameter},
	"GetParameter":        {ownAuthorization: true, handle: getParameter},
	"GetParameterHistory": {ownAuthorization: true, handle: getParameterHistory},
	"DeleteParameter":     {mutating: true, ownAuthorization: true, handle: deleteParameter},
}

// ssmState is Parameter Store: parameters by account, region and name.
type ssmState struct {
	parameters map[parameterName]*ssmParameter
}

type parameterName struct{ account, region, name string }

type ssmParameter struct {
	dataType string
	versions []parameterVersion // the first is version 1
}

type parameterVersion struct {
	value string
	at    time.Time
	// visible is when it is seen: of an image, once its validation is done.
	visible time.Time
}

// maxParameterVersions is how many versions are kept; the oldest goes. Fact: 10.
const maxParameterVersions = 100

var parameterNameForm = regexp.MustCompile(`^[a-zA-Z0-9_.-]+$|^(/[a-zA-Z0-9_.-]+)+$`)

type putParameterRequest struct {
	Name, Value, Type, DataType, Description string

	Overwrite bool
	Tags      []map[string]string
}

// putParameter answers before the value of an image is validated; one that is
// not valid is never seen, and nothing says so. Fact: 10.
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
	}
	visible := c.now.Add(c.w.options.PropagationLag)
	if r.DataType == "aws:ec2:image" && !c.takesImage(r.Value) {
		return map[string]any{"Version": 1, "Tier": "Standard"}, nil
	}
	if p == nil {
		p = &ssmParameter{dataType: r.DataType}
		c.w.ssm.parameters[key] = p
	}
	p.versions = append(p.versions, parameterVersion{r.Value, c.now, visible})
	return map[string]any{"Version": len(p.versions), "Tier": "Standard"}, nil
}

// takesImage is the check that goes on after the answer.
func (c *call) takesImage(id string) bool {
	_, problem := c.launchImage(id)
	return problem == nil && c.w.identityAllows(c.caller, "ec2:DescribeImages", "*", nil, c.now)
}

func (c *call) parameterARN(name string) string {
	return c.w.arn("ssm", c.region, c.caller.Account, "parameter/"+strings.TrimPrefix(name, "/"))
}

// mayParameter refuses a caller whose policies do not allow the operation on the
// parameter.
func (c *call) mayParameter(name string) *Error {
	if c.w.identityAllows(c.caller, "ssm:"+c.operation, c.parameterARN(name), nil, c.now) {
		return nil
	}
	return denied(c)
}

// parameter is the request of an operation on one parameter, and what it may see.
func (c *call) parameter() (parameterRequest, *ssmParameter, []parameterVersion, error) {
	r, err := decodeJSON[parameterRequest](c)
	if err != nil {
		return r, nil, nil, err
	}
	if problem := c.mayParameter(r.Name); problem != nil {
		return r, nil, nil, problem
	}
	p, seen, problem := c.seen(r.Name)
	if problem != nil {
		return r, nil, nil, problem
	}
	return r, p, seen, nil
}

// seen are the versions of a parameter that readers see.
func (c *call) seen(name string) (*ssmParameter, []parameterVersion, *Error) {
	p := c.w.ssm.parameters[parameterName{c.caller.Account, c.region, name}]
	if p != nil {
		seen := slices.DeleteFunc(slices.Clone(p.versions), func(v parameterVersion) bool { return v.visible.After(c.now) })
		if len(seen) > 0 {
			return p, seen, nil
		}
	}
	return nil, nil, badRequest("ParameterNotFound", "Parameter %s not found.", name)
}

type parameterRequest struct {
	Name           string
	WithDecryption bool
	MaxResults     int
	NextToken      string
}

func getParameter(c *call) (any, error) {
	r, p, seen, err := c.parameter()
	if err != nil {
		return nil, err
	}
	last := seen[len(seen)-1]
	return map[string]any{"Parameter": map[string]any{
		"Name": r.Name, "Type": "String", "Value": last.value, "Version": len(seen), "DataType": p.dataType,
		"LastModifiedDate": last.at.Unix(), "ARN": c.parameterARN(r.Name),
	}}, nil
}

func getParameterHistory(c *call) (any, error) {
	r, p, seen, err := c.parameter()
	if err != nil {
		return nil, err
	}
	history := []map[string]any{}
	for n, v := range seen {
		if n >= len(seen)-maxParameterVersions {
			history = append(history, map[string]any{"Name": r.Name, "Type": "String", "Value": v.value, "Version": n + 1, "DataType": p.dataType, "LastModifiedDate": v.at.Unix()})
		}
	}
	return map[string]any{"Parameters": history}, nil
}

func deleteParameter(c *call) (any, error) {
	r, _, _, err := c.parameter()
	if err != nil {
		return nil, err
	}
	delete(c.w.ssm.parameters, parameterName{c.caller.Account, c.region, r.Name})
	return map[string]any{}, nil
}

// Parameter is the newest value of a parameter, "" if there is none.
func (w *World) Parameter(account, region, name string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p := w.ssm.parameters[parameterName{account, region, name}]; p != nil {
		return p.versions[len(p.versions)-1].value
	}
	return ""
}
