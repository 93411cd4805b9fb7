package awssim_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

func newGrant(t *testing.T, client *kms.Client, key, grantee string, operations ...types.GrantOperation) (id string) {
	t.Helper()
	made := must(client.CreateGrant(t.Context(), &kms.CreateGrantInput{KeyId: &key, GranteePrincipal: &grantee, Operations: operations}))(t)
	return aws.ToString(made.GrantId)
}

// A grant that the grantee's account issued replaces key policy and identity
// policy, for its operations, on its regional key, once it has propagated.
// Fact: GRANT-9, GRANT-24, GRANT-28.
func TestFact3GrantReplacesPolicies(t *testing.T) {
	inVirtualTime(t, physics, func(t *testing.T, w *awssim.World) {
		owner := kmsClient(w, awssim.PublishingAccount, "us-east-1")
		key := newKey(t, w, true, createGrants)
		must(owner.ReplicateKey(t.Context(), &kms.ReplicateKeyInput{KeyId: &key, ReplicaRegion: aws.String("eu-west-1")}))(t)
		role := newRole(t, w, factMember, "Grantee", "")
		time.Sleep(max(physics.PropagationLag, physics.KeyCreationTime))
		newGrant(t, kmsClient(w, factMember, "us-east-1"), key, role, "DescribeKey")
		session := sessionOf(t, config(w, factMember, "us-east-1"), role, "us-east-1")
		member := kms.NewFromConfig(session)
		describe := &kms.DescribeKeyInput{KeyId: &key}
		_, err := member.DescribeKey(t.Context(), describe)
		wantCode(t, err, "AccessDeniedException") // not propagated
		time.Sleep(physics.PropagationLag)
		must(member.DescribeKey(t.Context(), describe))(t)
		_, err = member.Encrypt(t.Context(), &kms.EncryptInput{KeyId: &key, Plaintext: []byte("x")})
		wantCode(t, err, "AccessDeniedException") // another operation
		session.Region = "eu-west-1"
		replica := "arn:aws:kms:eu-west-1" + key[len("arn:aws:kms:us-east-1"):]
		_, err = kms.NewFromConfig(session).DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &replica})
		wantCode(t, err, "AccessDeniedException") // another regional key
	})
}

// A role that is deleted and created again is another one: the grant must be created
// again.
func TestFact3GrantIsForTheRoleNotItsName(t *testing.T) {
	inVirtualTime(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		issuer := kmsClient(w, factMember, "us-east-1")
		key := newKey(t, w, false, createGrants)
		role := newRole(t, w, factMember, "Grantee", "")
		grant := &kms.CreateGrantInput{KeyId: &key, GranteePrincipal: &role, Operations: []types.GrantOperation{"DescribeKey"}, Name: aws.String("n")}
		first := must(issuer.CreateGrant(t.Context(), grant))(t)
		describe := &kms.DescribeKeyInput{KeyId: &key}
		must(asRole(t, w, factMember, role).DescribeKey(t.Context(), describe))(t)

		roles := iam.NewFromConfig(config(w, factMember, "us-east-1"))
		must(roles.DeleteRole(t.Context(), &iam.DeleteRoleInput{RoleName: aws.String("Grantee")}))(t)
		newRole(t, w, factMember, "Grantee", "")
		_, err := asRole(t, w, factMember, role).DescribeKey(t.Context(), describe)
		wantCode(t, err, "AccessDeniedException")
		if again := must(issuer.CreateGrant(t.Context(), grant))(t); aws.ToString(again.GrantId) == aws.ToString(first.GrantId) {
			t.Error("the new role got the old role's grant")
		}
		must(asRole(t, w, factMember, role).DescribeKey(t.Context(), describe))(t)
	})
}

// A role that was just created isn't a valid grantee yet.
func TestFact3NewGranteeIsVisibleLate(t *testing.T) {
	inVirtualTime(t, physics, func(t *testing.T, w *awssim.World) {
		key := newKey(t, w, false)
		role := newRole(t, w, factMember, "New", "")
		grant := &kms.CreateGrantInput{KeyId: &key, GranteePrincipal: &role, Operations: []types.GrantOperation{"Decrypt"}}
		client := kmsClient(w, awssim.PublishingAccount, "us-east-1")
		_, err := client.CreateGrant(t.Context(), grant)
		wantCode(t, err, "InvalidArnException")
		time.Sleep(physics.PropagationLag)
		must(client.CreateGrant(t.Context(), grant))(t)
	})
}

// A grant that is created with the permission of another one allows no more than that
// one.
func TestFact3GrantUnderAGrant(t *testing.T) {
	inVirtualTime(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		key := newKey(t, w, false, createGrants)
		role, other := newRole(t, w, factMember, "Grantee", ""), newRole(t, w, factMember, "Other", "")
		newGrant(t, kmsClient(w, factMember, "us-east-1"), key, role, "CreateGrant", "Decrypt")
		client := asRole(t, w, factMember, role)
		newGrant(t, client, key, other, "Decrypt")
		_, err := client.CreateGrant(t.Context(), &kms.CreateGrantInput{KeyId: &key, GranteePrincipal: &other, Operations: []types.GrantOperation{"Decrypt", "Encrypt"}})
		wantCode(t, err, "AccessDeniedException")
	})
}

