package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// guide configures how the commands of a page run.
type guide struct {
	// account runs the commands; others are those of single blocks, by a part of the
	// block's text.
	account string
	others  map[string]string
	// world changes the simulated AWS.
	world func(*awssim.WorldFile)
	// before are commands that create what the page assumes.
	before string
	// replace maps names in the page to those of the simulated AWS.
	replace []string
}

func guides() map[string]guide {
	const member = "222222222222"
	return map[string]guide{
		"docs/guides/auto-scaling.md": {
			account: member,
			others:  map[string]string{"kms list-grants": awssim.PublishingAccount},
			before: `
image=$(jq -r '.images["eu-west-1"].image_id' orgami/orgami.json)
aws ec2 create-launch-template --region eu-west-1 --launch-template-name web --launch-template-data '{"ImageId":"'$image'","InstanceType":"t3.micro"}'
aws autoscaling create-auto-scaling-group --region eu-west-1 --auto-scaling-group-name web --min-size 0 --max-size 1 --vpc-zone-identifier "$(aws ec2 describe-subnets --region eu-west-1 --query 'Subnets[0].SubnetId' --output text)" --launch-template LaunchTemplateName=web`,
		},
		"docs/guides/eks-managed-node-groups.md": {account: member},
		"docs/guides/karpenter.md":               {account: member},
		"docs/guides/organization.md": {account: member, others: map[string]string{
			"stack-set":                  awssim.ManagementAccount,
			"create-service-linked-role": "333333333333",
		}},
		"docs/guides/troubleshoot.md": {account: member},
		"docs/guides/settings-that-block.md": {
			account: member,
			others:  map[string]string{"aws organizations": awssim.ManagementAccount},
			world: func(file *awssim.WorldFile) {
				file.Regions = append(file.Regions, awssim.RegionFile{Name: "ap-east-1", OptIn: true})
				accountIn(file, member).ServiceControlPolicies = []json.RawMessage{json.RawMessage(awssim.FullAWSAccess), document(`{"Effect":"Deny","Action":"ec2:RunInstances","Resource":"*"}`)}
			},
			before: `
image=$(jq -r '.images["eu-west-1"].image_id' orgami/orgami.json)
denied=$(aws ec2 run-instances --region eu-west-1 --image-id "$image" --instance-type t3.micro 2>&1) || true
message=${denied##*Encoded authorization failure message: }
printf 'message: %s\n' "$message"`,
		},
		"docs/guides/tutorial.md": {account: awssim.PublishingAccount, replace: []string{
			`ssh_username  = "ec2-user"`, `communicator  = "none"`,
			`"amazon-eks-node-al2023-x86_64-standard-1.34-*"`, `"al2023-ami-2023.*-x86_64"`,
			"packer init golden.pkr.hcl #", "#",
		}},
	}
}

var (
	shellBlock = regexp.MustCompile("(?ms)^```sh\n(.*?)^```")
	savedFile  = regexp.MustCompile("(?ms)[Ss]ave th[a-z ]+ as `([^`]+)`.*?^```[a-z]+\n(.*?)^```")
	classPart  = regexp.MustCompile("(?ms)^```yaml\n(spec:\n.*?)^```")
	command    = regexp.MustCompile(`\b(aws|jq|kubectl|terraform|packer) `)
)

// The shell blocks of the guides run, one after the other, in a folder with the files
// of a publication. Commands of services that the simulated AWS doesn't have
// (CloudFormation, EKS and others) are only parsed by the AWS CLI, with the values of
// every parameter. kubectl, where it's installed, patches a class that the test serves,
// and Karpenter's CRD validates the patch.
func TestConsumerGuides(t *testing.T) {
	for _, tool := range []string{"aws", "jq", "bash"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	all := guides()
	for name, text := range pages(t) {
		if name == "test/awssim/README.md" {
			continue // TestSessionOfReadme runs it
		}
		how, known := all[name]
		if !known {
			for _, block := range shellBlock.FindAllStringSubmatch(text, -1) {
				if strings.Contains(block[1], "aws ") {
					t.Errorf("%s has commands, and no test runs them", name)
				}
			}
			continue
		}
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			how.run(t, text)
		})
	}
}

