package awssim_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

const rootOf = "arn:aws:iam::%s:root"

// A grant is issued by the account of its creator. Fact: GRANT-18.
func TestIssuingAccount(t *testing.T) {
	inVirtualTime(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		owner, key := kmsClient(w, awssim.PublishingAccount, "us-east-1"), newKey(t, w, false, createGrants)
		grantee := "arn:aws:iam::" + factMember + ":role/" + awssim.LauncherRole
		want := map[string]string{}
		for _, account := range []string{awssim.PublishingAccount, factMember} {
			want[newGrant(t, kmsClient(w, account, "us-east-1"), key, grantee, "Decrypt")] = account
		}
		for _, g := range must(owner.ListGrants(t.Context(), &kms.ListGrantsInput{KeyId: &key}))(t).Grants {
			if got := aws.ToString(g.IssuingAccount); got != fmt.Sprintf(rootOf, want[*g.GrantId]) {
				t.Errorf("the grant of %s has the issuing account %s", want[*g.GrantId], got)
			}
		}
		for _, g := range w.Snapshot().Keys[0].Grants {
			if g.Issuer != want[g.ID] {
				t.Errorf("the grant of %s has the issuer %s in the state", want[g.ID], g.Issuer)
			}
		}
	})
}

// For a principal of another account, an owner-issued grant counts only together
// with an IAM policy of the principal. In the key's own account any grant counts.
// Fact: GRANT-9, GRANT-16, GRANT-17.
func TestKeyTrust(t *testing.T) {
	const allowDescribe = `{"Effect":"Allow","Action":"kms:DescribeKey","Resource":"*"}`
	tests := map[string]struct {
		account, issuer, identity string
		options                   awssim.Options
		allowed                   bool
	}{
		"issued by the owner":                       {account: factMember, issuer: awssim.PublishingAccount},
		"issued by the owner, and an IAM policy":    {account: factMember, issuer: awssim.PublishingAccount, identity: allowDescribe, allowed: true},
		"issued by the owner, another IAM policy":   {account: factMember, issuer: awssim.PublishingAccount, identity: strings.Replace(allowDescribe, "Describe", "Disable", 1)},
		"issued by the principal's account":         {account: factMember, issuer: factMember, allowed: true},
		"issued by a third account":                 {account: "333333333333", issuer: factMember},
		"in the owner's account, issued by it":      {account: awssim.PublishingAccount, issuer: awssim.PublishingAccount, allowed: true},
		"in the owner's account, issued by another": {account: awssim.PublishingAccount, issuer: factMember, allowed: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, test.options, func(t *testing.T, w *awssim.World) {
				key := newKey(t, w, false, createGrants)
				role := newRole(t, w, test.account, "Grantee", test.identity)
				newGrant(t, kmsClient(w, test.issuer, "us-east-1"), key, role, "DescribeKey")
				_, err := asRole(t, w, test.account, role).DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &key})
				if test.allowed && err != nil {
					t.Error(err)
				}
				if !test.allowed {
					wantCode(t, err, "AccessDeniedException")
				}
			})
		})
	}
}

// A member creates a grant if its IAM policy and the key policy allow it. The key
// policy can limit the grantee to service-linked roles of the caller's own account,
// and the operations. Fact: GRANT-2, GRANT-11, KMS-COND-4, KMS-COND-5, KMS-COND-9,
// KMS-COND-11.
func TestMembersCreateGrants(t *testing.T) {
	const limited = `{"Sid":"Grants","Effect":"Allow","Principal":{"AWS":"*"},"Action":"kms:CreateGrant","Resource":"*","Condition":{
		"StringEquals":{"aws:PrincipalOrgID":"o-exampleorgid"},
		"StringLike":{"kms:GranteePrincipal":"arn:aws:iam::${aws:PrincipalAccount}:role/aws-service-role/*"},
		"ForAllValues:StringEquals":{"kms:GrantOperations":["Decrypt","DescribeKey","CreateGrant"]}}}`
	const create = `{"Effect":"Allow","Action":"kms:CreateGrant","Resource":"*"}`
	roleOf := func(account string) string {
		return "arn:aws:iam::" + account + ":role/" + awssim.DefaultServiceLinkedRoles()[0]
	}
	tests := map[string]struct {
		identity, statement, grantee string
		operations                   []types.GrantOperation
		allowed                      bool
	}{
		"own role":              {create, limited, roleOf(factMember), []types.GrantOperation{"Decrypt"}, true},
		"another account":       {create, limited, roleOf("333333333333"), []types.GrantOperation{"Decrypt"}, false},
		"another role":          {create, limited, "arn:aws:iam::" + factMember + ":role/" + awssim.LauncherRole, []types.GrantOperation{"Decrypt"}, false},
		"another operation":     {create, limited, roleOf(factMember), []types.GrantOperation{"Decrypt", "Encrypt"}, false},
		"without an IAM policy": {"", limited, roleOf(factMember), []types.GrantOperation{"Decrypt"}, false},
		"without the key policy": {
			create, `{"Effect":"Deny","Principal":"*","Action":"kms:Encrypt","Resource":"*"}`, roleOf(factMember),
			[]types.GrantOperation{"Decrypt"},
			false,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
				key := newKey(t, w, false, test.statement)
				client := asRole(t, w, factMember, newRole(t, w, factMember, "Granter", test.identity))
				_, err := client.CreateGrant(t.Context(), &kms.CreateGrantInput{KeyId: &key, GranteePrincipal: &test.grantee, Operations: test.operations})
				if test.allowed && err != nil {
					t.Error(err)
				}
				if !test.allowed {
					wantCode(t, err, "AccessDeniedException")
				}
			})
		})
	}
}

