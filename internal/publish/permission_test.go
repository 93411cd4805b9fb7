package publish_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/kmskey"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
	"github.com/orgami/packer-plugin-orgami/internal/publish"
	"github.com/orgami/packer-plugin-orgami/internal/retention"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
	"github.com/orgami/packer-plugin-orgami/test/permission"
)

// publisherRole publishes in these tests, and has only the documented policy.
const publisherRole = "image-publisher"

// permissionCase is a publication and the features of the documented policy
// that it takes.
type permissionCase struct {
	features []permission.Feature
	setUp    func(t *testing.T, w *world, spec *publish.Spec)
	spec     func(*publish.Spec)
	// missing are the features whose permissions are removed, one by one.
	missing []permission.Feature
}

// permissionCases share with accounts wherever EC2's use of the key matters. A
// key policy that allows the organization also allows the publisher.
func permissionCases() map[string]permissionCase {
	accounts := func(s *publish.Spec) {
		s.Share.Organization, s.Share.Accounts, s.Share.Snapshots = false, awssim.MemberAccounts(), true
		s.Key.Tags = map[string]string{"team": "base"}
	}
	own := func(s *publish.Spec) {
		accounts(s)
		s.Grants.Accounts = append(s.Grants.Accounts, awssim.PublishingAccount)
	}
	return map[string]permissionCase{
		"new key, accounts": {
			features: []permission.Feature{permission.Base, permission.KeyCreation, permission.Rotation, permission.KeyTags, permission.Snapshots, permission.Grants, permission.OwnGrants, permission.MemberGrants},
			setUp:    sourceUnderOwnKey, spec: own,
			missing: []permission.Feature{permission.Base, permission.KeyCreation, permission.Rotation, permission.KeyTags, permission.Snapshots, permission.Grants, permission.OwnGrants, permission.MemberGrants},
		},
		"adopted key, no grants": {
			features: []permission.Feature{permission.Base, permission.AdoptedKey},
			setUp: func(t *testing.T, w *world, spec *publish.Spec) {
				w.makeKey(t, spec.Key.PrimaryRegion, true, "")
			},
			spec: func(s *publish.Spec) {
				accounts(s)
				s.Share.Snapshots, s.Key.Create, s.Key.Rotation, s.Key.Tags = false, false, kmskey.RotateNever, nil
				s.Grants = publish.GrantsSpec{}
			},
			missing: []permission.Feature{permission.AdoptedKey},
		},
		"organization, grants by members": {
			features: []permission.Feature{permission.Base, permission.Organization, permission.KeyCreation, permission.Rotation, permission.Grants, permission.MemberGrants},
			missing:  []permission.Feature{permission.Organization, permission.Grants, permission.MemberGrants},
		},
		"older generations": {
			features: []permission.Feature{permission.Base, permission.Organization, permission.KeyCreation, permission.Rotation, permission.Grants, permission.MemberGrants, permission.Deprecation, permission.Protection, permission.Parameters, permission.Retirement},
			setUp: func(t *testing.T, w *world, spec *publish.Spec) {
				var generations []map[string]string
				for _, name := range []string{"one", "two", "three", "four"} {
					older := *spec
					older.Image.Name, older.Retire, older.Lifecycle.Protection, older.Parameter.Name = name, nil, "", ""
					if name == "four" {
						older.Parameter.Name = "/template" // which names an image that stays
					}
					generations = append(generations, w.published(t, older))
					time.Sleep(100 * time.Hour)
				}
				w.template(t, spec.Regions[1], "resolve:ssm:/template")
				w.reported(t, generations[:2]...) // the third one's is created by the run
			},
			spec: func(s *publish.Spec) {
				s.Image.Name = "golden-shared"
				s.Image.Family = "golden"
				s.Lifecycle = retention.Lifecycle{DeprecateAfter: 1000 * time.Hour, Protection: ami.ProtectedWithoutCooldown}
				s.Parameter.Name = "/golden"
				s.Retire = &retention.RetentionPolicy{Family: "golden", Keep: 1, DeprecateAfter: 50 * time.Hour, DisableAfter: 150 * time.Hour, DeleteAfter: 350 * time.Hour}
			},
			missing: []permission.Feature{permission.Deprecation, permission.Protection, permission.Parameters, permission.Retirement},
		},
		"a shared parameter": {
			features: []permission.Feature{permission.Base, permission.Organization, permission.KeyCreation, permission.Rotation, permission.Grants, permission.MemberGrants, permission.Parameters, permission.SharedParameters, permission.PrunedParameters},
			setUp: func(t *testing.T, w *world, spec *publish.Spec) {
				earlier := *spec // shares with one account that is no longer configured
				earlier.Share = publish.ShareSpec{Accounts: awssim.MemberAccounts()[:1]}
				earlier.Regions, earlier.Image.Name, earlier.Grants = spec.Regions[:1], "earlier", publish.GrantsSpec{}
				w.mustPublish(t, earlier)
			},
			spec: func(s *publish.Spec) {
				s.Parameter, s.Share.Prune, s.Image.Name = publish.ParameterSpec{Name: "/golden", Share: true}, true, "golden-shared"
			},
			missing: []permission.Feature{permission.SharedParameters, permission.PrunedParameters},
		},
		"a canary": {
			features: []permission.Feature{permission.Base, permission.Organization, permission.KeyCreation, permission.Rotation, permission.Grants, permission.MemberGrants, permission.Canary},
			spec: func(s *publish.Spec) {
				s.Canary = &publish.CanarySpec{Account: canaryAccount(), Role: canaryRole, AutoScaling: true, Timeout: 10 * time.Minute}
			},
			missing: []permission.Feature{permission.Canary},
		},
		"an account left": {
			features: []permission.Feature{permission.Base, permission.Organization, permission.KeyCreation, permission.Rotation, permission.Grants, permission.MemberGrants, permission.PruneGrants},
			setUp: func(t *testing.T, w *world, spec *publish.Spec) {
				wider := *spec
				wider.Grants.Accounts, wider.Grants.Prune = awssim.MemberAccounts(), false
				w.mustPublish(t, wider)
			},
			spec: func(s *publish.Spec) { // the open policy lets all principals in the organization revoke
				s.Grants.Prune, s.Share.Prune, s.Key.Policy = true, true, policy.Hardened
			},
			missing: []permission.Feature{permission.PruneGrants},
		},
	}
}

