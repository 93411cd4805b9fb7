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

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/awssim"
	"github.com/orgami/packer-plugin-orgami/internal/permission"
	"github.com/orgami/packer-plugin-orgami/internal/publish"
)

// publisherRole publishes in these tests, and has only the documented policy.
const publisherRole = "image-publisher"

// permissionCase is a publication and the features of the documented policy
// that it takes.
type permissionCase struct {
	features []permission.Feature
	setUp    func(t *testing.T, w *world, spec *publish.Spec)
	spec     func(*publish.Spec)
	// missing are the features whose permissions are taken away, one by one.
	missing []permission.Feature
}

// permissionCases share with accounts wherever EC2's use of the key is at
// stake: a key policy that admits the organisation admits the publisher too.
func permissionCases() map[string]permissionCase {
	accounts := func(s *publish.Spec) {
		s.Share.Organization, s.Share.Accounts, s.Share.Snapshots = false, awssim.MemberAccounts(), true
		s.Key.Tags = map[string]string{"team": "base"}
	}
	return map[string]permissionCase{
		"new key, accounts": {
			features: []permission.Feature{permission.Base, permission.KeyCreation, permission.Rotation, permission.KeyTags, permission.Snapshots, permission.GrantsByOwner},
			setUp:    sourceUnderOwnKey, spec: accounts,
			missing: []permission.Feature{permission.Base, permission.KeyCreation, permission.Rotation, permission.KeyTags, permission.Snapshots, permission.GrantsByOwner},
		},
		"adopted key, no grants": {
			features: []permission.Feature{permission.Base, permission.AdoptedKey},
			setUp: func(t *testing.T, w *world, spec *publish.Spec) {
				w.makeKey(t, spec.Key.PrimaryRegion, true, "")
			},
			spec: func(s *publish.Spec) {
				accounts(s)
				s.Share.Snapshots, s.Key.Create, s.Key.Rotation, s.Key.Tags = false, false, false, nil
				s.Grants = publish.GrantsSpec{}
			},
			missing: []permission.Feature{permission.AdoptedKey},
		},
		"organisation, grants by members": {
			features: []permission.Feature{permission.Base, permission.Organization, permission.KeyCreation, permission.Rotation, permission.GrantsByMember},
			spec:     func(s *publish.Spec) { s.Grants.Via, s.Grants.MemberRole = "member", awssim.GrantRole },
			missing:  []permission.Feature{permission.Organization, permission.GrantsByMember},
		},
	}
}

// sourceUnderOwnKey makes the source a copy under a key of the account's own:
// the key of aws/ebs admits everybody in the account.
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

// TestLeastPrivilege: the documented policy is enough.
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

// TestEachPermissionIsNeeded: without any one of the permissions a run says
// which one is missing, shares nothing and leaves no image of its own; and once
// it is allowed, the next run publishes.
func TestEachPermissionIsNeeded(t *testing.T) {
	for name, test := range permissionCases() {
		all := permission.Of(test.features...)
		for _, missing := range permission.Of(test.missing...) {
			// One that two features need is missing only when both lack it.
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

// withPublisher is the default world with the publisher's role, which cannot do
// anything yet.
func withPublisher() awssim.WorldFile {
	file := defaultWorld()
	for i := range file.Accounts {
		if file.Accounts[i].ID == awssim.PublishingAccount {
			file.Accounts[i].Roles = append(file.Accounts[i].Roles, awssim.RoleFile{Name: publisherRole})
		}
	}
	return file
}

func (p permissionCase) prepare(t *testing.T, w *world) publish.Spec {
	t.Helper()
	spec := w.spec()
	spec.Regions = spec.Regions[:2] // a primary and a replica need all that there is
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
	caller := permission.Caller{Partition: "aws", Account: awssim.PublishingAccount, MemberRole: awssim.GrantRole}
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
func (w *world) publishAsRole(t *testing.T, spec publish.Spec) (*publish.Result, error) {
	t.Helper()
	clients := awsclient.New(w.config(awssim.PublishingAccount, w.regions[0]))
	role := awsclient.AssumeRole{RoleARN: "arn:aws:iam::" + awssim.PublishingAccount + ":role/" + publisherRole}
	return publish.Run(t.Context(), clients.As(role), spec, w, unlocked)
}

// Permissions that are missed only in certain straits: to clean up after a run
// that failed, and to read of a key that exists what is known of a new one.
var (
	forCleaningUp = []string{"ec2:DeregisterImage", "ec2:DeleteSnapshot"}
	forAgain      = []string{"kms:ListResourceTags", "kms:GetKeyRotationStatus"}
)

// checkRefusal publishes without the permission.
func (w *world) checkRefusal(t *testing.T, spec publish.Spec, missing permission.Permission) {
	t.Helper()
	if slices.Contains(forCleaningUp, missing.Action) {
		w.sim.Interpose(func(call awssim.Entry) *awssim.Fault {
			if call.Operation == "ModifyImageAttribute" {
				return &awssim.Fault{Kind: awssim.Denied}
			}
			return nil
		})
		defer w.sim.ClearFaults()
	}
	_, err := w.publishAsRole(t, spec)
	switch {
	case slices.Contains(forAgain, missing.Action):
		if err != nil {
			t.Fatalf("the first run: %v", err)
		}
		before := w.state()
		_, err = w.publishAsRole(t, spec)
		if diff := cmp.Diff(before, w.state()); diff != "" {
			t.Errorf("the second run changed the world:\n%s", diff)
		}
	case slices.Contains(forCleaningUp, missing.Action):
		for _, image := range w.state().Images {
			if image.Name == "golden-shared" && len(image.LaunchPermissions) > 0 {
				t.Errorf("image %s in %s is shared with %v", image.ID, image.Region, image.LaunchPermissions)
			}
		}
	default:
		w.checkNothingVisible(t)
	}
	if err == nil {
		t.Fatal("it was published")
	}
	says := "not authorized to perform: " + missing.Action
	if missing.Action == "kms:PutKeyPolicy" {
		says = missing.Action // KMS only says that the caller would lock itself out
	}
	if !strings.Contains(err.Error(), says) {
		t.Errorf("the error does not say %q: %v", says, err)
	}
}