func (g guide) run(t *testing.T, page string) {
	t.Helper()
	page = strings.NewReplacer(g.replace...).Replace(page)
	file := withGolden()
	addRole(&file, "222222222222", awssim.RoleFile{Name: "KarpenterControllerRole-mycluster"})
	accountIn(&file, "333333333333").ServiceLinkedRoles = nil
	if g.world != nil {
		g.world(&file)
	}
	sim := newAWSWith(t, file, awssim.Options{})
	p := newPacker(t, sim.environment...)
	folder := template(t, fromExisting, keep, publishWith("outputs = [\"ec2nodeclass\", \"cloudformation\"]\nec2nodeclass {\nami_family = \"AL2023\"\n}"))
	p.mustBuild(folder)
	for _, architecture := range []string{"x86_64", "arm64"} { // of two publications
		copied := t.TempDir()
		if err := errors.Join(os.CopyFS(copied, os.DirFS(filepath.Join(folder, "orgami"))), os.Rename(copied, filepath.Join(folder, architecture))); err != nil {
			t.Fatal(err)
		}
	}
	for _, architecture := range []string{"x86_64", "arm64"} {
		if err := os.Rename(filepath.Join(folder, architecture), filepath.Join(folder, "orgami", architecture)); err != nil {
			t.Fatal(err)
		}
	}
	mustWriteText(t, filepath.Join(folder, "member-role.yaml"), "Resources: {}\n")
	for _, saved := range savedFile.FindAllStringSubmatch(page, -1) {
		mustWriteText(t, filepath.Join(folder, saved[1]), saved[2])
	}

	script := new(strings.Builder)
	fmt.Fprintf(script, "set -euo pipefail\nexport AWS_PROFILE=%s\n%s\n", g.account, g.before)
	blocks := 0
	for _, block := range shellBlock.FindAllStringSubmatch(page, -1) {
		if !command.MatchString(block[1]) {
			continue
		}
		blocks++
		fmt.Fprintf(script, "printf 'block %d\\n'\n", blocks)
		account := ""
		for _, part := range slices.Sorted(maps.Keys(g.others)) {
			if strings.Contains(block[1], part) {
				account = g.others[part]
			}
		}
		if account != "" {
			fmt.Fprintf(script, "before=$AWS_PROFILE; export AWS_PROFILE=%s\n%s\nexport AWS_PROFILE=$before\n", account, block[1])
		} else {
			fmt.Fprintln(script, block[1])
		}
	}
	kubernetes := newCluster(t, karpenterClasses(t)[0])
	before := kubernetes.selected()
	environment := programs(t, newPacker(t, sim.environment[0], "AWS_CONFIG_FILE="+profiles(t, sim)), kubernetes)
	run := exec.CommandContext(t.Context(), "bash", "-c", script.String())
	run.Dir = folder
	run.Env = slices.Concat(environment, []string{"AWS_PAGER="})
	output, err := run.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, output)
	}
	if patched := kubernetes.selected(); strings.Contains(string(output), "REAL kubectl patch") && (!strings.HasPrefix(patched, "ami-") || patched == before) {
		t.Errorf("the class selected %q, and after the patch %q", before, patched)
	}
	t.Logf("%d blocks, %d commands, %d of them only parsed", blocks, strings.Count(string(output), "CALLED"), strings.Count(string(output), "PARSED"))
	g.checkClasses(t, page)
}

// checkClasses validates the fragments of EC2NodeClasses in a page with Karpenter's
// CRD.
func (g guide) checkClasses(t *testing.T, page string) {
	t.Helper()
	for n, part := range classPart.FindAllStringSubmatch(page, -1) {
		file := filepath.Join(t.TempDir(), "part.yaml")
		mustWriteText(t, file, part[1])
		if output, err := karpenter(t, nil, "check", karpenterClasses(t)[0], file); err != nil {
			t.Errorf("class %d: %s", n+1, output)
		}
	}
}

// profiles is an AWS configuration with a profile for each account that has the
// account's ID as its name.
func profiles(t *testing.T, s simulated) string {
	t.Helper()
	text := new(strings.Builder)
	for _, account := range slices.Concat([]string{awssim.ManagementAccount, awssim.PublishingAccount}, awssim.MemberAccounts()) {
		id, secret := s.AccessKey(account)
		fmt.Fprintf(text, "[profile %s]\nregion = us-east-1\naws_access_key_id = %s\naws_secret_access_key = %s\n", account, id, secret)
	}
	path := filepath.Join(t.TempDir(), "config")
	mustWriteText(t, path, text.String())
	return path
}

// programs puts programs named aws, kubectl and packer into the PATH.
func programs(t *testing.T, p packer, kubernetes *cluster) []string {
	t.Helper()
	folder := t.TempDir()
	cli, err := exec.LookPath("aws")
	if err != nil {
		t.Fatal(err)
	}
	classes := karpenterClasses(t)
	kubectl, err := exec.LookPath("kubectl")
	if err != nil {
		t.Log("NOT TESTED: kubectl isn't installed: the guides' patches are only validated")
	}
	class, err := filepath.Abs(classes[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		// Commands of services that aren't simulated reach no endpoint. The AWS CLI
		// validates their parameters before it connects.
		"aws": `
echo "CALLED aws $1 $2" >&2
case "$1 $2" in
"cloudformation deploy")
	shift 2
	while [ "$1" != --template-file ]; do shift; done
	set -- cloudformation validate-template --region us-east-1 --template-body "file://$2" ;;
"cloudformation "* | "eks "* | "cloudtrail "*) ;;
*) exec "` + cli + `" "$@" ;;
esac
echo PARSED >&2
answer=$(AWS_MAX_ATTEMPTS=1 "` + cli + `" "$@" --endpoint-url http://127.0.0.1:9 2>&1) || true
case $answer in
*"Could not connect to the endpoint URL"*) ;;
*) echo "$answer" >&2; exit 1 ;;
esac`,
		"kubectl": `
echo "CALLED kubectl $1 $2" >&2
case "$1" in
patch) [ -z "${ORGAMI_TEST_KARPENTER:-}" ] || "$ORGAMI_TEST_KARPENTER" check "` + class + `" "${@: -1}" ;;
esac
[ -n "` + kubectl + `" ] || exit 0
echo "REAL kubectl $1 $2" >&2
exec "` + kubectl + `" "$@"`,
		"packer": `exec "` + p.binary + `" "$@"`,
	} {
		path := filepath.Join(folder, name)
		mustWriteText(t, path, "#!/usr/bin/env bash\n"+strings.TrimPrefix(text, "\n")+"\n")
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return append(p.environment, "PATH="+folder+string(os.PathListSeparator)+os.Getenv("PATH"), "HOME="+os.Getenv("HOME"), "KUBECONFIG="+kubernetes.config, "ORGAMI_TEST_KARPENTER="+os.Getenv("ORGAMI_TEST_KARPENTER"))
}
