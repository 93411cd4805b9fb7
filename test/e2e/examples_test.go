package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/orgami/packer-plugin-orgami/internal/policy"
	"github.com/orgami/packer-plugin-orgami/internal/record/manifest"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// exampleRun is the state before the build of an example, and the expected result.
type exampleRun struct {
	partition string   // default aws
	regions   []string // of the world; defaults to those of the default world
	world     func(*awssim.WorldFile)
	// before prepares the world, and returns texts of the template to replace:
	// IDs that an example cannot know.
	before func(*testing.T, simulated, packer) map[string]string
	// environment of Packer, in addition to the common variables.
	environment func(*testing.T, simulated) []string
	arguments   []string
	planOnly    bool
	without     []string // accounts that must no longer launch
	// again continues with what the example published.
	again func(*testing.T, simulated, packer, string)
}

var exampleRuns = map[string]exampleRun{
	"accounts":             {},
	"adopt-key":            {before: makeKey},
	"assume-role":          {world: withPublisher, environment: withProfile},
	"audit":                {world: withCanaryRole, before: publishDemo("golden", `["222222222222","333333333333","444444444444"]`), planOnly: true},
	"canary":               {world: withCanaryRole, again: canaryRan},
	"china":                {partition: "aws-cn", regions: []string{"cn-north-1", "cn-northwest-1"}},
	"cross-account-grants": {},
	"demo":                 {world: withCanaryRole, arguments: []string{"-only=amazon-ebs.golden", "-var", `accounts=["222222222222","333333333333"]`}},
	"discover":             {world: withAccountsRole},
	"downstream":           {},
	"existing-ami":         {before: buildImage("golden-1"), again: existingAgain},
	"govcloud":             {partition: "aws-us-gov", regions: []string{"us-gov-west-1", "us-gov-east-1"}, world: withAdministrator},
	"hardened-key":         {world: withAdministrator},
	"key-data-source":      {world: withCanaryRole, before: publishDemo("earlier", `["222222222222"]`)},
	"lifecycle":            {},
	"member-grants":        {world: withGrantMaker},
	"member-pipeline":      {before: namedGolden, again: memberPipeline},
	"minimal":              {},
	"multi-region":         {},
	"offboarding":          {world: withCanaryRole, before: publishDemo("earlier", `["222222222222","333333333333","444444444444"]`), without: []string{"444444444444"}},
	"organizational-units": {},
	"plan-only":            {before: buildImage("golden"), planOnly: true},
	"shared-parameter":     {before: notShared, again: membersFollow},
}

// Each example, built by real Packer, leaves a complete publication whose grants let
// auto scaling launch.
func TestExamplesRun(t *testing.T) {
	t.Parallel()
	folders, err := os.ReadDir(examples)
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range folders {
		if !folder.IsDir() {
			continue
		}
		run, known := exampleRuns[folder.Name()]
		if !known {
			t.Errorf("the example %s is not run", folder.Name())
			continue
		}
		t.Run(folder.Name(), func(t *testing.T) {
			t.Parallel()
			run.test(t, folder.Name())
		})
	}
}

func (r exampleRun) test(t *testing.T, name string) {
	t.Helper()
	file := awssim.DefaultWorld()
	if r.partition != "" {
		file = awssim.WorldIn(r.partition, r.regions)
	}
	file.Organization.Units = append(file.Organization.Units, awssim.UnitFile{ID: "ou-ab12-22222222", Name: "sandbox", Parent: "r-ab12"})
	if r.world != nil {
		r.world(&file)
	}
	sim := newAWSWith(t, file, awssim.Options{})
	environment := sim.environment
	if r.environment != nil {
		environment = append(slices.Clone(environment), r.environment(t, sim)...)
	}
	p := newPacker(t, environment...)
	var replace map[string]string
	if r.before != nil {
		replace = r.before(t, sim, p)
	}
	folder := copyExample(t, name, replace)
	output := p.mustBuild(folder, r.arguments...)
	if r.planOnly {
		if m := readJSON[manifest.Manifest](t, folder, "orgami", manifest.PlanFile); !m.PlanOnly || len(m.Changes) == 0 {
			t.Errorf("the plan is %+v", m)
		}
		return
	}
	m := readJSON[manifest.Manifest](t, folder, "orgami", manifest.File)
	if !m.Complete || len(m.Images) == 0 {
		t.Errorf("the publication is not complete:\n%s", output)
	}
	sim.checkGrants(t, folder, m, r.without)
	if r.again != nil {
		r.again(t, sim, p, folder)
	}
}

