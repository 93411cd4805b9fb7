package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
	"github.com/orgami/packer-plugin-orgami/internal/record/manifest"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

const autoScalingRole = "AWSServiceRoleForAutoScaling"

// emitting is a template like [publish], but member accounts create their grants.
var emitting = strings.Replace(publish, `member_role = "orgami-grants"`, `roles = ["aws-service-role/autoscaling.amazonaws.com/`+autoScalingRole+`"]`, 1)

// emittingWith is [emitting] with additional arguments.
func emittingWith(arguments string) string {
	return strings.TrimSuffix(emitting, "}") + arguments + "\n}"
}

// emitted are the grants of kms-grants.json.
func emitted(t *testing.T, folder string) []manifest.Grant {
	t.Helper()
	return readJSON[struct {
		Grants []manifest.Grant `json:"grants"`
	}](t, folder, "orgami", manifest.GrantsFile).Grants
}

// create creates the grants with the account's credentials.
func (s simulated) create(t *testing.T, account string, grants []manifest.Grant) {
	t.Helper()
	id, secret := s.AccessKey(account)
	for _, g := range grants {
		client := kms.NewFromConfig(aws.Config{Region: g.Region, Credentials: credentials.NewStaticCredentialsProvider(id, secret, ""), HTTPClient: s.Client()})
		input := &kms.CreateGrantInput{KeyId: &g.KeyARN, GranteePrincipal: &g.Role, Name: &g.Name}
		for _, operation := range g.Operations {
			input.Operations = append(input.Operations, kmstypes.GrantOperation(operation))
		}
		if _, err := client.CreateGrant(t.Context(), input); err != nil {
			t.Fatalf("as %s: %v", account, err)
		}
	}
}

// autoScales returns why the Auto Scaling group of an account can't launch the image; ""
// if it can.
func (s simulated) autoScales(t *testing.T, account, region, image string) string {
	t.Helper()
	launch, err := s.LaunchAsServiceLinkedRole(account, autoScalingRole, region, image)
	if err != nil {
		t.Fatal(err)
	}
	if launch.Reason == "" {
		return ""
	}
	return launch.Reason + ": " + launch.Diagnosis
}

// A grant that the key's owner created doesn't let a member's Auto Scaling
// group launch, and the launch check reports it. With the member's own grant,
// the launch succeeds and the check passes.
func TestGrantsOfTheOwnerDontCount(t *testing.T) {
	t.Parallel()
	sim := newAWSWith(t, withGolden(), awssim.Options{})
	p := newPacker(t, sim.environment...)
	folder := template(t, fromExisting, keep, emitting)
	p.mustBuild(folder)
	const member = "222222222222"
	for _, step := range []struct {
		creator  string
		launches bool
		outcome  evaluate.Outcome
		says     string
	}{
		{awssim.PublishingAccount, false, evaluate.Pending, "created by account " + awssim.PublishingAccount + "; it doesn't let the role use the key"},
		{member, true, evaluate.Launches, "0 failed, 0 pending"},
	} {
		// The name differs from that of the owner's grant, because CreateGrant returns
		// the existing grant for the same name.
		sim.create(t, step.creator, emitted(t, folder))
		output := p.mustBuild(folder)
		if !strings.Contains(output, step.says) {
			t.Errorf("with grants of %s, %q is not in:\n%s", step.creator, step.says, output)
		}
		m := readJSON[manifest.Manifest](t, folder, "orgami", manifest.File)
		for region, image := range m.Images {
			if why := sim.autoScales(t, member, region, image.ImageID); (why == "") != step.launches {
				t.Errorf("with grants of %s, a launch in %s: %q", step.creator, region, why)
			}
			check, found := m.Launches.Find(member, region, "EC2 Auto Scaling")
			if !found || check.Outcome != step.outcome {
				t.Errorf("with grants of %s, the launch check in %s: %+v", step.creator, region, check)
			}
		}
	}
}

// The volumes of a member account are encrypted with its default EBS key. If that is a
// customer managed key that doesn't allow the role, the launch fails. The launch checks
// can't read the key, so they print the assumption, once.
func TestDefaultKeyOfAMember(t *testing.T) {
	t.Parallel()
	const statement = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::ACCOUNT:root"},"Action":"kms:*","Resource":"*"}ROLE]}`
	const allowed = `,{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::ACCOUNT:role/aws-service-role/autoscaling.amazonaws.com/` + autoScalingRole + `"},"Action":["kms:Encrypt","kms:Decrypt","kms:ReEncrypt*","kms:GenerateDataKey*","kms:DescribeKey","kms:CreateGrant"],"Resource":"*"}`
	file := withGolden()
	members := awssim.MemberAccounts()[:3]
	for i, role := range []string{"", allowed} {
		key := awssim.KeyFile{Account: members[i], Region: "eu-west-1", Description: "default EBS key", Policy: []byte(strings.NewReplacer("ROLE", strings.ReplaceAll(role, "ACCOUNT", members[i]), "ACCOUNT", members[i]).Replace(statement))}
		file.Keys = append(file.Keys, key)
		for j := range file.Accounts {
			if file.Accounts[j].ID == members[i] {
				file.Accounts[j].EBSDefaultKey = map[string]string{"eu-west-1": key.ARN("eu-west-1")}
			}
		}
	}
	sim := newAWSWith(t, file, awssim.Options{})
	p := newPacker(t, sim.environment...)
	output := p.mustBuild(template(t, fromExisting, keep, strings.Replace(publish, `["222222222222"]`, `["`+strings.Join(members, `", "`)+`"]`, 1)))
	const assumption = "assumed, because it couldn't be read: allowed-amis, identity-policy, scp, volume-key ("
	if n := strings.Count(output, "(orgami-publish):     "+assumption); n != 1 {
		t.Errorf("the assumption is printed %d times:\n%s", n, output)
	}
	images := sim.images("golden-shared")
	for i, account := range members {
		why := sim.autoScales(t, account, "eu-west-1", images["eu-west-1"])
		if fails := i == 0; (why != "") != fails || fails && !strings.Contains(why, file.Keys[0].ARN("eu-west-1")) {
			t.Errorf("a launch in %s: %q", account, why)
		}
		if why := sim.autoScales(t, account, "us-east-1", images["us-east-1"]); why != "" {
			t.Errorf("a launch in %s with aws/ebs: %q", account, why)
		}
	}
}

