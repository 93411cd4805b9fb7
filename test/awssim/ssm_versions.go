package awssim

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// seen returns the versions of a parameter that readers see. The first one is version
// 1.
func (c *call) seen(name string) (*ssmParameter, []parameterVersion, *Error) {
	return c.seenIn(parameterName{c.caller.Account, c.region, name})
}

func (c *call) seenIn(key parameterName) (*ssmParameter, []parameterVersion, *Error) {
	p := c.w.ssm.parameters[key]
	if p != nil {
		seen := slices.DeleteFunc(slices.Clone(p.versions), func(v parameterVersion) bool { return v.visible.After(c.now) })
		if len(seen) > 0 {
			return p, seen, nil
		}
	}
	return nil, nil, badRequest("ParameterNotFound", "Parameter %s not found.", key.name)
}

// splitSelector splits the name of a parameter, or its ARN, from the version
// number or label that may follow it. Source: API reference of GetParameter.
func splitSelector(reference string) (name, selector string) {
	name = reference
	if strings.HasPrefix(reference, "arn:") {
		parts := strings.SplitN(reference, ":", 6)
		resource, isParameter := strings.CutPrefix(parts[len(parts)-1], "parameter/")
		if len(parts) == 6 && isParameter {
			name = resource
		}
		if strings.Contains(name, "/") {
			name = "/" + name // ARNs leave out the slash before a hierarchy
		}
	}
	name, selector, _ = strings.Cut(name, ":")
	return name, selector
}

// locate returns the parameter that a name or an ARN refers to, with the account that
// owns it. A parameter of another account must be named by its full ARN. Fact: SSM-12,
// SSM-24.
func (c *call) locate(reference string) (key parameterName, arn, selector string) {
	name, selector := splitSelector(reference)
	key = parameterName{c.caller.Account, c.region, name}
	parts := strings.SplitN(reference, ":", 6)
	if !strings.HasPrefix(reference, "arn:") || len(parts) != 6 {
		return key, c.parameterARN(name), selector
	}
	key.account, key.region = parts[4], parts[3]
	if slashed := (parameterName{key.account, key.region, "/" + name}); c.w.ssm.parameters[key] == nil && c.w.ssm.parameters[slashed] != nil {
		key = slashed // the ARNs of golden and /golden are the same
	}
	return key, strings.Join(append(slices.Clone(parts[:5]), strings.TrimSuffix(parts[5], ":"+selector)), ":"), selector
}

// selected finds one version of a parameter: the newest, or the one of the
// version number or label. Source: API reference of GetParameter. A parameter of
// another account is found if it is shared with the caller's. Fact: SSM-12.
func (c *call) selected(reference string) (p *ssmParameter, number int, problem *Error) {
	key, arn, selector := c.locate(reference)
	isARN := strings.HasPrefix(reference, "arn:")
	owned := key.account == c.caller.Account && arn == c.parameterARN(key.name)
	if isARN && !owned && (key.region != c.region || !c.sharedWith(c.caller.Account, arn)) {
		return nil, 0, badRequest("ParameterNotFound", "Parameter %s not found.", reference)
	}
	p, seen, problem := c.seenIn(key)
	if problem != nil {
		return nil, 0, problem
	}
	number = len(seen)
	if selector != "" {
		if n, err := strconv.Atoi(selector); err == nil {
			number = n
		} else {
			number = 1 + slices.IndexFunc(seen, func(v parameterVersion) bool { return slices.Contains(v.labels, selector) })
		}
	}
	if number < 1 || number > len(seen) || number <= len(seen)-maxParameterVersions {
		return nil, 0, badRequest("ParameterVersionNotFound", "Systems Manager could not find version %s of %s.", selector, key.name)
	}
	return p, number, nil
}

func getParameter(c *call) (any, error) {
	r, err := decodeJSON[parameterRequest](c)
	if err != nil {
		return nil, err
	}
	answer, problem := c.readParameter(r.Name)
	if problem != nil {
		return nil, problem
	}
	return map[string]any{"Parameter": answer}, nil
}

func (c *call) readParameter(reference string) (map[string]any, *Error) {
	key, arn, selector := c.locate(reference)
	if problem := c.mayParameterARN(arn); problem != nil {
		return nil, problem
	}
	p, number, problem := c.selected(reference)
	if problem != nil {
		return nil, problem
	}
	v := p.versions[number-1]
	answer := map[string]any{
		"Name": key.name, "Type": "String", "Value": v.value, "Version": number, "DataType": p.dataType,
		"LastModifiedDate": v.at.Unix(), "ARN": arn,
	}
	if selector != "" { // that AWS leaves out the name here is believed
		answer["Selector"] = ":" + selector
	}
	return answer, nil
}

// getParameters lists the names of parameters that it doesn't find as invalid. Fact:
// SSM-20. That it rejects a name that is repeated is believed.
func getParameters(c *call) (any, error) {
	r, err := decodeJSON[struct {
		Names          []string
		WithDecryption bool
	}](c)
	if err != nil {
		return nil, err
	}
	if len(r.Names) < 1 || len(r.Names) > 10 {
		return nil, badRequest("ValidationException", "Names has %d members, not 1 to 10", len(r.Names))
	}
	found, invalid := []map[string]any{}, []string{}
	for n, name := range r.Names {
		if slices.Contains(r.Names[:n], name) {
			return nil, badRequest("ValidationException", "Duplicate parameter name: %s", name)
		}
		answer, problem := c.readParameter(name)
		switch {
		case problem != nil && problem.Code == "AccessDeniedException":
			return nil, problem
		case problem != nil:
			invalid = append(invalid, name)
		default:
			found = append(found, answer)
		}
	}
	return map[string]any{"Parameters": found, "InvalidParameters": invalid}, nil
}

