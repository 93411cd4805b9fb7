package publish_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
	"github.com/orgami/packer-plugin-orgami/internal/publish"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// inspectedWorld is the default world, in which the member role may read everything,
// except the statements that are named.
func inspectedWorld(without ...string) func() awssim.WorldFile {
	return func() awssim.WorldFile {
		file := defaultWorld()
		reads := json.RawMessage(policy.MemberPolicy("aws", without...).String())
		for i := range file.Accounts {
			roles := slices.Clone(file.Accounts[i].Roles)
			for j, role := range roles {
				if role.Name == awssim.GrantRole {
					roles[j].Policies = maps.Clone(role.Policies)
					roles[j].Policies["inspect"] = reads
				}
			}
			file.Accounts[i].Roles = roles
		}
		return file
	}
}

// broken is a setting of account 222222222222 in eu-west-1 that keeps instances from
// starting, and that only the account itself can see.
type broken struct {
	name     string
	set      func(*testing.T, *world)
	launcher string // a launcher that fails
	link     string
	said     string // by the reason
}

func memberEC2(w *world) *ec2.Client {
	return ec2.NewFromConfig(w.config(awssim.MemberAccounts()[0], auditedRegion))
}

func newDefaultKey(t *testing.T, w *world, disabled bool) {
	t.Helper()
	client := kms.NewFromConfig(w.config(awssim.MemberAccounts()[0], auditedRegion))
	key, err := client.CreateKey(t.Context(), &kms.CreateKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	done(memberEC2(w).ModifyEbsDefaultKmsKeyId(t.Context(), &ec2.ModifyEbsDefaultKmsKeyIdInput{KmsKeyId: key.KeyMetadata.Arn}))(t)
	if disabled {
		done(client.DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: key.KeyMetadata.Arn}))(t)
	}
}

func allowOnly(t *testing.T, w *world, criteria ...types.ImageCriterionRequest) {
	t.Helper()
	done(memberEC2(w).ReplaceImageCriteriaInAllowedImagesSettings(t.Context(), &ec2.ReplaceImageCriteriaInAllowedImagesSettingsInput{ImageCriteria: criteria}))(t)
	done(memberEC2(w).EnableAllowedImagesSettings(t.Context(), &ec2.EnableAllowedImagesSettingsInput{AllowedImagesSettingsState: types.AllowedImagesSettingsEnabledStateEnabled}))(t)
}

var brokenSettings = []broken{
	{"the default key doesn't allow the service", func(t *testing.T, w *world) { newDefaultKey(t, w, false) }, "EC2 Auto Scaling", "volume-key", "no grant on the key"},
	{"the default key is disabled", func(t *testing.T, w *world) { newDefaultKey(t, w, true) }, "EC2 Auto Scaling", "volume-key", "is Disabled"},
	{"Allowed AMIs has other providers", func(t *testing.T, w *world) {
		allowOnly(t, w, types.ImageCriterionRequest{ImageProviders: []string{"amazon"}})
	}, "EC2 Auto Scaling", "allowed-amis", "no criterion"},
	{"Allowed AMIs has other names", func(t *testing.T, w *world) {
		allowOnly(t, w, types.ImageCriterionRequest{ImageProviders: []string{awssim.PublishingAccount}, ImageNames: []string{"base-*"}})
	}, "EC2 Auto Scaling", "allowed-amis", "no criterion"},
}

// A problem that only inspection can find stops the publication before any other
// account sees the image. The launch would fail.
func TestInspectionFindsWhatBreaksLaunches(t *testing.T) {
	for _, test := range brokenSettings {
		t.Run(test.name, func(t *testing.T) {
			inVirtualTime(t, inspectedWorld(), func(t *testing.T, w *world) {
				test.set(t, w)
				result, err := w.publish(w.spec())
				if err == nil || !strings.Contains(err.Error(), test.said) {
					t.Errorf("the publication ends with %v", err)
				}
				verdict, _ := result.Checks.Matrix.Find(awssim.MemberAccounts()[0], auditedRegion, test.launcher)
				if reason, _ := verdict.Broken(); verdict.Outcome != evaluate.Fails || reason.Name != test.link || verdict.Evidence == evaluate.Assumed {
					t.Errorf("%s in %s: %+v", verdict.Outcome, auditedRegion, reason)
				}
				for _, image := range w.state().Images {
					if image.Name == "golden-shared" && len(image.LaunchPermissions) > 0 {
						t.Errorf("%s is shared with %v", image.ID, image.LaunchPermissions)
					}
				}
				spec := w.spec()
				spec.Check = publish.CheckWarn
				images := w.mustPublish(t, spec).Images()
				time.Sleep(time.Minute)
				if reason := w.launchServiceLinked(t, awssim.MemberAccounts()[0], "AWSServiceRoleForAutoScaling", auditedRegion, images[auditedRegion]); reason == "" {
					t.Error("the launch succeeds")
				}
				if reason := w.launchServiceLinked(t, awssim.MemberAccounts()[1], "AWSServiceRoleForAutoScaling", auditedRegion, images[auditedRegion]); reason != "" {
					t.Errorf("the launch in another account: %s", reason)
				}
			})
		})
	}
}

