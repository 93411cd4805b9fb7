package awssim

import (
	"cmp"
	"slices"
	"strings"
)

type parameterFilter struct {
	Key, Option string
	Values      []string
}

type listParametersRequest struct {
	Path             string
	Recursive        bool
	WithDecryption   bool
	ParameterFilters []parameterFilter
	MaxResults       *int
	NextToken        string
}

// ownParameters are the names of the caller's parameters in the Region that readers
// see.
func (c *call) ownParameters() []string {
	var names []string
	for key := range c.w.ssm.parameters {
		if key.account == c.caller.Account && key.region == c.region {
			if _, _, problem := c.seen(key.name); problem == nil {
				names = append(names, key.name)
			}
		}
	}
	slices.Sort(names)
	return names
}

// below returns whether a name is in the hierarchy, directly or, with recursive, at
// any depth.
func below(name, path string, recursive bool) bool {
	rest, found := strings.CutPrefix(name, strings.TrimSuffix(path, "/")+"/")
	return found && (recursive || !strings.Contains(rest, "/"))
}

// parametersPage cuts a page out of the names. A page can be smaller than asked for;
// here it has at most half. Fact: SSM-22.
func (c *call) parametersPage(r listParametersRequest, most int, names []string, entry func(name string) (any, error)) (any, error) {
	size := most
	if r.MaxResults != nil {
		size = *r.MaxResults
	}
	if size < 1 || size > most {
		return nil, badRequest("ValidationException", "MaxResults %d is not between 1 and %d", size, most)
	}
	if r.NextToken != "" {
		last, valid := strings.CutPrefix(r.NextToken, "after-")
		if !valid {
			return nil, badRequest("InvalidNextToken", "The specified token isn't valid.")
		}
		names = slices.DeleteFunc(names, func(name string) bool { return name <= last })
	}
	answer := map[string]any{}
	if half := (size + 1) / 2; len(names) > half {
		names = names[:half]
		answer["NextToken"] = "after-" + names[half-1]
	}
	parameters := []any{}
	for _, name := range names {
		p, err := entry(name)
		if err != nil {
			return nil, err
		}
		parameters = append(parameters, p)
	}
	answer["Parameters"] = parameters
	return answer, nil
}

// getParametersByPath returns the parameters below a path. The caller needs the
// permission for the path only. Fact: SSM-21, SSM-22.
func getParametersByPath(c *call) (any, error) {
	r, err := decodeJSON[listParametersRequest](c)
	if err != nil {
		return nil, err
	}
	switch problem := c.mayParameter(strings.TrimSuffix(r.Path, "/")); {
	case !strings.HasPrefix(r.Path, "/"):
		return nil, badRequest("ValidationException", "The parameter doesn't meet the parameter name requirements. The path must begin with a forward slash \"/\".")
	case problem != nil:
		return nil, problem
	case len(r.ParameterFilters) > 0:
		return nil, badRequest("InvalidFilterKey", "the simulator has no filters for GetParametersByPath")
	}
	names := slices.DeleteFunc(c.ownParameters(), func(name string) bool { return !below(name, r.Path, r.Recursive) })
	return c.parametersPage(r, 10, names, func(name string) (any, error) { return c.listed(name) })
}

// listed is a parameter's newest version. Fact: SSM-21.
func (c *call) listed(name string) (any, error) {
	p, seen, problem := c.seen(name)
	if problem != nil {
		return nil, problem
	}
	newest := seen[len(seen)-1]
	return map[string]any{
		"Name": name, "Type": "String", "Value": newest.value, "Version": len(seen), "DataType": p.dataType,
		"LastModifiedDate": newest.at.Unix(), "ARN": c.parameterARN(name),
	}, nil
}

// describeParameters lists parameters without their values. Fact: SSM-22, SSM-23.
func describeParameters(c *call) (any, error) {
	r, err := decodeJSON[listParametersRequest](c)
	if err != nil {
		return nil, err
	}
	if !c.allows("ssm:DescribeParameters", "*") {
		return nil, denied(c)
	}
	names := c.ownParameters()
	for _, f := range r.ParameterFilters {
		matches, problem := f.matcher(c)
		if problem != nil {
			return nil, problem
		}
		names = slices.DeleteFunc(names, func(name string) bool {
			return !slices.ContainsFunc(f.Values, func(v string) bool { return matches(name, v) })
		})
	}
	return c.parametersPage(r, 50, names, func(name string) (any, error) {
		p, seen, problem := c.seen(name)
		if problem != nil {
			return nil, problem
		}
		return map[string]any{
			"Name": name, "ARN": c.parameterARN(name), "Type": "String", "DataType": cmp.Or(p.dataType, "text"), "Tier": p.tier,
			"Version": len(seen), "LastModifiedDate": seen[len(seen)-1].at.Unix(), "Policies": []any{},
		}, nil
	})
}

// matcher compares the name of a parameter, or its data type, with a value of the
// filter.
func (f parameterFilter) matcher(c *call) (func(name, value string) bool, *Error) {
	text := func(name string) string { return name }
	switch f.Key {
	case "Name":
	case "DataType":
		text = func(name string) string {
			return cmp.Or(c.w.ssm.parameters[parameterName{c.caller.Account, c.region, name}].dataType, "text")
		}
	case "Type":
		text = func(string) string { return "String" }
	case "Path":
		switch f.Option {
		case "Recursive", "OneLevel":
			return func(name, value string) bool { return below(name, value, f.Option == "Recursive") }, nil
		}
		return nil, badRequest("InvalidFilterOption", "The filter option %q is not valid for Path. Valid options are Recursive and OneLevel.", f.Option)
	default:
		return nil, badRequest("InvalidFilterKey", "the simulator has no filter %q", f.Key)
	}
	switch {
	case f.Option == "Equals", f.Option == "":
		return func(name, value string) bool { return text(name) == value }, nil
	case f.Option == "BeginsWith":
		return func(name, value string) bool { return strings.HasPrefix(text(name), value) }, nil
	case f.Option == "Contains" && f.Key == "Name":
		return strings.Contains, nil
	}
	return nil, badRequest("InvalidFilterOption", "The filter option %q is not valid for %s.", f.Option, f.Key)
}
