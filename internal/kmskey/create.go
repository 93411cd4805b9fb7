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

// createAttempts bounds how often the key is asked for after lost answers.
const createAttempts = 3

// createPrimary makes the key. CreateKey has no idempotency token, so a lost
// answer may have left a key behind: that one is looked for by its tag before
// another is made. Should it show later still, the next run finds it.
func (p Plan) createPrimary(ctx context.Context, clients Clients) (string, error) {
	region := p.state.PrimaryRegion
	tags := maps.Clone(p.want.Tags)
	if tags == nil {
		tags = map[string]string{}
	}
	tags[TagAlias] = p.want.Alias
	for attempt := 1; ; attempt++ {
		answer, err := clients(region).CreateKey(ctx, &kms.CreateKeyInput{
			MultiRegion: aws.Bool(true),
			Description: aws.String("Encrypts AMIs that are shared with the organization (" + p.want.Alias + ")"),
			Policy:      aws.String(p.perRegion[region].policy.String()),
			Tags:        keyTags(tags),
		}, awsclient.OnceUnlessThrottled)
		if err == nil {
			return aws.ToString(answer.KeyMetadata.KeyId), nil
		}
		if awsclient.IsClientError(err) || ctx.Err() != nil || attempt == createAttempts {
			return "", awsclient.Wrap(err, "creating the multi-Region key for %s in %s", p.want.Alias, region)
		}
		if id, err := p.findLost(ctx, clients); id != "" || err != nil {
			return id, err
		}
	}
}

// findLost looks for a key whose CreateKey was not answered, for longer than a
// new key usually takes to be listed. It returns "" when there is none.
func (p Plan) findLost(ctx context.Context, clients Clients) (id string, err error) {
	err = wait.Until(ctx, wait.Policy{Interval: 5 * time.Second, Timeout: time.Minute}, func(ctx context.Context) (string, error) {
		metadata, err := findByTag(ctx, clients, p.want)
		if err != nil {
			return "", err
		}
		if metadata == nil {
			return "no key is listed", nil
		}
		id = aws.ToString(metadata.KeyId)
		return "", nil
	})
	if _, none := errors.AsType[*wait.TimeoutError](err); none {
		return "", nil
	}
	return id, err
}
