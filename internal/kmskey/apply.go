package kmskey

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/change"
	"github.com/orgami/packer-plugin-orgami/internal/fanout"
	"github.com/orgami/packer-plugin-orgami/internal/progress"
	"github.com/orgami/packer-plugin-orgami/internal/wait"
)

// propagation is how long KMS may take until all its endpoints agree. A write
// counts as visible once several reads in a row show it: one endpoint may be
// ahead of the others. Fact: KMS-KEY-24.
var propagation = wait.Policy{Interval: 300 * time.Millisecond, MaxInterval: 5 * time.Second, Timeout: 10 * time.Minute, Streak: 3}

// Apply completes the key: the primary first, then all replicas in parallel,
// each with policy, alias and tags, until every regional key is usable and
// reads back as planned. If nothing differs, it makes no call at all. It writes
// nothing if a finding blocks, such as one about a policy to be written.
func (p Plan) Apply(ctx context.Context, clients Clients, reporter progress.Reporter) (Keys, error) {
	if err := change.Blocking(p.findings); err != nil {
		return Keys{}, err
	}
	id := p.observed.ID
	if id == "" {
		var err error
		if id, err = p.createPrimary(ctx, clients); err != nil {
			return Keys{}, err
		}
	}
	stage := reporter.Start("completing the key", p.regions)
	defer stage.End()
	applied := applied{Plan: p, clients: clients, id: id, stage: stage}
	if p.observed.ID == "" {
		// At once: an alias can be created only once, so it decides which of two
		// runs that create the key at the same time continues.
		if err := applied.createAlias(ctx, clients(p.observed.PrimaryRegion), p.observed.PrimaryRegion); err != nil {
			return Keys{}, err
		}
	}
	if err := applied.region(ctx, p.observed.PrimaryRegion); err != nil {
		return Keys{}, err
	}
	if p.rotate {
		if err := applied.enableRotation(ctx); err != nil {
			return Keys{}, err
		}
	}
	replicas := slices.DeleteFunc(slices.Clone(p.regions), func(r string) bool { return r == p.observed.PrimaryRegion })
	if err := fanout.Each(ctx, replicas, applied.region); err != nil {
		return Keys{}, err
	}
	return applied.readBack(ctx)
}

// applied is a plan being applied to a key whose ID is known.
type applied struct {
	Plan

	clients Clients
	id      string
	stage   *progress.Stage
}

// region completes the key in one Region.
func (a applied) region(ctx context.Context, region string) error {
	step, client := a.perRegion[region], a.clients(region)
	if step.create && region != a.observed.PrimaryRegion {
		if err := a.replicate(ctx, region); err != nil {
			return err
		}
	}
	if step.create || a.observed.Regional[region].State != string(types.KeyStateEnabled) {
		if err := a.waitEnabled(ctx, client, region); err != nil {
			return err
		}
	}
	if step.addAlias && (a.observed.ID != "" || region != a.observed.PrimaryRegion) {
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
		a.stage.Finish(region, "created key "+a.id)
	case step.addAlias, step.setPolicy, len(step.addTags) > 0:
		a.stage.Finish(region, "updated key "+a.id)
	}
	return nil
}

// enableRotation turns rotation on. A new key may not be visible yet.
func (a applied) enableRotation(ctx context.Context) error {
	err := wait.Until(ctx, propagation.Once(), func(ctx context.Context) (string, error) {
		_, err := a.clients(a.observed.PrimaryRegion).EnableKeyRotation(ctx, &kms.EnableKeyRotationInput{KeyId: &a.id})
		if a.observed.ID == "" && awsclient.Is(err, awsclient.CodeNotFound) {
			return "the key is not visible", nil
		}
		return "", err
	})
	return awsclient.Wrap(err, "enabling rotation of key %s in %s", a.id, a.observed.PrimaryRegion)
}