// existingAgain builds example/existing-ami again, whose filters match the published
// copies too: first while the original exists, then without it.
func existingAgain(t *testing.T, s simulated, p packer, folder string) {
	t.Helper()
	for _, original := range []string{s.images("golden-1")["us-east-1"], ""} {
		s.ResetJournal()
		output := p.mustBuild(folder)
		if changed := s.changed(); len(changed) > 0 {
			t.Errorf("with the original %q, it changed something: %v\n%s", original, changed, output)
		}
		if original == "" {
			return
		}
		id, secret := s.AccessKey(awssim.PublishingAccount)
		client := ec2.NewFromConfig(aws.Config{Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider(id, secret, ""), HTTPClient: s.Client()})
		if _, err := client.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: &original}); err != nil {
			t.Fatal(err)
		}
	}
}

// checkGrants checks that every created grant lets its role launch, and that no revoked
// grant does.
func (s simulated) checkGrants(t *testing.T, folder string, m manifest.Manifest, without []string) {
	t.Helper()
	grants := readJSON[struct {
		Grants []struct{ Account, Region, Status, Command string } `json:"grants"`
	}](t, folder, "orgami", manifest.GrantsFile)
	const role = "AWSServiceRoleForAutoScaling"
	launched := 0
	for _, g := range grants.Grants {
		if !strings.Contains(g.Command, role+" ") && !strings.HasSuffix(g.Command, role) || g.Status != "created" && g.Status != "exists" {
			continue
		}
		if launch, err := s.LaunchAsServiceLinkedRole(g.Account, role, g.Region, m.Images[g.Region].ImageID); err != nil || launch.Reason != "" {
			t.Errorf("launch in %s, %s: %+v, %v", g.Account, g.Region, launch, err)
		}
		launched++
	}
	if m.Grants.Created > 0 && launched == 0 {
		t.Errorf("of %d grants none was tried", m.Grants.Created)
	}
	for _, account := range without {
		for region, image := range m.Images {
			if launch, err := s.LaunchAsServiceLinkedRole(account, role, region, image.ImageID); err == nil && launch.Reason == "" {
				t.Errorf("%s still launches in %s", account, region)
			}
		}
	}
}

// copyExample copies an example for machines without SSH, with replaced texts.
func copyExample(t *testing.T, name string, replace map[string]string) string {
	t.Helper()
	folder := t.TempDir()
	if err := os.CopyFS(folder, os.DirFS(filepath.Join(examples, name))); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, "build.pkr.hcl")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(content), `  ssh_username  = "ec2-user"`, "  communicator = \"none\"\n  max_retries = 1")
	for from, to := range replace {
		if !strings.Contains(text, from) {
			t.Errorf("%s is not in the example %s", from, name)
		}
		text = strings.ReplaceAll(text, from, to)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return folder
}

// publishDemo publishes by the template of the demo.
func publishDemo(image, accounts string) func(*testing.T, simulated, packer) map[string]string {
	return func(t *testing.T, _ simulated, p packer) map[string]string {
		t.Helper()
		folder := copyExample(t, "demo", nil)
		p.mustBuild(folder, "-only=amazon-ebs.golden", "-var", "image_name="+image, "-var", "accounts="+accounts)
		return nil
	}
}

// buildImage builds an image and publishes nothing.
func buildImage(name string) func(*testing.T, simulated, packer) map[string]string {
	return func(t *testing.T, s simulated, p packer) map[string]string {
		t.Helper()
		folder := template(t, fromEBS, keep)
		path := filepath.Join(folder, "build.pkr.hcl")
		content, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, []byte(strings.Replace(string(content), `ami_name      = "golden"`, `ami_name      = "`+name+`"`, 1)), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		p.mustBuild(folder)
		if name != "golden" {
			return nil
		}
		return map[string]string{"ami-0123456789abcdef0": s.images(name)["us-east-1"]}
	}
}

// namedGolden makes the example build an image with the name golden.
func namedGolden(*testing.T, simulated, packer) map[string]string {
	return map[string]string{`golden-${formatdate("YYYY-MM-DD-hhmmss", timestamp())}`: "golden"}
}

// makeKey creates a multi-Region key, as Terraform could.
func makeKey(t *testing.T, s simulated, _ packer) map[string]string {
	t.Helper()
	key, err := s.kms().CreateKey(t.Context(), &kms.CreateKeyInput{MultiRegion: aws.Bool(true)})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{"arn:aws:kms:us-east-1:111111111111:key/mrk-0123456789abcdef0123456789abcdef": *key.KeyMetadata.Arn}
}

