package awssim_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// TestContractCLI drives a listening simulator with the AWS CLI, through the
// command lines that a user would type, and reads its output.
func TestContractCLI(t *testing.T) {
	c := newContractCLI(t)
	t.Run("identity and organization", c.testOrganization)
	t.Run("keys", c.testKeys)
	t.Run("grants", c.testGrants)
	t.Run("images", c.testImages)
	t.Run("Regions", c.testRegions)
	t.Run("policies of the organization", c.testControlPolicies)
	t.Run("errors", c.testErrors)
}

// contractCLI runs the AWS CLI as the admin of an account.
type contractCLI struct {
	path, endpoint string
	keys           map[string]contractKey
	environment    []string

	keyARN string // created by testKeys and used by later tests
}

func newContractCLI(t *testing.T) *contractCLI {
	t.Helper()
	path := contractTool(t, "aws")
	endpoint, keys := contractServer(t)
	return &contractCLI{path: path, endpoint: endpoint, keys: keys, environment: contractEnvironment(t)}
}

// command prepares a command line in us-east-1, or in the Region of a --region
// argument.
func (c *contractCLI) command(account string, args ...string) *exec.Cmd {
	args = append([]string{"--endpoint-url", c.endpoint, "--output", "json"}, args...)
	cmd := exec.Command(c.path, args...)
	cmd.Env = append([]string{
		"AWS_ACCESS_KEY_ID=" + c.keys[account].ID,
		"AWS_SECRET_ACCESS_KEY=" + c.keys[account].Secret,
		"AWS_DEFAULT_REGION=us-east-1",
		"AWS_MAX_ATTEMPTS=1",
	}, c.environment...)
	return cmd
}

