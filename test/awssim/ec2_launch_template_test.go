package awssim_test

import (
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

func ssmIn(w *awssim.World, account, region string) *ssm.Client {
	return ssm.NewFromConfig(config(w, account, region))
}

// putImage makes the parameter name the image.
func putImage(t *testing.T, client *ssm.Client, name, image string) {
	t.Helper()
	must(client.PutParameter(t.Context(), &ssm.PutParameterInput{
		Name: &name, Value: &image, Type: ssmtypes.ParameterTypeString, DataType: aws.String("aws:ec2:image"), Overwrite: aws.Bool(true),
	}))(t)
}

func newTemplate(t *testing.T, client *ec2.Client, name, image string) (string, error) {
	t.Helper()
	answer, err := client.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: &name, LaunchTemplateData: &types.RequestLaunchTemplateData{ImageId: &image},
		TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeLaunchTemplate, Tags: []types.Tag{{Key: aws.String("name"), Value: &name}}}},
	})
	if err != nil {
		return "", err
	}
	return *answer.LaunchTemplate.LaunchTemplateId, nil
}

func newVersion(t *testing.T, client *ec2.Client, name, image string) {
	t.Helper()
	must(client.CreateLaunchTemplateVersion(t.Context(), &ec2.CreateLaunchTemplateVersionInput{
		LaunchTemplateName: &name, LaunchTemplateData: &types.RequestLaunchTemplateData{ImageId: &image},
	}))(t)
}

// versionsOf lists "template version image".
func versionsOf(t *testing.T, client *ec2.Client, input *ec2.DescribeLaunchTemplateVersionsInput) []string {
	t.Helper()
	list := []string{}
	for pages := ec2.NewDescribeLaunchTemplateVersionsPaginator(client, input); pages.HasMorePages(); {
		for _, v := range must(pages.NextPage(t.Context()))(t).LaunchTemplateVersions {
			list = append(list, fmt.Sprintf("%s %d %s", *v.LaunchTemplateName, *v.VersionNumber, aws.ToString(v.LaunchTemplateData.ImageId)))
		}
	}
	return list
}

// TestLaunchTemplatesResolveParameters checks that each form of reference names the
// image of its version, if one template version and ResolveAlias are asked for.
func TestLaunchTemplatesResolveParameters(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		client, parameters := ec2In(w, awssim.PublishingAccount, "us-east-1"), ssmIn(w, awssim.PublishingAccount, "us-east-1")
		const parameter = "/golden/latest"
		putImage(t, parameters, parameter, plainImage)
		putImage(t, parameters, parameter, managedImage)
		must(parameters.LabelParameterVersion(t.Context(), &ssm.LabelParameterVersionInput{Name: aws.String(parameter), ParameterVersion: aws.Int64(1), Labels: []string{"stable"}}))(t)
		arn := "arn:aws:ssm:us-east-1:" + awssim.PublishingAccount + ":parameter" + parameter
		for n, test := range []struct{ reference, image string }{
			{plainImage, plainImage},
			{"resolve:ssm:" + parameter, managedImage},
			{"resolve:ssm:" + parameter + ":1", plainImage},
			{"resolve:ssm:" + parameter + ":2", managedImage},
			{"resolve:ssm:" + parameter + ":stable", plainImage},
			{"resolve:ssm:" + arn, managedImage},
			{"resolve:ssm:" + arn + ":1", plainImage},
			{"resolve:ssm:" + arn + ":stable", plainImage},
		} {
			name := "template" + strconv.Itoa(n)
			must(newTemplate(t, client, name, test.reference))(t)
			input := &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateName: &name, Versions: []string{"$Latest"}}
			if diff := cmp.Diff([]string{name + " 1 " + test.reference}, versionsOf(t, client, input)); diff != "" {
				t.Error(diff)
			}
			input.ResolveAlias = aws.Bool(true)
			if diff := cmp.Diff([]string{name + " 1 " + test.image}, versionsOf(t, client, input)); diff != "" {
				t.Errorf("%s:\n%s", test.reference, diff)
			}
			run := must(client.RunInstances(t.Context(), &ec2.RunInstancesInput{
				ImageId: &test.reference, InstanceType: types.InstanceTypeT3Micro, MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
			}))(t)
			if got := aws.ToString(run.Instances[0].ImageId); got != test.image {
				t.Errorf("%s launches %s, not %s", test.reference, got, test.image)
			}
		}
		name := aws.String("template1")
		for _, input := range []*ec2.DescribeLaunchTemplateVersionsInput{
			{LaunchTemplateName: name}, {LaunchTemplateName: name, Versions: []string{"1", "$Latest"}}, {Versions: []string{"$Latest"}},
		} {
			input.ResolveAlias = aws.Bool(true)
			_, err := client.DescribeLaunchTemplateVersions(t.Context(), input)
			wantCode(t, err, "InvalidParameterCombination")
		}
		must(parameters.DeleteParameter(t.Context(), &ssm.DeleteParameterInput{Name: aws.String(parameter)}))(t)
		_, err := client.DescribeLaunchTemplateVersions(t.Context(), &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateName: name, Versions: []string{"1"}, ResolveAlias: aws.Bool(true)})
		wantCode(t, err, "SsmInvalidParameter")
		if got := versionsOf(t, client, &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateName: name}); len(got) != 1 {
			t.Errorf("unresolved, the versions are %v", got)
		}
	})
}

