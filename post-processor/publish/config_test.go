package publish

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2/hcldec"
	"github.com/hashicorp/hcl/v2/hclparse"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/artifact"
	"github.com/orgami/packer-plugin-orgami/internal/config"
	"github.com/orgami/packer-plugin-orgami/internal/kmskey"
	"github.com/orgami/packer-plugin-orgami/internal/publish"
	"github.com/orgami/packer-plugin-orgami/internal/record/downstream"
	"github.com/orgami/packer-plugin-orgami/internal/retention"
)

// configure configures a post-processor with the body of its block, as Packer
// does: HCL by the component's own specification.
func configure(t *testing.T, body string) (*PostProcessor, error) {
	t.Helper()
	p := new(PostProcessor)
	file, diagnostics := hclparse.NewParser().ParseHCL([]byte(body), "test.pkr.hcl")
	if diagnostics.HasErrors() {
		t.Fatal(diagnostics)
	}
	value, diagnostics := hcldec.Decode(file.Body, p.ConfigSpec(), nil)
	if diagnostics.HasErrors() {
		return p, diagnostics
	}
	return p, p.Configure(value)
}

const minimal = `key { alias = "alias/golden" }`

// everything sets every field to a different value, so that swapped fields are
// detected.
const everything = `
regions = ["eu-west-1", "us-east-1"]
key {
  alias                 = "alias/golden"
  primary_region        = "us-west-2"
  create                = false
  policy                = "hardened"
  extra_statements_file = "testdata/extra-statements.json"
  administrators        = ["arn:aws:iam::111111111111:role/admin"]
  rotation              = false
  tags                  = { of = "key" }
}
organization {
  id  = "o-exampleorgid"
  arn = "arn:aws:organizations::999999999999:organization/o-exampleorgid"
}
share {
  organization         = false
  organizational_units = ["arn:aws:organizations::999999999999:ou/o-exampleorgid/ou-root-12345678"]
  accounts             = ["222222222222"]
  snapshots            = true
  prune                = true
}
grants {
  accounts             = ["333333333333"]
  accounts_file        = "testdata/accounts.txt"
  discover             = true
  discover_role_arn    = "arn:aws:iam::999999999999:role/list/Accounts"
  organizational_units = ["ou-root-12345678", "arn:aws:organizations::999999999999:ou/o-exampleorgid/ou-root-87654321"]
  exclude              = ["666666666666"]
  roles                = ["aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot"]
  member_role          = "deploy/GrantMaker"
  missing_role         = "fail"
  prune                = true
}
ami_name         = "golden (1)"
tags             = { of = "image" }
snapshot_tags    = { of = "snapshot" }
copy_source_tags = false
wait_timeout     = "90m"
fail_on_drift    = true
check            = "warn"
check_roles      = ["nodes/Launcher"]
report           = true
family           = "golden"
deprecate_after  = "2160h"
deregistration_protection {
  enabled       = true
  with_cooldown = true
}
retire {
  keep            = 3
  deprecate_after = "24h"
  disable_after   = "48h"
  delete_after    = "72h"
}
snapshot_copy_duration_minutes = 30
outputs                        = ["ec2nodeclass", "terraform", "ssm"]
ec2nodeclass {
  ami_family            = "Bottlerocket"
  block_device_mappings = true
  encrypt_with_key      = true
}
ssm {
  name              = "/golden/{{ .Architecture }}"
  share             = true
  external_accounts = true
}
canary {
  account         = "777777777777"
  role            = "deploy/Canary"
  regions         = ["eu-west-1"]
  instance_type   = "t4g.nano"
  subnets         = { eu-west-1 = "subnet-0123456789abcdef0" }
  security_groups = { eu-west-1 = "sg-01234567" }
  auto_scaling    = true
  timeout         = "15m"
  on_inconclusive = "warn"
}
plan_only        = true
output_directory = "out"
profile          = "p"
endpoint_url     = "http://127.0.0.1:4566"
assume_role {
  role_arn     = "arn:aws:iam::111111111111:role/publisher"
  session_name = "session"
  external_id  = "external"
  duration     = "1h"
}
`

