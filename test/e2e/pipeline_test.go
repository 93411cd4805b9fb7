package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/orgami/packer-plugin-orgami/internal/record/manifest"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

var (
	pipelines     = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```")
	githubStep    = regexp.MustCompile(`(?m)^      - run: (?:\|\n((?:          .*\n)+)|(.*)\n)`)
	gitlabScripts = regexp.MustCompile(`(?m)^  script:\n((?:    - .*\n)+)`)
)

// The shell steps of both pipelines publish, deploy from the manifest, and audit.
func TestConsumerPipeline(t *testing.T) {
	for _, tool := range []string{"aws", "jq", "bash"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "guides", "pipeline.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := pipelines.FindAllStringSubmatch(string(page), -1)
	if len(blocks) != 2 {
		t.Fatalf("%d pipelines", len(blocks))
	}
	var github, gitlab []string
	for _, step := range githubStep.FindAllStringSubmatch(blocks[0][1], -1) {
		github = append(github, step[1]+step[2])
	}
	for _, script := range gitlabScripts.FindAllStringSubmatch(blocks[1][1], -1) {
		for line := range strings.Lines(script[1]) {
			gitlab = append(gitlab, strings.TrimPrefix(line, "    - "))
		}
	}
	for name, steps := range map[string][]string{"GitHub": github, "GitLab": gitlab} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runPipeline(t, steps)
		})
	}
}

func runPipeline(t *testing.T, steps []string) {
	t.Helper()
	const member, region = "222222222222", "eu-west-1"
	sim := newAWSWith(t, withGolden(), awssim.Options{})
	p := newPacker(t, sim.environment...)
	folder := template(t, fromExisting, keep, publish)
	audit := template(t, fromExisting, keep, publishWith("plan_only = true\nfail_on_drift = true"))
	if err := os.CopyFS(filepath.Join(folder, "audit"), os.DirFS(audit)); err != nil {
		t.Fatal(err)
	}
	tools := t.TempDir()
	if err := os.Symlink(p.binary, filepath.Join(tools, "packer")); err != nil {
		t.Fatal(err)
	}
	script := new(strings.Builder)
	script.WriteString("set -euo pipefail\n")
	builds, deployments := 0, 0
	for _, step := range steps {
		switch step = strings.TrimSpace(step); {
		case strings.HasPrefix(step, "packer init "): // downloads
			continue
		case strings.HasPrefix(step, "packer build "):
			builds++
			script.WriteString("AWS_PROFILE=" + awssim.PublishingAccount + " ")
		case strings.Contains(step, "aws ec2 create-launch-template-version"):
			deployments++
			script.WriteString("export AWS_PROFILE=" + member + "\n" +
				"aws ec2 create-launch-template --region " + region + " --launch-template-name web --launch-template-data '{\"InstanceType\":\"t3.micro\"}'\n")
		}
		script.WriteString(step + "\n")
	}
	if builds != 2 || deployments != 1 {
		t.Fatalf("%d builds and %d deployments in %q", builds, deployments, steps)
	}
	environment := newPacker(t, sim.environment[0], "AWS_CONFIG_FILE="+profiles(t, sim)).environment
	run := exec.CommandContext(t.Context(), "bash", "-c", script.String())
	run.Dir = folder
	run.Env = append(slices.Clone(environment), "AWS_PAGER=", "PATH="+tools+string(os.PathListSeparator)+os.Getenv("PATH"))
	if output, err := run.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s\n%s", err, script, output)
	}
	id, secret := sim.AccessKey(member)
	client := ec2.NewFromConfig(aws.Config{Region: region, Credentials: credentials.NewStaticCredentialsProvider(id, secret, ""), HTTPClient: sim.Client()})
	versions, err := client.DescribeLaunchTemplateVersions(t.Context(), &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateName: aws.String("web"), Versions: []string{"$Latest"}})
	if err != nil || len(versions.LaunchTemplateVersions) != 1 {
		t.Fatalf("%+v, %v", versions, err)
	}
	want := readJSON[manifest.Manifest](t, folder, "orgami", manifest.File).Images[region].ImageID
	if got := aws.ToString(versions.LaunchTemplateVersions[0].LaunchTemplateData.ImageId); want == "" || got != want {
		t.Errorf("the launch template has image %q, the manifest %q", got, want)
	}
}