// accountIn is the account of the world that has the ID.
func accountIn(file *awssim.WorldFile, id string) *awssim.AccountFile {
	return &file.Accounts[slices.IndexFunc(file.Accounts, func(a awssim.AccountFile) bool { return a.ID == id })]
}

func addRole(file *awssim.WorldFile, account string, role awssim.RoleFile) {
	a := accountIn(file, account)
	a.Roles = append(a.Roles, role)
}

func document(statement string) json.RawMessage {
	return json.RawMessage(`{"Version":"2012-10-17","Statement":[` + statement + `]}`)
}

// trust lets the publishing account assume a role.
func trust(condition string) json.RawMessage {
	return document(`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + awssim.PublishingAccount + `:root"},"Action":"sts:AssumeRole"` + condition + `}`)
}

func withPublisher(file *awssim.WorldFile) {
	addRole(file, awssim.PublishingAccount, awssim.RoleFile{
		Name: "OrgamiPublisher", Trust: trust(`,"Condition":{"StringEquals":{"sts:ExternalId":"golden-ami"}}`),
		Policies: map[string]json.RawMessage{"all": document(`{"Effect":"Allow","Action":"*","Resource":"*"}`)},
	})
}

// withProfile is a shared configuration with the profile "build".
func withProfile(t *testing.T, s simulated) []string {
	t.Helper()
	id, secret := s.AccessKey(awssim.PublishingAccount)
	path := filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(path, []byte("[build]\naws_access_key_id = "+id+"\naws_secret_access_key = "+secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"AWS_SHARED_CREDENTIALS_FILE=" + path}
}

func withAdministrator(file *awssim.WorldFile) {
	addRole(file, awssim.PublishingAccount, awssim.RoleFile{Name: "KeyAdministrator"})
	addRole(file, awssim.PublishingAccount, awssim.RoleFile{Name: "Auditor"})
}

// withAccountsRole adds a role that lists accounts, and an account of another unit.
func withAccountsRole(file *awssim.WorldFile) {
	sandbox := file.Accounts[len(file.Accounts)-1]
	sandbox.ID, sandbox.Name, sandbox.Parent = "555555555555", "sandbox", "ou-ab12-22222222"
	file.Accounts = append(file.Accounts, sandbox)
	addRole(file, awssim.ManagementAccount, awssim.RoleFile{
		Name: "orgami-accounts", Trust: trust(""),
		Policies: map[string]json.RawMessage{"list": document(`{"Effect":"Allow","Action":"organizations:List*","Resource":"*"}`)},
	})
}

func withCanaryRole(file *awssim.WorldFile) {
	policies, _ := json.Marshal(policy.Canary("aws", "arn:aws:kms:*:"+awssim.PublishingAccount+":key/*", true))
	addRole(file, "222222222222", awssim.RoleFile{Name: "orgami-canary", Trust: trust(""), Policies: map[string]json.RawMessage{"canary": policies}})
}

// canaryRan checks that the canaries ran, and that no resources of them remain.
func canaryRan(t *testing.T, s simulated, _ packer, folder string) {
	t.Helper()
	m := readJSON[manifest.Manifest](t, folder, "orgami", manifest.File)
	if m.Canary == nil || len(m.Canary.Launches) != 4 {
		t.Fatalf("the manifest has %+v", m.Canary)
	}
	for _, launch := range m.Canary.Launches {
		if launch.Outcome != "launched" || launch.InstanceID == "" {
			t.Errorf("launch %+v", launch)
		}
	}
	state := s.Snapshot()
	for _, i := range state.Instances {
		if i.Owner == m.Canary.Account && i.Tags["orgami:canary"] != "" {
			t.Errorf("instance %+v is left", i)
		}
	}
	for _, left := range state.LaunchResources {
		if left.Owner == m.Canary.Account {
			t.Errorf("%+v is left", left)
		}
	}
	for region, image := range m.Images {
		if len(image.Permissions.Accounts) > 0 {
			t.Errorf("in %s, the image is still shared with %v", region, image.Permissions.Accounts)
		}
	}
}

func withGrantMaker(file *awssim.WorldFile) {
	for _, account := range awssim.MemberAccounts() {
		addRole(file, account, awssim.RoleFile{
			Name: "OrgamiGrantMaker", Path: "/deploy/", Trust: trust(""),
			Policies: map[string]json.RawMessage{"grants": document(`{"Effect":"Allow","Action":"kms:CreateGrant","Resource":"*"}`)},
		})
	}
}