// Without member_role, the grants of other accounts are emitted: the publication is
// complete and their launch checks are pending. create-grants.sh creates them, and then
// the audit passes.
func TestEmittedGrants(t *testing.T) {
	t.Parallel()
	sim := newAWSWith(t, withGolden(), awssim.Options{})
	p := newPacker(t, sim.environment...)
	folder := template(t, fromExisting, keep, emitting)
	output := p.mustBuild(folder)
	for _, says := range []string{"2 pending (grants not created yet)", "Create these grants with credentials of each account: run create-grants.sh"} {
		if !strings.Contains(output, says) {
			t.Errorf("%q is not in:\n%s", says, output)
		}
	}
	if m := readJSON[manifest.Manifest](t, folder, "orgami", manifest.File); !m.Complete || m.LaunchChecks.Pending != 2 || m.Grants.ToCreate != 2 {
		t.Errorf("complete %v, checks %+v, grants %+v", m.Complete, m.LaunchChecks, m.Grants)
	}
	audit := template(t, fromExisting, keep, emittingWith("plan_only = true\nfail_on_drift = true"))
	if output, err := p.build(audit); err == nil || !strings.Contains(output, "2 grants are missing") {
		t.Errorf("before the grants are created, the audit ended with %v:\n%s", err, output)
	}
	if _, err := exec.LookPath("aws"); err == nil {
		output, err := sim.shell(t, awssim.PublishingAccount, []string{"GRANT_ROLE=" + awssim.GrantRole}, "bash", filepath.Join(folder, "orgami", manifest.GrantsScript))
		if err != nil || strings.Count(output, ": granted to ") != 2 {
			t.Errorf("%s: %v\n%s", manifest.GrantsScript, err, output)
		}
	} else {
		sim.create(t, "222222222222", emitted(t, folder))
	}
	if output := p.mustBuild(audit); !strings.Contains(output, "0 failed, 0 pending") {
		t.Errorf("after the grants were created, the audit printed:\n%s", output)
	}
	for region, image := range sim.images("golden-shared") {
		if why := sim.autoScales(t, "222222222222", region, image); why != "" {
			t.Errorf("a launch in %s: %s", region, why)
		}
	}
}

// shell runs a command line with the account's credentials and the AWS CLI.
func (s simulated) shell(t *testing.T, account string, environment []string, name string, arguments ...string) (string, error) {
	t.Helper()
	id, secret := s.AccessKey(account)
	command := exec.CommandContext(t.Context(), name, arguments...)
	command.Env = append(append(cleanEnvironment(), s.environment...),
		"HOME="+os.Getenv("HOME"), "AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull, "AWS_EC2_METADATA_DISABLED=true",
		"AWS_ACCESS_KEY_ID="+id, "AWS_SECRET_ACCESS_KEY="+secret)
	command.Env = append(command.Env, environment...)
	output, err := command.CombinedOutput()
	return string(output), err
}

// memberPipeline runs the script of example/member-pipeline in each account, and then
// launches everywhere. Another run reports the checks as passed.
func memberPipeline(t *testing.T, s simulated, p packer, folder string) {
	t.Helper()
	for _, tool := range []string{"aws", "jq"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	images := s.images(readJSON[manifest.Manifest](t, folder, "orgami", manifest.File).Images["us-east-1"].Name)
	for shell, account := range map[string]string{"bash": "222222222222", "zsh": "333333333333"} {
		if _, err := exec.LookPath(shell); err != nil {
			shell = "bash"
		}
		if why := s.autoScales(t, account, "eu-west-1", images["eu-west-1"]); !strings.Contains(why, "no grant") {
			t.Errorf("without grants, a launch in %s: %q", account, why)
		}
		output, err := s.shell(t, account, nil, shell, filepath.Join(folder, "create-grants.sh"), filepath.Join(folder, "orgami", manifest.GrantsFile))
		if err != nil || strings.Count(output, ": created a grant") != 4 || strings.Count(output, ": skipped, the role doesn't exist") != 2 {
			t.Errorf("%s create-grants.sh in %s: %v\n%s", shell, account, err, output)
		}
		for region, image := range images {
			if why := s.autoScales(t, account, region, image); why != "" {
				t.Errorf("a launch in %s of %s: %s", region, account, why)
			}
		}
	}
	again := template(t, fromExisting, keep, strings.NewReplacer(`["222222222222"]`, `["222222222222", "333333333333"]`, "alias/golden", "alias/golden-ami", `member_role = "orgami-grants"`, "").Replace(publish))
	p.mustBuild(again)
	checks := readJSON[manifest.Manifest](t, again, "orgami", manifest.File).LaunchChecks
	if checks == nil || checks.Passed == 0 || checks.Failed != 0 || checks.Pending != 4 { // AWSServiceRoleForEC2Spot doesn't exist
		t.Errorf("launch checks: %+v", checks)
	}
	if _, err := exec.LookPath("shellcheck"); err == nil {
		if said, err := exec.CommandContext(t.Context(), "shellcheck", filepath.Join(folder, "create-grants.sh")).CombinedOutput(); err != nil {
			t.Errorf("shellcheck: %s", said)
		}
	}
}
