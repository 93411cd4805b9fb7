package e2e

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
	"github.com/orgami/packer-plugin-orgami/internal/record/manifest"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// paste runs a command line in the shells on this machine, with an AWS CLI profile for
// each account. The effect of the last shell counts.
func (s simulated) paste(t *testing.T, account, text string, environment ...string) {
	t.Helper()
	if _, err := exec.LookPath("aws"); err != nil {
		t.Skip(err)
	}
	for _, shell := range []string{"zsh", "bash"} {
		if _, err := exec.LookPath(shell); err != nil {
			continue
		}
		command := exec.CommandContext(t.Context(), shell, "-c", text)
		command.Dir = t.TempDir()
		command.Env = append(append(cleanEnvironment(), "HOME="+os.Getenv("HOME"), "AWS_PAGER=", "AWS_EC2_METADATA_DISABLED=true",
			"AWS_CONFIG_FILE="+profiles(t, s), "AWS_PROFILE="+account, s.environment[0]), environment...)
		if output, err := command.CombinedOutput(); err != nil {
			t.Errorf("%s, as %s: %s: %v\n%s", shell, account, text, err, output)
		}
	}
}

// Commands of kms-grants.json, each with credentials of its account, end in grants that
// the next run accepts. So does the loop over accounts that the launch checks print.
func TestConsumerGrantCommands(t *testing.T) {
	t.Parallel()
	const members = `["222222222222", "333333333333"]`
	two := strings.Replace(emitting, `["222222222222"]`, members, 1)
	for name, create := range map[string]func(*testing.T, simulated, string){
		"kms-grants.json": func(t *testing.T, s simulated, folder string) {
			t.Helper()
			for _, g := range emitted(t, folder) {
				s.paste(t, g.Account, g.Command)
			}
		},
		"remedy": func(t *testing.T, s simulated, folder string) {
			t.Helper()
			for _, c := range readJSON[manifest.Manifest](t, folder, "orgami", manifest.File).Launches {
				if c.Outcome == evaluate.Launches {
					continue
				}
				link, _ := c.Broken()
				if len(c.Accounts) != 2 || link.Name != "grant" {
					t.Errorf("%+v", c)
				}
				s.paste(t, awssim.PublishingAccount, link.Remedy)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim := newAWSWith(t, withGolden(), awssim.Options{})
			p := newPacker(t, sim.environment...)
			folder := template(t, fromExisting, keep, two)
			if output := p.mustBuild(folder); !strings.Contains(output, "4 pending") {
				t.Fatal(output)
			}
			create(t, sim, folder)
			if output := p.mustBuild(folder); !strings.Contains(output, "0 failed, 0 pending") {
				t.Error(output)
			}
			expectLaunches(t, folder, "333333333333", true, sim.autoScales)
		})
	}
}