// In accounts with the role, every value that was read has the evidence "seen".
func TestInspectionSees(t *testing.T) {
	inVirtualTime(t, inspectedWorld(), func(t *testing.T, w *world) {
		result := w.mustPublish(t, w.spec())
		m := result.Manifest()
		if m.MemberAccounts == nil || m.MemberAccounts.Inspected != 2 {
			t.Fatalf("member accounts: %+v", m.MemberAccounts)
		}
		for _, account := range awssim.MemberAccounts()[:2] {
			for _, launcher := range []string{"EC2 Auto Scaling", "ECS auto scaling"} {
				c, _ := m.Launches.Find(account, auditedRegion, launcher)
				if c.Outcome != evaluate.Launches || c.Evidence != evaluate.Seen {
					t.Errorf("%s in %s: %s, %s: %+v", launcher, account, c.Outcome, c.Evidence, c.Links)
				}
			}
		}
		if !strings.Contains(result.Summary(), "12 seen") {
			t.Error(result.Summary())
		}
	})
}

// launcherWith gives Karpenter's role in account 222222222222 the policy, without which
// its launches are pending, and other settings.
func launcherWith(change func(*awssim.AccountFile, *awssim.RoleFile)) func() awssim.WorldFile {
	return func() awssim.WorldFile {
		file := inspectedWorld()()
		for i := range file.Accounts {
			a := &file.Accounts[i]
			for j := range a.Roles {
				if r := &a.Roles[j]; a.ID == awssim.MemberAccounts()[0] && r.Name == awssim.LauncherRole {
					r.Policies = maps.Clone(r.Policies)
					r.Policies["kms"] = json.RawMessage(policy.Karpenter("aws", "arn:aws:kms:*:"+awssim.PublishingAccount+":key/*").String())
					change(a, r)
				}
			}
		}
		return file
	}
}

func statements(list ...string) json.RawMessage {
	return json.RawMessage(`{"Version":"2012-10-17","Statement":[` + strings.Join(list, ",") + `]}`)
}

const everything = `{"Effect":"Allow","Action":"*","Resource":"*"}`

