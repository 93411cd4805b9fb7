package publish_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
	"github.com/orgami/packer-plugin-orgami/internal/publish"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// audited is the publication in eu-west-1 that a test changes.
type audited struct {
	w       *world
	clients *awsclient.Clients
	image   string
	key     awssim.KeyState
}

const auditedRegion = "eu-west-1"

func newAudited(t *testing.T, w *world, images map[string]string) audited {
	t.Helper()
	a := audited{w: w, clients: awsclient.New(w.config(awssim.PublishingAccount, w.regions[0])), image: images[auditedRegion]}
	for _, key := range w.state().Keys {
		if slices.Contains(key.Aliases, alias) && key.Region == auditedRegion {
			a.key = key
		}
	}
	return a
}

func (a audited) putPolicy(t *testing.T, old, with string) {
	t.Helper()
	document := strings.Replace(a.key.Policy, old, with, 1)
	if document == a.key.Policy {
		t.Fatalf("no %s in %s", old, document)
	}
	done(a.clients.KMS(auditedRegion).PutKeyPolicy(t.Context(), &kms.PutKeyPolicyInput{KeyId: &a.key.ARN, Policy: &document}))(t)
}

func (a audited) grantOf(t *testing.T, account string) string {
	t.Helper()
	for _, g := range a.key.Grants {
		if strings.Contains(g.Grantee, account) && strings.Contains(g.Grantee, "AWSServiceRoleForAutoScaling") {
			return g.ID
		}
	}
	t.Fatalf("account %s has no grant", account)
	return ""
}

func done[T any](_ T, err error) func(*testing.T) {
	return func(t *testing.T) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
}

// drifts are the changes that an audit must find.
var drifts = []struct {
	name  string
	drift func(*testing.T, audited, *publish.Spec)
	fails int      // launches
	said  []string // by the audit
}{
	{
		"the image is not shared any more",
		func(t *testing.T, a audited, _ *publish.Spec) {
			done(a.clients.EC2(auditedRegion).ModifyImageAttribute(t.Context(), &ec2.ModifyImageAttributeInput{
				ImageId: &a.image, Attribute: aws.String("launchPermission"),
				LaunchPermission: &types.LaunchPermissionModifications{Remove: []types.LaunchPermission{{OrganizationArn: aws.String("arn:aws:organizations::999999999999:organization/o-exampleorgid")}}},
			}))(t)
		}, 7,
		[]string{"launch permission", "7 of 21 launches would fail now, and this plan fixes them", "Launch checks after this plan: 21 passed"},
	},
	{
		"the organization's statement is edited",
		func(t *testing.T, a audited, _ *publish.Spec) { a.putPolicy(t, `"kms:Decrypt",`, "") },
		3,
		[]string{"key policy", "ShareAMIToAccounts", "kms:Decrypt"},
	},
	{
		"a statement denies an account",
		func(t *testing.T, a audited, _ *publish.Spec) {
			a.putPolicy(t, `"Statement": [`, `"Statement": [`+denied+`,`)
		},
		3,
		[]string{"NoMemberTwo", "222222222222"},
	},
	{
		"the key is disabled",
		func(t *testing.T, a audited, _ *publish.Spec) {
			done(a.clients.KMS(auditedRegion).DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: &a.key.ARN}))(t)
		}, 7,
		[]string{"is disabled", "aws kms enable-key"},
	},
	{
		"the key is to be deleted",
		func(t *testing.T, a audited, _ *publish.Spec) {
			done(a.clients.KMS(auditedRegion).ScheduleKeyDeletion(t.Context(), &kms.ScheduleKeyDeletionInput{KeyId: &a.key.ARN}))(t)
		}, 7,
		[]string{"pending deletion", "cancel-key-deletion"},
	},
	{
		"a grant is revoked",
		func(t *testing.T, a audited, _ *publish.Spec) {
			id := a.grantOf(t, "333333333333")
			done(a.clients.KMS(auditedRegion).RevokeGrant(t.Context(), &kms.RevokeGrantInput{KeyId: &a.key.ARN, GrantId: &id}))(t)
		}, 0,
		[]string{"1 grant in eu-west-1", "1 pending", "EC2 Auto Scaling", "credentials of account 333333333333"},
	},
	{
		"an account joined",
		func(_ *testing.T, _ audited, spec *publish.Spec) { spec.Grants.Accounts = awssim.MemberAccounts() },
		0,
		[]string{"6 grants in ", "6 pending", "444444444444"},
	},
}

