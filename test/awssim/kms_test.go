package awssim_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// physics is the timing of the tests, in which everything takes time.
var physics = awssim.Options{
	Latency: 20 * time.Millisecond, PropagationLag: 3 * time.Second, KeyCreationTime: 7 * time.Second,
	CopyTime: 5 * time.Minute, ImageLag: 2 * time.Second, BuildTime: 10 * time.Second,
}

func inVirtualTime(t *testing.T, options awssim.Options, test func(*testing.T, *awssim.World)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w, err := awssim.New(awssim.DefaultWorld(), options)
		if err != nil {
			t.Fatal(err)
		}
		test(t, w)
	})
}

func config(w *awssim.World, account, region string) aws.Config {
	id, secret := w.AccessKey(account)
	return aws.Config{
		Region: region, HTTPClient: w.Client(), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(id, secret, ""),
	}
}

func kmsClient(w *awssim.World, account, region string) *kms.Client {
	return kms.NewFromConfig(config(w, account, region))
}

// wantCode fails the test unless AWS returned the code.
func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var apiError smithy.APIError
	if !errors.As(err, &apiError) || apiError.ErrorCode() != code {
		t.Errorf("error is %v, not %s", err, code)
	}
}

func must[T any](answer T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
}

func createMultiRegionKey(t *testing.T, w *awssim.World) string {
	t.Helper()
	answer := must(kmsClient(w, awssim.PublishingAccount, "us-east-1").CreateKey(t.Context(), &kms.CreateKeyInput{
		MultiRegion: aws.Bool(true), Tags: []types.Tag{{TagKey: aws.String("a"), TagValue: aws.String("1")}},
	}))(t)
	return aws.ToString(answer.KeyMetadata.KeyId)
}

func TestReplicasShareNothingButTheKey(t *testing.T) {
	inVirtualTime(t, physics, func(t *testing.T, w *awssim.World) {
		primary, replica := kmsClient(w, awssim.PublishingAccount, "us-east-1"), kmsClient(w, awssim.PublishingAccount, "eu-west-1")
		id := createMultiRegionKey(t, w)
		if !strings.HasPrefix(id, "mrk-") {
			t.Errorf("id is %s", id)
		}
		replicate := &kms.ReplicateKeyInput{KeyId: &id, ReplicaRegion: aws.String("eu-west-1")}
		must(primary.ReplicateKey(t.Context(), replicate))(t)
		_, err := primary.ReplicateKey(t.Context(), replicate)
		wantCode(t, err, "AlreadyExistsException")
		_, err = replica.ReplicateKey(t.Context(), &kms.ReplicateKeyInput{KeyId: &id, ReplicaRegion: aws.String("ap-southeast-2")})
		wantCode(t, err, "UnsupportedOperationException")

		described := must(replica.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &id}))(t).KeyMetadata
		if described.KeyState != types.KeyStateCreating || described.MultiRegionConfiguration.MultiRegionKeyType != types.MultiRegionKeyTypeReplica {
			t.Errorf("replica is %s, %s", described.KeyState, described.MultiRegionConfiguration.MultiRegionKeyType)
		}
		_, err = replica.GenerateDataKeyWithoutPlaintext(t.Context(), &kms.GenerateDataKeyWithoutPlaintextInput{KeyId: &id, KeySpec: types.DataKeySpecAes256})
		wantCode(t, err, "KMSInvalidStateException")
		time.Sleep(physics.KeyCreationTime)
		must(replica.GenerateDataKeyWithoutPlaintext(t.Context(), &kms.GenerateDataKeyWithoutPlaintextInput{KeyId: &id, KeySpec: types.DataKeySpecAes256}))(t)

		must(primary.CreateAlias(t.Context(), &kms.CreateAliasInput{AliasName: aws.String("alias/x"), TargetKeyId: &id}))(t)
		time.Sleep(physics.PropagationLag)
		must(primary.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: aws.String("alias/x")}))(t)
		_, err = replica.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: aws.String("alias/x")})
		wantCode(t, err, "NotFoundException")
		if tags := must(replica.ListResourceTags(t.Context(), &kms.ListResourceTagsInput{KeyId: &id}))(t).Tags; len(tags) != 0 {
			t.Errorf("the replica has the tags %v", tags)
		}

		must(primary.EnableKeyRotation(t.Context(), &kms.EnableKeyRotationInput{KeyId: &id}))(t)
		_, err = replica.EnableKeyRotation(t.Context(), &kms.EnableKeyRotationInput{KeyId: &id})
		wantCode(t, err, "UnsupportedOperationException")
		if !must(replica.GetKeyRotationStatus(t.Context(), &kms.GetKeyRotationStatusInput{KeyId: &id}))(t).KeyRotationEnabled {
			t.Error("rotation is not shared")
		}
		must(primary.ScheduleKeyDeletion(t.Context(), &kms.ScheduleKeyDeletionInput{KeyId: &id}))(t)
		if state := must(primary.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &id}))(t).KeyMetadata.KeyState; state != types.KeyStatePendingReplicaDeletion {
			t.Errorf("the primary is %s", state)
		}
	})
}