// The limits of Karpenter's role are simulated.
func TestSimulation(t *testing.T) {
	deny := func(action string) json.RawMessage {
		return statements(everything, `{"Effect":"Deny","Action":"`+action+`","Resource":"*"}`)
	}
	for name, test := range map[string]struct {
		change   func(*awssim.AccountFile, *awssim.RoleFile)
		outcome  evaluate.Outcome
		link     string
		launches bool
	}{
		"the policy is attached": {func(*awssim.AccountFile, *awssim.RoleFile) {}, evaluate.Launches, "", true},
		"the policy is missing":  {func(_ *awssim.AccountFile, r *awssim.RoleFile) { delete(r.Policies, "kms") }, evaluate.Pending, "identity-policy", false},
		"a policy denies": {func(_ *awssim.AccountFile, r *awssim.RoleFile) {
			r.Policies["deny"] = statements(`{"Effect":"Deny","Action":"kms:CreateGrant","Resource":"*"}`)
		}, evaluate.Fails, "identity-policy", false},
		"the role can't launch": {func(_ *awssim.AccountFile, r *awssim.RoleFile) { delete(r.Policies, "launch") }, evaluate.Fails, "identity-policy", false},
		"the policy is for AWS's grants only": {func(_ *awssim.AccountFile, r *awssim.RoleFile) {
			r.Policies["kms"] = statements(`{"Effect":"Allow","Action":"kms:*","Resource":"*","Condition":{"Bool":{"kms:GrantIsForAWSResource":"true"}}}`)
		}, evaluate.Pending, "identity-policy", false},
		"a condition that the simulation can't evaluate": {func(_ *awssim.AccountFile, r *awssim.RoleFile) {
			r.Policies["kms"] = statements(`{"Effect":"Allow","Action":"kms:*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/team":"web"}}}`)
		}, evaluate.Inconclusive, "identity-policy", false},
		"the boundary allows it": {func(_ *awssim.AccountFile, r *awssim.RoleFile) { r.PermissionsBoundary = statements(everything) }, evaluate.Launches, "", true},
		"the boundary doesn't allow KMS": {func(_ *awssim.AccountFile, r *awssim.RoleFile) {
			r.PermissionsBoundary = statements(`{"Effect":"Allow","Action":"ec2:*","Resource":"*"}`)
		}, evaluate.Fails, "permission-boundary", false},
		"the organization allows it": {func(a *awssim.AccountFile, _ *awssim.RoleFile) {
			a.ServiceControlPolicies = []json.RawMessage{json.RawMessage(awssim.FullAWSAccess)}
		}, evaluate.Launches, "", true},
		"the organization denies KMS": {func(a *awssim.AccountFile, _ *awssim.RoleFile) {
			a.ServiceControlPolicies = []json.RawMessage{deny("kms:GenerateDataKeyWithoutPlaintext")}
		}, evaluate.Inconclusive, "scp", false},
		"the organization denies launches": {func(a *awssim.AccountFile, _ *awssim.RoleFile) {
			a.ServiceControlPolicies = []json.RawMessage{deny("ec2:RunInstances")}
		}, evaluate.Inconclusive, "scp", false},
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, launcherWith(test.change), func(t *testing.T, w *world) {
				spec := w.spec()
				spec.Check = publish.CheckWarn
				result := w.mustPublish(t, spec)
				verdict, _ := result.Checks.Matrix.Find(awssim.MemberAccounts()[0], auditedRegion, "Karpenter")
				reason, _ := verdict.Broken()
				if verdict.Outcome != test.outcome || reason.Name != test.link || verdict.Evidence == evaluate.Assumed || verdict.Evidence == evaluate.Seen {
					t.Errorf("%s, %s: %+v", verdict.Outcome, verdict.Evidence, verdict.Links)
				}
				time.Sleep(time.Minute)
				if reason := w.launch(t, awssim.MemberAccounts()[0], auditedRegion, result.Images()[auditedRegion]); (reason == "") != test.launches {
					t.Errorf("the launch: %q", reason)
				}
			})
		})
	}
}

// Without one action of the member role's policy, the links of its statement are
// assumed or inconclusive, no other changes, and one line names the action.
func TestInspectionByRemoval(t *testing.T) {
	for _, read := range policy.MemberReads("aws") {
		for _, action := range read.Statement.Action {
			t.Run(action, func(t *testing.T) {
				file := func() awssim.WorldFile {
					file := launcherWith(func(*awssim.AccountFile, *awssim.RoleFile) {})()
					for _, a := range file.Accounts {
						for _, r := range a.Roles {
							if document := r.Policies["inspect"]; document != nil {
								r.Policies["inspect"] = json.RawMessage(strings.Replace(string(document), `"`+action+`"`, `"s3:GetObject"`, 1))
							}
						}
					}
					return file
				}
				inVirtualTime(t, file, func(t *testing.T, w *world) {
					if strings.HasPrefix(action, "kms:") {
						newDefaultKey(t, w, false)
					}
					spec := w.spec()
					spec.Check = publish.CheckWarn
					result := w.mustPublish(t, spec)
					if action == "ec2:DescribeImages" { // in audits only
						spec.PlanOnly = true
						result, _ = w.publish(spec)
					}
					for _, launcher := range []string{"Karpenter", "EC2 Auto Scaling"} {
						c, _ := result.Checks.Matrix.Find(awssim.MemberAccounts()[0], auditedRegion, launcher)
						for _, l := range c.Links {
							known := l.Evidence == evaluate.Seen || l.Evidence == evaluate.Simulated
							if !known && !slices.Contains(read.Links, l.Name) {
								t.Errorf("%s: link %s is %q", launcher, l.Name, l.Evidence)
							}
						}
					}
					if n := strings.Count(w.said(), "couldn't be inspected"); n != 1 || !strings.Contains(w.said(), awssim.GrantRole+" lacks "+action+" in ") {
						t.Errorf("said %d times:\n%s", n, w.said())
					}
				})
			})
		}
	}
}