// TestLaunchTemplatesRefuseParameters checks that parameters that don't name an image,
// or that the caller may not read, are rejected.
func TestLaunchTemplatesRefuseParameters(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		client, parameters := ec2In(w, awssim.PublishingAccount, "us-east-1"), ssmIn(w, awssim.PublishingAccount, "us-east-1")
		putImage(t, parameters, "golden", plainImage)
		must(parameters.PutParameter(t.Context(), &ssm.PutParameterInput{Name: aws.String("text"), Value: aws.String(plainImage), Type: ssmtypes.ParameterTypeString}))(t)
		for _, reference := range []string{
			"resolve:ssm:none", "resolve:ssm:text", "resolve:ssm:golden:2", "resolve:ssm:golden:stable",
			"resolve:ssm:arn:aws:ssm:us-east-1:" + factMember + ":parameter/golden",
		} {
			_, err := newTemplate(t, client, "web", reference)
			wantCode(t, err, "SsmInvalidParameter")
			_, err = client.RunInstances(t.Context(), &ec2.RunInstancesInput{ImageId: &reference, MinCount: aws.Int32(1), MaxCount: aws.Int32(1)})
			wantCode(t, err, "SsmInvalidParameter")
		}
		role := newRole(t, w, awssim.PublishingAccount, "Templates", `{"Effect":"Allow","Action":"ec2:*","Resource":"*"}`)
		limited := ec2.NewFromConfig(sessionOf(t, config(w, awssim.PublishingAccount, "us-east-1"), role, "us-east-1"))
		_, err := newTemplate(t, limited, "web", "resolve:ssm:golden")
		wantCode(t, err, "SsmAccessDenied")
		must(newTemplate(t, limited, "web", plainImage))(t)
		_, err = client.CreateLaunchTemplateVersion(t.Context(), &ec2.CreateLaunchTemplateVersionInput{
			LaunchTemplateName: aws.String("web"), LaunchTemplateData: &types.RequestLaunchTemplateData{ImageId: aws.String("resolve:ssm:none")},
		})
		wantCode(t, err, "SsmInvalidParameter")
	})
}

// TestDescribeLaunchTemplates checks the selection by ID, name, filter and version.
func TestDescribeLaunchTemplates(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		client := ec2In(w, awssim.PublishingAccount, "us-east-1")
		web, batch := must(newTemplate(t, client, "web", plainImage))(t), must(newTemplate(t, client, "batch", plainImage))(t)
		newVersion(t, client, "web", managedImage)
		newVersion(t, client, "web", plainImage)
		for name, test := range map[string]struct {
			input ec2.DescribeLaunchTemplatesInput
			want  []string
		}{
			"all":     {ec2.DescribeLaunchTemplatesInput{}, []string{"batch", "web"}},
			"ID":      {ec2.DescribeLaunchTemplatesInput{LaunchTemplateIds: []string{batch}}, []string{"batch"}},
			"name":    {ec2.DescribeLaunchTemplatesInput{LaunchTemplateNames: []string{"web"}}, []string{"web"}},
			"filter":  {ec2.DescribeLaunchTemplatesInput{Filters: []types.Filter{filterBy("launch-template-name", "w*")}}, []string{"web"}},
			"tag":     {ec2.DescribeLaunchTemplatesInput{Filters: []types.Filter{filterBy("tag:name", "batch")}}, []string{"batch"}},
			"nothing": {ec2.DescribeLaunchTemplatesInput{Filters: []types.Filter{filterBy("tag:name", "none")}}, nil},
		} {
			var got []string
			for _, template := range must(client.DescribeLaunchTemplates(t.Context(), &test.input))(t).LaunchTemplates {
				got = append(got, *template.LaunchTemplateName)
			}
			slices.Sort(got)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("%s:\n%s", name, diff)
			}
		}
		_, err := client.DescribeLaunchTemplates(t.Context(), &ec2.DescribeLaunchTemplatesInput{LaunchTemplateNames: []string{"none"}})
		wantCode(t, err, "InvalidLaunchTemplateName.NotFoundException")

		versions := func(input ec2.DescribeLaunchTemplateVersionsInput) []string { return versionsOf(t, client, &input) }
		all := []string{"web 3 " + plainImage, "web 2 " + managedImage, "web 1 " + plainImage}
		for name, test := range map[string]struct{ got, want []string }{
			"by ID":   {versions(ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: &web}), all},
			"by name": {versions(ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateName: aws.String("web")}), all},
			"paged":   {versions(ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: &web, MaxResults: aws.Int32(1)}), all},
			"one":     {versions(ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: &web, Versions: []string{"2"}}), all[1:2]},
			"ends":    {versions(ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: &web, Versions: []string{"$Default", "$Latest", "3"}}), []string{all[0], all[2]}},
			"image":   {versions(ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: &web, Filters: []types.Filter{filterBy("image-id", managedImage)}}), all[1:2]},
		} {
			if diff := cmp.Diff(test.want, test.got); diff != "" {
				t.Errorf("%s:\n%s", name, diff)
			}
		}
		latest := versions(ec2.DescribeLaunchTemplateVersionsInput{Versions: []string{"$Latest"}, MaxResults: aws.Int32(1)})
		slices.Sort(latest)
		if diff := cmp.Diff([]string{"batch 1 " + plainImage, all[0]}, latest); diff != "" {
			t.Error(diff)
		}
		for code, input := range map[string]*ec2.DescribeLaunchTemplateVersionsInput{
			"InvalidLaunchTemplateId.VersionNotFound": {LaunchTemplateId: &web, Versions: []string{"4"}},
			"InvalidParameterCombination":             {LaunchTemplateId: &web, LaunchTemplateName: aws.String("web")},
			"InvalidParameterValue":                   {Versions: []string{"1"}},
		} {
			_, err := client.DescribeLaunchTemplateVersions(t.Context(), input)
			wantCode(t, err, code)
		}
	})
}
