package awssim

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxTags is how many tags a resource can have. Fact: EC2-IMG-28, KMS-KEY-25.
const maxTags = 50

type tagParameter struct {
	Key   string `xml:"key"`
	Value string `xml:"value"`
}

// tagSpecification has the tags of the resources that an operation creates.
type tagSpecification struct {
	ResourceType string         `param:",required" xml:"resourceType"`
	Tags         []tagParameter `param:"Tag"       xml:"tagSet>item"`
}

// tags returns the caller's tags of a resource in the Region.
func (c *call) tags(resource string) map[string]string {
	return c.here().tags[tagged{c.caller.Account, resource}]
}

// setTags adds checked tags to a resource.
func (c *call) setTags(resource string, tags map[string]string) {
	if len(tags) == 0 {
		return
	}
	all := maps.Clone(c.tags(resource))
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, tags)
	c.here().tags[tagged{c.caller.Account, resource}] = all
}

// mayTag rejects a caller without ec2:CreateTags for the resources that the call
// creates. Fact: IAM-EVAL-17.
func (c *call) mayTag() *Error {
	context := c.requestContext()
	context["ec2:CreateAction"] = []string{c.operation}
	if c.service == "autoscaling" { // whose launch is checked
		context["ec2:CreateAction"] = []string{"RunInstances"}
	}
	if c.w.identityAllows(c.caller, "ec2:CreateTags", "*", context, c.now) {
		return nil
	}
	return &Error{
		Status: http.StatusForbidden, Code: "UnauthorizedOperation",
		Message: "You are not authorized to perform this operation. User: " + c.caller.ARN + " is not authorized to perform: ec2:CreateTags",
	}
}

// specifiedTags checks the tags of an operation that creates resources of the given
// types, and returns them by type. Tagging a new resource requires ec2:CreateTags, too.
func (c *call) specifiedTags(specifications []tagSpecification, types ...string) (map[string]map[string]string, *Error) {
	byType := map[string]map[string]string{}
	if len(specifications) > 0 {
		if problem := c.mayTag(); problem != nil {
			return nil, problem
		}
	}
	for _, s := range specifications {
		if !slices.Contains(types, s.ResourceType) {
			return nil, badRequest("InvalidParameterValue", "'%s' is not a valid taggable resource type for this operation.", s.ResourceType)
		}
		if byType[s.ResourceType] != nil {
			return nil, badRequest("InvalidParameterValue", "Duplicate resource type '%s' in the tag specifications", s.ResourceType)
		}
		tags, problem := checkedTags(s.Tags)
		if problem != nil {
			return nil, problem
		}
		byType[s.ResourceType] = tags
	}
	return byType, nil
}

