package kmskey_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/orgami/packer-plugin-orgami/internal/change"
	"github.com/orgami/packer-plugin-orgami/internal/kmskey"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

func tags(key, value string) []types.Tag {
	return []types.Tag{{TagKey: &key, TagValue: &value}}
}

const ownerStatement = `{"Sid":"Owner","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"kms:*","Resource":"*"}`

func document(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(append([]string{ownerStatement}, statements...), ",") + `]}`
}

// altering changes the responses to DescribeKey in one Region.
func altering(t *testing.T, region string, value any, path ...string) func(string, string, []byte) []byte {
	return func(operation, where string, body []byte) []byte {
		if operation != "DescribeKey" || where != region {
			return body
		}
		return edit(t, body, value, path...)
	}
}

// unfinished is a statement that KMS no longer accepts, and that old keys have.
const unfinished = `{"Sid":"Half","Effect":"Deny","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Resource":"*"}`

// oldPolicy has the primary's key return a policy from before 2025-08-18.
func oldPolicy(document string) func(string, string, []byte) []byte {
	return func(operation, region string, body []byte) []byte {
		if operation != "GetKeyPolicy" || region != primary {
			return body
		}
		return fmt.Appendf(nil, `{"Policy":%q}`, document)
	}
}

type findingCase struct {
	setUp   func(*testing.T, *world)
	desired func(*kmskey.Desired)
	kind    change.Kind
	region  string
	blocks  bool
	says    []string
	// hopeless means that no plan is possible with the finding.
	hopeless bool
}