// run returns what the command line prints for --query, without the quotes of a
// single string.
func (c *contractCLI) run(t *testing.T, account string, args ...string) string {
	t.Helper()
	cmd := c.command(account, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	output, err := cmd.Output()
	if err != nil {
		t.Fatalf("aws %s: %v\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	if len(bytes.TrimSpace(output)) == 0 {
		return ""
	}
	var text string
	if json.Unmarshal(output, &text) == nil {
		return text
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, output); err != nil {
		t.Fatalf("aws %s printed no JSON: %v\n%s", strings.Join(args, " "), err, output)
	}
	return compact.String()
}

// equal checks what a command line of the publisher prints.
func (c *contractCLI) equal(t *testing.T, want string, args ...string) {
	t.Helper()
	if got := c.run(t, contractPublisher, args...); got != want {
		t.Errorf("aws %s printed %s, want %s", strings.Join(args, " "), got, want)
	}
}

func (c *contractCLI) testOrganization(t *testing.T) {
	c.equal(t, "arn:aws:iam::"+contractPublisher+":user/admin", "sts", "get-caller-identity", "--query", "Arn")
	c.equal(t, contractManagement, "organizations", "describe-organization", "--query", "Organization.MasterAccountId")
	got := c.run(t, contractManagement, "organizations", "list-accounts", "--page-size", "2", "--query", "Accounts[?Status=='ACTIVE'].Id")
	for _, account := range []string{contractManagement, contractPublisher, contractMember} {
		if !strings.Contains(got, account) {
			t.Errorf("list-accounts printed %s, without %s", got, account)
		}
	}
}

func (c *contractCLI) testKeys(t *testing.T) {
	c.keyARN = c.run(t, contractPublisher, "kms", "create-key", "--multi-region", "--query", "KeyMetadata.Arn")
	replicaARN := strings.Replace(c.keyARN, "us-east-1", "eu-west-1", 1)
	c.equal(t, replicaARN, "kms", "replicate-key", "--key-id", c.keyARN, "--replica-region", "eu-west-1", "--query", "ReplicaKeyMetadata.Arn")
	c.equal(t, "", "kms", "create-alias", "--region", "eu-west-1", "--alias-name", "alias/golden", "--target-key-id", replicaARN)
	c.equal(t, replicaARN, "kms", "describe-key", "--region", "eu-west-1", "--key-id", "alias/golden", "--query", "KeyMetadata.Arn")
	const sid = "Enable IAM User Permissions"
	policy := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Sid":%q,"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::%s:root"},"Action":"kms:*","Resource":"*"}]}`, sid, contractPublisher)
	c.equal(t, "", "kms", "put-key-policy", "--key-id", c.keyARN, "--policy-name", "default", "--policy", policy)
	if got := c.run(t, contractPublisher, "kms", "get-key-policy", "--key-id", c.keyARN, "--policy-name", "default", "--query", "Policy"); !strings.Contains(got, sid) {
		t.Errorf("get-key-policy printed %s, without %q", got, sid)
	}
	c.equal(t, "", "kms", "enable-key-rotation", "--key-id", c.keyARN)
	c.equal(t, "true", "kms", "get-key-rotation-status", "--key-id", c.keyARN, "--query", "KeyRotationEnabled")
}

func (c *contractCLI) testGrants(t *testing.T) {
	grantee := "arn:aws:iam::" + contractMember + ":role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
	create := []string{
		"kms", "create-grant", "--key-id", c.keyARN, "--grantee-principal", grantee, "--name", "autoscaling",
		"--operations", "Decrypt", "GenerateDataKeyWithoutPlaintext", "CreateGrant", "--query", "GrantId",
	}
	id := c.run(t, contractPublisher, create...)
	c.equal(t, id, create...)
	c.equal(t, `["`+id+`"]`, "kms", "list-grants", "--key-id", c.keyARN, "--grantee-principal", grantee, "--page-size", "1", "--query", "Grants[].GrantId")
	c.equal(t, "", "kms", "revoke-grant", "--key-id", c.keyARN, "--grant-id", id)
	c.equal(t, "[]", "kms", "list-grants", "--key-id", c.keyARN, "--query", "Grants")
}

func (c *contractCLI) testImages(t *testing.T) {
	base := c.run(t, contractPublisher, "ec2", "describe-images", "--owners", "amazon",
		"--filters", "Name=name,Values=al2023-ami-*", "Name=architecture,Values=x86_64", "--query", "Images[0].ImageId")
	image := c.run(t, contractPublisher, "ec2", "copy-image", "--region", "eu-west-1", "--source-region", "us-east-1",
		"--source-image-id", base, "--name", "golden", "--encrypted", "--kms-key-id", "alias/golden", "--query", "ImageId")
	inRegion := func(args ...string) []string { return append(args, "--region", "eu-west-1") }
	c.equal(t, "", inRegion("ec2", "wait", "image-available", "--image-ids", image)...)
	c.equal(t, `[true]`, inRegion("ec2", "describe-snapshots", "--owner-ids", "self", "--query", "Snapshots[].Encrypted")...)
	c.equal(t, "", inRegion("ec2", "modify-image-attribute", "--image-id", image, "--launch-permission", "Add=[{UserId="+contractMember+"}]")...)
	c.equal(t, `[{"UserId":"`+contractMember+`"}]`, inRegion("ec2", "describe-image-attribute", "--image-id", image,
		"--attribute", "launchPermission", "--query", "LaunchPermissions")...)
	c.run(t, contractPublisher, inRegion("ec2", "deregister-image", "--image-id", image, "--delete-associated-snapshots")...)
	c.equal(t, "[]", inRegion("ec2", "describe-images", "--owners", "self", "--query", "Images")...)
	c.equal(t, "[]", inRegion("ec2", "describe-snapshots", "--owner-ids", "self", "--query", "Snapshots")...)
}

// testRegions enables a Region. Fact: NET-5, NET-6.
func (c *contractCLI) testRegions(t *testing.T) {
	status := func(region string) string {
		return c.run(t, contractMember, "account", "get-region-opt-status", "--region-name", region, "--query", "RegionOptStatus")
	}
	if before := status("af-south-1"); before != "DISABLED" {
		t.Errorf("at first: %s", before)
	}
	describe := []string{"ec2", "describe-images", "--owners", "self", "--region", "af-south-1", "--query", "Images"}
	if output, err := c.command(contractMember, describe...).CombinedOutput(); err == nil {
		t.Errorf("a call in the Region: %s", output)
	}
	for range 2 { // the second changes nothing
		c.run(t, contractMember, "account", "enable-region", "--region-name", "af-south-1")
	}
	if after := status("af-south-1"); after != "ENABLED" || status("us-east-1") != "ENABLED_BY_DEFAULT" {
		t.Errorf("at last: %s, and us-east-1 is %s", after, status("us-east-1"))
	}
	if images := c.run(t, contractMember, describe...); images != "[]" {
		t.Error(images)
	}
}

// testControlPolicies lists policies. Fact: ORG-13.
func (c *contractCLI) testControlPolicies(t *testing.T) {
	for _, target := range []string{contractMember, awssim.WorkloadsUnit} {
		list := []string{"organizations", "list-policies-for-target", "--target-id", target, "--filter", "SERVICE_CONTROL_POLICY", "--query", "Policies[].Name"}
		if got := c.run(t, contractManagement, list...); got != `["FullAWSAccess"]` {
			t.Errorf("%s: %s", target, got)
		}
		if output, err := c.command(contractMember, list...).CombinedOutput(); err == nil || !strings.Contains(string(output), "AccessDeniedException") {
			t.Errorf("as a member: %s", output)
		}
	}
}

func (c *contractCLI) testErrors(t *testing.T) {
	// One error for each protocol.
	tests := map[string][]string{
		"NotFoundException":                    {"kms", "describe-key", "--key-id", "alias/none"},
		"AccessDenied":                         {"sts", "assume-role", "--role-arn", "arn:aws:iam::" + contractMember + ":role/none", "--role-session-name", "x1"},
		"TargetNotFoundException":              {"organizations", "list-policies-for-target", "--target-id", "555555555555", "--filter", "SERVICE_CONTROL_POLICY"},
		"InvalidAuthorizationMessageException": {"sts", "decode-authorization-message", "--encoded-message", "nonsense"},
		"InvalidAMIID.NotFound":                {"ec2", "describe-images", "--image-ids", "ami-0123456789abcdef0"},
	}
	for code, args := range tests {
		t.Run(code, func(t *testing.T) {
			account := contractPublisher
			if args[0] == "organizations" {
				account = contractManagement
			}
			output, err := c.command(account, args...).CombinedOutput()
			if err == nil || !strings.Contains(string(output), "("+code+")") {
				t.Errorf("aws %s: %v, printed %s, want (%s)", strings.Join(args, " "), err, output, code)
			}
		})
	}
}
