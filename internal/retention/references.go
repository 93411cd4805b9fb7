package retention

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// imagesPerReference is how many images DescribeImageReferences takes. Source: EC2
// API reference of DescribeImageReferences, ImageId.N.
const imagesPerReference = 10

// versionDepth is how many versions of a launch template are checked: the most
// that EC2 allows.
const versionDepth = "10000"

// referenceKinds describes the kinds of resources.
var referenceKinds = map[types.ImageReferenceResourceType]string{
	types.ImageReferenceResourceTypeEc2Instance:                 kindInstance,
	types.ImageReferenceResourceTypeEc2LaunchTemplate:           kindTemplate,
	types.ImageReferenceResourceTypeSsmParameter:                "SSM parameter",
	types.ImageReferenceResourceTypeImageBuilderImageRecipe:     "Image Builder image recipe",
	types.ImageReferenceResourceTypeImageBuilderContainerRecipe: "Image Builder container recipe",
}

// byReferences reads the resources of every kind in the account that, according to EC2,
// refer to the images.
func (u *Uses) byReferences(ctx context.Context, api API, ids []string) error {
	for some := range slices.Chunk(ids, imagesPerReference) {
		err := eachPage(ctx, api.DescribeImageReferences, func(token *string) *ec2.DescribeImageReferencesInput {
			return &ec2.DescribeImageReferencesInput{
				ImageIds: some, NextToken: token, IncludeAllResourceTypes: aws.Bool(true),
				ResourceTypes: []types.ResourceTypeRequest{
					{ResourceType: types.ImageReferenceResourceTypeEc2Instance, ResourceTypeOptions: []types.ResourceTypeOption{
						{OptionName: types.ImageReferenceOptionNameStateName, OptionValues: liveStates},
					}},
					{ResourceType: types.ImageReferenceResourceTypeEc2LaunchTemplate, ResourceTypeOptions: []types.ResourceTypeOption{
						{OptionName: types.ImageReferenceOptionNameVersionDepth, OptionValues: []string{versionDepth}},
					}},
				},
			}
		}, func(answer *ec2.DescribeImageReferencesOutput) *string {
			for _, reference := range answer.ImageReferences {
				u.addReference(reference, some)
			}
			return answer.NextToken
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (u *Uses) addReference(reference types.ImageReference, asked []string) {
	image, name := aws.ToString(reference.ImageId), aws.ToString(reference.Arn)
	parsed, err := arn.Parse(name)
	if !slices.Contains(asked, image) || err != nil {
		u.unknownf("EC2 returned a reference of %q to image %qin response to a request for those to %s. Run again.", name, image, few(asked))
		return
	}
	use := Use{Account: parsed.AccountID, Kind: referenceKinds[reference.ResourceType], ID: name}
	switch use.Kind {
	case "":
		use.Kind = string(reference.ResourceType)
	case kindInstance, kindTemplate: // by the ID, with which the direct look names it
		use.ID = name[strings.LastIndexByte(name, '/')+1:]
	}
	u.add(image, use)
}
