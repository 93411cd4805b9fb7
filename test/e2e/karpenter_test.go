package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/orgami/packer-plugin-orgami/internal/record/manifest"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// karpenter runs the program of test/consumers/karpenter.
func karpenter(t *testing.T, environment []string, arguments ...string) (string, error) {
	t.Helper()
	program := os.Getenv("ORGAMI_TEST_KARPENTER")
	if program == "" {
		t.Skip("ORGAMI_TEST_KARPENTER is not set: run 'make test-consumers'")
	}
	command := exec.CommandContext(t.Context(), program, arguments...)
	command.Env = append(cleanEnvironment(), environment...)
	output, err := command.CombinedOutput()
	return string(output), err
}

func karpenterClasses(t *testing.T) []string {
	t.Helper()
	classes, err := filepath.Glob(filepath.Join("..", "consumers", "karpenter", "classes", "*.json"))
	if err != nil || len(classes) < 5 {
		t.Fatalf("%v, %v", classes, err)
	}
	return classes
}

// Karpenter's CRD accepts every class with the patch of every Region: the schema, the
// CEL rules, and no unknown field.
func TestConsumerKarpenterPatch(t *testing.T) {
	t.Parallel()
	sim := newAWSWith(t, withGolden(), awssim.Options{})
	p := newPacker(t, sim.environment...)
	for _, options := range []string{"", "block_device_mappings = true", "block_device_mappings = true\nencrypt_with_key = true"} {
		folder := template(t, fromExisting, keep, publishWith("outputs = [\"ec2nodeclass\"]\nec2nodeclass {\nami_family = \"AL2023\"\n"+options+"\n}"))
		p.mustBuild(folder)
		for _, class := range karpenterClasses(t) {
			for region, image := range readJSON[manifest.Manifest](t, folder, "orgami", manifest.File).Images {
				output, err := karpenter(t, nil, "check", class, filepath.Join(folder, "orgami", "ec2nodeclass-"+region+".json"))
				if err != nil {
					t.Errorf("%s in %s with %q: %s", filepath.Base(class), region, options, output)
				} else if !strings.Contains(output, image.ImageID) {
					t.Errorf("%s in %s doesn't select %s: %s", filepath.Base(class), region, image.ImageID, output)
				}
			}
		}
	}
}

// A class with the patch becomes ready in a member account: Karpenter finds the image.
// It launches an instance as soon as its role has the policy.
func TestConsumerKarpenterLaunches(t *testing.T) {
	t.Parallel()
	const member, region = "222222222222", "eu-west-1"
	sim := newAWSWith(t, withGolden(), awssim.Options{})
	p := newPacker(t, sim.environment...)
	id, secret := sim.AccessKey(member)
	config := aws.Config{Region: region, Credentials: credentials.NewStaticCredentialsProvider(id, secret, ""), HTTPClient: sim.Client()}
	setPolicy := func(name, document string) {
		t.Helper()
		if _, err := iam.NewFromConfig(config).PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{RoleName: aws.String(awssim.LauncherRole), PolicyName: &name, PolicyDocument: &document}); err != nil {
			t.Fatal(err)
		}
	}
	setPolicy("controller", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ec2:*","iam:PassRole","ssm:GetParameter"],"Resource":"*"}]}`)
	answer, err := sts.NewFromConfig(config).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::" + member + ":role/" + awssim.LauncherRole), RoleSessionName: aws.String("karpenter")})
	if err != nil {
		t.Fatal(err)
	}
	environment := slices.Concat(sim.environment, []string{
		"AWS_REGION=" + region, "AWS_ACCESS_KEY_ID=" + *answer.Credentials.AccessKeyId,
		"AWS_SECRET_ACCESS_KEY=" + *answer.Credentials.SecretAccessKey, "AWS_SESSION_TOKEN=" + *answer.Credentials.SessionToken,
	})

	for _, options := range []string{"", "block_device_mappings = true\nencrypt_with_key = true"} {
		folder := template(t, fromExisting, keep, publishWith("outputs = [\"ec2nodeclass\"]\nec2nodeclass {\nami_family = \"AL2023\"\n"+options+"\n}"))
		p.mustBuild(folder)
		image := readJSON[manifest.Manifest](t, folder, "orgami", manifest.File).Images[region].ImageID
		policy, err := os.ReadFile(filepath.Join(folder, "orgami", manifest.KarpenterFile))
		if err != nil {
			t.Fatal(err)
		}
		class := filepath.Join(t.TempDir(), "class.json")
		output, err := karpenter(t, nil, "check", launchableClass(t, config), filepath.Join(folder, "orgami", "ec2nodeclass-"+region+".json"))
		if err != nil {
			t.Fatal(output)
		}
		mustWriteText(t, class, output)
		for _, allowed := range []bool{false, true} {
			document := `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"kms:*","Resource":"*"}]}`
			if allowed {
				document = string(policy)
			}
			setPolicy("golden-ami", document)
			output, err := karpenter(t, environment, "launch", class)
			if err != nil {
				t.Fatal(output)
			}
			var got struct {
				Status struct {
					AMIs []struct {
						ID string `json:"id"`
					} `json:"amis"`
				} `json:"status"`
				Instance, Error string
			}
			if err := json.Unmarshal([]byte(output), &got); err != nil {
				t.Fatal(err)
			}
			if len(got.Status.AMIs) != 1 || got.Status.AMIs[0].ID != image {
				t.Errorf("it selected %+v, not %s", got.Status.AMIs, image)
			}
			why := got.Error
			if got.Instance != "" {
				why = sim.comesUp(t, ec2.NewFromConfig(config), got.Instance)
			}
			if (why == "") != allowed {
				t.Errorf("with %q, allowed %v: %q\n%s", options, allowed, why, output)
			}
		}
	}
}

// launchableClass is a class with the default subnets and security group of the
// account.
func launchableClass(t *testing.T, config aws.Config) string {
	t.Helper()
	subnets, err := ec2.NewFromConfig(config).DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{})
	if err != nil || len(subnets.Subnets) == 0 {
		t.Fatalf("%v, %v", subnets, err)
	}
	var terms []any
	for _, s := range subnets.Subnets {
		terms = append(terms, map[string]any{"id": *s.SubnetId})
	}
	content, err := json.Marshal(map[string]any{
		"apiVersion": "karpenter.k8s.aws/v1", "kind": "EC2NodeClass", "metadata": map[string]any{"name": "default"},
		"spec": map[string]any{
			"role": "KarpenterNodeRole-orgami", "amiSelectorTerms": []any{map[string]any{"alias": "al2023@latest"}},
			"subnetSelectorTerms": terms, "securityGroupSelectorTerms": []any{map[string]any{"name": "default"}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "class.json")
	mustWriteText(t, file, string(content))
	return file
}
