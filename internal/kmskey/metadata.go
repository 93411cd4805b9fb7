package kmskey

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
)

// metadata is what KMS reports about a regional key. Every field that this
// package relies on is present, except Created.
type metadata struct {
	id, arn         string
	account, region string
	state           types.KeyState
	manager         types.KeyManagerType
	spec            types.KeySpec
	usage           types.KeyUsageType
	origin          types.OriginType
	// topology is nil for a single-Region key.
	topology *topology
	created  *time.Time
}

// topology is where a multi-Region key has regional keys.
type topology struct {
	primary   string            // Region
	isPrimary bool              // this regional key is the primary
	arns      map[string]string // of the primary and all replicas, by Region
}

// describe returns the key with this ID, ARN or alias, or nil if it doesn't
// exist.
func describe(ctx context.Context, client *kms.Client, id, region string) (*metadata, error) {
	answer, err := client.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &id})
	if awsclient.Is(err, awsclient.CodeNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, awsclient.Wrap(err, "describing key %s in %s", id, region)
	}
	if answer.KeyMetadata == nil {
		return nil, incomplete("DescribeKey", id, region, "KeyMetadata")
	}
	return newMetadata(*answer.KeyMetadata, id, region)
}

// newMetadata checks that the response has what this package relies on. An absent
// field has no default: a key without MultiRegion isn't a single-Region key, and
// one without KeyManager isn't managed by AWS.
func newMetadata(key types.KeyMetadata, id, region string) (*metadata, error) {
	m := metadata{
		id: aws.ToString(key.KeyId), arn: aws.ToString(key.Arn), account: aws.ToString(key.AWSAccountId),
		state: key.KeyState, manager: key.KeyManager, spec: key.KeySpec, usage: key.KeyUsage, origin: key.Origin, created: key.CreationDate,
	}
	var missing []string
	need := func(name, value string) {
		if value == "" {
			missing = append(missing, name)
		}
	}
	need("KeyId", m.id)
	need("Arn", m.arn)
	need("AWSAccountId", m.account)
	need("KeyState", string(m.state))
	need("KeyManager", string(m.manager))
	need("KeySpec", string(m.spec))
	need("KeyUsage", string(m.usage))
	need("Origin", string(m.origin))
	switch {
	case key.MultiRegion == nil:
		missing = append(missing, "MultiRegion")
	case *key.MultiRegion:
		var absent []string
		m.topology, absent = newTopology(key.MultiRegionConfiguration)
		missing = append(missing, absent...)
	}
	if len(missing) > 0 {
		return nil, incomplete("DescribeKey", id, region, missing...)
	}
	parsed, err := arn.Parse(m.arn)
	if err != nil {
		return nil, fmt.Errorf("describing key %s in %s: KMS returned the ARN %q: %w", id, region, m.arn, err)
	}
	m.region = parsed.Region
	return &m, nil
}

func newTopology(configuration *types.MultiRegionConfiguration) (found *topology, missing []string) {
	if configuration == nil {
		return nil, []string{"MultiRegionConfiguration"}
	}
	found = &topology{isPrimary: configuration.MultiRegionKeyType == types.MultiRegionKeyTypePrimary, arns: map[string]string{}}
	if configuration.MultiRegionKeyType == "" {
		missing = append(missing, "MultiRegionKeyType")
	}
	add := func(name string, key types.MultiRegionKey) {
		region, keyARN := aws.ToString(key.Region), aws.ToString(key.Arn)
		if region == "" || keyARN == "" {
			missing = append(missing, name)
			return
		}
		found.arns[region] = keyARN
	}
	if configuration.PrimaryKey == nil {
		return nil, append(missing, "PrimaryKey")
	}
	found.primary = aws.ToString(configuration.PrimaryKey.Region)
	add("PrimaryKey", *configuration.PrimaryKey)
	for _, replica := range configuration.ReplicaKeys {
		add("ReplicaKeys", replica)
	}
	return found, missing
}

// incomplete is the error for a response without required values. The subject is the
// key or alias that the call was about.
func incomplete(operation, subject, region string, missing ...string) error {
	return fmt.Errorf("KMS %s for %s in %s returned a response without %s. Run again; if it happens again, check endpoint_url and any proxy on the way to AWS",
		operation, subject, region, strings.Join(missing, ", "))
}