// The key policy can limit the retiring principal of a grant and its constraints.
// Fact: KMS-COND-7.
func TestMoreConditionsOnGrants(t *testing.T) {
	inVirtualTime(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		retirer := "arn:aws:iam::" + factMember + ":role/" + awssim.GrantRole
		key := newKey(t, w, false, `{"Effect":"Allow","Principal":{"AWS":"222222222222"},"Action":"kms:CreateGrant","Resource":"*","Condition":{
			"StringEquals":{"kms:RetiringPrincipal":"`+retirer+`"},"StringEqualsIfExists":{"kms:GrantConstraintType":"EncryptionContextEquals"}}}`)
		input := kms.CreateGrantInput{KeyId: &key, GranteePrincipal: &retirer, Operations: []types.GrantOperation{"Decrypt"}}
		client := kmsClient(w, factMember, "us-east-1")
		_, err := client.CreateGrant(t.Context(), &input)
		wantCode(t, err, "AccessDeniedException")
		input.RetiringPrincipal = &retirer
		must(client.CreateGrant(t.Context(), &input))(t)
		input.Constraints = &types.GrantConstraints{EncryptionContextSubset: map[string]string{"a": "b"}}
		_, err = client.CreateGrant(t.Context(), &input)
		wantCode(t, err, "AccessDeniedException")
	})
}

// The issuing account may retire a grant, and the key's owner may revoke it but not
// retire it. Fact: GRANT-22, GRANT-23.
func TestWhoEndsAGrantOfAMember(t *testing.T) {
	inVirtualTime(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		owner, member := kmsClient(w, awssim.PublishingAccount, "us-east-1"), kmsClient(w, factMember, "us-east-1")
		key, grantee := newKey(t, w, false, createGrants), "arn:aws:iam::"+factMember+":role/"+awssim.DefaultServiceLinkedRoles()[0]
		first, second := newGrant(t, member, key, grantee, "Decrypt"), newGrant(t, member, key, grantee, "Decrypt")
		for who, client := range map[string]*kms.Client{
			"the owner":                           owner,
			"another member":                      kmsClient(w, "333333333333", "us-east-1"),
			"a role of the issuer without policy": asRole(t, w, factMember, newRole(t, w, factMember, "Nobody", "")),
		} {
			if _, err := client.RetireGrant(t.Context(), &kms.RetireGrantInput{KeyId: &key, GrantId: &first}); err == nil {
				t.Errorf("%s retired the grant", who)
			}
		}
		must(member.RetireGrant(t.Context(), &kms.RetireGrantInput{KeyId: &key, GrantId: &first}))(t)
		_, err := member.RevokeGrant(t.Context(), &kms.RevokeGrantInput{KeyId: &key, GrantId: &second})
		wantCode(t, err, "AccessDeniedException")
		must(owner.RevokeGrant(t.Context(), &kms.RevokeGrantInput{KeyId: &key, GrantId: &second}))(t)
	})
}

