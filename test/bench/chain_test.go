package bench

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// chainRegions are those of the comparison in real time: the first alone, or all.
var chainRegions = []string{"us-east-1", "eu-west-1", "ap-southeast-2"}

// chainKey is the key for the ways that don't create one.
const chainKey = "alias/golden"

//go:embed testdata/serial.py
var serialScript string

//go:embed testdata/chain.pkr.hcl
var chainTemplate string

//go:embed testdata/under_key.pkr.hcl
var underKeyTemplate string

// way is one way to bring an image to all Regions.
type way struct {
	name, does string
	template   string
	source     string // of the template; "" for the script
	needsKey   bool
	everywhere bool // it is measured with all Regions only
}

var ways = []way{
	{
		"amazon-ebs alone: ami_regions, region_kms_key_ids, ami_org_arns", "build, copies encrypted with an existing key, sharing; no key, no grants",
		chainTemplate, "amazon-ebs.copies", true, true,
	},
	{PluginWay, "build, key, copies, grants, sharing, documents, all read back", chainTemplate, "amazon-ebs.golden", false, false},
	{"data.orgami-key for amazon-ebs's volumes, then orgami-publish", "build encrypted with an existing key, copies to the other Regions, grants, sharing, documents, all read back", underKeyTemplate, "amazon-ebs.volumes", true, false},
	{"data.orgami-key for amazon-ebs's region_kms_key_ids, then orgami-publish", "build, copies by amazon-ebs encrypted with an existing key, grants, sharing, documents, all read back", underKeyTemplate, "amazon-ebs.regions", true, true},
	{"boto3, serial, with waiters", "key, copies, grants, sharing of an existing image", "", "", false, true},
}

// TestChains runs common tools and the plugin, one after another, with the same Regions
// and copy time and each tool's defaults.
func TestChains(t *testing.T) {
	if os.Getenv(Variable) == "" {
		t.Skip("runs Packer in real time for minutes: 'make bench' does it")
	}
	for _, copyTime := range []time.Duration{30 * time.Second, time.Minute} {
		for _, way := range ways {
			for _, regions := range [][]string{chainRegions[:1], chainRegions} {
				if way.everywhere && len(regions) == 1 {
					continue
				}
				t.Run(fmt.Sprintf("%s, %d regions, copies of %v", way.name, len(regions), copyTime), func(t *testing.T) {
					t.Parallel() // they mostly wait, each in its own world
					chain := way.measure(t, regions, copyTime)
					recordLine(t, Line{Chain: &chain})
					t.Logf("%+v", chain)
				})
			}
		}
	}
}

func (w way) measure(t *testing.T, regions []string, copyTime time.Duration) Chain {
	t.Helper()
	chain := Chain{Way: w.name, Does: w.does, Regions: len(regions), CopyTime: copyTime}
	file := awssim.DefaultWorld()
	file.Images = []awssim.ImageFile{{
		Account: awssim.PublishingAccount, Region: chainRegions[0], ID: sourceImage, Name: "golden", Architecture: "x86_64", Snapshots: []int{8}, Encrypted: true,
	}}
	timing := Cell{CopyTime: copyTime}.Timing()
	timing.BuildTime = 10 * time.Second
	timing.ImageLag = 0 // amazon-ebs fails on a copy that readers do not see yet
	world, err := awssim.New(file, timing)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(world)
	t.Cleanup(server.Close)
	id, secret := world.AccessKey(awssim.PublishingAccount)
	environment := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(),
		"AWS_ENDPOINT_URL=" + server.URL, "AWS_ACCESS_KEY_ID=" + id, "AWS_SECRET_ACCESS_KEY=" + secret,
		"AWS_REGION=" + chainRegions[0], "AWS_DEFAULT_REGION=" + chainRegions[0],
		"AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull,
		"HTTP_PROXY=http://127.0.0.1:9", "HTTPS_PROXY=http://127.0.0.1:9", "NO_PROXY=127.0.0.1,localhost",
	}
	var command *exec.Cmd
	if w.source == "" {
		command, chain.Skipped = script(t, environment)
	} else {
		command = packer(t, environment, w, regions)
	}
	if chain.Skipped != "" {
		return chain
	}
	if w.needsKey {
		makeKey(t, world)
	}
	world.ResetJournal()
	start := time.Now()
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, output)
	}
	chain.Wall = time.Since(start)
	for _, e := range world.Journal() {
		chain.Calls.add(e)
	}
	return chain
}

// packer installs the plugins in a folder of the test and returns the build.
func packer(t *testing.T, environment []string, w way, regions []string) *exec.Cmd {
	t.Helper()
	home := t.TempDir()
	environment = append(environment, "CHECKPOINT_DISABLE=1", "PACKER_CONFIG_DIR="+home,
		"PACKER_PLUGIN_PATH="+filepath.Join(home, "plugins"), "PACKER_CACHE_DIR="+filepath.Join(home, "cache"))
	run := func(arguments ...string) *exec.Cmd {
		command := exec.CommandContext(t.Context(), fromEnvironment(t, "ORGAMI_TEST_PACKER"), arguments...)
		command.Env, command.Dir = environment, home
		return command
	}
	for plugin, variable := range map[string]string{"github.com/hashicorp/amazon": "ORGAMI_TEST_AMAZON_PLUGIN", "github.com/orgami/orgami": "ORGAMI_TEST_PLUGIN"} {
		if output, err := run("plugins", "install", "--path", fromEnvironment(t, variable), plugin).CombinedOutput(); err != nil {
			t.Fatalf("installing %s: %v\n%s", plugin, err, output)
		}
	}
	if err := os.WriteFile(filepath.Join(home, "build.pkr.hcl"), []byte(w.template), 0o600); err != nil {
		t.Fatal(err)
	}
	list, err := json.Marshal(regions)
	if err != nil {
		t.Fatal(err)
	}
	return run("build", "-color=false", "-only=*"+w.source, "-var", "regions="+string(list), "build.pkr.hcl")
}

func fromEnvironment(t *testing.T, variable string) string {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		t.Skipf("%s is not set: 'make bench' sets it", variable)
	}
	return path
}

// script returns the serial script, or the reason why it can't run here.
func script(t *testing.T, environment []string) (command *exec.Cmd, skipped string) {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		return nil, "python3 is not on this machine"
	}
	if err := exec.CommandContext(t.Context(), python, "-c", "import boto3").Run(); err != nil {
		return nil, "boto3 is not on this machine"
	}
	task, err := json.Marshal(map[string]any{
		"regions": chainRegions, "image": sourceImage, "alias": chainKey, "accounts": awssim.MemberAccounts()[:2],
		"owner": awssim.PublishingAccount, "member_role": awssim.GrantRole,
	})
	if err != nil {
		t.Fatal(err)
	}
	command = exec.CommandContext(t.Context(), python, "-")
	command.Stdin = strings.NewReader(serialScript)
	command.Env = slices.Concat(environment, []string{"PYTHONDONTWRITEBYTECODE=1", "TASK=" + string(task)})
	return command, ""
}
