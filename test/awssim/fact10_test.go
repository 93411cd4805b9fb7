package awssim_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// A parameter that names an image is visible once AWS has validated it, keeps its
// history, and never changes its data type. An invalid image is rejected silently.
func TestFact10Parameters(t *testing.T) {
	inVirtualTime(t, awssim.Options{PropagationLag: 3 * time.Second}, func(t *testing.T, w *awssim.World) {
		client := ssm.NewFromConfig(config(w, awssim.PublishingAccount, "us-east-1"))
		images := must(ec2.NewFromConfig(config(w, awssim.PublishingAccount, "us-east-1")).DescribeImages(t.Context(), &ec2.DescribeImagesInput{
			Owners: []string{"amazon"}, Filters: []types.Filter{{Name: aws.String("state"), Values: []string{"available"}}},
		}))(t).Images
		put := func(name, value, dataType string, overwrite bool) error {
			_, err := client.PutParameter(t.Context(), &ssm.PutParameterInput{
				Name: &name, Value: &value, DataType: &dataType, Type: ssmtypes.ParameterTypeString, Overwrite: &overwrite,
			})
			return err
		}
		get := func(name string) (string, error) {
			answer, err := client.GetParameter(t.Context(), &ssm.GetParameterInput{Name: &name})
			if err != nil {
				return "", err
			}
			return aws.ToString(answer.Parameter.Value), nil
		}
		const image, text = "aws:ec2:image", "text"
		for _, err := range []error{put("/golden", *images[0].ImageId, image, false), put("/none", "ami-00000000000000000", image, false), put("plain", "x", text, false)} {
			if err != nil {
				t.Error(err)
			}
		}
		_, err := get("/golden")
		wantCode(t, err, "ParameterNotFound")
		time.Sleep(time.Minute)
		if got, err := get("/golden"); err != nil || got != *images[0].ImageId {
			t.Errorf("%s, %v", got, err)
		}
		_, err = get("/none")
		wantCode(t, err, "ParameterNotFound")
		wantCode(t, put("/golden", *images[1].ImageId, image, false), "ParameterAlreadyExists")
		wantCode(t, put("plain", *images[0].ImageId, image, true), "ValidationException")
		wantCode(t, put("/aws/golden", *images[0].ImageId, image, false), "ValidationException")
		wantCode(t, put("/golden//latest", *images[0].ImageId, image, false), "ValidationException")
		if err := put("/golden", *images[1].ImageId, image, true); err != nil {
			t.Fatal(err)
		}
		if got, err := get("/golden"); err != nil || got != *images[0].ImageId {
			t.Errorf("before the check: %s, %v", got, err)
		}
		time.Sleep(time.Minute)
		history := must(client.GetParameterHistory(t.Context(), &ssm.GetParameterHistoryInput{Name: aws.String("/golden")}))(t).Parameters
		if len(history) != 2 || aws.ToString(history[1].Value) != *images[1].ImageId || history[1].Version != 2 {
			t.Errorf("history: %+v", history)
		}
		elsewhere := ssm.NewFromConfig(config(w, awssim.PublishingAccount, "eu-west-1"))
		_, err = elsewhere.GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String("/golden")})
		wantCode(t, err, "ParameterNotFound")
	})
}

// Launch templates keep their versions, the newest first, and page.
func TestFact5LaunchTemplates(t *testing.T) {
	inVirtualTime(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		client := ec2.NewFromConfig(config(w, awssim.PublishingAccount, "us-east-1"))
		template := must(client.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{
			LaunchTemplateName: aws.String("web"), LaunchTemplateData: &types.RequestLaunchTemplateData{ImageId: aws.String("ami-00000001")},
		}))(t).LaunchTemplate
		_, err := client.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{LaunchTemplateName: aws.String("web"), LaunchTemplateData: &types.RequestLaunchTemplateData{ImageId: aws.String("ami-00000001")}})
		wantCode(t, err, "InvalidLaunchTemplateName.AlreadyExistsException")
		for range 249 {
			must(client.CreateLaunchTemplateVersion(t.Context(), &ec2.CreateLaunchTemplateVersionInput{
				LaunchTemplateId: template.LaunchTemplateId, LaunchTemplateData: &types.RequestLaunchTemplateData{ImageId: aws.String("ami-00000002")},
			}))(t)
		}
		var sizes []int
		var last types.LaunchTemplateVersion
		pages := ec2.NewDescribeLaunchTemplateVersionsPaginator(client, &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: template.LaunchTemplateId})
		for pages.HasMorePages() {
			page := must(pages.NextPage(t.Context()))(t)
			sizes = append(sizes, len(page.LaunchTemplateVersions))
			last = page.LaunchTemplateVersions[len(page.LaunchTemplateVersions)-1]
		}
		if len(sizes) != 2 || sizes[0] != 200 || sizes[1] != 50 || aws.ToInt64(last.VersionNumber) != 1 || aws.ToString(last.LaunchTemplateData.ImageId) != "ami-00000001" {
			t.Errorf("pages of %v, the last version %+v", sizes, last)
		}
		listed := must(client.DescribeLaunchTemplates(t.Context(), nil))(t).LaunchTemplates
		if len(listed) != 1 || aws.ToInt64(listed[0].LatestVersionNumber) != 250 {
			t.Errorf("templates: %+v", listed)
		}
		other := ec2.NewFromConfig(config(w, factMember, "us-east-1"))
		if listed := must(other.DescribeLaunchTemplates(t.Context(), nil))(t).LaunchTemplates; len(listed) > 0 {
			t.Errorf("another account sees %+v", listed)
		}
		must(client.DeleteLaunchTemplate(t.Context(), &ec2.DeleteLaunchTemplateInput{LaunchTemplateId: template.LaunchTemplateId}))(t)
		_, err = client.DescribeLaunchTemplateVersions(t.Context(), &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: template.LaunchTemplateId})
		wantCode(t, err, "InvalidLaunchTemplateId.NotFound")
	})
}
