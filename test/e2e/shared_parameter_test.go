package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/orgami/packer-plugin-orgami/internal/record/manifest"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// sharedARN is the parameter of example/shared-parameter in the Region.
func sharedARN(region string) string {
	return "arn:aws:ssm:" + region + ":" + awssim.PublishingAccount + ":parameter/golden-ami/x86_64/latest"
}

// member is the EC2 client of the first member account.
func (s simulated) member(region string) *ec2.Client {
	id, secret := s.AccessKey(awssim.MemberAccounts()[0])
	return ec2.NewFromConfig(aws.Config{Region: region, Credentials: credentials.NewStaticCredentialsProvider(id, secret, ""), HTTPClient: s.Client()})
}

// nameByParameter creates the member's launch template, which names the parameter.
func (s simulated) nameByParameter(t *testing.T, region string) error {
	t.Helper()
	_, err := s.member(region).CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: aws.String("web"),
		LaunchTemplateData: &ec2types.RequestLaunchTemplateData{ImageId: aws.String("resolve:ssm:" + sharedARN(region)), InstanceType: ec2types.InstanceTypeT3Micro},
	})
	return err
}

// notShared checks that before the first publication, no member can name the parameter.
func notShared(t *testing.T, s simulated, _ packer) map[string]string {
	t.Helper()
	if err := s.nameByParameter(t, "us-east-1"); err == nil || !strings.Contains(err.Error(), "SsmInvalidParameter") {
		t.Errorf("before the publication: %v", err)
	}
	return map[string]string{`golden-${formatdate("YYYY-MM-DD-hhmmss", timestamp())}`: "golden-1"}
}

// membersFollow checks that a member launches the published image through the parameter's
// ARN, and after the next publication that one, although nothing in its account changed.
func membersFollow(t *testing.T, s simulated, p packer, folder string) {
	t.Helper()
	launch := func(m manifest.Manifest) {
		t.Helper()
		for region, image := range m.Images {
			parameter := m.Parameters[region]
			if parameter.ARN != sharedARN(region) || !strings.HasPrefix(parameter.ShareARN, "arn:aws:ram:"+region+":") {
				t.Errorf("the manifest has the parameter %+v in %s", parameter, region)
			}
			answer, err := s.member(region).RunInstances(t.Context(), &ec2.RunInstancesInput{
				MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
				LaunchTemplate: &ec2types.LaunchTemplateSpecification{LaunchTemplateName: aws.String("web"), Version: aws.String("1")},
			})
			if err != nil {
				t.Errorf("in %s: %v", region, err)
				continue
			}
			if got := aws.ToString(answer.Instances[0].ImageId); got != image.ImageID {
				t.Errorf("in %s, the member launched %s, not %s", region, got, image.ImageID)
			}
		}
	}
	first := readJSON[manifest.Manifest](t, folder, "orgami", manifest.File)
	for region := range first.Images {
		if err := s.nameByParameter(t, region); err != nil {
			t.Fatal(err)
		}
	}
	launch(first)
	path := filepath.Join(folder, "build.pkr.hcl")
	content, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, []byte(strings.ReplaceAll(string(content), "golden-1", "golden-2")), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	p.mustBuild(folder)
	second := readJSON[manifest.Manifest](t, folder, "orgami", manifest.File)
	if first.Images["us-east-1"].ImageID == second.Images["us-east-1"].ImageID {
		t.Error("the second build published the first image")
	}
	launch(second)
}