func findingCases() map[string]findingCase {
	existing := func(input kms.CreateKeyInput) func(*testing.T, *world) {
		return func(t *testing.T, w *world) { w.create(t, primary, input) }
	}
	disabled := func(t *testing.T, w *world) {
		id := w.create(t, primary, multiRegion())
		if _, err := w.others(awssim.PublishingAccount, primary).DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: &id}); err != nil {
			t.Fatal(err)
		}
	}
	state := func(name string) func(*testing.T, *world) {
		return func(t *testing.T, w *world) {
			w.create(t, primary, multiRegion())
			w.alter = altering(t, primary, name, "KeyMetadata", "KeyState")
		}
	}
	imported := func(t *testing.T, w *world) {
		w.create(t, primary, multiRegion())
		w.alter = altering(t, primary, "EXTERNAL", "KeyMetadata", "Origin")
	}
	noRotation := func(d *kmskey.Desired) { d.Rotation = kmskey.RotateNever }
	return map[string]findingCase{
		"disabled": {setUp: disabled, kind: change.Key, region: primary, blocks: true, says: []string{"is disabled in us-east-1", "aws kms enable-key --region us-east-1 --key-id mrk-"}},
		"pending deletion": {setUp: func(t *testing.T, w *world) {
			id := w.create(t, primary, multiRegion())
			if _, err := w.others(awssim.PublishingAccount, primary).ScheduleKeyDeletion(t.Context(), &kms.ScheduleKeyDeletionInput{KeyId: &id}); err != nil {
				t.Fatal(err)
			}
		}, kind: change.Key, region: primary, blocks: true, says: []string{"pending deletion", "cancel-key-deletion"}},
		"pending import": {setUp: state("PendingImport"), kind: change.Key, region: primary, blocks: true, says: []string{"has no key material in us-east-1"}},
		"unknown state":  {setUp: state("Hibernating"), kind: change.Key, region: primary, blocks: true, says: []string{"state Hibernating in us-east-1", "this version doesn't support"}},
		"single-Region": {
			setUp: existing(kms.CreateKeyInput{}), kind: change.Key, region: primary, blocks: true, hopeless: true,
			says: []string{"single-Region", "choose another alias"},
		},
		"of another kind": {
			setUp: existing(kms.CreateKeyInput{MultiRegion: aws.Bool(true), KeySpec: types.KeySpecHmac256, KeyUsage: types.KeyUsageTypeGenerateVerifyMac}),
			kind:  change.Key, region: primary, blocks: true, hopeless: true, says: []string{"HMAC_256 key for GENERATE_VERIFY_MAC", "SYMMETRIC_DEFAULT"},
		},
		"another account's": {
			setUp: existing(multiRegion()), desired: func(d *kmskey.Desired) { d.Account = awssim.ManagementAccount },
			kind: change.Key, region: primary, blocks: true, hopeless: true, says: []string{"belongs to account 111111111111", "999999999999"},
		},
		"managed by AWS": {
			setUp:   func(*testing.T, *world) {},
			desired: func(d *kmskey.Desired) { d.Alias, d.Regions = "alias/aws/ebs", nil },
			kind:    change.Key, region: primary, blocks: true, hopeless: true, says: []string{"managed by AWS"},
		},
		"public": {
			setUp: existing(withPolicy(document(`{"Sid":"Everybody","Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"}`))),
			kind:  change.KeyPolicy, region: primary, blocks: true, says: []string{"open to the world (Everybody)", "aws:PrincipalOrgID"},
		},
		"alias of two keys": {
			setUp: func(t *testing.T, w *world) { w.create(t, primary, multiRegion()); w.create(t, replica, multiRegion()) },
			kind:  change.Alias, region: primary, blocks: true, hopeless: true, says: []string{"in us-east-1", "in eu-west-1", "one multi-Region key"},
		},
		"alias that was pointed elsewhere": {
			setUp: func(t *testing.T, w *world) {
				w.mustComplete(t, desired())
				client := w.others(awssim.PublishingAccount, primary)
				other, err := client.CreateKey(t.Context(), &kms.CreateKeyInput{MultiRegion: aws.Bool(true)})
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				if _, err := client.UpdateAlias(t.Context(), &kms.UpdateAliasInput{AliasName: aws.String(alias), TargetKeyId: other.KeyMetadata.KeyId}); err != nil {
					t.Fatal(err)
				}
			},
			desired: func(d *kmskey.Desired) { d.Primary, d.Regions = replica, []string{replica} }, // the primary's Region isn't one of these
			kind:    change.Alias, region: primary, blocks: true, says: []string{"alias/golden-ami points to key mrk-", "in us-east-1, not to mrk-"},
		},
		"no alias, and none may be created": {
			setUp: func(*testing.T, *world) {}, desired: func(d *kmskey.Desired) { d.Create = false },
			kind: change.Alias, region: primary, blocks: true, hopeless: true, says: []string{"alias/golden-ami does not exist", "create = true"},
		},
		"no such key": {
			setUp:   func(*testing.T, *world) {},
			desired: func(d *kmskey.Desired) { d.Alias, d.ID = "", "mrk-00000000000000000000000000000000" },
			kind:    change.Key, region: primary, blocks: true, hopeless: true, says: []string{"mrk-00000000000000000000000000000000 does not exist", "key.id"},
		},
		"primary elsewhere": {
			setUp: existing(multiRegion()), desired: func(d *kmskey.Desired) { d.Primary, d.PrimaryFixed = replica, true },
			kind: change.Key, region: primary, blocks: true, says: []string{`set primary_region to "us-east-1"`},
		},
		"deleted principal": {
			setUp: func(t *testing.T, w *world) {
				config := w.config(awssim.PublishingAccount)
				config.HTTPClient = w.sim.Client()
				roles := iam.NewFromConfig(config)
				trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":"sts:AssumeRole"}]}`
				role, err := roles.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: aws.String("Reader"), AssumeRolePolicyDocument: &trust})
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				w.create(t, primary, withPolicy(document(`{"Sid":"Read","Effect":"Allow","Principal":{"AWS":"`+*role.Role.Arn+`"},"Action":"kms:DescribeKey","Resource":"*"}`)))
				if _, err := roles.DeleteRole(t.Context(), &iam.DeleteRoleInput{RoleName: aws.String("Reader")}); err != nil {
					t.Fatal(err)
				}
			},
			kind: change.KeyPolicy, region: primary, blocks: true, says: []string{"cannot update the policy of key mrk-", "deleted principals (AROA", "Remove them"},
		},
		"statement without action": {
			setUp: func(t *testing.T, w *world) {
				w.create(t, primary, multiRegion())
				w.alter = oldPolicy(document(unfinished))
			},
			kind: change.KeyPolicy, region: primary, blocks: true, says: []string{"cannot update the policy of key mrk-", `statement "Half": Action`, "KMS requires this element"},
		},
		"imported, rotation": {setUp: imported, desired: func(d *kmskey.Desired) { d.Regions = []string{primary} }, kind: change.KeyRotation, region: primary, blocks: true, says: []string{"was imported", "key.rotation = false"}},
		"imported, replica":  {setUp: imported, desired: noRotation, kind: change.Key, region: replica, blocks: true, says: []string{"was imported", "replica in eu-west-1"}},
		"organization of anyone": {
			setUp: func(*testing.T, *world) {}, desired: func(d *kmskey.Desired) { d.Policy.OrganizationID = "*" },
			kind: change.KeyPolicy, region: primary, blocks: true, says: []string{"cannot set the policy of the new key in us-east-1", "ShareAMIToAccounts", "can match any organization"},
		},
		"characters": {
			setUp: func(*testing.T, *world) {},
			desired: func(d *kmskey.Desired) {
				d.ExtraStatements = []byte(`[{"Sid":"Œuvre","Effect":"Deny","Principal":{"AWS":"111111111111"},"Action":"kms:Encrypt","Resource":"*"}]`)
			},
			kind: change.KeyPolicy, region: primary, blocks: true, says: []string{"cannot set the policy of the new key in us-east-1", "'Œ'", "U+0152"},
		},
		"size": {
			setUp: func(*testing.T, *world) {},
			desired: func(d *kmskey.Desired) {
				for i := range 1_000 {
					d.Policy.Accounts = append(d.Policy.Accounts, fmt.Sprintf("%012d", i))
				}
			},
			kind: change.KeyPolicy, region: primary, blocks: true, says: []string{"cannot set the policy of the new key in us-east-1", "32768"},
		},
		"an earlier configuration's statement": {
			setUp:   func(t *testing.T, w *world) { w.mustComplete(t, desired()) },
			desired: func(d *kmskey.Desired) { d.Policy.OrganizationID, d.Policy.Accounts = "", []string{"222222222222"} },
			kind:    change.KeyPolicy, region: primary, says: []string{"statement ShareAMIToAccounts is from an earlier configuration", "kept"},
		},
		"a mistake": {
			setUp: existing(withPolicy(document(`{"Sid":"Typo","Effect":"Deny","Principal":{"AWS":"111111111111"},"Action":"kms:ReEncrypt","Resource":"*"}`))),
			kind:  change.KeyPolicy, region: primary, says: []string{`cannot work: statement "Typo"`, "kms:ReEncryptFrom"},
		},
	}
}

