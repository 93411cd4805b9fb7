package awssim_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// Only some operations work on another account's key, even if key policy and identity
// policy allow everything.
func TestFact1CrossAccountOperations(t *testing.T) {
	const possible, impossible = true, false
	type call func(context.Context, *kms.Client, string) error
	tests := map[string]struct {
		possible bool
		call     call
	}{
		"DescribeKey": {possible, func(ctx context.Context, c *kms.Client, key string) error {
			_, err := c.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &key})
			return err
		}},
		"Encrypt": {possible, func(ctx context.Context, c *kms.Client, key string) error {
			_, err := c.Encrypt(ctx, &kms.EncryptInput{KeyId: &key, Plaintext: []byte("x")})
			return err
		}},
		"CreateGrant": {possible, func(ctx context.Context, c *kms.Client, key string) error {
			_, err := c.CreateGrant(ctx, &kms.CreateGrantInput{
				KeyId: &key, Operations: []types.GrantOperation{"Decrypt"},
				GranteePrincipal: aws.String("arn:aws:iam::222222222222:role/" + awssim.LauncherRole),
			})
			return err
		}},
		"ListGrants": {possible, func(ctx context.Context, c *kms.Client, key string) error {
			_, err := c.ListGrants(ctx, &kms.ListGrantsInput{KeyId: &key})
			return err
		}},
		"GetKeyRotationStatus": {possible, func(ctx context.Context, c *kms.Client, key string) error {
			_, err := c.GetKeyRotationStatus(ctx, &kms.GetKeyRotationStatusInput{KeyId: &key})
			return err
		}},
		"GetKeyPolicy": {impossible, func(ctx context.Context, c *kms.Client, key string) error {
			_, err := c.GetKeyPolicy(ctx, &kms.GetKeyPolicyInput{KeyId: &key})
			return err
		}},
		"ListKeyPolicies": {impossible, func(ctx context.Context, c *kms.Client, key string) error {
			_, err := c.ListKeyPolicies(ctx, &kms.ListKeyPoliciesInput{KeyId: &key})
			return err
		}},
		"PutKeyPolicy": {impossible, func(ctx context.Context, c *kms.Client, key string) error {
			_, err := c.PutKeyPolicy(ctx, &kms.PutKeyPolicyInput{KeyId: &key, Policy: keyPolicy(openStatement)})
			return err
		}},
		"ReplicateKey": {impossible, func(ctx context.Context, c *kms.Client, key string) error {
			_, err := c.ReplicateKey(ctx, &kms.ReplicateKeyInput{KeyId: &key, ReplicaRegion: aws.String("eu-west-1")})
			return err
		}},
		"DisableKey": {impossible, func(ctx context.Context, c *kms.Client, key string) error {
			_, err := c.DisableKey(ctx, &kms.DisableKeyInput{KeyId: &key})
			return err
		}},
		"ScheduleKeyDeletion": {impossible, func(ctx context.Context, c *kms.Client, key string) error {
			_, err := c.ScheduleKeyDeletion(ctx, &kms.ScheduleKeyDeletionInput{KeyId: &key})
			return err
		}},
		"EnableKeyRotation": {impossible, func(ctx context.Context, c *kms.Client, key string) error {
			_, err := c.EnableKeyRotation(ctx, &kms.EnableKeyRotationInput{KeyId: &key})
			return err
		}},
		"TagResource": {impossible, func(ctx context.Context, c *kms.Client, key string) error {
			_, err := c.TagResource(ctx, &kms.TagResourceInput{KeyId: &key, Tags: []types.Tag{{TagKey: aws.String("a"), TagValue: aws.String("b")}}})
			return err
		}},
		"ListResourceTags": {impossible, func(ctx context.Context, c *kms.Client, key string) error {
			_, err := c.ListResourceTags(ctx, &kms.ListResourceTagsInput{KeyId: &key})
			return err
		}},
		"CreateAlias": {impossible, func(ctx context.Context, c *kms.Client, key string) error {
			_, err := c.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: aws.String("alias/theirs"), TargetKeyId: &key})
			return err
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
				key := newKey(t, w, true, openStatement)
				err := test.call(t.Context(), kmsClient(w, factMember, "us-east-1"), key)
				if test.possible && err != nil {
					t.Error(err)
				}
				if !test.possible {
					wantCode(t, err, "AccessDeniedException")
				}
			})
		})
	}
}