// The key policy can limit which principal grants which operations to which grantee.
func TestFact3ConditionKeys(t *testing.T) {
	const launcher = "arn:aws:iam::222222222222:role/" + awssim.LauncherRole
	create := func(condition string) string {
		return `{"Effect":"Allow","Principal":{"AWS":"222222222222"},"Action":"kms:CreateGrant","Resource":"*","Condition":` + condition + `}`
	}
	tests := map[string]struct {
		condition string
		allowed   bool
	}{
		"this grantee":     {`{"StringEquals":{"kms:GranteePrincipal":"` + launcher + `"}}`, true},
		"another grantee":  {`{"StringEquals":{"kms:GranteePrincipal":"arn:aws:iam::222222222222:role/other"}}`, false},
		"these operations": {`{"ForAllValues:StringEquals":{"kms:GrantOperations":["Decrypt","DescribeKey"]}}`, true},
		"fewer operations": {`{"ForAllValues:StringEquals":{"kms:GrantOperations":["Decrypt"]}}`, false},
		"not for AWS":      {`{"Bool":{"kms:GrantIsForAWSResource":"false"}}`, true},
		"for AWS only":     {`{"Bool":{"kms:GrantIsForAWSResource":"true"}}`, false},
		"via EC2 only":     {`{"StringLike":{"kms:ViaService":"ec2.*.amazonaws.com"}}`, false},
		"this caller":      {`{"StringEquals":{"kms:CallerAccount":"222222222222"}}`, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
				key := newKey(t, w, false, create(test.condition))
				_, err := kmsClient(w, factMember, "us-east-1").CreateGrant(t.Context(), &kms.CreateGrantInput{
					KeyId: &key, GranteePrincipal: aws.String(launcher), Operations: []types.GrantOperation{"Decrypt", "DescribeKey"},
				})
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

// A grant can be revoked by the owner and by principals with kms:RevokeGrant.
// It can be retired by the retiring principal, and by the grantee if the grant
// allows RetireGrant.
func TestFact3EndingGrants(t *testing.T) {
	inVirtualTime(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		owner := kmsClient(w, awssim.PublishingAccount, "us-east-1")
		key := newKey(t, w, false)
		role, retirer := newRole(t, w, factMember, "Grantee", ""), newRole(t, w, factMember, "Retirer", "")
		plain := newGrant(t, owner, key, role, "Decrypt")
		leavable := newGrant(t, owner, key, role, "Decrypt", "RetireGrant")
		retirable := aws.ToString(must(owner.CreateGrant(t.Context(), &kms.CreateGrantInput{
			KeyId: &key, GranteePrincipal: &role, RetiringPrincipal: &retirer, Operations: []types.GrantOperation{"Decrypt"},
		}))(t).GrantId)
		grantee := asRole(t, w, factMember, role)
		_, err := grantee.RevokeGrant(t.Context(), &kms.RevokeGrantInput{KeyId: &key, GrantId: &plain})
		wantCode(t, err, "AccessDeniedException")
		_, err = grantee.RetireGrant(t.Context(), &kms.RetireGrantInput{KeyId: &key, GrantId: &plain})
		wantCode(t, err, "AccessDeniedException")
		must(grantee.RetireGrant(t.Context(), &kms.RetireGrantInput{KeyId: &key, GrantId: &leavable}))(t)
		must(asRole(t, w, factMember, retirer).RetireGrant(t.Context(), &kms.RetireGrantInput{KeyId: &key, GrantId: &retirable}))(t)
		must(owner.RevokeGrant(t.Context(), &kms.RevokeGrantInput{KeyId: &key, GrantId: &plain}))(t)
		if left := must(owner.ListGrants(t.Context(), &kms.ListGrantsInput{KeyId: &key}))(t).Grants; len(left) != 0 {
			t.Errorf("%d grants are left", len(left))
		}
		_, err = owner.RevokeGrant(t.Context(), &kms.RevokeGrantInput{KeyId: &key, GrantId: &plain})
		wantCode(t, err, "NotFoundException")
	})
}

// A grant does not look at the organization.
func TestFact3GrantsIgnoreTheOrganization(t *testing.T) {
	inVirtualTime(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		key := newKey(t, w, false, openStatement, strings.Replace(createGrants, factMember, awssim.OutsideAccount, 1))
		role := "arn:aws:iam::" + awssim.OutsideAccount + ":role/" + awssim.LauncherRole
		client := asRole(t, w, awssim.OutsideAccount, role)
		_, err := client.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &key})
		wantCode(t, err, "AccessDeniedException")
		newGrant(t, kmsClient(w, awssim.OutsideAccount, "us-east-1"), key, role, "DescribeKey")
		must(client.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &key}))(t)
	})
}

// ListGrants filters, and takes a Limit of 1 to 100.
func TestFact3ListGrants(t *testing.T) {
	inVirtualTime(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		client := kmsClient(w, awssim.PublishingAccount, "us-east-1")
		key := newKey(t, w, false)
		a, b := newRole(t, w, factMember, "A", ""), newRole(t, w, factMember, "B", "")
		for range 51 {
			newGrant(t, client, key, a, "Decrypt")
		}
		id := newGrant(t, client, key, b, "Decrypt")
		count := func(input kms.ListGrantsInput) int {
			input.KeyId = &key
			return len(must(client.ListGrants(t.Context(), &input))(t).Grants)
		}
		if got := count(kms.ListGrantsInput{}); got != 50 {
			t.Errorf("a page without a Limit has %d grants, want 50", got)
		}
		if got := count(kms.ListGrantsInput{Limit: aws.Int32(100)}); got != 52 {
			t.Errorf("a page of 100 has %d grants, want 52", got)
		}
		if got := count(kms.ListGrantsInput{GranteePrincipal: &b}); got != 1 {
			t.Errorf("by grantee: %d grants, want 1", got)
		}
		if got := count(kms.ListGrantsInput{GrantId: &id}); got != 1 {
			t.Errorf("by id: %d grants, want 1", got)
		}
		_, err := client.ListGrants(t.Context(), &kms.ListGrantsInput{KeyId: &key, Limit: aws.Int32(101)})
		wantCode(t, err, "ValidationException")
	})
}