// TestFindings checks that a problem with a key is a finding, not an error. A
// blocking finding changes nothing in AWS, and its text contains everything
// that the user needs.
func TestFindings(t *testing.T) {
	for name, test := range findingCases() {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				test.setUp(t, w)
				time.Sleep(time.Minute)
				d := desired()
				if test.desired != nil {
					test.desired(&d)
				}
				w.sim.ResetJournal()
				plan := w.plan(t, d)
				found := 0
				for _, finding := range plan.Findings() {
					if finding.Kind != test.kind || finding.Region != test.region || finding.Blocks != test.blocks || !containsAll(finding.Text, test.says) {
						continue
					}
					found++
				}
				if found != 1 {
					t.Fatalf("%d findings say %q; there are %+v", found, test.says, plan.Findings())
				}
				if got := change.Mutating(plan.Changes()); test.hopeless && (got > 0 || plan.ID() != "") {
					t.Errorf("%d changes are planned for the key %q", got, plan.ID())
				}
				if !test.blocks {
					return
				}
				keys, err := plan.Apply(t.Context(), w.clients().KMS, quiet())
				if err == nil || !containsAll(err.Error(), test.says) || keys.ID() != "" {
					t.Errorf("error is %v, keys are %+v", err, keys)
				}
				if changed := w.operations(); len(changed) > 0 {
					t.Errorf("it changed: %v", changed)
				}
			})
		})
	}
}

func containsAll(text string, parts []string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}

// TestUnfinishedStatementKept checks that a statement that KMS no longer accepts
// doesn't matter while the policy stays as it is. The plan only mentions it.
func TestUnfinishedStatementKept(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		keys := w.mustComplete(t, desired())
		w.alter = oldPolicy(strings.Replace(keys.Policy(primary).String(), `"Statement":[`, `"Statement":[`+unfinished+`,`, 1))
		plan := w.plan(t, desired())
		if found := plan.Findings(); len(found) != 1 || found[0].Blocks || !strings.Contains(found[0].Text, `"Half": Action`) || change.Mutating(plan.Changes()) != 0 {
			t.Errorf("findings %+v", found)
		}
	})
}
