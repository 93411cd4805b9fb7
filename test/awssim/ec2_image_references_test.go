package awssim_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// newDeepTemplate creates a launch template whose oldest version has the image, under
// that many newer versions without one.
func newDeepTemplate(t *testing.T, client *ec2.Client, name, image string, newer int) string {
	t.Helper()
	made := must(client.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: &name, LaunchTemplateData: &types.RequestLaunchTemplateData{ImageId: &image},
	}))(t)
	for range newer {
		must(client.CreateLaunchTemplateVersion(t.Context(), &ec2.CreateLaunchTemplateVersionInput{
			LaunchTemplateId: made.LaunchTemplate.LaunchTemplateId, LaunchTemplateData: &types.RequestLaunchTemplateData{InstanceType: types.InstanceTypeT3Micro},
		}))(t)
	}
	return *made.LaunchTemplate.LaunchTemplateId
}

// runPlain runs an instance of the image for the account.
func runPlain(t *testing.T, client *ec2.Client, image string) string {
	t.Helper()
	return *must(client.RunInstances(t.Context(), &ec2.RunInstancesInput{
		ImageId: &image, MinCount: aws.Int32(1), MaxCount: aws.Int32(1), InstanceType: types.InstanceTypeT3Micro,
	}))(t).Instances[0].InstanceId
}

// TestImageReferences finds instances, parameters, and launch templates up to the
// requested depth, only in the caller's account.
func TestImageReferences(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		client := ec2In(w, awssim.PublishingAccount, "us-east-1")
		instance := runPlain(t, client, plainImage)
		template := newDeepTemplate(t, client, "deep", plainImage, 10)
		must(ssm.NewFromConfig(config(w, awssim.PublishingAccount, "us-east-1")).PutParameter(t.Context(), &ssm.PutParameterInput{
			Name: aws.String("/golden"), Value: aws.String(plainImage), Type: ssmtypes.ParameterTypeString, DataType: aws.String("aws:ec2:image"),
		}))(t)
		time.Sleep(time.Minute)
		find := func(input *ec2.DescribeImageReferencesInput) []string {
			t.Helper()
			input.ImageIds = []string{plainImage}
			var names []string
			for _, r := range must(client.DescribeImageReferences(t.Context(), input))(t).ImageReferences {
				names = append(names, string(r.ResourceType)+" "+*r.Arn)
			}
			return names
		}
		prefix := ":us-east-1:" + awssim.PublishingAccount + ":"
		shallow := []string{"ec2:Instance arn:aws:ec2" + prefix + "instance/" + instance, "ssm:Parameter arn:aws:ssm" + prefix + "parameter/golden"}
		if diff := cmp.Diff(shallow, find(&ec2.DescribeImageReferencesInput{IncludeAllResourceTypes: aws.Bool(true)})); diff != "" {
			t.Errorf("with the default depth of 10:\n%s", diff)
		}
		depth := func(versions string) []types.ResourceTypeRequest {
			return []types.ResourceTypeRequest{{ResourceType: types.ImageReferenceResourceTypeEc2LaunchTemplate, ResourceTypeOptions: []types.ResourceTypeOption{
				{OptionName: types.ImageReferenceOptionNameVersionDepth, OptionValues: []string{versions}},
			}}}
		}
		deep := []string{"ec2:LaunchTemplate arn:aws:ec2" + prefix + "launch-template/" + template}
		if diff := cmp.Diff(deep, find(&ec2.DescribeImageReferencesInput{ResourceTypes: depth("11")})); diff != "" {
			t.Errorf("launch templates only, with the depth 11:\n%s", diff)
		}
		for _, wrong := range []string{"0", "10001", "x"} {
			_, err := client.DescribeImageReferences(t.Context(), &ec2.DescribeImageReferencesInput{ImageIds: []string{plainImage}, ResourceTypes: depth(wrong)})
			wantCode(t, err, "InvalidParameterValue")
		}
		_, err := client.DescribeImageReferences(t.Context(), &ec2.DescribeImageReferencesInput{ImageIds: []string{plainImage}})
		wantCode(t, err, "MissingParameter")
		_, err = client.DescribeImageReferences(t.Context(), &ec2.DescribeImageReferencesInput{
			ImageIds: slices.Repeat([]string{plainImage}, 11), IncludeAllResourceTypes: aws.Bool(true),
		})
		wantCode(t, err, "InvalidParameterValue")
		theirs := must(ec2In(w, factMember, "us-east-1").DescribeImageReferences(t.Context(), &ec2.DescribeImageReferencesInput{
			ImageIds: []string{plainImage}, IncludeAllResourceTypes: aws.Bool(true),
		}))(t).ImageReferences
		if len(theirs) != 0 {
			t.Errorf("a member sees %d references", len(theirs))
		}
	})
}

// TestImageReferencesAskForPermissions checks that EC2 looks with the caller's
// permissions.
func TestImageReferencesAskForPermissions(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		via := `"Condition":{"ForAnyValue:StringEquals":{"aws:CalledVia":["ec2-images.amazonaws.com"]}}`
		actions := []string{
			"ec2:DescribeInstances", "ec2:DescribeLaunchTemplates", "ec2:DescribeLaunchTemplateVersions", "ssm:DescribeParameters", "ssm:GetParameters",
			"imagebuilder:ListImageRecipes", "imagebuilder:ListContainerRecipes", "imagebuilder:GetContainerRecipe",
		}
		role := newRole(t, w, awssim.PublishingAccount, "looker", "")
		client := ec2.NewFromConfig(sessionOf(t, config(w, awssim.PublishingAccount, "us-east-1"), role, "us-east-1"))
		look := func(allowed []string) error {
			putRolePolicy(t, w, awssim.PublishingAccount, "looker", `{"Effect":"Allow","Action":"ec2:DescribeImageReferences","Resource":"*"},{"Effect":"Allow","Action":["`+strings.Join(allowed, `","`)+`"],"Resource":"*",`+via+`}`)
			_, err := client.DescribeImageReferences(t.Context(), &ec2.DescribeImageReferencesInput{ImageIds: []string{plainImage}, IncludeAllResourceTypes: aws.Bool(true)})
			return err
		}
		if err := look(actions); err != nil {
			t.Error(err)
		}
		for n, missing := range actions {
			err := look(slices.Delete(slices.Clone(actions), n, n+1))
			wantCode(t, err, "UnauthorizedOperation")
			if err != nil && !strings.Contains(err.Error(), missing) {
				t.Errorf("without %s: %v", missing, err)
			}
		}
	})
}