// Something is broken after a publication. The remedy that the next run prints, in its
// launch checks or its error, is pasted; then the run succeeds, with all checks passed.
func TestConsumerRemedies(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		damage func(*testing.T, simulated, manifest.Manifest)
		check  string // the launch checks fail, if it is empty
		says   string // a part of the remedy
		editor string // the reader's edit
	}{
		"a disabled key": {
			damage: func(t *testing.T, s simulated, m manifest.Manifest) {
				t.Helper()
				if _, err := s.kms().DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: &m.Key.ID}); err != nil {
					t.Fatal(err)
				}
			},
			says: "aws kms enable-key",
		},
		"a key to be deleted": {
			damage: func(t *testing.T, s simulated, m manifest.Manifest) {
				t.Helper()
				client := kms.NewFromConfig(s.config("eu-west-1"))
				if _, err := client.ScheduleKeyDeletion(t.Context(), &kms.ScheduleKeyDeletionInput{KeyId: &m.Key.ID}); err != nil {
					t.Fatal(err)
				}
			},
			says: "aws kms cancel-key-deletion",
		},
		"a disabled image": {
			damage: func(t *testing.T, s simulated, m manifest.Manifest) {
				t.Helper()
				s.paste(t, awssim.PublishingAccount, "aws ec2 disable-image --region eu-west-1 --image-id "+m.Images["eu-west-1"].ImageID)
			},
			says: "aws ec2 enable-image",
		},
		"a denial in the key policy": {
			damage: denyDecrypt,
			check:  "warn",
			says:   "aws kms put-key-policy",
			editor: `jq '.Statement |= map(select(.Sid != "Stop"))' "$1" >edited && mv edited "$1"`,
		},
		"a denial in the key policy that the plan finds": {
			damage: denyDecrypt,
			says:   "aws kms put-key-policy",
			editor: `jq '.Statement |= map(select(.Sid != "Stop"))' "$1" >edited && mv edited "$1"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim := newAWSWith(t, withGolden(), awssim.Options{})
			p := newPacker(t, sim.environment...)
			folder := template(t, fromExisting, keep, publishWith(fmt.Sprintf("  check = %q", cmp.Or(test.check, "fail"))))
			p.mustBuild(folder)
			test.damage(t, sim, readJSON[manifest.Manifest](t, folder, "orgami", manifest.File))
			remedies := map[string]bool{}
			output, err := p.build(folder)
			var launches evaluate.Matrix
			if err == nil {
				launches = readJSON[manifest.Manifest](t, folder, "orgami", manifest.File).Launches
			} else {
				failure := readJSON[manifest.Failure](t, folder, "orgami", manifest.FailureFile)
				launches = failure.Launches
				for _, problem := range failure.Errors {
					for _, quoted := range quotedCommand.FindAllStringSubmatch(problem, -1) {
						remedies[quoted[1]] = true
					}
				}
			}
			for _, c := range launches {
				if link, found := c.Broken(); found && c.Outcome == evaluate.Fails {
					remedies[link.Remedy] = true
				}
			}
			var editor []string
			if test.editor != "" {
				path := filepath.Join(t.TempDir(), "editor")
				mustWriteText(t, path, "#!/usr/bin/env bash\nset -e\n"+test.editor+"\n")
				if err := os.Chmod(path, 0o755); err != nil {
					t.Fatal(err)
				}
				editor = []string{"EDITOR=" + path}
			}
			found := false
			for _, cancels := range []bool{true, false} { // deletions are canceled before keys are enabled
				for remedy := range remedies {
					if strings.Contains(remedy, "cancel-key-deletion") == cancels {
						found = found || strings.Contains(remedy, test.says)
						sim.paste(t, awssim.PublishingAccount, remedy, editor...)
					}
				}
			}
			if !found {
				t.Errorf("no remedy has %q: %v\n%s", test.says, remedies, output)
			}
			if output := p.mustBuild(folder); !strings.Contains(output, "0 failed, ") {
				t.Errorf("after %v:\n%s", remedies, output)
			}
		})
	}
}

// denyDecrypt adds a statement to the policy of a regional key that denies everyone
// kms:Decrypt.
func denyDecrypt(t *testing.T, s simulated, m manifest.Manifest) {
	t.Helper()
	client := kms.NewFromConfig(s.config("eu-west-1"))
	current, err := client.GetKeyPolicy(t.Context(), &kms.GetKeyPolicyInput{KeyId: &m.Key.ID, PolicyName: aws.String("default")})
	if err != nil {
		t.Fatal(err)
	}
	denied := strings.Replace(*current.Policy, `"Statement": [`, `"Statement": [{"Sid":"Stop","Effect":"Deny","Principal":{"AWS":"*"},"Action":"kms:Decrypt","Resource":"*"},`, 1)
	if denied == *current.Policy {
		t.Fatal(denied)
	}
	if _, err := client.PutKeyPolicy(t.Context(), &kms.PutKeyPolicyInput{KeyId: &m.Key.ID, Policy: &denied}); err != nil {
		t.Fatal(err)
	}
}

// config is the publisher's configuration for a Region.
func (s simulated) config(region string) aws.Config {
	client := s.kms()
	return aws.Config{Region: region, Credentials: client.Options().Credentials, HTTPClient: client.Options().HTTPClient}
}

var (
	// quotedCommand is a command in the text of an error.
	quotedCommand = regexp.MustCompile(`'(aws [^']+)'`)
	// sourceCommand is a command in a string of the source code.
	sourceCommand = regexp.MustCompile(`aws (?:[a-z][a-z0-9-]+) [a-z][a-z-]+-[a-z-]+[^';&>` + "`" + `]*`)
	verb          = regexp.MustCompile(`%(\[\d+\])?[sdqv]`)
)