// TestAudit checks that a plan of a publication of long ago finds what has drifted,
// says who cannot launch because of it, and changes nothing.
func TestAudit(t *testing.T) {
	for _, test := range drifts {
		t.Run(test.name, func(t *testing.T) {
			inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
				spec := w.spec()
				spec.Grants.RolesListed = true
				published := w.mustPublish(t, spec)
				w.sim.ResetJournal()
				spec.PlanOnly, spec.FailOnDrift = true, true
				if result, err := w.publish(spec); err != nil || result.Changed() > 0 || result.Manifest().Launches.Total() != 21 {
					t.Fatalf("before anything drifts: %v, %v", err, result.Manifest().Changes)
				}
				test.drift(t, newAudited(t, w, published.Images()), &spec)
				time.Sleep(time.Minute) // it is everywhere
				w.sim.ResetJournal()
				w.lines = nil
				result, err := w.publish(spec)
				if err == nil || !strings.Contains(err.Error(), "drifted") {
					t.Errorf("the audit ends with: %v", err)
				}
				if n := result.Manifest().Launches.Count(evaluate.Fails); n != test.fails {
					t.Errorf("%d launches fail, want %d: %s", n, test.fails, w.said())
				}
				for _, part := range test.said {
					if said := w.said() + "\n" + result.Summary(); !strings.Contains(said, part) {
						t.Errorf("the audit does not say %q:\n%s", part, said)
					}
				}
				if got := w.mutations(); len(got) > 0 {
					t.Errorf("the audit changed: %v", got)
				}
				validate(t, result.Manifest())

				spec.FailOnDrift = false
				if _, err := w.publish(spec); err != nil {
					t.Errorf("a plan without fail_on_drift: %v", err)
				}
			})
		})
	}
}

// A published image can be audited by itself when its source no longer exists: its
// copies in other Regions are found by their common original. It can also be published
// to one more Region, as the source could.
func TestAuditOfTheCopyItself(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		spec := w.spec()
		spec.Regions = spec.Regions[:2]
		published := w.mustPublish(t, spec)
		w.sim.ResetJournal()
		ofCopy := w.spec()
		ofCopy.Sources = []publish.Source{{Region: spec.Regions[1], ImageID: published.Images()[spec.Regions[1]]}}
		ofCopy.Regions = spec.Regions
		w.mustPublish(t, ofCopy)
		if got := w.mutations(); len(got) > 0 {
			t.Errorf("publishing the copy changed: %v", got)
		}
		ofCopy.Regions = w.spec().Regions
		w.mustPublish(t, ofCopy)
		w.sim.ResetJournal()
		w.mustPublish(t, w.spec())
		if got := w.mutations(); len(got) > 0 {
			t.Errorf("publishing the source again changed: %v", got)
		}
	})
}

// TestPlanOfAWrongKey checks that a problem with a key is a problem in the plan
// and doesn't make the plan fail, unless fail_on_drift is set.
func TestPlanOfAWrongKey(t *testing.T) {
	for name, test := range map[string]struct {
		setUp func(*testing.T, *world)
		spec  func(*publish.Spec)
		said  string
	}{
		"single-Region": {setUp: func(t *testing.T, w *world) { w.makeKey(t, "us-east-1", false, "") }, said: "single-Region"},
		"two keys":      {setUp: func(t *testing.T, w *world) { w.makeKey(t, "us-east-1", true, ""); w.makeKey(t, "eu-west-1", true, "") }, said: "one multi-Region key"},
		"open":          {setUp: func(t *testing.T, w *world) { w.makeKey(t, "us-east-1", true, openToTheWorld) }, said: "open to the world (Everybody)"},
		"no such alias": {spec: func(s *publish.Spec) { s.Key.Create = false }, said: "create = true"},
		"too many grants": {spec: func(s *publish.Spec) {
			s.Grants.Accounts = nil
			for i := range 26_000 {
				s.Grants.Accounts = append(s.Grants.Accounts, fmt.Sprintf("%012d", i))
			}
		}, said: "0 grants, and 52,000 more are planned, but KMS allows 50,000 grants on a key"},
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
				spec := w.spec()
				spec.PlanOnly = true
				if test.setUp != nil {
					test.setUp(t, w)
					time.Sleep(time.Minute)
				}
				if test.spec != nil {
					test.spec(&spec)
				}
				w.sim.ResetJournal()
				if _, err := w.publish(spec); err != nil || !strings.Contains(w.said(), test.said) {
					t.Errorf("the plan ends with %v, and says:\n%s", err, w.said())
				}
				spec.FailOnDrift = true
				if _, err := w.publish(spec); err == nil || !strings.Contains(err.Error(), "problem") {
					t.Errorf("with fail_on_drift: %v", err)
				}
				if got := w.mutations(); len(got) > 0 {
					t.Errorf("the plan changed: %v", got)
				}
			})
		})
	}
}
