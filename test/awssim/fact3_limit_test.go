package awssim

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

// A key has room for 50,000 grants, those of AWS services included. If the key is full,
// a launch whose volume uses the key fails. The test is inside the package, since
// 50,000 calls would take too long. Fact: GRANT-30, GRANT-31.
func TestFact3GrantLimit(t *testing.T) {
	file := DefaultWorld()
	file.Keys = []KeyFile{{Account: PublishingAccount, Region: "us-east-1"}}
	file.Images = []ImageFile{{Account: PublishingAccount, Region: "us-east-1", ID: "ami-00000000000000001", Name: "golden", Encrypted: true, KMSKey: file.Keys[0].ARN("us-east-1")}}
	w, err := New(file, Options{})
	if err != nil {
		t.Fatal(err)
	}
	id, secret := w.AccessKey(PublishingAccount)
	client := kms.NewFromConfig(aws.Config{
		Region: "us-east-1", HTTPClient: w.Client(), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(id, secret, ""),
	})
	arn := file.Keys[0].ARN("us-east-1")
	key := w.kms.keys[arn]
	for range maxGrants - 1 {
		w.grantForAttachment(key, w.administrator(PublishingAccount), "i-1", "vol-1", time.Now())
	}
	grant := &kms.CreateGrantInput{
		KeyId: &arn, Operations: []types.GrantOperation{"Decrypt"},
		GranteePrincipal: aws.String("arn:aws:iam::222222222222:role/" + LauncherRole),
	}
	if _, err := client.CreateGrant(t.Context(), grant); err != nil {
		t.Errorf("the last grant: %v", err)
	}
	_, err = client.CreateGrant(t.Context(), grant)
	if limit := new(types.LimitExceededException); !errors.As(err, &limit) {
		t.Errorf("one grant too many: %v, want LimitExceededException", err)
	}
	c := &call{w: w, now: time.Now(), service: "ec2", operation: "RunInstances", region: "us-east-1", caller: w.administrator(PublishingAccount)}
	i, problem := c.launchImage("ami-00000000000000001")
	if problem != nil {
		t.Fatal(problem)
	}
	launched, problem := c.launch(launchPlan{image: i, instanceType: "t3.micro", count: 1})
	if problem != nil || launched[0].reason == nil || !strings.Contains(launched[0].diagnosis, "50000 grants") {
		t.Errorf("a launch without room for a grant: %v, %+v", problem, launched)
	}
}