// replicate creates the replica. If another run has just created it, replicate uses
// that one. Its policy is completed like that of an existing replica.
func (a applied) replicate(ctx context.Context, region string) error {
	step := a.perRegion[region]
	err := wait.Until(ctx, propagation.Once(), func(ctx context.Context) (string, error) {
		_, err := a.clients(a.observed.PrimaryRegion).ReplicateKey(ctx, &kms.ReplicateKeyInput{
			KeyId:         &a.id,
			ReplicaRegion: &region,
			Policy:        aws.String(step.policy.String()),
			Description:   aws.String("Encrypts AMIs that are shared with the organization (" + a.desired.Alias + ")"),
			Tags:          keyTags(step.addTags),
		})
		if a.observed.ID == "" && awsclient.Is(err, awsclient.CodeNotFound) {
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
	return a.desired.withPrincipals(awsclient.Wrap(err, "replicating key %s from %s to %s", a.id, a.observed.PrimaryRegion, region))
}

// waitEnabled waits until the regional key can get its alias and policy. A key
// that was created a moment ago may not be found yet. Fact: KMS-MRK-10, KMS-MRK-11.
func (a applied) waitEnabled(ctx context.Context, client *kms.Client, region string) error {
	err := wait.Until(ctx, propagation.Once(), func(ctx context.Context) (string, error) {
		key, err := describe(ctx, client, a.id, region)
		if err != nil {
			return "", err
		}
		return pendingState(key, region)
	})
	if err != nil {
		return fmt.Errorf("waiting for key %s in %s: %w", a.id, region, err)
	}
	return nil
}

// pendingState returns what is missing until the key is enabled, or an error if it
// can't become enabled.
func pendingState(key *metadata, region string) (pending string, err error) {
	switch {
	case key == nil:
		return "the key is not visible", nil
	case key.state == types.KeyStateEnabled:
		return "", nil
	}
	if problem := validateState(*key, region); problem != "" {
		return "", errors.New(problem)
	}
	return "the key is " + string(key.state), nil
}

// createAlias creates the key's alias. The key may be so new that it is not
// visible yet. An alias that appeared in the meantime must be ours.
func (a applied) createAlias(ctx context.Context, client *kms.Client, region string) error {
	err := wait.Until(ctx, propagation.Once(), func(ctx context.Context) (string, error) {
		_, err := client.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: &a.desired.Alias, TargetKeyId: &a.id})
		if awsclient.Is(err, awsclient.CodeNotFound) {
			return "the key is not visible", nil
		}
		return "", err
	})
	if !awsclient.Is(err, awsclient.CodeAlreadyExists) {
		return awsclient.Wrap(err, "creating %s for key %s in %s", a.desired.Alias, a.id, region)
	}
	// The alias may be as new as the key, and not be visible yet.
	var target *metadata
	err = wait.Until(ctx, propagation.Once(), func(ctx context.Context) (string, error) {
		var err error
		if target, err = describe(ctx, client, a.desired.Alias, region); err != nil || target != nil {
			return "", err
		}
		return a.desired.Alias + " exists but is not visible", nil
	})
	if err != nil {
		return fmt.Errorf("reading %s in %s: %w", a.desired.Alias, region, err)
	}
	if target.id != a.id {
		return &AliasTakenError{
			Alias: a.desired.Alias, Region: region, Key: a.id, Other: target.id, Orphaned: a.observed.ID == "",
			Superseded: a.desired.ID == "" && region == a.observed.PrimaryRegion,
		}
	}
	return nil
}

// AliasTakenError means that the alias was set to another key in the meantime.
type AliasTakenError struct {
	Alias, Region string
	Key           string // that the alias was meant for
	Other         string // that it points to
	// Orphaned means that this run created Key, which nothing uses now.
	Orphaned bool
	// Superseded means that the alias didn't exist when the run looked for the key,
	// so that the key that it points to now is the one to use.
	Superseded bool
}

func (e *AliasTakenError) Error() string {
	text := fmt.Sprintf("%s now points to key %s in %s, not to %s, because another principal changed it. Run again to use that key, or choose another alias", e.Alias, e.Other, e.Region, e.Key)
	if e.Orphaned {
		text += fmt.Sprintf(". Key %s was created but is unused. Schedule its deletion with 'aws kms schedule-key-deletion --region %s --key-id %[1]s'", e.Key, e.Region)
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
