package kmskey

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
)

// Inspected is a key of any account, as AWS reports it now.
type Inspected struct {
	State      string // empty if it could not be read
	AWSManaged bool
	Policy     string // JSON; empty if it could not be read
	// Unreadable is what AWS returned for what could not be read.
	Unreadable error
}

// Inspect reads a key of the Region. A value that the caller can't read, for example of
// another account's key, stays empty, as does a key that no longer exists. A response
// without the requested values is an error, not an unreadable key.
func Inspect(ctx context.Context, clients Clients, region, keyARN string) (Inspected, error) {
	client := clients(region)
	unreadable := func(err error) bool { return awsclient.Is(err, awsclient.CodeAccessDenied, awsclient.CodeNotFound) }
	answer, err := client.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &keyARN})
	if unreadable(err) {
		return Inspected{Unreadable: awsclient.Wrap(err, "describing key %s in %s", keyARN, region)}, nil
	}
	if err != nil {
		return Inspected{}, awsclient.Wrap(err, "describing key %s in %s", keyARN, region)
	}
	key := answer.KeyMetadata
	if key == nil || key.KeyState == "" || key.KeyManager == "" {
		return Inspected{}, incomplete("DescribeKey", keyARN, region, "KeyMetadata, KeyState or KeyManager")
	}
	found := Inspected{State: string(key.KeyState), AWSManaged: key.KeyManager == types.KeyManagerTypeAws}
	document, err := client.GetKeyPolicy(ctx, &kms.GetKeyPolicyInput{KeyId: &keyARN})
	if unreadable(err) {
		found.Unreadable = awsclient.Wrap(err, "reading the policy of key %s in %s", keyARN, region)
		return found, nil
	}
	if err != nil {
		return Inspected{}, awsclient.Wrap(err, "reading the policy of key %s in %s", keyARN, region)
	}
	if found.Policy = aws.ToString(document.Policy); found.Policy == "" {
		return Inspected{}, incomplete("GetKeyPolicy", keyARN, region, "Policy")
	}
	return found, nil
}