// ListRetirableGrants lists grants by their retiring principal, those on keys of
// other accounts included, for principals of the caller's account.
func TestListRetirableGrants(t *testing.T) {
	inVirtualTime(t, physics, func(t *testing.T, w *awssim.World) {
		member, key := kmsClient(w, factMember, "us-east-1"), newKey(t, w, false, createGrants)
		time.Sleep(physics.PropagationLag)
		retirer := "arn:aws:iam::" + factMember + ":role/" + awssim.GrantRole
		grantee := "arn:aws:iam::" + factMember + ":role/" + awssim.LauncherRole
		newGrant(t, member, key, grantee, "Decrypt")
		made := must(member.CreateGrant(t.Context(), &kms.CreateGrantInput{
			KeyId: &key, GranteePrincipal: &grantee, RetiringPrincipal: &retirer, Operations: []types.GrantOperation{"Decrypt"},
		}))(t)
		time.Sleep(physics.PropagationLag)
		got := must(member.ListRetirableGrants(t.Context(), &kms.ListRetirableGrantsInput{RetiringPrincipal: &retirer}))(t).Grants
		if len(got) != 1 || *got[0].GrantId != *made.GrantId || *got[0].KeyId != key || *got[0].IssuingAccount != fmt.Sprintf(rootOf, factMember) {
			t.Errorf("retirable grants: %+v", got)
		}
		elsewhere := must(kmsClient(w, factMember, "eu-west-1").ListRetirableGrants(t.Context(), &kms.ListRetirableGrantsInput{RetiringPrincipal: &retirer}))(t).Grants
		if len(elsewhere) != 0 {
			t.Errorf("another Region lists %d grants", len(elsewhere))
		}
		_, err := kmsClient(w, awssim.PublishingAccount, "us-east-1").ListRetirableGrants(t.Context(), &kms.ListRetirableGrantsInput{RetiringPrincipal: &retirer})
		wantCode(t, err, "InvalidArnException")
		_, err = asRole(t, w, factMember, grantee).ListRetirableGrants(t.Context(), &kms.ListRetirableGrantsInput{RetiringPrincipal: &retirer})
		wantCode(t, err, "AccessDeniedException")
	})
}

// While a key is Creating, CreateGrant fails; its policy, tags and grants can be
// read and changed. Fact: KMS-MRK-10, KMS-MRK-11.
func TestCreatingKeys(t *testing.T) {
	inVirtualTime(t, awssim.Options{KeyCreationTime: physics.KeyCreationTime}, func(t *testing.T, w *awssim.World) {
		key := newKey(t, w, true)
		must(kmsClient(w, awssim.PublishingAccount, "us-east-1").ReplicateKey(t.Context(), &kms.ReplicateKeyInput{KeyId: &key, ReplicaRegion: aws.String("eu-west-1")}))(t)
		replica := strings.Replace(key, "us-east-1", "eu-west-1", 1)
		client := kmsClient(w, awssim.PublishingAccount, "eu-west-1")
		grant := &kms.CreateGrantInput{KeyId: &replica, GranteePrincipal: aws.String("arn:aws:iam::" + factMember + ":role/" + awssim.LauncherRole), Operations: []types.GrantOperation{"Decrypt"}}
		_, err := client.CreateGrant(t.Context(), grant)
		wantCode(t, err, "KMSInvalidStateException")
		must(client.PutKeyPolicy(t.Context(), &kms.PutKeyPolicyInput{KeyId: &replica, Policy: keyPolicy(openStatement)}))(t)
		must(client.TagResource(t.Context(), &kms.TagResourceInput{KeyId: &replica, Tags: []types.Tag{{TagKey: aws.String("a"), TagValue: aws.String("b")}}}))(t)
		must(client.ListGrants(t.Context(), &kms.ListGrantsInput{KeyId: &replica}))(t)
		time.Sleep(physics.KeyCreationTime)
		must(client.CreateGrant(t.Context(), grant))(t)
	})
}

// CreateGrant has a quota for each calling account and Region. Fact: QUOTA-1,
// QUOTA-6.
func TestGrantQuotas(t *testing.T) {
	inVirtualTime(t, awssim.Options{Quotas: true}, func(t *testing.T, w *awssim.World) {
		owner, member := kmsClient(w, awssim.PublishingAccount, "us-east-1"), kmsClient(w, factMember, "us-east-1")
		key, grantee := newKey(t, w, false, createGrants), "arn:aws:iam::"+factMember+":role/"+awssim.LauncherRole
		var grants []string
		for range 50 {
			grants = append(grants, newGrant(t, owner, key, grantee, "Decrypt"))
		}
		input := &kms.CreateGrantInput{KeyId: &key, GranteePrincipal: &grantee, Operations: []types.GrantOperation{"Decrypt"}}
		_, err := owner.CreateGrant(t.Context(), input)
		wantCode(t, err, "ThrottlingException")
		grants = append(grants, newGrant(t, member, key, grantee, "Decrypt"))
		for _, id := range grants[:50] {
			must(owner.RevokeGrant(t.Context(), &kms.RevokeGrantInput{KeyId: &key, GrantId: &id}))(t)
		}
		_, err = owner.RevokeGrant(t.Context(), &kms.RevokeGrantInput{KeyId: &key, GrantId: &grants[50]})
		wantCode(t, err, "ThrottlingException")
	})
}
