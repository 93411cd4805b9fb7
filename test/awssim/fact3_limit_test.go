package awssim

import (
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

// A key has room for 50,000 grants, those of AWS services included. The test is
// inside the package, since 50,000 calls would take too long.
func TestFact3GrantLimit(t *testing.T) {
	w, err := New(DefaultWorld(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	id, secret := w.AccessKey(PublishingAccount)
	client := kms.NewFromConfig(aws.Config{
		Region: "us-east-1", HTTPClient: w.Client(), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(id, secret, ""),
	})
	made, err := client.CreateKey(t.Context(), &kms.CreateKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	key := w.kms.keys[*made.KeyMetadata.Arn]
	for range maxGrants - 1 {
		w.grantForAttachment(key, w.administrator(PublishingAccount), "i-1", "vol-1", time.Now())
	}
	grant := &kms.CreateGrantInput{
		KeyId: made.KeyMetadata.Arn, Operations: []types.GrantOperation{"Decrypt"},
		GranteePrincipal: aws.String("arn:aws:iam::222222222222:role/" + LauncherRole),
	}
	if _, err := client.CreateGrant(t.Context(), grant); err != nil {
		t.Errorf("the last grant: %v", err)
	}
	_, err = client.CreateGrant(t.Context(), grant)
	if limit := new(types.LimitExceededException); !errors.As(err, &limit) {
		t.Errorf("one grant too many: %v, want LimitExceededException", err)
	}
}
