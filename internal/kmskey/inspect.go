package kmskey

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
)

// Inspected is a key as AWS has it now, whoever's it is.
type Inspected struct {
	State      string // empty if it could not be read
	AWSManaged bool
	Policy     string // JSON; empty if it could not be read
}

// Inspect reads a key of the region. What the caller may not read, as of another
// account's key, stays empty; the key of an image may also be deleted.
func Inspect(ctx context.Context, clients Clients, region, keyARN string) (Inspected, error) {
	client := clients(region)
	unreadable := func(err error) bool { return awsclient.Is(err, awsclient.CodeAccessDenied, awsclient.CodeNotFound) }
	metadata, err := client.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &keyARN})
	if unreadable(err) {
		return Inspected{}, nil
	}
	if err != nil {
		return Inspected{}, awsclient.Wrap(err, "describing key %s in %s", keyARN, region)
	}
	found := Inspected{State: string(metadata.KeyMetadata.KeyState), AWSManaged: metadata.KeyMetadata.KeyManager == types.KeyManagerTypeAws}
	document, err := client.GetKeyPolicy(ctx, &kms.GetKeyPolicyInput{KeyId: &keyARN})
	if unreadable(err) {
		return found, nil
	}
	if err != nil {
		return Inspected{}, awsclient.Wrap(err, "reading the policy of key %s in %s", keyARN, region)
	}
	found.Policy = aws.ToString(document.Policy)
	return found, nil
}