// values are values of parameters by their names.
var values = map[string]string{
	"--region": "us-east-1", "--source-region": "us-east-1", "--region-name": "af-south-1", "--key-id": "mrk-1234abcd12ab34cd56ef1234567890ab",
	"--image-id": "ami-0123456789abcdef0", "--image-ids": "ami-0123456789abcdef0", "--source-image-id": "ami-0123456789abcdef0", "--snapshot-id": "snap-0123456789abcdef0", "--snapshot-ids": "snap-0123456789abcdef0",
	"--role-name": "KarpenterControllerRole", "--grantee-principal": "arn:aws:iam::222222222222:role/KarpenterControllerRole", "--operations": "Decrypt", "--name": "golden",
	"--target-id": "222222222222", "--aws-service-name": "autoscaling.amazonaws.com",
}

// The AWS CLI accepts every command in the plugin's messages: each has all parameters
// that the call requires, and no others.
func TestConsumerCommandsInMessages(t *testing.T) {
	t.Parallel()
	cli, err := exec.LookPath("aws")
	if err != nil {
		t.Skip(err)
	}
	commands := map[string]string{}
	for _, folder := range []string{"internal", "post-processor", "builder", "datasource"} {
		err := filepath.WalkDir(filepath.Join("..", "..", folder), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "example") ||
				filepath.Base(path) == "script.go" { // it runs in other tests
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				literal, isString := n.(*ast.BasicLit)
				if !isString || literal.Kind != token.STRING {
					return true
				}
				text, err := strconv.Unquote(literal.Value)
				if err != nil {
					t.Error(err)
				}
				for _, command := range sourceCommand.FindAllString(text, -1) {
					commands[strings.TrimSpace(command)] = path
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(commands) < 20 {
		t.Errorf("only %d commands: %v", len(commands), commands)
	}
	folder := t.TempDir()
	mustWriteText(t, filepath.Join(folder, "key-policy.json"), "{}") // an earlier command writes it
	for command, path := range commands {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			words := strings.Fields(command)
			for i := range words {
				if verb.MatchString(words[i]) {
					words[i] = verb.ReplaceAllString(strings.Trim(words[i], `"`), cmp.Or(values[words[i-1]], "222222222222"))
				}
			}
			last := words[len(words)-1]
			if value := values[last]; value != "" { // the rest of the text adds it
				words = append(words, value)
			}
			run := exec.CommandContext(t.Context(), cli, append(words[1:], "--endpoint-url", "http://127.0.0.1:9")...)
			run.Dir = folder
			run.Env = append(cleanEnvironment(), "HOME="+os.Getenv("HOME"), "AWS_MAX_ATTEMPTS=1", "AWS_EC2_METADATA_DISABLED=true", "AWS_DEFAULT_REGION=us-east-1",
				"AWS_ACCESS_KEY_ID=id", "AWS_SECRET_ACCESS_KEY=secret", "AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull)
			if output, _ := run.CombinedOutput(); !strings.Contains(string(output), "Could not connect to the endpoint URL") {
				t.Errorf("%s: %q: %s", path, words, output)
			}
		})
	}
}
