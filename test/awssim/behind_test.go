package awssim_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// TestFact8StaleReads checks that an endpoint that is behind answers as the world was,
// and what is written through it counts.
func TestFact8StaleReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := must(awssim.New(awssim.DefaultWorld(), awssim.Options{}))(t)
		client := kmsClient(w, awssim.PublishingAccount, "us-east-1")
		time.Sleep(time.Hour)
		key := newKey(t, w, true)
		before := *keyPolicyOf(t, client, key)
		time.Sleep(time.Minute)
		must(client.PutKeyPolicy(t.Context(), &kms.PutKeyPolicyInput{KeyId: &key, Policy: keyPolicy(openStatement)}))(t)
		after := *keyPolicyOf(t, client, key)
		time.Sleep(10 * time.Second)
		for _, test := range []struct {
			behind time.Duration
			policy string // "" for a key that doesn't exist
		}{
			{5 * time.Second, after},
			{30 * time.Second, before},
			{5 * time.Minute, ""},
			{30 * time.Second, before},
		} {
			w.Inject(awssim.Fault{Kind: awssim.Stale, Behind: test.behind})
			answer, err := client.GetKeyPolicy(t.Context(), &kms.GetKeyPolicyInput{KeyId: &key})
			switch {
			case test.policy == "":
				if err == nil {
					t.Errorf("%v behind, the key is there", test.behind)
				}
			case err != nil:
				t.Errorf("%v behind: %v", test.behind, err)
			case aws.ToString(answer.Policy) != test.policy:
				t.Errorf("%v behind, the policy is %s", test.behind, aws.ToString(answer.Policy))
			}
		}
		w.Inject(awssim.Fault{Kind: awssim.Stale, Behind: 5 * time.Minute})
		must(client.PutKeyPolicy(t.Context(), &kms.PutKeyPolicyInput{KeyId: &key, Policy: keyPolicy()}))(t)
		if now := *keyPolicyOf(t, client, key); now != before {
			t.Errorf("the policy is %s", now)
		}
	})
}

func keyPolicyOf(t *testing.T, client *kms.Client, key string) *string {
	t.Helper()
	return must(client.GetKeyPolicy(t.Context(), &kms.GetKeyPolicyInput{KeyId: &key}))(t).Policy
}
