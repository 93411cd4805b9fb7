package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
	"github.com/orgami/packer-plugin-orgami/test/golden"
)

// mistake is a typical mistake with the README's template.
type mistake struct {
	title, story string
	world        func(*awssim.WorldFile)
	before       func(*testing.T, simulated)
	credentials  func(*testing.T, simulated) []string
	template     func(string) string
	// says is the part of the error with the next step.
	says string
	// not is advice that wouldn't help and must not be in the error.
	not string
}

func mistakes() []mistake {
	return []mistake{
		{
			title: "The account is in no organization",
			story: "The unchanged template of the README, in an account that isn't a member of an organization.",
			world: func(file *awssim.WorldFile) {
				accountIn(file, awssim.PublishingAccount).Parent = ""
			},
			says: "Run in a member account of the organization, or share with accounts instead of an organization",
			not:  "set organization.id",
		},
		{
			title:       "The role isn't allowed to read AWS Organizations",
			story:       "The role that builds has all permissions except to read the organization.",
			world:       builderBut("organizations:DescribeOrganization"),
			credentials: asBuilder,
			says:        "set organization.id and organization.arn",
		},
		{
			title: "The alias is taken",
			story: "`alias/golden-ami` exists and names a single-Region key.",
			before: func(t *testing.T, s simulated) {
				t.Helper()
				client := s.kms()
				key, err := client.CreateKey(t.Context(), &kms.CreateKeyInput{})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := client.CreateAlias(t.Context(), &kms.CreateAliasInput{AliasName: aws.String("alias/golden-ami"), TargetKeyId: key.KeyMetadata.KeyId}); err != nil {
					t.Fatal(err)
				}
			},
			says: "aws kms list-aliases",
		},
		{
			title:       "A permission is missing",
			story:       "The role that builds has all permissions except to share images.",
			world:       builderBut("ec2:ModifyImageAttribute"),
			credentials: asBuilder,
			says:        "aws sts get-caller-identity",
		},
		{
			title: "The AMI belongs to another account",
			story: "Amazon's own image, found by `orgami-existing`.",
			template: func(text string) string {
				begin, end := strings.Index(text, `source "amazon-ebs"`), strings.Index(text, "build {")
				return text[:begin] + `source "orgami-existing" "golden" {
  region      = "us-east-1"
  filters     = { name = "al2023-ami-2023.*-x86_64" }
  owners      = ["amazon"]
  most_recent = true
}

` + strings.Replace(text[end:], "source.amazon-ebs.golden", "source.orgami-existing.golden", 1)
			},
			says: "aws ec2 copy-image",
		},
	}
}

// The most common mistakes of a first run end in an error that says what to do
// next, and change nothing. docs/first-run.md contains the expected output;
// -update writes it.
func TestFirstRun(t *testing.T) {
	t.Parallel()
	pasted := readmeTemplate(t)
	page := new(strings.Builder)
	page.WriteString(`# A first run

This page shows what the template of the [README](../README.md) prints when it works, and after each of the most common mistakes. A test writes this page from the output of real Packer and real ` + "`amazon-ebs`" + ` on the simulated AWS. It keeps the lines of ` + "`orgami-publish`" + ` and the errors, and replaces IDs with examples.
`)
	right := mistake{title: "It works", story: "The unchanged template of the README. The key doesn't exist yet."}
	for _, m := range append([]mistake{right}, mistakes()...) {
		file := awssim.DefaultWorld()
		if m.world != nil {
			m.world(&file)
		}
		sim := newAWSWith(t, file, awssim.Options{})
		environment := sim.environment
		if m.credentials != nil {
			environment = append(slices.Clone(environment), m.credentials(t, sim)...)
		}
		p := newPacker(t, environment...)
		if m.before != nil {
			m.before(t, sim)
		}
		text := pasted
		if m.template != nil {
			text = m.template(text)
		}
		folder := write(t, text)
		sim.ResetJournal()
		output, err := p.build(folder)
		if (err == nil) != (m.says == "") || !strings.Contains(output, m.says) {
			t.Errorf("%s: %v, without %q:\n%s", m.title, err, m.says, output)
		}
		if m.not != "" && strings.Contains(output, m.not) {
			t.Errorf("%s: it says %q:\n%s", m.title, m.not, output)
		}
		publishing := slices.DeleteFunc(sim.changed(), func(call string) bool {
			return !strings.HasPrefix(call, "kms ") && !strings.Contains(call, "CopyImage")
		})
		if m.says != "" && len(publishing) > 0 {
			t.Errorf("%s: it changed something: %v", m.title, publishing)
		}
		fmt.Fprintf(page, "\n## %s\n\n%s\n\n```\n%s```\n", m.title, m.story, transcript(output))
	}
	golden.Compare(t, filepath.Join("..", "..", "..", "docs", "first-run.md"), []byte(page.String()))
}

