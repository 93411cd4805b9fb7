package bench

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// makeKey creates the multi-Region key that a way needs, and waits until it can be used
// in every Region.
func makeKey(t *testing.T, world *awssim.World) {
	t.Helper()
	clients := awsclient.New(configOf(world))
	home := clients.KMS(chainRegions[0])
	key, err := home.CreateKey(t.Context(), &kms.CreateKeyInput{MultiRegion: aws.Bool(true)})
	if err != nil {
		t.Fatal(err)
	}
	for _, region := range chainRegions[1:] {
		if _, err := home.ReplicateKey(t.Context(), &kms.ReplicateKeyInput{KeyId: key.KeyMetadata.KeyId, ReplicaRegion: &region}); err != nil {
			t.Fatal(err)
		}
	}
	timing := Cell{}.Timing()
	time.Sleep(timing.KeyCreationTime + timing.PropagationLag)
	for _, region := range chainRegions {
		_, err := clients.KMS(region).CreateAlias(t.Context(), &kms.CreateAliasInput{AliasName: aws.String(chainKey), TargetKeyId: key.KeyMetadata.KeyId})
		if err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(timing.PropagationLag)
}