// sourceUnderOwnKey makes the source a copy that is encrypted with a customer
// managed key. The policy of aws/ebs allows all principals in the account.
func sourceUnderOwnKey(t *testing.T, w *world, spec *publish.Spec) {
	t.Helper()
	region := spec.Sources[0].Region
	key := makeNamedKey(t, kms.NewFromConfig(w.config(awssim.PublishingAccount, region)), "alias/builds", &kms.CreateKeyInput{})
	answer, err := ec2.NewFromConfig(w.config(awssim.PublishingAccount, region)).CopyImage(t.Context(), &ec2.CopyImageInput{
		SourceImageId: aws.String(sourceImage), SourceRegion: &region, Name: aws.String("built"), Encrypted: aws.Bool(true), KmsKeyId: &key,
	})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(10 * time.Minute)
	spec.Sources[0].ImageID, spec.Image.Name = aws.ToString(answer.ImageId), "golden-shared"
}

// TestLeastPrivilege checks that the documented policy is enough.
func TestLeastPrivilege(t *testing.T) {
	for name, test := range permissionCases() {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, withPublisher, func(t *testing.T, w *world) {
				spec := test.prepare(t, w)
				w.allow(t, permission.Of(test.features...))
				for run := range 2 {
					if _, err := w.publishAsRole(t, spec); err != nil {
						t.Fatalf("run %d: %v", run+1, err)
					}
				}
			})
		})
	}
}

