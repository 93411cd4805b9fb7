package e2e

import (
	"cmp"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
	"github.com/orgami/packer-plugin-orgami/internal/record/manifest"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

const (
	// remedied is the member account whose launches fail.
	remedied = "222222222222"
	// remedyRole is the role of it that launches.
	remedyRole = awssim.LauncherRole
)

// noted finds the account whose credentials a note asks for.
var noted = regexp.MustCompile(`with credentials of (?:the account )?(\d{12})`)

// credentialsOf is the account whose credentials a link's remedy needs.
func credentialsOf(link evaluate.Link) string {
	if strings.Contains(link.Note, "organization's management account") {
		return awssim.ManagementAccount
	}
	if found := noted.FindStringSubmatch(link.Note); found != nil {
		return found[1]
	}
	return awssim.PublishingAccount
}

// A setting of a member account keeps its instances from launching. An audit finds it,
// and the remedy that it prints is pasted, with the credentials that it names. Where that
// only shows what blocks, the reader changes it. Then a run publishes, and all checks pass.
func TestConsumerRemediesInMembers(t *testing.T) {
	t.Parallel()
	const (
		denyKMS   = `{"Effect":"Deny","Action":"kms:Decrypt","Resource":"*"}`
		regions   = `regions = ["us-east-1", "eu-west-1"]`
		withOptIn = `regions = ["us-east-1", "af-south-1"]`
	)
	withoutMember := strings.Replace(publish, "grants {", "share {\n    organization = false\n    accounts     = [\"333333333333\"]\n  }\n  grants {", 1)
	for name, test := range map[string]struct {
		template string
		world    func(*awssim.AccountFile, *awssim.RoleFile)
		link     string
		says     string // the remedy
		// account is the account whose credentials the check asks for.
		account string
		// damage is a command that the member runs after the publication.
		damage string
		// reader is what the reader does then, in that account, and change what no
		// simulated operation does.
		reader string
		change func(*testing.T, simulated)
	}{
		"an image that isn't shared with the account": {
			template: withoutMember, link: "shared", says: "aws ec2 modify-image-attribute", account: awssim.PublishingAccount,
		},
		"Allowed AMIs": {
			world: func(a *awssim.AccountFile, _ *awssim.RoleFile) {
				a.AllowedImages = map[string]awssim.AllowedImagesFile{"eu-west-1": {Criteria: []awssim.ImageCriterionFile{{Providers: []string{"amazon"}}}}}
			},
			link: "allowed-amis", says: "aws ec2 get-allowed-images-settings", account: remedied,
			reader: "aws ec2 replace-image-criteria-in-allowed-images-settings --region eu-west-1 --image-criteria ImageProviders=amazon,111111111111",
		},
		"a service control policy": {
			world: func(a *awssim.AccountFile, _ *awssim.RoleFile) {
				a.ServiceControlPolicies = []json.RawMessage{json.RawMessage(awssim.FullAWSAccess), document(denyKMS)}
			},
			link: "scp", says: "aws organizations list-policies-for-target", account: awssim.ManagementAccount,
			change: func(t *testing.T, s simulated) {
				t.Helper()
				if err := s.SetServiceControlPolicies(remedied, json.RawMessage(awssim.FullAWSAccess)); err != nil {
					t.Fatal(err)
				}
			},
		},
		"a Region that isn't enabled": {
			template: strings.Replace(publish, regions, withOptIn, 1),
			link:     "region-enabled", says: "aws account enable-region", account: remedied,
			damage: "aws account disable-region --region-name af-south-1",
		},
		"a role that can't launch": {
			world: func(_ *awssim.AccountFile, r *awssim.RoleFile) { delete(r.Policies, "launch") },
			link:  "identity-policy", says: "aws iam list-attached-role-policies", account: remedied,
			reader: `aws iam put-role-policy --role-name ` + remedyRole + ` --policy-name launch --policy-document '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ec2:RunInstances","ec2:CreateFleet","ec2:CreateTags"],"Resource":"*"}]}'`,
		},
		"a role whose policy denies": {
			world: func(_ *awssim.AccountFile, r *awssim.RoleFile) { r.Policies["stop"] = document(denyKMS) },
			link:  "identity-policy", says: "aws iam list-role-policies", account: remedied,
			reader: "aws iam delete-role-policy --role-name " + remedyRole + " --policy-name stop",
		},
		"a permissions boundary": {
			world: func(_ *awssim.AccountFile, r *awssim.RoleFile) {
				r.PermissionsBoundary = document(`{"Effect":"Allow","Action":"ec2:*","Resource":"*"}`)
			},
			link: "permission-boundary", says: "aws iam get-role", account: remedied,
			reader: "aws iam delete-role-permissions-boundary --role-name " + remedyRole,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim := newAWSWith(t, membersWorld(test.world), awssim.Options{})
			p := newPacker(t, sim.environment...)
			with := func(arguments string) string {
				return template(t, fromExisting, keep, strings.TrimSuffix(cmp.Or(test.template, publish), "}")+arguments+"\n}")
			}
			p.mustBuild(with(`  check = "off"`))
			if test.damage != "" {
				sim.paste(t, remedied, test.damage)
			}
			folder := with("  plan_only = true")
			audit, _ := p.build(folder)
			pasted := map[string]bool{}
			for _, c := range readJSON[manifest.Manifest](t, folder, "orgami", manifest.PlanFile).Launches {
				link, found := c.Broken()
				if !found || pasted[link.Remedy] {
					continue
				}
				if link.Name != test.link || !strings.HasPrefix(link.Remedy, test.says) || credentialsOf(link) != test.account {
					t.Errorf("%s of %s: %+v", c.Outcome, c.Launcher, link)
				}
				pasted[link.Remedy] = true
				sim.paste(t, credentialsOf(link), link.Remedy)
			}
			if len(pasted) == 0 {
				t.Fatalf("all launches pass:\n%s", audit)
			}
			if test.reader != "" {
				sim.paste(t, test.account, test.reader)
			}
			if test.change != nil {
				test.change(t, sim)
			}
			if output := p.mustBuild(with("")); !strings.Contains(output, "0 failed, 0 pending, 0 inconclusive") {
				t.Errorf("after %v:\n%s", slices.Collect(maps.Keys(pasted)), output)
			}
		})
	}
}

// membersWorld is the default world with an image to publish. In the member account, the
// publisher may read everything, and Karpenter's role has its policy. change breaks
// something.
func membersWorld(change func(*awssim.AccountFile, *awssim.RoleFile)) awssim.WorldFile {
	file := withGolden()
	accountIn(&file, awssim.PublishingAccount).EnabledRegions = []string{"af-south-1"}
	a := accountIn(&file, remedied)
	a.EnabledRegions = []string{"af-south-1"}
	a.ServiceLinkedRoles = append(slices.Clone(a.ServiceLinkedRoles), "aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot")
	for i := range a.Roles {
		r := &a.Roles[i]
		r.Policies = maps.Clone(r.Policies)
		switch r.Name {
		case awssim.GrantRole:
			r.Policies["inspect"] = json.RawMessage(policy.MemberPolicy("aws").String())
		case remedyRole:
			r.Policies["kms"] = json.RawMessage(policy.Karpenter("aws", "arn:aws:kms:*:"+awssim.PublishingAccount+":key/*").String())
			if change != nil {
				change(a, r)
			}
		}
	}
	return file
}
