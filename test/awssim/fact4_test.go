package awssim_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// Quotas are per account and Region, and a call on another account's key counts
// for the caller.
func TestFact4QuotasAreOfTheCaller(t *testing.T) {
	inVirtualTime(t, awssim.Options{Quotas: true}, func(t *testing.T, w *awssim.World) {
		key := newKey(t, w, true, openStatement)
		const perSecond = 50
		grant := &kms.CreateGrantInput{
			KeyId: &key, Operations: []types.GrantOperation{"Decrypt"},
			GranteePrincipal: aws.String("arn:aws:iam::222222222222:role/" + awssim.LauncherRole),
		}
		member := kmsClient(w, factMember, "us-east-1")
		for range perSecond {
			must(member.CreateGrant(t.Context(), grant))(t)
		}
		_, err := member.CreateGrant(t.Context(), grant)
		wantCode(t, err, "ThrottlingException")
		must(kmsClient(w, awssim.PublishingAccount, "us-east-1").CreateGrant(t.Context(), grant))(t)
	})
}

// ReplicateKey counts as two CreateKey calls in the replica's Region.
func TestFact4ReplicateKeyCountsTwice(t *testing.T) {
	inVirtualTime(t, awssim.Options{Quotas: true}, func(t *testing.T, w *awssim.World) {
		primary, replicas := kmsClient(w, awssim.PublishingAccount, "us-east-1"), kmsClient(w, awssim.PublishingAccount, "eu-west-1")
		for range 2 {
			key := newKey(t, w, true)
			must(primary.ReplicateKey(t.Context(), &kms.ReplicateKeyInput{KeyId: &key, ReplicaRegion: aws.String("eu-west-1")}))(t)
		}
		must(replicas.CreateKey(t.Context(), &kms.CreateKeyInput{}))(t)
		_, err := replicas.CreateKey(t.Context(), &kms.CreateKeyInput{})
		wantCode(t, err, "ThrottlingException")
	})
}
