package kmskey

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/fanout"
	"github.com/orgami/packer-plugin-orgami/internal/progress"
	"github.com/orgami/packer-plugin-orgami/internal/wait"
)

// propagation is how long KMS may take until its readers agree. A write counts
// once several reads in a row show it: one endpoint may be ahead. Fact: 3.
var propagation = wait.Policy{Interval: 300 * time.Millisecond, MaxInterval: 5 * time.Second, Timeout: 10 * time.Minute, Streak: 3}

// Apply completes the key: the primary first, then all replicas side by side,
// each with policy, alias and tags, until every regional key is usable and
// reads back as planned. Where nothing differs it makes no call at all.
func (p Plan) Apply(ctx context.Context, clients Clients, reporter progress.Reporter) (Keys, error) {
	id := p.state.ID
	if id == "" {
		made, err := p.createPrimary(ctx, clients)
		if err != nil {
			return Keys{}, err
		}
		id = made
	}
	applied := applied{Plan: p, clients: clients, id: id, reporter: reporter}
	if p.state.ID == "" {
		// At once: an alias can be made only once, so it decides which of two
		// runs that create the key at the same time goes on.
		if err := applied.createAlias(ctx, clients(p.state.PrimaryRegion), p.state.PrimaryRegion); err != nil {
			return Keys{}, err
		}
	}
	if err := applied.region(ctx, p.state.PrimaryRegion); err != nil {
		return Keys{}, err
	}
	if p.rotate {
		if err := applied.enableRotation(ctx); err != nil {
			return Keys{}, err
		}
	}
	replicas := slices.DeleteFunc(slices.Clone(p.regions), func(r string) bool { return r == p.state.PrimaryRegion })
	if err := fanout.Each(ctx, replicas, applied.region); err != nil {
		return Keys{}, err
	}
	return applied.readBack(ctx)
}

// applied is a plan being applied to a key whose id is known.
type applied struct {
	Plan

	clients  Clients
	id       string
	reporter progress.Reporter
}

// region completes the key in one region.
func (a applied) region(ctx context.Context, region string) error {
	step, client, stage := a.perRegion[region], a.clients(region), a.reporter.Start(region)
	if step.create && region != a.state.PrimaryRegion {
		if err := a.replicate(ctx, region); err != nil {
			return err
		}
	}
	if step.create || a.state.Regional[region].State != string(types.KeyStateEnabled) {
		if err := a.waitEnabled(ctx, client, region); err != nil {
			return err
		}
	}
	if step.addAlias && (a.state.ID != "" || region != a.state.PrimaryRegion) {
		if err := a.createAlias(ctx, client, region); err != nil {
			return err
		}
	}
	if step.setPolicy {
		if err := a.mergePolicy(ctx, client, region); err != nil {
			return err
		}
	}
	if !step.create && len(step.addTags) > 0 {
		_, err := client.TagResource(ctx, &kms.TagResourceInput{KeyId: &a.id, Tags: keyTags(step.addTags)})
		if err != nil {
			return awsclient.Wrap(err, "tagging key %s in %s", a.id, region)
		}
	}
	switch {
	case step.create:
		stage.Finishf("made key %s", a.id)
	case step.addAlias, step.setPolicy, len(step.addTags) > 0:
		stage.Finishf("changed key %s", a.id)
	}
	return nil
}

// enableRotation turns rotation on, of a key that may not be visible yet.
func (a applied) enableRotation(ctx context.Context) error {
	err := wait.Until(ctx, propagation.Once(), func(ctx context.Context) (string, error) {
		_, err := a.clients(a.state.PrimaryRegion).EnableKeyRotation(ctx, &kms.EnableKeyRotationInput{KeyId: &a.id})
		if a.state.ID == "" && awsclient.Is(err, awsclient.CodeNotFound) {
			return "the key is not visible", nil
		}
		return "", err
	})
	return awsclient.Wrap(err, "enabling the rotation of key %s in %s", a.id, a.state.PrimaryRegion)
}

