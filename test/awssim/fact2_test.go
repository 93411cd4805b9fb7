package awssim_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// A single-Region key has no replicas; replicas exist in enabled Regions of the
// partition only.
func TestFact2ReplicateKeyRefuses(t *testing.T) {
	inVirtualTime(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		client := kmsClient(w, awssim.PublishingAccount, "us-east-1")
		single, multi := newKey(t, w, false), newKey(t, w, true)
		disabled := newKey(t, w, true)
		must(client.DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: &disabled}))(t)
		tests := map[string]struct {
			key, region, code string
			policy            *string
		}{
			"single-Region key":  {single, "eu-west-1", "UnsupportedOperationException", nil},
			"disabled key":       {disabled, "eu-west-1", "DisabledException", nil},
			"region not enabled": {multi, "af-south-1", "AccessDeniedException", nil},
			"another partition":  {multi, "cn-north-1", "ValidationException", nil},
			"malformed policy":   {multi, "eu-west-1", "MalformedPolicyDocumentException", aws.String("{}")},
			"locked out": {
				multi, "eu-west-1", "MalformedPolicyDocumentException",
				aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"kms:Decrypt","Resource":"*"}]}`),
			},
			"no such key": {"mrk-00000000000000000000000000000000", "eu-west-1", "NotFoundException", nil},
		}
		for name, test := range tests {
			_, err := client.ReplicateKey(t.Context(), &kms.ReplicateKeyInput{KeyId: &test.key, ReplicaRegion: &test.region, Policy: test.policy})
			t.Log(name)
			wantCode(t, err, test.code)
		}
	})
}

// Replicating requires kms:ReplicateKey on the primary, kms:CreateKey in the other
// Region, and kms:TagResource for tags.
func TestFact2ReplicateKeyPermissions(t *testing.T) {
	statement := func(actions string) string { return `{"Effect":"Allow","Action":[` + actions + `],"Resource":"*"}` }
	tests := map[string]struct {
		actions string
		tags    []types.Tag
		refused string // the action that is missing, "" for success
	}{
		"all":                    {`"kms:ReplicateKey","kms:CreateKey","kms:PutKeyPolicy"`, nil, ""},
		"no kms:ReplicateKey":    {`"kms:CreateKey","kms:PutKeyPolicy"`, nil, "kms:ReplicateKey"},
		"no kms:CreateKey":       {`"kms:ReplicateKey","kms:PutKeyPolicy"`, nil, "kms:CreateKey"},
		"tags, no TagResource":   {`"kms:ReplicateKey","kms:CreateKey","kms:PutKeyPolicy"`, []types.Tag{{TagKey: aws.String("a"), TagValue: aws.String("b")}}, "kms:TagResource"},
		"tags, with TagResource": {`"kms:ReplicateKey","kms:CreateKey","kms:PutKeyPolicy","kms:TagResource"`, []types.Tag{{TagKey: aws.String("a"), TagValue: aws.String("b")}}, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
				key := newKey(t, w, true)
				role := newRole(t, w, awssim.PublishingAccount, "Replicator", statement(test.actions))
				_, err := asRole(t, w, awssim.PublishingAccount, role).ReplicateKey(t.Context(),
					&kms.ReplicateKeyInput{KeyId: &key, ReplicaRegion: aws.String("eu-west-1"), Tags: test.tags})
				switch {
				case test.refused == "" && err != nil:
					t.Error(err)
				case test.refused != "":
					wantCode(t, err, "AccessDeniedException")
					if err == nil || !strings.Contains(err.Error(), test.refused) {
						t.Errorf("got error %v, want one that names %s", err, test.refused)
					}
				}
			})
		})
	}
}

// The first multi-Region key of an account creates a service-linked role.
func TestFact2FirstMultiRegionKeyMakesARole(t *testing.T) {
	inVirtualTime(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		role := newRole(t, w, awssim.PublishingAccount, "KeyMaker", `{"Effect":"Allow","Action":["kms:*"],"Resource":"*"}`)
		create := &kms.CreateKeyInput{MultiRegion: aws.Bool(true)}
		_, err := asRole(t, w, awssim.PublishingAccount, role).CreateKey(t.Context(), create)
		wantCode(t, err, "AccessDeniedException")
		must(kmsClient(w, awssim.PublishingAccount, "us-east-1").CreateKey(t.Context(), create))(t)
		must(asRole(t, w, awssim.PublishingAccount, role).CreateKey(t.Context(), create))(t)
	})
}

// A replica that is pending deletion still exists, and is disabled after the deletion
// is canceled.
func TestFact2ReplicaIsRescued(t *testing.T) {
	inVirtualTime(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		primary, replica := kmsClient(w, awssim.PublishingAccount, "us-east-1"), kmsClient(w, awssim.PublishingAccount, "eu-west-1")
		key := createMultiRegionKey(t, w)
		replicate := &kms.ReplicateKeyInput{KeyId: &key, ReplicaRegion: aws.String("eu-west-1")}
		must(primary.ReplicateKey(t.Context(), replicate))(t)
		scheduled := must(replica.ScheduleKeyDeletion(t.Context(), &kms.ScheduleKeyDeletionInput{KeyId: &key, PendingWindowInDays: aws.Int32(7)}))(t)
		if scheduled.KeyState != types.KeyStatePendingDeletion || aws.ToInt32(scheduled.PendingWindowInDays) != 7 {
			t.Errorf("scheduled: %s, %d days", scheduled.KeyState, aws.ToInt32(scheduled.PendingWindowInDays))
		}
		_, err := primary.ReplicateKey(t.Context(), replicate)
		wantCode(t, err, "AlreadyExistsException")
		must(replica.CancelKeyDeletion(t.Context(), &kms.CancelKeyDeletionInput{KeyId: &key}))(t)
		state := func() types.KeyState {
			return must(replica.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &key}))(t).KeyMetadata.KeyState
		}
		if got := state(); got != types.KeyStateDisabled {
			t.Errorf("after the rescue: %s", got)
		}
		must(replica.ScheduleKeyDeletion(t.Context(), &kms.ScheduleKeyDeletionInput{KeyId: &key, PendingWindowInDays: aws.Int32(7)}))(t)
		time.Sleep(8 * 24 * time.Hour)
		_, err = replica.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &key})
		wantCode(t, err, "NotFoundException")
		must(primary.ReplicateKey(t.Context(), replicate))(t)
	})
}

// Aliases are regional, each names one key, and some names are reserved for AWS.
func TestFact2Aliases(t *testing.T) {
	inVirtualTime(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		client := kmsClient(w, awssim.PublishingAccount, "us-east-1")
		key, other := newKey(t, w, false), newKey(t, w, false)
		must(client.CreateAlias(t.Context(), &kms.CreateAliasInput{AliasName: aws.String("alias/x"), TargetKeyId: &key}))(t)
		for name, code := range map[string]string{
			"alias/x": "AlreadyExistsException", "alias/aws/x": "NotAuthorizedException", "x": "ValidationException", "alias/x:y": "ValidationException",
		} {
			_, err := client.CreateAlias(t.Context(), &kms.CreateAliasInput{AliasName: &name, TargetKeyId: &other})
			t.Log(name)
			wantCode(t, err, code)
		}
		role := newRole(t, w, awssim.PublishingAccount, "OnKeysOnly", `{"Effect":"Allow","Action":"kms:*","Resource":"arn:aws:kms:*:*:key/*"}`)
		_, err := asRole(t, w, awssim.PublishingAccount, role).CreateAlias(t.Context(), &kms.CreateAliasInput{AliasName: aws.String("alias/y"), TargetKeyId: &key})
		wantCode(t, err, "AccessDeniedException")
	})
}

// A regional key's ARN names no key in another Region.
func TestFact2KeysAreRegional(t *testing.T) {
	inVirtualTime(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		key := newKey(t, w, true)
		for _, id := range []string{key, strings.Replace(key, "us-east-1", "eu-west-1", 1)} {
			_, err := kmsClient(w, awssim.PublishingAccount, "eu-west-1").DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &id})
			wantCode(t, err, "NotFoundException")
		}
	})
}