func TestSpecOfEverything(t *testing.T) {
	p, err := configure(t, everything)
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.config.spec([]artifact.Image{{Region: "ap-south-1", ID: "ami-01234567"}, {Region: "us-east-1", ID: "ami-76543210"}})
	if err != nil {
		t.Fatal(err)
	}
	want := publish.Spec{
		Sources: []publish.Source{{Region: "ap-south-1", ImageID: "ami-01234567"}, {Region: "us-east-1", ImageID: "ami-76543210"}},
		Regions: []string{"eu-west-1", "us-east-1"},
		Key: publish.KeySpec{
			Alias: "alias/golden", PrimaryRegion: "us-west-2", PrimaryRegionSet: true, Create: false, Policy: "hardened",
			ExtraStatements: []byte(`[{"Sid":"AllowAudit","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::444444444444:role/audit"},"Action":"kms:DescribeKey","Resource":"*"}]`),
			Administrators:  []string{"arn:aws:iam::111111111111:role/admin"}, Rotation: kmskey.RotateNever, Tags: map[string]string{"of": "key"},
		},
		Organization: publish.OrganizationSpec{ID: "o-exampleorgid", ARN: "arn:aws:organizations::999999999999:organization/o-exampleorgid"},
		Share: publish.ShareSpec{
			Organization:        false,
			OrganizationalUnits: []string{"arn:aws:organizations::999999999999:ou/o-exampleorgid/ou-root-12345678"},
			Accounts:            []string{"222222222222"}, Snapshots: true, Prune: true,
		},
		Grants: publish.GrantsSpec{
			Accounts: []string{"333333333333", "555555555555"}, Roles: []string{"aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot"},
			Discover: true, DiscoverRoleARN: "arn:aws:iam::999999999999:role/list/Accounts",
			OrganizationalUnits: []string{"ou-root-12345678", "ou-root-87654321"}, Exclude: []string{"666666666666"},
			RolesListed: true, MemberRole: "deploy/GrantMaker", MissingRole: "fail", Prune: true,
		},
		Image: publish.ImageSpec{
			Name: "golden (1)", Tags: map[string]string{"of": "image"}, SnapshotTags: map[string]string{"of": "snapshot"}, CopySourceTags: false, CopyDuration: 30, Family: "golden",
		},
		Lifecycle:   retention.Lifecycle{DeprecateAfter: 2160 * time.Hour, Protection: ami.ProtectedWithCooldown},
		Retire:      &retention.RetentionPolicy{Family: "golden", Keep: 3, DeprecateAfter: 24 * time.Hour, DisableAfter: 48 * time.Hour, DeleteAfter: 72 * time.Hour},
		Outputs:     []downstream.Kind{downstream.EC2NodeClass, downstream.Terraform, downstream.SSM},
		Parameter:   publish.ParameterSpec{Name: "/golden/{{ .Architecture }}", Share: true, ExternalAccounts: true},
		NodeClass:   downstream.NodeClass{AMIFamily: "Bottlerocket", BlockDevices: true, EncryptWithKey: true},
		WaitTimeout: 90 * time.Minute, PlanOnly: true,
		FailOnDrift: true, Check: "warn", CheckRoles: []string{"nodes/Launcher"}, Report: true,
		Canary: &publish.CanarySpec{
			Account: "777777777777", Role: "deploy/Canary", Regions: []string{"eu-west-1"}, InstanceType: "t4g.nano",
			Subnets: map[string]string{"eu-west-1": "subnet-0123456789abcdef0"}, SecurityGroups: map[string]string{"eu-west-1": "sg-01234567"},
			AutoScaling: true, Timeout: 15 * time.Minute, TolerateInconclusive: true,
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if c := p.config; c.Profile != "p" || c.EndpointURL != "http://127.0.0.1:4566" || c.OutputDirectory != "out" || c.AssumeRole.SessionName != "session" || c.AssumeRole.Duration != time.Hour {
		t.Errorf("access: %+v %+v, output_directory %q", c.Credentials, c.AssumeRole, c.OutputDirectory)
	}
}

func TestSpecByDefault(t *testing.T) {
	p, err := configure(t, minimal)
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.config.spec([]artifact.Image{{Region: "eu-west-1", ID: "ami-01234567"}, {Region: "us-east-1", ID: "ami-76543210"}})
	if err != nil {
		t.Fatal(err)
	}
	want := publish.Spec{
		Sources:     []publish.Source{{Region: "eu-west-1", ImageID: "ami-01234567"}, {Region: "us-east-1", ImageID: "ami-76543210"}},
		Regions:     []string{"eu-west-1", "us-east-1"},
		Key:         publish.KeySpec{Alias: "alias/golden", PrimaryRegion: "eu-west-1", Create: true, Policy: "open", Rotation: kmskey.RotateCreated},
		Share:       publish.ShareSpec{Organization: true},
		Image:       publish.ImageSpec{CopySourceTags: true},
		Check:       "fail",
		WaitTimeout: 2 * time.Hour,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if p.config.OutputDirectory != "orgami" {
		t.Errorf("output_directory %q", p.config.OutputDirectory)
	}
}

func TestSpecOfGrantsByDefault(t *testing.T) {
	p, err := configure(t, minimal+"\n"+`grants { accounts = ["222222222222"] }`)
	if err != nil {
		t.Fatal(err)
	}
	want := publish.GrantsSpec{
		Accounts: []string{"222222222222"}, MissingRole: "skip",
		Roles: []string{
			"aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling",
			"aws-service-role/ecs.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_ECSService",
			"aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot",
		},
	}
	got, err := p.config.Grants.spec()
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
}

func TestOrganizationIDComesFromItsARN(t *testing.T) {
	p, err := configure(t, minimal+"\n"+`organization { arn = "arn:aws-cn:organizations::999999999999:organization/o-exampleorgid" }`)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.config.organization().ID; got != "o-exampleorgid" {
		t.Errorf("id %q", got)
	}
}

func TestRightConfigurations(t *testing.T) {
	tests := map[string]string{
		"key by id":            `key { id = "mrk-0123456789abcdef0123456789abcdef" }`,
		"key by ARN":           `key { id = "arn:aws-us-gov:kms:us-gov-west-1:111111111111:key/mrk-0123456789abcdef0123456789abcdef" }`,
		"China":                "regions = [\"cn-north-1\", \"cn-northwest-1\"]\n" + `key { alias = "alias/golden" }`,
		"GovCloud":             "regions = [\"us-gov-east-1\"]\n" + `key { alias = "alias/golden" }`,
		"new regions":          "regions = [\"mx-central-1\", \"ap-southeast-7\", \"il-central-1\"]\n" + minimal,
		"units alone":          minimal + "\nshare {\norganization = false\n" + `organizational_units = ["arn:aws:organizations::999999999999:ou/o-exampleorgid/ou-root-12345678"]` + "\n}",
		"accounts as well":     minimal + "\n" + `share { accounts = ["012345678901"] }`,
		"plain role name":      minimal + "\ngrants {\n" + `accounts = ["222222222222"]` + "\n" + `roles = ["Launcher"]` + "\n}",
		"Auto Scaling's role":  minimal + "\ngrants {\n" + `accounts = ["222222222222"]` + "\n" + `roles = ["aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling_nodes"]` + "\n}",
		"another service":      minimal + "\ngrants {\n" + `accounts = ["222222222222"]` + "\n" + `roles = ["aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch"]` + "\n}",
		"all of the name":      minimal + "\n" + `ami_name = "a-b (c) [d] ./-'@_"`,
		"unknown so far":       "ami_name = \"golden-<unknown>\"\noutput_directory = \"<unknown>\"\n" + `key { alias = "<unknown>" }`,
		"unknown account":      minimal + "\n" + `share { accounts = ["<unknown>", "<unknown>"] }`,
		"alias with slashes":   `key { alias = "alias/team/golden" }`,
		"alias like AWS's":     `key { alias = "alias/awesome" }`,
		"administrator is all": "key {\n" + `alias = "alias/golden"` + "\n" + `administrators = ["arn:aws:iam::111111111111:root", "arn:aws:sts::111111111111:assumed-role/a/b"]` + "\n}",
	}
	for name, body := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := configure(t, body); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestConfigureStartsAnew(t *testing.T) {
	p, err := configure(t, everything)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Configure(map[string]any{"key": map[string]any{"alias": "alias/other"}}); err != nil {
		t.Fatal(err)
	}
	if p.config.Share != nil || p.config.AMIName != "" || p.config.Key.Policy != "" {
		t.Errorf("the first configuration is still there: %+v", p.config)
	}
}

func TestOutputDirectory(t *testing.T) {
	directory := t.TempDir()
	file := filepath.Join(directory, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	dangling := filepath.Join(directory, "dangling")
	if err := os.Symlink(filepath.Join(directory, "nothing"), dangling); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(directory, "link")
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		file: "is not a directory", filepath.Join(file, "below"): "not a directory", dangling: "symbolic link", "a\x00b": "NUL",
		directory: "", filepath.Join(directory, "new", "below"): "", link: "",
	} {
		var p config.Problems
		checkDirectory(&p, "output_directory", path)
		err := p.Err()
		if (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", path, err, want)
		}
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	_, err := configure(t, `
regions = ["us-east-1a", "us-east-1", "us-east-1"]
key {
  alias  = "golden"
  id     = "mrk-1"
  policy = "closed"
}
share { organization = false }
grants {
  accounts = []
  roles    = ["AWSServiceRoleForAutoScaling"]
}
wait_timeout = "-1h"
`)
	var multi *packersdk.MultiError
	if !errors.As(err, &multi) {
		t.Fatalf("%T %v", err, err)
	}
	if len(multi.Errors) != 10 {
		t.Errorf("%d problems, want 10:\n%v", len(multi.Errors), err)
	}
}

func TestCanaryByDefault(t *testing.T) {
	p, err := configure(t, minimal+"\n"+`canary {
  account = "222222222222"
  role    = "orgami-canary"
}`)
	if err != nil {
		t.Fatal(err)
	}
	want := &publish.CanarySpec{Account: "222222222222", Role: "orgami-canary", Timeout: 10 * time.Minute}
	if diff := cmp.Diff(want, p.config.Canary.spec()); diff != "" {
		t.Error(diff)
	}
}
