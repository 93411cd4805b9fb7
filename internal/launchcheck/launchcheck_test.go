package launchcheck_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/grant"
	"github.com/orgami/packer-plugin-orgami/internal/launchcheck"
	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// outcome returns the outcome of one launch.
func outcome(t *testing.T, result launchcheck.Result, account, region, launcher string) (evaluate.Outcome, evaluate.Link) {
	t.Helper()
	c, found := result.Matrix.Find(account, region, launcher)
	if !found {
		t.Fatalf("no verdict for %s in %s by %s:\n%s", account, region, launcher, result.Matrix)
	}
	link, _ := c.Broken()
	return c.Outcome, link
}

// Karpenter launches with the emitted policy in every account and Region of the
// organization.
func TestKarpenter(t *testing.T) {
	w := newWorld(t)
	w.share(home)
	w.share(away)
	result := launchcheck.Check(w.read(), w.scope())
	for _, region := range []string{home, away} {
		for _, account := range []string{member, other, "any other account"} {
			if got, link := outcome(t, result, account, region, "Karpenter"); got != evaluate.Launches {
				t.Errorf("%s in %s: %s: %+v", account, region, got, link)
			}
		}
	}
	var assumed []string
	for _, a := range result.Assumptions {
		assumed = append(assumed, a.Link)
	}
	if !slices.Equal(assumed, []string{"allowed-amis", "identity-policy", "scp", "volume-key"}) {
		t.Errorf("assumes %q", assumed)
	}
}

// A launch of a service-linked role needs a grant on each regional key.
func TestGrants(t *testing.T) {
	w := newWorld(t)
	w.share(home)
	w.share(away)
	w.grant(owner, member, autoScaling, home)
	w.grant(other, other, autoScaling, home)
	result := launchcheck.Check(w.read(), w.scope())
	if got, link := outcome(t, result, member, home, "EC2 Auto Scaling"); got != evaluate.Fails || link.Name != "grant" || link.Note != evaluate.CredentialsOf(member) {
		t.Errorf("with a grant of the key's owner: %s: %+v", got, link)
	}
	if got, link := outcome(t, result, other, home, "EC2 Auto Scaling"); got != evaluate.Launches {
		t.Errorf("with a grant of the role's account: %s: %+v", got, link)
	}
	got, link := outcome(t, result, other, away, "EC2 Auto Scaling")
	if got != evaluate.Fails || link.Name != "grant" || !strings.HasPrefix(link.Remedy, "for account in "+member+" "+other+"; do ") {
		t.Errorf("without a grant: %s: %+v", got, link)
	}
}

// A role that was skipped neither launches nor fails.
func TestSkippedRoles(t *testing.T) {
	w := newWorld(t)
	w.share(home)
	scope := w.scope()
	scope.GrantRoles = []string{autoScaling, spot}
	scope.Grants = []grant.Grant{{
		Account: member, Region: home, KeyARN: w.key.ARN(home), Role: "arn:aws:iam::" + member + ":role/" + spot, Operations: grant.Operations,
		Status: grant.Skipped, Reason: "the role doesn't exist",
	}}
	matrix := launchcheck.Check(w.read(), scope).Matrix
	if c, _ := matrix.Find(member, home, "EC2 Spot"); c.Outcome != evaluate.Pending {
		t.Errorf("the role that doesn't exist: %s", c.Outcome)
	}
	if _, found := matrix.Find(other, home, "EC2 Spot"); !found {
		t.Error("the role of another account has no verdict")
	}
}

// Planned permissions count before the image is shared, and AWS's permissions
// afterwards.
func TestPermissions(t *testing.T) {
	w := newWorld(t)
	subjects, err := launchcheck.ReadPublished(t.Context(), w.clients(), map[string]string{home: w.images[home]})
	if err != nil {
		t.Fatal(err)
	}
	check := func() (evaluate.Outcome, evaluate.Link) {
		return outcome(t, launchcheck.Check(launchcheck.Read(t.Context(), w.clients(), subjects, false, nil), w.scope()), member, home, "Karpenter")
	}
	if got, link := check(); got != evaluate.Fails || link.Name != "shared" {
		t.Errorf("not shared: %s: %+v", got, link)
	}
	planned := subjects[home]
	planned.Permissions = ami.Permissions{Organizations: []string{awssim.OrganizationARN}}
	subjects[home] = planned
	if got, link := check(); got != evaluate.Launches {
		t.Errorf("to be shared: %s: %+v", got, link)
	}
}