// A principal of another account needs a policy of its own, and a denial in
// either policy wins.
func TestFact1IdentityPolicyOfTheOtherAccount(t *testing.T) {
	const (
		allow    = `{"Effect":"Allow","Action":"kms:DescribeKey","Resource":"arn:aws:kms:*:111111111111:key/*"}`
		deny     = `{"Effect":"Deny","Action":"kms:Describe*","Resource":"*"}`
		denyRole = `{"Sid":"NotThisRole","Effect":"Deny","Principal":{"AWS":"*"},"Action":"kms:DescribeKey","Resource":"*","Condition":{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/Reader"}}}`
	)
	tests := map[string]struct {
		keyStatements []string
		identity      string
		want          string // part of the error, "" for success
	}{
		"both allow":             {[]string{openStatement}, allow, ""},
		"no identity policy":     {[]string{openStatement}, "", "no identity-based policy allows the kms:DescribeKey action"},
		"no key policy":          {nil, allow, "no resource-based policy allows the kms:DescribeKey action"},
		"identity policy denies": {[]string{openStatement}, allow + "," + deny, "an identity-based policy denies it explicitly (statement 2)"},
		"key policy denies":      {[]string{openStatement, denyRole}, allow, "the key policy denies it explicitly (NotThisRole)"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
				key := newKey(t, w, false, test.keyStatements...)
				role := newRole(t, w, factMember, "Reader", test.identity)
				_, err := asRole(t, w, factMember, role).DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &key})
				if test.want == "" && err != nil {
					t.Error(err)
				}
				if test.want != "" {
					wantCode(t, err, "AccessDeniedException")
					if err == nil || !strings.Contains(err.Error(), test.want) {
						t.Errorf("got error %v, want one with %q", err, test.want)
					}
				}
			})
		})
	}
}

// In the key's own account, a statement for the account leaves it to the identity
// policies, and one for the principal itself needs none.
func TestFact1OwnAccount(t *testing.T) {
	inVirtualTime(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		role := newRole(t, w, awssim.PublishingAccount, "Reader", "")
		delegated := newKey(t, w, false)
		direct := newKey(t, w, false, `{"Effect":"Allow","Principal":{"AWS":"`+role+`"},"Action":"kms:DescribeKey","Resource":"*"}`)
		client := asRole(t, w, awssim.PublishingAccount, role)
		_, err := client.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &delegated})
		wantCode(t, err, "AccessDeniedException")
		must(client.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &direct}))(t)
	})
}

// aws:PrincipalOrgPaths limits access to an organizational unit, and needs a set
// operator.
func TestFact1OrganizationPaths(t *testing.T) {
	statement := func(operator string) string {
		return `{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"kms:DescribeKey","Resource":"*","Condition":{"` + operator +
			`":{"aws:PrincipalOrgPaths":"o-exampleorgid/*/` + awssim.WorkloadsUnit + `/*"}}}`
	}
	inVirtualTime(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		key := newKey(t, w, false, statement("ForAnyValue:StringLike"))
		describe := &kms.DescribeKeyInput{KeyId: &key}
		must(kmsClient(w, factMember, "us-east-1").DescribeKey(t.Context(), describe))(t)
		for _, account := range []string{awssim.ManagementAccount, awssim.OutsideAccount} {
			_, err := kmsClient(w, account, "us-east-1").DescribeKey(t.Context(), describe)
			wantCode(t, err, "AccessDeniedException")
		}
		plain := newKey(t, w, false, statement("StringLike"))
		_, err := kmsClient(w, factMember, "us-east-1").DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &plain})
		wantCode(t, err, "AccessDeniedException")
	})
}