// checkedTags checks tags. EC2 accepts any character in them. Fact: EC2-IMG-28,
// EC2-IMG-29.
func checkedTags(list []tagParameter) (map[string]string, *Error) {
	tags := map[string]string{}
	for _, t := range list {
		if _, twice := tags[t.Key]; twice {
			return nil, badRequest("InvalidParameterValue", "Duplicate tag key '%s' specified.", t.Key)
		}
		switch {
		case t.Key == "" || utf8.RuneCountInString(t.Key) > maxTagKey:
			return nil, badRequest("InvalidParameterValue", "Tag key must have 1 to 128 characters: '%s'", t.Key)
		case strings.HasPrefix(strings.ToLower(t.Key), "aws:"):
			return nil, badRequest("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
		case utf8.RuneCountInString(t.Value) > maxTagValue:
			return nil, badRequest("InvalidParameterValue", "Tag value exceeds the maximum length of 256 characters")
		}
		tags[t.Key] = t.Value
	}
	if len(tags) > maxTags {
		return nil, tooManyTags()
	}
	return tags, nil
}

func tooManyTags() *Error {
	return badRequest("TagLimitExceeded", "The maximum number of tags is %d", maxTags)
}

type createTagsRequest struct {
	Resources []string       `param:"ResourceId,required"`
	Tags      []tagParameter `param:"Tag,required"`
}

func createTags(c *call, r createTagsRequest) (any, error) {
	tags, problem := checkedTags(r.Tags)
	if problem != nil {
		return nil, problem
	}
	for _, id := range r.Resources {
		if _, problem := c.taggable(id); problem != nil {
			return nil, problem
		}
		all := maps.Clone(tags)
		maps.Copy(all, c.tags(id))
		if len(all) > maxTags {
			return nil, tooManyTags()
		}
	}
	for _, id := range r.Resources {
		c.setTags(id, tags)
	}
	return done{true}, nil
}

// tagDeletion names a tag to delete, whatever its value or only with that value.
type tagDeletion struct {
	Key   string
	Value *string
}

type deleteTagsRequest struct {
	Resources []string      `param:"ResourceId,required"`
	Tags      []tagDeletion `param:"Tag"`
}

func deleteTags(c *call, r deleteTagsRequest) (any, error) {
	for _, id := range r.Resources {
		if _, problem := c.taggable(id); problem != nil {
			return nil, problem
		}
	}
	for _, id := range r.Resources {
		maps.DeleteFunc(c.tags(id), func(key, value string) bool {
			return len(r.Tags) == 0 || slices.ContainsFunc(r.Tags, func(t tagDeletion) bool {
				return t.Key == key && (t.Value == nil || *t.Value == value)
			})
		})
	}
	return done{true}, nil
}

// taggable finds the type of a resource that the caller sees.
func (c *call) taggable(id string) (resourceType string, problem *Error) {
	prefix, _, _ := strings.Cut(id, "-")
	switch prefix {
	case "ami":
		_, problem = c.imageIn(c.region, id)
		return "image", problem
	case "snap":
		_, problem = c.snapshotIn(c.region, id)
		return "snapshot", problem
	case "vol":
		_, problem = c.ownVolume(id)
		return "volume", problem
	case "i":
		_, problem = c.ownInstance(id)
		return "instance", problem
	case "sg":
		_, problem = c.ownSecurityGroup(id)
		return "security-group", problem
	case "lt":
		_, problem = c.ownTemplate(id)
		return "launch-template", problem
	case "key":
		_, problem = c.ownKeyPair(id)
		return "key-pair", problem
	case "amiur":
		_, problem = c.ownReport(id)
		return "image-usage-report", problem
	case "eni":
		for _, i := range c.here().instances {
			if i.owner == c.caller.Account && i.networkInterface() == id {
				return "network-interface", nil
			}
		}
	}
	return "", badRequest("InvalidID", "The ID '%s' is not valid", id)
}

// tagDescription is one tag of one resource.
type tagDescription struct {
	ResourceID   string `xml:"resourceId"`
	ResourceType string `xml:"resourceType"`
	Key          string `xml:"key"`
	Value        string `xml:"value"`
}

func (t tagDescription) resourceID() string { return t.ResourceID + " " + t.Key }

type describeTagsRequest struct {
	Filters []filter `param:"Filter"`
	paging
}

type describeTagsAnswer struct {
	Tags      set[tagDescription] `xml:"tagSet"`
	NextToken string              `xml:"nextToken,omitempty"`
}

func describeTags(c *call, r describeTagsRequest) (any, error) {
	var all []tagDescription
	for of, tags := range c.here().tags {
		if of.account != c.caller.Account {
			continue
		}
		resourceType, problem := c.taggable(of.resource)
		if problem != nil {
			continue // the resource is gone
		}
		for key, value := range tags {
			all = append(all, tagDescription{of.resource, resourceType, key, value})
		}
	}
	all, problem := tagFilters.selectBy(c, r.Filters, all)
	if problem != nil {
		return nil, problem
	}
	tags, next, problem := pageOf(r.paging, all)
	if problem != nil {
		return nil, problem
	}
	slices.SortFunc(tags, func(a, b tagDescription) int {
		return cmp.Or(cmp.Compare(a.ResourceID, b.ResourceID), cmp.Compare(a.Key, b.Key))
	})
	return describeTagsAnswer{Tags: setOf(tags...), NextToken: next}, nil
}

var tagFilters = filterTable[tagDescription]{
	"key":           func(_ *call, t tagDescription) []string { return []string{t.Key} },
	"value":         func(_ *call, t tagDescription) []string { return []string{t.Value} },
	"resource-id":   func(_ *call, t tagDescription) []string { return []string{t.ResourceID} },
	"resource-type": func(_ *call, t tagDescription) []string { return []string{t.ResourceType} },
}