// The policy of the member role is enough for everything to be seen or simulated.
func TestMemberPolicyIsEnough(t *testing.T) {
	inVirtualTime(t, launcherWith(func(*awssim.AccountFile, *awssim.RoleFile) {}), func(t *testing.T, w *world) {
		result := w.mustPublish(t, w.spec())
		for _, launcher := range []string{"Karpenter", "EC2 Auto Scaling"} {
			c, _ := result.Checks.Matrix.Find(awssim.MemberAccounts()[0], auditedRegion, launcher)
			for _, l := range c.Links {
				if l.Evidence == evaluate.Assumed {
					t.Errorf("%s: link %s is assumed", launcher, l.Name)
				}
			}
		}
		if strings.Contains(w.said(), "couldn't be inspected") {
			t.Error(w.said())
		}
	})
}

// A member role that can't be assumed never fails the run.
func TestInspectionWithoutRole(t *testing.T) {
	file := func() awssim.WorldFile {
		file := inspectedWorld()()
		for i := range file.Accounts {
			if file.Accounts[i].ID == awssim.MemberAccounts()[1] {
				file.Accounts[i].Roles = slices.DeleteFunc(slices.Clone(file.Accounts[i].Roles), func(r awssim.RoleFile) bool { return r.Name == awssim.GrantRole })
			}
		}
		return file
	}
	inVirtualTime(t, file, func(t *testing.T, w *world) {
		spec := w.spec()
		spec.Grants.Roles = nil // no grants to create
		result := w.mustPublish(t, spec)
		unread := result.Manifest().MemberAccounts.Unread
		if len(unread) != 1 || unread[0].Action != "sts:AssumeRole" || !slices.Equal(unread[0].Accounts, awssim.MemberAccounts()[1:2]) {
			t.Errorf("%+v", unread)
		}
		if !strings.Contains(w.said(), awssim.GrantRole+" can't be assumed in 1 account (333333333333)") {
			t.Error(w.said())
		}
	})
}

// check = "seen" stops for what isn't seen in named accounts.
func TestCheckSeen(t *testing.T) {
	for name, test := range map[string]struct {
		file func() awssim.WorldFile
		said string // in the error; empty if the run publishes
	}{
		"everything is seen":    {launcherWith(func(*awssim.AccountFile, *awssim.RoleFile) {}), ""},
		"the policy is missing": {inspectedWorld(), "1 launch check is pending"},
		"a link is assumed": {func() awssim.WorldFile {
			file := launcherWith(func(*awssim.AccountFile, *awssim.RoleFile) {})()
			without := inspectedWorld("ReadAllowedAMIs")()
			for i, a := range file.Accounts {
				if a.ID == awssim.MemberAccounts()[0] {
					file.Accounts[i].Roles = append(slices.DeleteFunc(slices.Clone(a.Roles), func(r awssim.RoleFile) bool { return r.Name == awssim.GrantRole }), without.Accounts[i].Roles[1])
				}
			}
			return file
		}, "allowed-amis in 222222222222"},
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, test.file, func(t *testing.T, w *world) {
				spec := w.spec()
				spec.Regions, spec.Check = w.regions[:1], publish.CheckSeen
				spec.Grants.Accounts = awssim.MemberAccounts()[:1]
				_, err := w.publish(spec)
				if (err == nil) != (test.said == "") || err != nil && !strings.Contains(err.Error(), test.said) {
					t.Errorf("%v", err)
				}
			})
		})
	}
}