// A principal that was just created is not visible to KMS yet.
func TestFact1NewPrincipalIsVisibleLate(t *testing.T) {
	inVirtualTime(t, physics, func(t *testing.T, w *awssim.World) {
		role := newRole(t, w, factMember, "New", "")
		client := kmsClient(w, awssim.PublishingAccount, "us-east-1")
		create := &kms.CreateKeyInput{Policy: keyPolicy(`{"Effect":"Allow","Principal":{"AWS":"` + role + `"},"Action":"kms:DescribeKey","Resource":"*"}`)}
		_, err := client.CreateKey(t.Context(), create)
		wantCode(t, err, "MalformedPolicyDocumentException")
		time.Sleep(physics.PropagationLag)
		must(client.CreateKey(t.Context(), create))(t)
	})
}

// Without a policy, the account's root gets kms:*. KMS normalizes the policies that it
// stores.
func TestFact1DefaultAndNormalisedPolicy(t *testing.T) {
	inVirtualTime(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		client := kmsClient(w, awssim.PublishingAccount, "us-east-1")
		key := must(client.CreateKey(t.Context(), &kms.CreateKeyInput{}))(t).KeyMetadata.KeyId
		read := func() string {
			return aws.ToString(must(client.GetKeyPolicy(t.Context(), &kms.GetKeyPolicyInput{KeyId: key}))(t).Policy)
		}
		if got := read(); !strings.Contains(got, `"arn:aws:iam::111111111111:root"`) || !strings.Contains(got, `"kms:*"`) {
			t.Errorf("default policy: %s", got)
		}
		must(client.PutKeyPolicy(t.Context(), &kms.PutKeyPolicyInput{KeyId: key, Policy: keyPolicy(
			`{"Effect":"Deny","Principal":{"AWS":["*"]},"Action":["kms:ScheduleKeyDeletion"],"Resource":["*"]}`)}))(t)
		if got := read(); !strings.Contains(got, `"Action": "kms:ScheduleKeyDeletion"`) {
			t.Errorf("a list of one is not normalised: %s", got)
		}
	})
}

// A deleted role appears in the policy as its unique ID, which no new role of its name
// matches, and which no new policy may name.
func TestFact1DeletedPrincipal(t *testing.T) {
	inVirtualTime(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		const account = awssim.PublishingAccount
		client, roles := kmsClient(w, account, "us-east-1"), iam.NewFromConfig(config(w, account, "us-east-1"))
		role := newRole(t, w, account, "Reader", "")
		key := newKey(t, w, false, `{"Sid":"Reader","Effect":"Allow","Principal":{"AWS":"`+role+`"},"Action":"kms:DescribeKey","Resource":"*"}`)
		describe := &kms.DescribeKeyInput{KeyId: &key}
		must(asRole(t, w, account, role).DescribeKey(t.Context(), describe))(t)
		must(roles.DeleteRole(t.Context(), &iam.DeleteRoleInput{RoleName: aws.String("Reader")}))(t)
		newRole(t, w, account, "Reader", "")
		_, err := asRole(t, w, account, role).DescribeKey(t.Context(), describe)
		wantCode(t, err, "AccessDeniedException")
		policy := aws.ToString(must(client.GetKeyPolicy(t.Context(), &kms.GetKeyPolicyInput{KeyId: &key}))(t).Policy)
		if strings.Contains(policy, role) || !strings.Contains(policy, `"AROA`) {
			t.Errorf("the policy still names the deleted role: %s", policy)
		}
		_, err = client.PutKeyPolicy(t.Context(), &kms.PutKeyPolicyInput{KeyId: &key, Policy: &policy})
		wantCode(t, err, "MalformedPolicyDocumentException")
	})
}