// readmeTemplate is the README's template, for machines without SSH.
func readmeTemplate(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(content), "```hcl\n")
	text, _, closed := strings.Cut(after, "```")
	if !found || !closed || !strings.Contains(text, "build {") {
		t.Fatal("README.md has no template")
	}
	without := strings.Replace(text, `ssh_username  = "ec2-user"`, "communicator = \"none\"\n  max_retries = 1", 1)
	if without == text {
		t.Fatal("the README's template has no ssh_username")
	}
	return without
}

var (
	prefix = regexp.MustCompile(`^==> [\w.-]+( \(orgami-publish\))?: `)
	// Values that differ from run to run, and their replacements.
	ids = []struct {
		pattern *regexp.Regexp
		example string
	}{
		{regexp.MustCompile(`ami-[0-9a-f]{17}`), "ami-0123456789abcdef0"},
		{regexp.MustCompile(`mrk-[0-9a-f]{32}`), "mrk-0123456789abcdef0123456789abcdef"},
		{regexp.MustCompile(`\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`), "12345678-1234-1234-1234-123456789012"},
		{regexp.MustCompile(`golden-[0-9]{4}(-[0-9]{2}){2}-[0-9]{6}`), "golden-2026-11-23-120000"},
		{regexp.MustCompile(` after [0-9.msµ]+$`), ""},
		{regexp.MustCompile(`after [0-9]+ .*seconds?.*:`), "after some seconds:"},
		{regexp.MustCompile(`assumed-role/Builder/[\w-]+`), "assumed-role/Builder/packer"},
	}
)

// transcript returns the output of orgami-publish, and the error. It omits the progress
// of Regions, which work in parallel and report in any order.
func transcript(output string) string {
	const failed = "* Post-processor failed"
	var lines []string
	inError, seen := false, false
	for line := range strings.Lines(output) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, failed) && !seen {
			inError, seen = true, true
		}
		if strings.HasPrefix(line, "==> Wait completed") {
			inError = false
		}
		if !strings.Contains(line, "(orgami-publish): ") && !inError {
			continue
		}
		line = prefix.ReplaceAllString(line, "")
		if progressLine.MatchString(line) {
			continue
		}
		for _, id := range ids {
			line = id.pattern.ReplaceAllString(line, id.example)
		}
		lines = append(lines, line)
	}
	return strings.TrimSpace(strings.Join(lines, "\n")) + "\n"
}

var progressLine = regexp.MustCompile(`^(Created|Updated|Copying|Copied|Shared|Waiting) `)

func (s simulated) kms() *kms.Client {
	id, secret := s.AccessKey(awssim.PublishingAccount)
	return kms.NewFromConfig(aws.Config{
		Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider(id, secret, ""), HTTPClient: s.Client(),
	})
}

// builderBut adds the role Builder, which may do everything except the action.
func builderBut(action string) func(*awssim.WorldFile) {
	return func(file *awssim.WorldFile) {
		addRole(file, awssim.PublishingAccount, awssim.RoleFile{Name: "Builder", Policies: map[string]json.RawMessage{
			"build": document(`{"Effect":"Allow","NotAction":"` + action + `","Resource":"*"}`),
		}})
	}
}

// asBuilder returns a session of that role.
func asBuilder(t *testing.T, s simulated) []string {
	t.Helper()
	id, secret := s.AccessKey(awssim.PublishingAccount)
	client := sts.NewFromConfig(aws.Config{
		Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider(id, secret, ""), HTTPClient: s.Client(),
	})
	session, err := client.AssumeRole(t.Context(), &sts.AssumeRoleInput{
		RoleArn: aws.String("arn:aws:iam::" + awssim.PublishingAccount + ":role/Builder"), RoleSessionName: aws.String("packer"),
	})
	if err != nil {
		t.Fatal(err)
	}
	c := session.Credentials
	return []string{"AWS_ACCESS_KEY_ID=" + *c.AccessKeyId, "AWS_SECRET_ACCESS_KEY=" + *c.SecretAccessKey, "AWS_SESSION_TOKEN=" + *c.SessionToken}
}