// getParameterHistory lists the versions that are kept, the oldest first, 50 a
// page at most.
func getParameterHistory(c *call) (any, error) {
	r, err := decodeJSON[parameterRequest](c)
	if err != nil {
		return nil, err
	}
	if problem := c.mayParameter(r.Name); problem != nil {
		return nil, problem
	}
	p, seen, problem := c.seen(r.Name)
	if problem != nil {
		return nil, problem
	}
	size := cmp.Or(r.MaxResults, 50)
	if size < 1 || size > 50 {
		return nil, badRequest("ValidationException", "MaxResults %d is not between 1 and 50", r.MaxResults)
	}
	first := max(1, len(seen)-maxParameterVersions+1)
	if r.NextToken != "" {
		next, err := strconv.Atoi(r.NextToken)
		if err != nil || next > len(seen) {
			return nil, badRequest("InvalidNextToken", "The specified token isn't valid.")
		}
		first = max(first, next)
	}
	last := min(len(seen), first+size-1)
	history := []map[string]any{}
	for number := first; number <= last; number++ {
		v := seen[number-1]
		history = append(history, map[string]any{
			"Name": r.Name, "Type": "String", "Value": v.value, "Version": number, "DataType": p.dataType, "LastModifiedDate": v.at.Unix(),
			"Labels": slices.Concat([]string{}, v.labels), "Tier": v.tier,
		})
	}
	answer := map[string]any{"Parameters": history}
	if last < len(seen) {
		answer["NextToken"] = strconv.Itoa(last + 1)
	}
	return answer, nil
}

// parameterLabel is the form of a label, which also can't begin with aws or ssm.
// Source: API reference of LabelParameterVersion.
var parameterLabel = regexp.MustCompile(`^[a-zA-Z_.-][a-zA-Z0-9_.-]{0,99}$`)

// maxParameterLabels is how many labels a version can have. Source: as above.
const maxParameterLabels = 10

type labelParameterVersionRequest struct {
	Name             string
	Labels           []string
	ParameterVersion int
}

// labelParameterVersion moves labels to a version, the newest if none is named. It
// returns malformed labels as invalid and doesn't set them.
func labelParameterVersion(c *call) (any, error) {
	r, err := decodeJSON[labelParameterVersionRequest](c)
	if err != nil {
		return nil, err
	}
	if problem := c.mayParameter(r.Name); problem != nil {
		return nil, problem
	}
	reference := r.Name
	if r.ParameterVersion != 0 {
		reference += ":" + strconv.Itoa(r.ParameterVersion)
	}
	p, number, problem := c.selected(reference)
	if problem != nil {
		return nil, problem
	}
	var valid []string
	invalid := []string{}
	for _, label := range r.Labels {
		lower := strings.ToLower(label)
		if parameterLabel.MatchString(label) && !strings.HasPrefix(lower, "aws") && !strings.HasPrefix(lower, "ssm") {
			valid = append(valid, label)
		} else {
			invalid = append(invalid, label)
		}
	}
	moved := func(label string) bool { return slices.Contains(valid, label) }
	kept := slices.DeleteFunc(slices.Clone(p.versions[number-1].labels), moved)
	if len(kept)+len(valid) > maxParameterLabels {
		return nil, badRequest("ParameterVersionLabelLimitExceeded", "A version of a parameter can have at most %d labels", maxParameterLabels)
	}
	for n := range p.versions {
		p.versions[n].labels = slices.DeleteFunc(p.versions[n].labels, moved)
	}
	p.versions[number-1].labels = slices.Concat(kept, valid)
	return map[string]any{"InvalidLabels": invalid, "ParameterVersion": number}, nil
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

// imageReference is the form of a reference to an image through a parameter.
const imageReference = "resolve:ssm:"

// imageID returns the image that a launch template or a launch names: the ID
// itself, or the value of the parameter that the caller may read. Source: API
// reference of RequestLaunchTemplateData, ImageId; Auto Scaling guide, "Use AWS
// Systems Manager parameters instead of AMI IDs in launch templates"
// (ssm:GetParameters). A parameter of another data type than aws:ec2:image is
// rejected with SsmInvalidParameter (aws/aws-cdk#26712). That the same code is
// returned for parameters and versions that don't exist is believed.
func (c *call) imageID(named string) (string, *Error) {
	reference, byParameter := strings.CutPrefix(named, imageReference)
	if !byParameter {
		return named, nil
	}
	if _, arn, _ := c.locate(reference); !c.allows("ssm:GetParameters", arn) {
		return "", badRequest("SsmAccessDenied", "User: %s is not authorized to perform: ssm:GetParameters on resource: %s", c.caller.ARN, arn)
	}
	p, number, problem := c.selected(reference)
	switch {
	case problem != nil:
		return "", badRequest("SsmInvalidParameter", "%s", problem.Message)
	case p.dataType != imageDataType:
		return "", badRequest("SsmInvalidParameter", "Unsupported data type. The following parameter data types are supported: %s", imageDataType)
	}
	return p.versions[number-1].value, nil
}