// TestEachPermissionIsNeeded checks that without any one of the permissions a run says
// which one is missing, shares nothing and leaves no image of its own; and once it is
// allowed, the next run publishes.
func TestEachPermissionIsNeeded(t *testing.T) {
	for name, test := range permissionCases() {
		all := permission.Of(test.features...)
		for _, missing := range permission.Of(test.missing...) {
			// A permission that two features need is missing only if both lack it.
			rest := slices.DeleteFunc(slices.Clone(all), func(p permission.Permission) bool { return p.Action == missing.Action && p.Scope == missing.Scope })
			t.Run(fmt.Sprintf("%s, without %s in %s", name, missing.Action, missing.Scope), func(t *testing.T) {
				inVirtualTime(t, withPublisher, func(t *testing.T, w *world) {
					spec := test.prepare(t, w)
					w.allow(t, rest)
					w.checkRefusal(t, spec, missing)
					w.allow(t, all)
					if _, err := w.publishAsRole(t, spec); err != nil {
						t.Errorf("the next run, with all permissions: %v", err)
					}
					if copies := w.copies(); len(copies) != len(spec.Regions) {
						t.Errorf("copies: %v", copies)
					}
				})
			})
		}
	}
}

// TestTagsOfAnotherKeyDenied checks that if the tags of a key can't be read because a
// permission is missing, the key may be the one that an interrupted run created, so no
// other key is created. A key whose own policy doesn't allow the caller is another
// team's.
func TestTagsOfAnotherKeyDenied(t *testing.T) {
	test := permissionCases()["new key, accounts"]
	all := permission.Of(test.features...)
	for name, test := range map[string]struct {
		policy  string // of the other key
		without string
		fails   bool
	}{
		"no permission":     {"", "kms:ListResourceTags", true},
		"another team's":    {`{"Version":"2012-10-17","Statement":[{"Sid":"Them","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:user/admin"},"Action":"kms:*","Resource":"*"}]}`, "", false},
		"with a permission": {"", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, withPublisher, func(t *testing.T, w *world) {
				spec := permissionCases()["new key, accounts"].prepare(t, w)
				input := &kms.CreateKeyInput{MultiRegion: aws.Bool(true)}
				if test.policy != "" {
					input.Policy, input.BypassPolicyLockoutSafetyCheck = &test.policy, true
				}
				makeNamedKey(t, w.kmsIn(spec.Key.PrimaryRegion), "alias/other", input)
				w.allow(t, slices.DeleteFunc(slices.Clone(all), func(p permission.Permission) bool { return p.Action == test.without }))
				_, err := w.publishAsRole(t, spec)
				if test.fails != (err != nil) || test.fails && !strings.Contains(err.Error(), test.without) {
					t.Errorf("error is %v", err)
				}
				made := w.mutations()["kms CreateKey"] - 2 // with that of the source, and the other team's
				if made != 1 && !test.fails || made != 0 && test.fails {
					t.Errorf("%d keys were made", made)
				}
			})
		})
	}
}

// TestGrantsAreAskedForBeforehand checks that a run without permission to
// create grants changes nothing if the key exists.
func TestGrantsAreAskedForBeforehand(t *testing.T) {
	inVirtualTime(t, withPublisher, func(t *testing.T, w *world) {
		test := permissionCases()["new key, accounts"]
		spec := test.prepare(t, w)
		w.allow(t, permission.Of(test.features...))
		first := spec
		first.Grants.Accounts = first.Grants.Accounts[:1]
		if _, err := w.publishAsRole(t, first); err != nil {
			t.Fatal(err)
		}
		w.allow(t, slices.DeleteFunc(permission.Of(test.features...), func(p permission.Permission) bool {
			return p.Feature == permission.OwnGrants && p.Action == "kms:CreateGrant"
		}))
		before := w.state()
		_, err := w.publishAsRole(t, spec)
		if err == nil || !strings.Contains(err.Error(), "kms:CreateGrant") || !strings.Contains(err.Error(), "with a dry run") {
			t.Errorf("error is %v", err)
		}
		if diff := cmp.Diff(before, w.state()); diff != "" {
			t.Errorf("the world changed:\n%s", diff)
		}
	})
}

// withPublisher is the default world with the publisher's role, which cannot do
// anything yet.
func withPublisher() awssim.WorldFile {
	file := withCanary(defaultWorld())
	for i := range file.Accounts {
		if file.Accounts[i].ID == awssim.PublishingAccount {
			file.Accounts[i].Roles = append(file.Accounts[i].Roles, awssim.RoleFile{Name: publisherRole})
			file.Accounts[i].ServiceLinkedRoles = awssim.DefaultServiceLinkedRoles()
		}
	}
	return file
}

