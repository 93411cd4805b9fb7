package awssim

import (
	"slices"
	"strconv"
)

// maxReferencedImages is how many images DescribeImageReferences takes.
// Source: EC2 API reference of DescribeImageReferences, ImageId.N.
const maxReferencedImages = 10

// ec2ImagesService is the service through which DescribeImageReferences makes its
// calls. Source: EC2 user guide, "Identify your resources referencing specified AMIs",
// required IAM permissions.
const ec2ImagesService = "ec2-images.amazonaws.com"

type resourceTypeOption struct {
	OptionName   string   `xml:"optionName"`
	OptionValues []string `param:"OptionValue" xml:"optionValueSet>item"`
}

type resourceTypeRequest struct {
	ResourceType string
	Options      []resourceTypeOption `param:"ResourceTypeOption"`
}

type describeImageReferencesRequest struct {
	paging

	ImageIDs      []string              `param:"ImageId,required"`
	All           bool                  `param:"IncludeAllResourceTypes"`
	ResourceTypes []resourceTypeRequest `param:"ResourceType"`
}

type referenceItem struct {
	ImageID      string `xml:"imageId"`
	ResourceType string `xml:"resourceType"`
	ARN          string `xml:"arn"`
}

func (r referenceItem) resourceID() string { return r.ImageID + " " + r.ARN }

type describeImageReferencesAnswer struct {
	References set[referenceItem] `xml:"imageReferenceSet"`
	NextToken  string             `xml:"nextToken,omitempty"`
}

// referenceReader reads the ARNs of the resources of one kind that refer to an
// image. The caller needs the permissions of the actions.
type referenceReader struct {
	resourceType string
	actions      []string
	read         func(c *call, image string, options map[string][]string) []string
}

// referenceReaders has one reader for each kind. The simulator has no Image Builder.
var referenceReaders = []referenceReader{
	{"ec2:Instance", []string{"ec2:DescribeInstances"}, (*call).instancesReferring},
	{"ec2:LaunchTemplate", []string{"ec2:DescribeLaunchTemplates", "ec2:DescribeLaunchTemplateVersions"}, (*call).templatesReferring},
	{"ssm:Parameter", []string{"ssm:DescribeParameters", "ssm:GetParameters"}, (*call).parametersReferring},
	{"imagebuilder:ImageRecipe", []string{"imagebuilder:ListImageRecipes"}, nil},
	{"imagebuilder:ContainerRecipe", []string{"imagebuilder:ListContainerRecipes", "imagebuilder:GetContainerRecipe"}, nil},
}

// describeImageReferences finds the caller's own resources that refer to the images. It
// doesn't find launch templates that name the image through a parameter, because AWS
// doesn't document that.
func describeImageReferences(c *call, r describeImageReferencesRequest) (any, error) {
	if len(r.ImageIDs) > maxReferencedImages {
		return nil, badRequest("InvalidParameterValue", "%d image IDs are specified, the maximum is %d", len(r.ImageIDs), maxReferencedImages)
	}
	if !r.All && len(r.ResourceTypes) == 0 {
		return nil, badRequest("MissingParameter", "Either IncludeAllResourceTypes or ResourceTypes must be specified.")
	}
	if problem := checkResourceTypes(r.ResourceTypes, func(name string) bool {
		return slices.ContainsFunc(referenceReaders, func(k referenceReader) bool { return k.resourceType == name })
	}); problem != nil {
		return nil, problem
	}
	var found []referenceItem
	for _, kind := range referenceReaders {
		at := slices.IndexFunc(r.ResourceTypes, func(t resourceTypeRequest) bool { return t.ResourceType == kind.resourceType })
		if !r.All && at < 0 {
			continue
		}
		options := map[string][]string{}
		if at >= 0 {
			for _, o := range r.ResourceTypes[at].Options {
				options[o.OptionName] = o.OptionValues
			}
		}
		for _, action := range kind.actions {
			if !c.w.identityAllows(c.caller, action, "*", map[string][]string{"aws:CalledVia": {ec2ImagesService}}, c.now) {
				return nil, deniedAction(c, action)
			}
		}
		if kind.read == nil {
			continue
		}
		for _, id := range r.ImageIDs {
			for _, name := range kind.read(c, id, options) {
				found = append(found, referenceItem{id, kind.resourceType, name})
			}
		}
	}
	page, next, problem := pageOf(r.paging, found)
	if problem != nil {
		return nil, problem
	}
	return describeImageReferencesAnswer{setOf(page...), next}, nil
}

// checkResourceTypes rejects types and options that don't exist.
func checkResourceTypes(requests []resourceTypeRequest, known func(string) bool) *Error {
	for _, t := range requests {
		if !known(t.ResourceType) {
			return badRequest("InvalidParameterValue", "Invalid resource type: %s", t.ResourceType)
		}
		for _, o := range t.Options {
			depth := 0
			if o.OptionName == "version-depth" && t.ResourceType == "ec2:LaunchTemplate" && len(o.OptionValues) == 1 {
				depth, _ = strconv.Atoi(o.OptionValues[0]) // 0 is rejected
			}
			state := o.OptionName == "state-name" && t.ResourceType == "ec2:Instance"
			if !state && (depth < 1 || depth > 10_000) {
				return badRequest("InvalidParameterValue", "Invalid option %s = %v of resource type %s", o.OptionName, o.OptionValues, t.ResourceType)
			}
		}
	}
	return nil
}

func (c *call) instancesReferring(image string, options map[string][]string) []string {
	var names []string
	for _, i := range c.here().instances {
		states, limited := options["state-name"]
		if i.owner == c.caller.Account && i.imageID == image && (!limited || slices.Contains(states, i.state(c.now))) {
			names = append(names, c.w.arn("ec2", c.region, i.owner, "instance/"+i.id))
		}
	}
	return names
}

// defaultReferenceDepth is how many versions of launch templates are checked.
const defaultReferenceDepth = 10

func (c *call) templatesReferring(image string, options map[string][]string) []string {
	depth := defaultReferenceDepth
	if given := options["version-depth"]; len(given) == 1 {
		depth, _ = strconv.Atoi(given[0]) // checked before
	}
	var names []string
	for _, t := range c.here().launchTemplates {
		if t.owner == c.caller.Account && t.names(image, depth) {
			names = append(names, c.w.arn("ec2", c.region, t.owner, "launch-template/"+t.id))
		}
	}
	return names
}

// names reports whether one of the newest versions of the template names the image.
func (t *launchTemplate) names(image string, depth int) bool {
	newest := t.versions[max(0, len(t.versions)-depth):]
	return slices.ContainsFunc(newest, func(v templateVersion) bool { return v.data.ImageID == image })
}

// parametersReferring are the parameters whose newest value is the image. AWS doesn't
// document whether their data type matters.
func (c *call) parametersReferring(image string, _ map[string][]string) []string {
	var names []string
	for key := range c.w.ssm.parameters {
		if key.account != c.caller.Account || key.region != c.region {
			continue
		}
		if _, seen, problem := c.seen(key.name); problem == nil && seen[len(seen)-1].value == image {
			names = append(names, c.parameterARN(key.name))
		}
	}
	return names
}