// An account that gets grants is assumed to be in the first unit of those that the
// image is shared with.
func TestUnits(t *testing.T) {
	w := newWorld(t)
	w.share(home)
	scope := w.scope()
	scope.Share = ami.Permissions{OrganizationalUnits: []string{strings.Replace(awssim.OrganizationARN, ":organization/", ":ou/", 1) + "/ou-ab12-11111111"}}
	subjects, err := launchcheck.ReadPublished(t.Context(), w.clients(), map[string]string{home: w.images[home]})
	if err != nil {
		t.Fatal(err)
	}
	subject := subjects[home]
	subject.Permissions = scope.Share
	subjects[home] = subject
	result := launchcheck.Check(launchcheck.Read(t.Context(), w.clients(), subjects, false, nil), scope)
	if got, link := outcome(t, result, member, home, "Karpenter"); got != evaluate.Launches {
		t.Errorf("%s: %+v", got, link)
	}
	scope.Share = ami.Permissions{Accounts: []string{"888888888888"}}
	scope.GrantAccounts = nil
	result = launchcheck.Check(launchcheck.Read(t.Context(), w.clients(), subjects, false, nil), scope)
	if got, link := outcome(t, result, "888888888888", home, "Karpenter"); got == evaluate.Launches {
		t.Errorf("an account outside launches: %+v", link)
	}
}

// Roles that launch as Karpenter does are named by the last part of their path.
func TestRoles(t *testing.T) {
	w := newWorld(t)
	w.share(home)
	scope := w.scope()
	scope.Roles = []string{"team/BatchRole"}
	if got, link := outcome(t, launchcheck.Check(w.read(), scope), member, home, "BatchRole"); got != evaluate.Launches {
		t.Errorf("%s: %+v", got, link)
	}
}

// A problem in one Region is reported for that Region only.
func TestOneRegion(t *testing.T) {
	w := newWorld(t)
	w.share(home)
	w.share(away)
	if _, err := kms.NewFromConfig(w.config(owner, away)).DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: aws.String(w.key.ARN(away))}); err != nil {
		t.Fatal(err)
	}
	result := launchcheck.Check(w.read(), w.scope())
	if got, link := outcome(t, result, member, away, "Karpenter"); got != evaluate.Fails || link.Name != "key-state" {
		t.Errorf("the key is disabled: %s: %+v", got, link)
	}
	if got, link := outcome(t, result, member, home, "Karpenter"); got != evaluate.Launches {
		t.Errorf("the other Region: %s: %+v", got, link)
	}
}

// An image that can't be read is an error, and its launches are inconclusive.
func TestUnreadable(t *testing.T) {
	w := newWorld(t)
	w.share(home)
	if _, err := w.ec2(away).DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: aws.String(w.images[away])}); err != nil {
		t.Fatal(err)
	}
	subjects, err := launchcheck.ReadPublished(t.Context(), w.clients(), w.images)
	if err == nil || !strings.Contains(err.Error(), w.images[away]) || len(subjects) != 2 {
		t.Fatalf("%d subjects: %v", len(subjects), err)
	}
	facts := launchcheck.Read(t.Context(), w.clients(), subjects, false, nil)
	if facts.Err != nil {
		t.Error(facts.Err)
	}
	result := launchcheck.Check(facts, w.scope())
	if got, link := outcome(t, result, member, away, "Karpenter"); got != evaluate.Inconclusive || link.Name != "image" {
		t.Errorf("%s: %+v", got, link)
	}
	if got, link := outcome(t, result, member, home, "Karpenter"); got != evaluate.Launches {
		t.Errorf("the other Region: %s: %+v", got, link)
	}
}

// Policy and grants of another account's key can't be read.
func TestForeignKey(t *testing.T) {
	w := newWorld(t)
	arn := strings.Replace(w.key.ARN(home), owner, other, 1)
	subjects := map[string]launchcheck.Subject{home: {
		Image: ami.Image{
			Region: home, ID: w.images[home], Owner: owner, State: "available",
			Snapshots: []ami.Snapshot{{ID: "snap-1", Read: true, Encrypted: true, KeyARN: arn}},
		},
		Permissions: ami.Permissions{Accounts: []string{member}},
	}}
	facts := launchcheck.Read(t.Context(), w.clients(), subjects, true, nil)
	result := launchcheck.Check(facts, w.scope())
	if got, link := outcome(t, result, member, home, "Karpenter"); got != evaluate.Inconclusive {
		t.Errorf("%s: %+v (%v)", got, link, facts.Err)
	}
}

// Launchers have their usual names.
func TestLauncherNames(t *testing.T) {
	w := newWorld(t)
	scope := w.scope()
	scope.GrantRoles = append(slices.Clone(grant.DefaultRoles), spot, "aws-service-role/ec2fleet.amazonaws.com/AWSServiceRoleForEC2Fleet")
	var names []string
	for _, c := range launchcheck.Check(w.read(), scope).Matrix {
		names = append(names, c.Launcher)
	}
	slices.Sort(names)
	want := []string{"AWSServiceRoleForEC2Fleet", "EC2 Auto Scaling", "EC2 Spot", "ECS auto scaling", "Karpenter"}
	if got := slices.Compact(names); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