// replicate makes the replica. One that somebody else made a moment ago is as
// good: its policy is completed like an existing one's.
func (a applied) replicate(ctx context.Context, region string) error {
	step := a.perRegion[region]
	err := wait.Until(ctx, propagation.Once(), func(ctx context.Context) (string, error) {
		_, err := a.clients(a.state.PrimaryRegion).ReplicateKey(ctx, &kms.ReplicateKeyInput{
			KeyId:         &a.id,
			ReplicaRegion: &region,
			Policy:        aws.String(step.policy.String()),
			Description:   aws.String("Encrypts AMIs that are shared with the organization (" + a.want.Alias + ")"),
			Tags:          keyTags(step.addTags),
		})
		if a.state.ID == "" && awsclient.Is(err, awsclient.CodeNotFound) {
			return "the primary is not visible", nil
		}
		return "", err
	})
	if awsclient.Is(err, awsclient.CodeAlreadyExists) {
		if err := a.waitEnabled(ctx, a.clients(region), region); err != nil {
			return err
		}
		return a.mergePolicy(ctx, a.clients(region), region)
	}
	return awsclient.Wrap(err, "replicating key %s from %s to %s", a.id, a.state.PrimaryRegion, region)
}

// waitEnabled waits until the regional key can be named and its policy set. A
// key that was made a moment ago may not be found yet. Fact: 2, 8.
func (a applied) waitEnabled(ctx context.Context, client *kms.Client, region string) error {
	err := wait.Until(ctx, propagation.Once(), func(ctx context.Context) (string, error) {
		metadata, err := describe(ctx, client, a.id, region)
		switch {
		case err != nil:
			return "", err
		case metadata == nil:
			return "the key is not visible", nil
		case metadata.KeyState == types.KeyStateEnabled:
			return "", nil
		}
		return "the key is " + string(metadata.KeyState), enabled(*metadata, region)
	})
	if err != nil {
		return fmt.Errorf("waiting for key %s in %s: %w", a.id, region, err)
	}
	return nil
}

// createAlias names the key, which may be so new that it is not visible yet. An
// alias that appeared meanwhile must be ours.
func (a applied) createAlias(ctx context.Context, client *kms.Client, region string) error {
	err := wait.Until(ctx, propagation.Once(), func(ctx context.Context) (string, error) {
		_, err := client.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: &a.want.Alias, TargetKeyId: &a.id})
		if awsclient.Is(err, awsclient.CodeNotFound) {
			return "the key is not visible", nil
		}
		return "", err
	})
	if !awsclient.Is(err, awsclient.CodeAlreadyExists) {
		return awsclient.Wrap(err, "creating %s for key %s in %s", a.want.Alias, a.id, region)
	}
	// It may be as new as the key, and not be visible either.
	var target *types.KeyMetadata
	err = wait.Until(ctx, propagation.Once(), func(ctx context.Context) (string, error) {
		var err error
		if target, err = describe(ctx, client, a.want.Alias, region); err != nil || target != nil {
			return "", err
		}
		return a.want.Alias + " exists and is not visible", nil
	})
	if err != nil {
		return fmt.Errorf("looking at %s in %s: %w", a.want.Alias, region, err)
	}
	if other := aws.ToString(target.KeyId); other != a.id {
		return &AliasTakenError{Alias: a.want.Alias, Region: region, Key: a.id, Other: other, InVain: a.state.ID == ""}
	}
	return nil
}

// AliasTakenError says that somebody else gave the alias to another key in the
// meantime.
type AliasTakenError struct {
	Alias, Region string
	Key           string // that the alias was meant for
	Other         string // that it points at
	// InVain says that this run made Key, which nothing uses now.
	InVain bool
}

func (e *AliasTakenError) Error() string {
	text := fmt.Sprintf("%s was pointed at key %s in %s by someone else meanwhile, not at %s: run again to use that key, or choose another alias", e.Alias, e.Other, e.Region, e.Key)
	if e.InVain {
		text += fmt.Sprintf("; key %s was made in vain and is not used: delete it with 'aws kms schedule-key-deletion --region %s --key-id %[1]s'", e.Key, e.Region)
	}
	return text
}

func keyTags(tags map[string]string) []types.Tag {
	var list []types.Tag
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, types.Tag{TagKey: aws.String(key), TagValue: aws.String(tags[key])})
	}
	return list
}