// The nightly audit of an organization finds what changed in its accounts.
func TestInspectingAudit(t *testing.T) {
	var published map[string]string
	for name, test := range map[string]struct {
		drift func(*testing.T, *world, *publish.Spec)
		said  string // by the error
	}{
		"nothing":           {func(*testing.T, *world, *publish.Spec) {}, ""},
		"a new default key": {func(t *testing.T, w *world, _ *publish.Spec) { newDefaultKey(t, w, false) }, "3 launches would fail"},
		"Allowed AMIs is switched on": {func(t *testing.T, w *world, _ *publish.Spec) {
			allowOnly(t, w, types.ImageCriterionRequest{ImageProviders: []string{"amazon"}})
		}, "3 launches would fail"},
		"the image is no longer shared": {func(t *testing.T, w *world, _ *publish.Spec) {
			a := newAudited(t, w, published)
			done(a.clients.EC2(auditedRegion).ModifyImageAttribute(t.Context(), &ec2.ModifyImageAttributeInput{
				ImageId: &a.image, Attribute: aws.String("launchPermission"),
				LaunchPermission: &types.LaunchPermissionModifications{Remove: []types.LaunchPermission{{OrganizationArn: aws.String("arn:aws:organizations::999999999999:organization/o-exampleorgid")}}},
			}))(t)
		}, "launches would fail"},
		"a new service control policy": {func(t *testing.T, w *world, _ *publish.Spec) {
			err := w.sim.SetServiceControlPolicies(awssim.MemberAccounts()[0], json.RawMessage(awssim.FullAWSAccess),
				statements(`{"Effect":"Deny","Action":"ec2:RunInstances","Resource":"*","Condition":{"StringEquals":{"aws:RequestedRegion":"eu-west-1"}}}`))
			done(0, err)(t)
		}, "1 launch that the organization may deny"},
		"a policy is detached": {func(t *testing.T, w *world, _ *publish.Spec) {
			done(iam.NewFromConfig(w.config(awssim.MemberAccounts()[0], auditedRegion)).DeleteRolePolicy(t.Context(), &iam.DeleteRolePolicyInput{RoleName: aws.String(awssim.LauncherRole), PolicyName: aws.String("kms")}))(t)
		}, "3 launches without the IAM policy"},
		"an assumption with check = seen": {func(t *testing.T, w *world, spec *publish.Spec) {
			spec.Check = publish.CheckSeen
			done(iam.NewFromConfig(w.config(awssim.MemberAccounts()[0], auditedRegion)).PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{
				RoleName: aws.String(awssim.GrantRole), PolicyName: aws.String("inspect"), PolicyDocument: aws.String(policy.MemberPolicy("aws", "ReadAllowedAMIs").String()),
			}))(t)
		}, "9 launches not seen to succeed"},
		"a new account without the role": {func(t *testing.T, w *world, spec *publish.Spec) {
			client := iam.NewFromConfig(w.config(awssim.MemberAccounts()[2], auditedRegion))
			for _, name := range []string{"grants", "inspect"} {
				done(client.DeleteRolePolicy(t.Context(), &iam.DeleteRolePolicyInput{RoleName: aws.String(awssim.GrantRole), PolicyName: &name}))(t)
			}
			done(client.DeleteRole(t.Context(), &iam.DeleteRoleInput{RoleName: aws.String(awssim.GrantRole)}))(t)
			spec.Grants.Accounts = append(slices.Clone(spec.Grants.Accounts), awssim.MemberAccounts()[2])
		}, "6 grants are missing"},
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, launcherWith(func(*awssim.AccountFile, *awssim.RoleFile) {}), func(t *testing.T, w *world) {
				spec := w.spec()
				spec.Grants.Accounts = awssim.MemberAccounts()[:1]
				published = w.mustPublish(t, spec).Images()
				spec.PlanOnly, spec.FailOnDrift = true, true
				test.drift(t, w, &spec)
				time.Sleep(time.Minute) // it is everywhere
				start := time.Now()
				result, err := w.publish(spec)
				if (err == nil) != (test.said == "") || err != nil && !strings.Contains(err.Error(), test.said) {
					t.Errorf("the audit ends with: %v\n%s", err, result.Checks.Matrix)
				}
				if took := time.Since(start); took > 10*time.Second && name != "the image is no longer shared" {
					t.Errorf("it took %s: what the accounts' settings break is not checked again", took)
				}
			})
		})
	}
}

// check_roles takes patterns. The roles that exist are checked, and one line names the
// accounts that have none.
func TestCheckRolesThatExist(t *testing.T) {
	file := launcherWith(func(a *awssim.AccountFile, r *awssim.RoleFile) {
		batch := *r
		batch.Name, batch.Path = "BatchNodes-web", "/team/"
		a.Roles = append(a.Roles, batch)
	})
	inVirtualTime(t, file, func(t *testing.T, w *world) {
		spec := w.spec()
		spec.CheckRoles = []string{"BatchNodes*"}
		result := w.mustPublish(t, spec)
		found := map[string]int{}
		for _, c := range result.Checks.Matrix {
			if strings.HasPrefix(c.Launcher, "BatchNodes") {
				for _, account := range c.Accounts {
					found[c.Launcher+" in "+account+" "+string(c.Outcome)]++
				}
			}
		}
		want := map[string]int{"BatchNodes-web in 222222222222 launches": 3, "BatchNodes* in any other account launches": 3}
		if diff := cmp.Diff(want, found); diff != "" {
			t.Error(diff)
		}
		if !strings.Contains(w.said(), `No role in 1 account (333333333333) matches "BatchNodes*" in check_roles`) {
			t.Error(w.said())
		}
	})
}