func TestGrants(t *testing.T) {
	inVirtualTime(t, physics, func(t *testing.T, w *awssim.World) {
		client := kmsClient(w, awssim.PublishingAccount, "us-east-1")
		id := createMultiRegionKey(t, w)
		grantee := "arn:aws:iam::222222222222:role/" + awssim.DefaultServiceLinkedRoles()[0]
		input := func() *kms.CreateGrantInput {
			return &kms.CreateGrantInput{KeyId: &id, GranteePrincipal: &grantee, Name: aws.String("n"), Operations: []types.GrantOperation{"Decrypt"}}
		}
		first := must(client.CreateGrant(t.Context(), input()))(t)
		if again := must(client.CreateGrant(t.Context(), input()))(t); aws.ToString(again.GrantId) != aws.ToString(first.GrantId) {
			t.Error("the same name made another grant")
		}
		unnamed := input()
		unnamed.Name = nil
		must(client.CreateGrant(t.Context(), unnamed))(t)
		if grants := must(client.ListGrants(t.Context(), &kms.ListGrantsInput{KeyId: &id}))(t).Grants; len(grants) != 0 {
			t.Error("grants are listed at once")
		}
		time.Sleep(physics.PropagationLag)
		page := must(client.ListGrants(t.Context(), &kms.ListGrantsInput{KeyId: &id, Limit: aws.Int32(1)}))(t)
		if len(page.Grants) != 1 || !page.Truncated {
			t.Errorf("page %+v", page)
		}
		page = must(client.ListGrants(t.Context(), &kms.ListGrantsInput{KeyId: &id, Limit: aws.Int32(1), Marker: page.NextMarker}))(t)
		if len(page.Grants) != 1 || page.Truncated {
			t.Errorf("last page %+v", page)
		}
		for name, test := range map[string]struct {
			change func(*kms.CreateGrantInput)
			code   string
		}{
			"no such role":  {func(i *kms.CreateGrantInput) { i.GranteePrincipal = aws.String("arn:aws:iam::222222222222:role/none") }, "InvalidArnException"},
			"a service":     {func(i *kms.CreateGrantInput) { i.GranteePrincipal = aws.String("autoscaling.amazonaws.com") }, "InvalidArnException"},
			"an alias":      {func(i *kms.CreateGrantInput) { i.KeyId = aws.String("alias/x") }, "InvalidArnException"},
			"no such key":   {func(i *kms.CreateGrantInput) { i.KeyId = aws.String("mrk-00000000000000000000000000000000") }, "NotFoundException"},
			"bad name":      {func(i *kms.CreateGrantInput) { i.Name = aws.String("a b") }, "ValidationException"},
			"bad operation": {func(i *kms.CreateGrantInput) { i.Operations = []types.GrantOperation{"ReEncrypt"} }, "ValidationException"},
			"dry run":       {func(i *kms.CreateGrantInput) { i.DryRun = aws.Bool(true) }, "DryRunOperationException"},
		} {
			broken := input()
			test.change(broken)
			_, err := client.CreateGrant(t.Context(), broken)
			t.Log(name)
			wantCode(t, err, test.code)
		}
	})
}