func (p permissionCase) prepare(t *testing.T, w *world) publish.Spec {
	t.Helper()
	spec := w.spec()
	spec.Regions = spec.Regions[:2] // a primary and a replica need all permissions
	if p.spec != nil {
		p.spec(&spec)
	}
	if p.setUp != nil {
		p.setUp(t, w, &spec)
		time.Sleep(time.Minute) // until it shows
	}
	return spec
}

// allow gives the publisher the policy of the permissions, in place of the one
// that it had.
func (w *world) allow(t *testing.T, permissions []permission.Permission) {
	t.Helper()
	caller := permission.Caller{Partition: "aws", Account: awssim.PublishingAccount, MemberRole: awssim.GrantRole, DiscoveryRole: accountsRole, CanaryRole: "arn:aws:iam::" + canaryAccount() + ":role/" + canaryRole}
	document, err := json.Marshal(permission.Policy(caller, permissions))
	if err != nil {
		t.Fatal(err)
	}
	_, err = iam.NewFromConfig(w.config(awssim.PublishingAccount, w.regions[0])).PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{
		RoleName: aws.String(publisherRole), PolicyName: aws.String("publish"), PolicyDocument: aws.String(string(document)),
	})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Minute) // until it shows
}

// publishAsRole publishes with a session of the publisher's role.
func (w *world) publishAsRole(t *testing.T, spec publish.Spec) (outcome, error) {
	t.Helper()
	clients := awsclient.New(w.config(awssim.PublishingAccount, w.regions[0]))
	role := awsclient.AssumeRole{RoleARN: "arn:aws:iam::" + awssim.PublishingAccount + ":role/" + publisherRole}
	o, err := publish.Runner{Clients: clients.WithRole(role), Reporter: w.reporter(), Lock: unlocked}.Run(t.Context(), spec)
	return outcome{o}, err
}

// Permissions that only a second run needs, because a first run knows these values of a
// new key.
var (
	forAgain = []string{"kms:ListResourceTags", "kms:GetKeyRotationStatus"}
	// forPruning are permissions that a run needs only after everything is published.
	forPruning = []string{
		"kms:RevokeGrant", "ec2:CreateImageUsageReport", "ec2:EnableImageDeprecation", "ec2:EnableImageDeregistrationProtection", "ec2:DisableImage", "ec2:DeregisterImage", "ec2:DeleteSnapshot", "ssm:PutParameter",
		"ram:CreateResourceShare", "ram:TagResource", "ram:AssociateResourceShare", "ram:DisassociateResourceShare",
	}
	// dryRun are the permissions that dry runs check.
	dryRun = []string{"ec2:CopyImage", "ec2:CreateTags", "ec2:ModifyImageAttribute"}
)

// checkRefusal publishes without the permission.
func (w *world) checkRefusal(t *testing.T, spec publish.Spec, missing permission.Permission) {
	t.Helper()
	before := w.state()
	_, err := w.publishAsRole(t, spec)
	if slices.Contains(dryRun, missing.Action) {
		if diff := cmp.Diff(before, w.state()); diff != "" {
			t.Errorf("the run changed the world before it was refused:\n%s", diff)
		}
	}
	switch {
	case slices.Contains(forAgain, missing.Action):
		if err != nil {
			t.Fatalf("the first run: %v", err)
		}
		before = w.state()
		_, err = w.publishAsRole(t, spec)
		if diff := cmp.Diff(before, w.state()); diff != "" {
			t.Errorf("the second run changed the world:\n%s", diff)
		}
	case slices.Contains(forPruning, missing.Action):
	default:
		w.checkNothingVisible(t)
	}
	if err == nil {
		t.Fatal("it was published")
	}
	says := "not authorized to perform: " + missing.Action
	if missing.Action == "kms:PutKeyPolicy" || missing.Action == "ec2:DeleteSnapshot" {
		says = missing.Action // AWS words these denials differently
	}
	if !strings.Contains(err.Error(), says) {
		t.Errorf("the error does not say %q: %v", says, err)
	}
}
