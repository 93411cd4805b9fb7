package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/orgami/packer-plugin-orgami/internal/record/manifest"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// terraform runs the modules of example/downstream/terraform with one account's
// credentials.
type terraform struct {
	t           *testing.T
	binary      string
	folder      string
	environment []string
}

// withTerraform runs the test with Terraform and with OpenTofu.
func withTerraform(t *testing.T, test func(t *testing.T, program string)) {
	t.Helper()
	t.Parallel()
	for name, variable := range map[string]string{"Terraform": "ORGAMI_TEST_TERRAFORM", "OpenTofu": "ORGAMI_TEST_OPENTOFU"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			program := os.Getenv(variable)
			if program == "" || os.Getenv("ORGAMI_TEST_TERRAFORM_PLUGINS") == "" {
				t.Skipf("%s or ORGAMI_TEST_TERRAFORM_PLUGINS is not set: run 'make test-consumers'", variable)
			}
			test(t, program)
		})
	}
}

// newTerraform initializes a copy of the module, with the provider from a folder on
// this machine. The provider's address is the one in that folder: the programs have
// different default registries.
func newTerraform(t *testing.T, program string, sim simulated, module, account string) terraform {
	t.Helper()
	plugins := os.Getenv("ORGAMI_TEST_TERRAFORM_PLUGINS")
	found, err := filepath.Glob(filepath.Join(plugins, "*", "hashicorp", "aws"))
	if err != nil || len(found) == 0 {
		t.Fatalf("no provider in %s: %v", plugins, err)
	}
	address, err := filepath.Rel(plugins, found[0])
	if err != nil {
		t.Fatal(err)
	}
	override := "terraform {\n  required_providers {\n    aws = { source = \"" + filepath.ToSlash(address) + "\" }\n  }\n}\n"
	run := terraform{t: t, binary: program, folder: t.TempDir()}
	content, err := os.ReadFile(filepath.Join("..", "..", "example", "downstream", "terraform", module, "main.tf"))
	if err != nil {
		t.Fatal(err)
	}
	const provider = `
provider "aws" {
  skip_metadata_api_check = true
}
`
	for name, text := range map[string]string{"main.tf": string(content), "provider.tf": provider, "override.tf": override} {
		if err := os.WriteFile(filepath.Join(run.folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	id, secret := sim.AccessKey(account)
	run.environment = append(cleanEnvironment(), "HOME="+run.folder, "CHECKPOINT_DISABLE=1", "TF_IN_AUTOMATION=1", "TF_CLI_CONFIG_FILE="+os.DevNull,
		"AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull, "AWS_EC2_METADATA_DISABLED=true",
		"HTTP_PROXY=http://127.0.0.1:9", "HTTPS_PROXY=http://127.0.0.1:9", "NO_PROXY=127.0.0.1,localhost")
	run.environment = append(run.environment, sim.environment...)
	run.environment = append(run.environment, "AWS_ACCESS_KEY_ID="+id, "AWS_SECRET_ACCESS_KEY="+secret)
	run.must("init", "-plugin-dir="+plugins)
	return run
}

func (run terraform) run(arguments ...string) (string, error) {
	run.t.Helper()
	command := exec.CommandContext(run.t.Context(), run.binary, append(arguments, "-no-color")...)
	command.Dir, command.Env = run.folder, run.environment
	output, err := command.CombinedOutput()
	return string(output), err
}

func (run terraform) must(arguments ...string) string {
	run.t.Helper()
	output, err := run.run(arguments...)
	if err != nil {
		run.t.Fatalf("terraform %s: %v\n%s", strings.Join(arguments, " "), err, output)
	}
	return output
}

// apply applies the module with the files that the last build wrote to its folder. A
// second plan must be empty.
func (run terraform) apply(build string, arguments ...string) {
	run.t.Helper()
	file, err := filepath.Abs(filepath.Join(build, "orgami", "orgami.tfvars.json"))
	if err != nil {
		run.t.Fatal(err)
	}
	arguments = append(arguments, "-input=false", "-var-file="+file)
	run.must(append([]string{"apply", "-auto-approve"}, arguments...)...)
	if output, err := run.run(append([]string{"plan", "-detailed-exitcode"}, arguments...)...); err != nil {
		run.t.Errorf("a second plan isn't empty: %v\n%s", err, output)
	}
}

// A publication without a member role emits the grants. The member creates them, then
// its Auto Scaling group launches. Without the account in the next publication, the
// module has nothing to do, and the publisher revokes the grants.
func TestConsumerTerraformGrants(t *testing.T) {
	withTerraform(t, func(t *testing.T, program string) {
		const member = "222222222222"
		sim := newAWSWith(t, withGolden(), awssim.Options{})
		grants := newTerraform(t, program, sim, "grants", member)
		p := newPacker(t, sim.environment...)
		outputs := `
  outputs = ["terraform"]`
		folder := template(t, fromExisting, keep, emittingWith(outputs))
		p.mustBuild(folder)
		launches := func(want bool) {
			t.Helper()
			expectLaunches(t, folder, member, want, sim.autoScales)
		}
		launches(false)
		grants.apply(folder)
		launches(true)
		if output := p.mustBuild(folder); !strings.Contains(output, "0 failed, 0 pending") {
			t.Errorf("the grants don't count:\n%s", output)
		}
		grants.apply(folder)
		launches(true)

		without := template(t, fromExisting, keep, strings.NewReplacer(`["222222222222"]`, `["333333333333"]`, "grants {", "grants {\n    prune = true").Replace(emittingWith(outputs)))
		p.mustBuild(without)
		grants.apply(without)
		launches(false)
	})
}

// The module member creates the role that the plugin assumes to create the account's
// grants, and lets Karpenter launch.
func TestConsumerTerraformMember(t *testing.T) {
	withTerraform(t, func(t *testing.T, program string) {
		const member = "222222222222"
		file := withGolden()
		account := accountIn(&file, member)
		account.ServiceLinkedRoles = nil
		account.Roles = slices.DeleteFunc(slices.Clone(account.Roles), func(r awssim.RoleFile) bool { return r.Name == awssim.GrantRole })
		sim := newAWSWith(t, file, awssim.Options{})
		module := newTerraform(t, program, sim, "member", member)
		p := newPacker(t, sim.environment...)
		const output = `
  outputs = ["terraform"]`
		first := template(t, fromExisting, keep, emittingWith(output))
		p.mustBuild(first)
		arguments := []string{
			`-var=karpenter_roles=["` + awssim.LauncherRole + `"]`,
			`-var=create_service_linked_roles=["` + autoScalingRole + `"]`,
		}
		module.apply(first, append(arguments, "-var=member_role="+awssim.GrantRole)...)

		second := template(t, fromExisting, keep, strings.Replace(emittingWith(output), "roles = [", "member_role = \"orgami-grants\"\n    roles = [", 1))
		if text := p.mustBuild(second); !strings.Contains(text, "0 failed, 0 pending") {
			t.Errorf("with the member's role:\n%s", text)
		}
		module.apply(second, arguments...) // the role's name comes from the publication now
		expectLaunches(t, second, member, true, sim.autoScales)
		expectLaunches(t, second, member, true, sim.launch)
		module.must("destroy", "-auto-approve", "-input=false", "-var-file="+filepath.Join(second, "orgami", "orgami.tfvars.json"),
			`-var=karpenter_roles=["`+awssim.LauncherRole+`"]`)
	})
}

// The module karpenter lets Karpenter's role launch.
func TestConsumerTerraformKarpenter(t *testing.T) {
	withTerraform(t, func(t *testing.T, program string) {
		const member = "222222222222"
		sim := newAWSWith(t, withGolden(), awssim.Options{})
		module := newTerraform(t, program, sim, "karpenter", member)
		p := newPacker(t, sim.environment...)
		folder := template(t, fromExisting, keep, publishWith(`
  outputs = ["terraform"]`))
		p.mustBuild(folder)
		launches := func(want bool) {
			t.Helper()
			expectLaunches(t, folder, member, want, sim.launch)
		}
		launches(false)
		module.apply(folder, "-var=karpenter_role="+awssim.LauncherRole)
		launches(true)
		p.mustBuild(folder)
		module.apply(folder, "-var=karpenter_role="+awssim.LauncherRole)
		launches(true)
	})
}

// expectLaunches launches the published image in the account, in each Region.
func expectLaunches(t *testing.T, folder, account string, want bool, launch func(t *testing.T, account, region, image string) string) {
	t.Helper()
	for region, image := range readJSON[manifest.Manifest](t, folder, "orgami", manifest.File).Images {
		if why := launch(t, account, region, image.ImageID); (why == "") != want {
			t.Errorf("launch in %s: %q", region, why)
		}
	}
}

// launch runs an instance with Karpenter's role of the account, and returns why it
// doesn't start, or "".
func (s simulated) launch(t *testing.T, account, region, image string) string {
	t.Helper()
	id, secret := s.AccessKey(account)
	config := aws.Config{Region: region, Credentials: credentials.NewStaticCredentialsProvider(id, secret, ""), HTTPClient: s.Client()}
	config.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(sts.NewFromConfig(config), "arn:aws:iam::"+account+":role/"+awssim.LauncherRole))
	client := ec2.NewFromConfig(config)
	run, err := client.RunInstances(t.Context(), &ec2.RunInstancesInput{ImageId: &image, MinCount: aws.Int32(1), MaxCount: aws.Int32(1), InstanceType: ec2types.InstanceTypeT3Micro})
	if err != nil {
		return err.Error()
	}
	return s.comesUp(t, client, *run.Instances[0].InstanceId)
}

// comesUp waits for the instance, and returns why it doesn't start, or "".
func (s simulated) comesUp(t *testing.T, client *ec2.Client, id string) string {
	t.Helper()
	for {
		answer, err := client.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{id}})
		if err != nil {
			t.Fatal(err)
		}
		switch instance := answer.Reservations[0].Instances[0]; instance.State.Name {
		case ec2types.InstanceStateNamePending:
			time.Sleep(100 * time.Millisecond)
		case ec2types.InstanceStateNameRunning:
			return ""
		default:
			return aws.ToString(instance.StateReason.Code) + ": " + s.Diagnosis(id)
		}
	}
}