func TestKeyPoliciesAreChecked(t *testing.T) {
	inVirtualTime(t, physics, func(t *testing.T, w *awssim.World) {
		client := kmsClient(w, awssim.PublishingAccount, "us-east-1")
		const owner = `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"kms:*","Resource":"*"}`
		for name, test := range map[string]struct{ policy, code string }{
			"lock-out":     {`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"kms:Decrypt","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-exampleorgid"}}}]}`, "MalformedPolicyDocumentException"},
			"Resources":    {`{"Version":"2012-10-17","Statement":[` + owner + `,{"Effect":"Allow","Principal":"*","Action":"kms:Decrypt","Resources":["*"]}]}`, "MalformedPolicyDocumentException"},
			"no such role": {`{"Version":"2012-10-17","Statement":[` + owner + `,{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:role/none"},"Action":"kms:Decrypt","Resource":"*"}]}`, "MalformedPolicyDocumentException"},
			"too large":    {`{"Version":"2012-10-17","Statement":[` + owner + `,{"Sid":"` + strings.Repeat("x", 33_000) + `","Effect":"Deny","Principal":"*","Action":"kms:Decrypt","Resource":"*"}]}`, "LimitExceededException"},
			"not a policy": {`hello`, "MalformedPolicyDocumentException"},
			"valid":        {`{"Version":"2012-10-17","Statement":[` + owner + `]}`, ""},
		} {
			t.Log(name)
			_, err := client.CreateKey(t.Context(), &kms.CreateKeyInput{Policy: aws.String(test.policy)})
			if test.code == "" && err != nil {
				t.Error(err)
			} else if test.code != "" {
				wantCode(t, err, test.code)
			}
		}
	})
}

// TestForeignAccountsNeedBothPolicies checks that another account needs the key's
// policy and its own, and that a policy counts only after the lag.
func TestForeignAccountsNeedBothPolicies(t *testing.T) {
	inVirtualTime(t, physics, func(t *testing.T, w *awssim.World) {
		client, member, outside := kmsClient(w, awssim.PublishingAccount, "us-east-1"), kmsClient(w, "222222222222", "us-east-1"), kmsClient(w, awssim.OutsideAccount, "us-east-1")
		id := createMultiRegionKey(t, w)
		arn := "arn:aws:kms:us-east-1:111111111111:key/" + id
		describe := &kms.DescribeKeyInput{KeyId: &arn}
		_, err := member.DescribeKey(t.Context(), describe)
		wantCode(t, err, "AccessDeniedException")
		policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"kms:*","Resource":"*"},
			{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"kms:*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-exampleorgid"}}}]}`
		must(client.PutKeyPolicy(t.Context(), &kms.PutKeyPolicyInput{KeyId: &id, Policy: &policy}))(t)
		_, err = member.DescribeKey(t.Context(), describe)
		wantCode(t, err, "AccessDeniedException") // not visible yet
		time.Sleep(physics.PropagationLag)
		must(member.DescribeKey(t.Context(), describe))(t)
		_, err = outside.DescribeKey(t.Context(), describe)
		wantCode(t, err, "AccessDeniedException")
		_, err = member.GetKeyPolicy(t.Context(), &kms.GetKeyPolicyInput{KeyId: &arn})
		wantCode(t, err, "AccessDeniedException") // no operation for other accounts
	})
}

func TestQuotasThrottle(t *testing.T) {
	options := physics
	options.Quotas, options.Latency = true, 0
	inVirtualTime(t, options, func(t *testing.T, w *awssim.World) {
		client := kmsClient(w, awssim.PublishingAccount, "us-east-1")
		for range 5 {
			must(client.CreateKey(t.Context(), &kms.CreateKeyInput{}))(t)
		}
		_, err := client.CreateKey(t.Context(), &kms.CreateKeyInput{})
		wantCode(t, err, "ThrottlingException")
		time.Sleep(time.Second)
		must(client.CreateKey(t.Context(), &kms.CreateKeyInput{}))(t)
	})
}
