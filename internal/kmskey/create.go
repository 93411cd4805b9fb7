package kmskey

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/wait"
)

// createAttempts bounds how often CreateKey is called after lost responses.
const createAttempts = 3

// createPrimary creates the key. CreateKey has no idempotency token, so a lost answer,
// or one without the key's ID, may have left a key behind: that key is looked for by
// its tag before another is created. If it becomes visible even later, the next run
// finds it.
func (p Plan) createPrimary(ctx context.Context, clients Clients) (string, error) {
	region, document := p.observed.PrimaryRegion, p.perRegion[p.observed.PrimaryRegion].policy
	tags := maps.Clone(p.desired.Tags)
	if tags == nil {
		tags = map[string]string{}
	}
	tags[TagAlias] = p.desired.Alias
	for attempt := 1; ; attempt++ {
		answer, err := clients(region).CreateKey(ctx, &kms.CreateKeyInput{
			MultiRegion: aws.Bool(true),
			Description: aws.String("Encrypts AMIs that are shared with the organization (" + p.desired.Alias + ")"),
			Policy:      aws.String(document.String()),
			Tags:        keyTags(tags),
		}, awsclient.OnceUnlessThrottled)
		if err == nil && answer.KeyMetadata != nil && aws.ToString(answer.KeyMetadata.KeyId) != "" {
			return *answer.KeyMetadata.KeyId, nil
		}
		if err == nil {
			err = incomplete("CreateKey", p.desired.Alias, region, "KeyMetadata.KeyId")
		}
		if awsclient.IsClientError(err) || ctx.Err() != nil || attempt == createAttempts {
			return "", p.desired.withPrincipals(awsclient.Wrap(err, "creating the multi-Region key for %s in %s", p.desired.Alias, region))
		}
		if id, err := p.findLost(ctx, clients); id != "" || err != nil {
			return id, err
		}
	}
}

// findLost looks for a key whose CreateKey got no response, for longer than a
// new key usually takes to be listed. It returns "" if there is none.
func (p Plan) findLost(ctx context.Context, clients Clients) (id string, err error) {
	err = wait.Until(ctx, wait.Policy{Interval: 5 * time.Second, Timeout: time.Minute}, func(ctx context.Context) (string, error) {
		key, err := findByTag(ctx, clients, p.desired)
		if err != nil {
			return "", err
		}
		if key == nil {
			return "no key is listed", nil
		}
		id = key.id
		return "", nil
	})
	if _, none := errors.AsType[*wait.TimeoutError](err); none {
		return "", nil
	}
	return id, err
}
