package kmskey

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/fanout"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
	"github.com/orgami/packer-plugin-orgami/internal/wait"
)

// policyWrites bounds how often a policy is set that somebody else keeps
// overwriting.
const policyWrites = 5

// policyPatience is how long a policy that was set may take to show before it is
// taken to have been overwritten: several times what KMS usually needs. Fact: 8.
const policyPatience = 2 * time.Minute

// agreement is when several reads in a row say the same: one endpoint may be
// behind.
var agreement = wait.Policy{Interval: time.Second, MaxInterval: time.Second, Timeout: 10 * time.Minute, Streak: 3}

// mergePolicy sets our statements in the policy as it is now, not as it was when
// the plan was made, so that another's edit in between is not lost. KMS cannot
// set a policy on the condition that it is still the one that was read: an edit
// in the seconds between may be lost all the same.
func (a applied) mergePolicy(ctx context.Context, client *kms.Client, region string) error {
	current, err := a.currentPolicy(ctx, client, region)
	if err != nil {
		return err
	}
	if open := current.PublicStatements(); len(open) > 0 {
		return fmt.Errorf("the policy of key %s in %s has become open to the world (%v): close it first", a.id, region, open)
	}
	merged, err := a.want.Policy.Merge(&current, a.want.ExtraStatements)
	if err != nil {
		return fmt.Errorf("merging the policy of key %s in %s: %w", a.id, region, err)
	}
	if policy.Equal(current, merged) {
		return nil
	}
	_, err = client.PutKeyPolicy(ctx, &kms.PutKeyPolicyInput{KeyId: &a.id, Policy: aws.String(merged.String())})
	return awsclient.Wrap(err, "setting the policy of key %s in %s", a.id, region)
}

// currentPolicy reads the policy until several reads agree.
func (a applied) currentPolicy(ctx context.Context, client *kms.Client, region string) (policy.Document, error) {
	var current, last policy.Document
	reads := 0
	err := wait.Until(ctx, agreement, func(ctx context.Context) (string, error) {
		var err error
		current, err = readPolicy(ctx, client, a.id, region)
		if awsclient.Is(err, awsclient.CodeNotFound) {
			return "the key is not visible", nil
		}
		if err != nil {
			return "", err
		}
		reads++
		agrees := reads == 1 || policy.Equal(current, last)
		last = current
		if !agrees {
			return "reads of the policy differ", nil
		}
		return "", nil
	})
	if _, ok := errors.AsType[*wait.TimeoutError](err); ok {
		return current, fmt.Errorf("reading the policy of key %s in %s: %w", a.id, region, err)
	}
	return current, err
}

// readBack waits until every region that was changed reads back as planned, and
// returns the keys with the policies that AWS reports.
func (a applied) readBack(ctx context.Context) (Keys, error) {
	keys := Keys{id: a.id, primary: a.state.PrimaryRegion, arns: map[string]string{}, policy: map[string]policy.Document{}}
	policies, err := fanout.Collect(ctx, a.regions, func(ctx context.Context, region string) (policy.Document, error) {
		if step := a.perRegion[region]; !step.create && !step.setPolicy && !step.addAlias {
			return a.state.Regional[region].Policy, nil
		}
		return a.readBackRegion(ctx, region)
	})
	if err != nil {
		return Keys{}, err
	}
	for region, document := range policies {
		keys.arns[region] = policy.KeyARN(a.want.Partition, region, a.want.Account, a.id)
		keys.policy[region] = document
	}
	return keys, nil
}

// readBackRegion waits until the region's key reads back as planned. A policy
// that does not is merged and set again: somebody who read it before we wrote it
// wrote it after us.
func (a applied) readBackRegion(ctx context.Context, region string) (policy.Document, error) {
	client := a.clients(region)
	var overwritten error
	for range policyWrites {
		document, err := a.awaitSettled(ctx, client, region)
		if err == nil {
			return document, nil
		}
		if _, timeout := errors.AsType[*wait.TimeoutError](err); !timeout {
			return document, fmt.Errorf("reading key %s in %s back: %w", a.id, region, err)
		}
		overwritten = err
		if err := a.mergePolicy(ctx, client, region); err != nil {
			return document, err
		}
	}
	return policy.Document{}, fmt.Errorf("reading key %s in %s back, after setting its policy %d times: %w: someone else is setting it too; run again when they are done", a.id, region, policyWrites, overwritten)
}

// awaitSettled waits until the key is usable, and alias and policy show.
func (a applied) awaitSettled(ctx context.Context, client *kms.Client, region string) (policy.Document, error) {
	settled := propagation
	settled.Timeout = policyPatience
	var document policy.Document
	name := cmp.Or(a.want.Alias, a.id)
	err := wait.Until(ctx, settled, func(ctx context.Context) (string, error) {
		key, err := describe(ctx, client, name, region)
		switch {
		case err != nil:
			return "", err
		case key == nil || aws.ToString(key.KeyId) != a.id:
			return name + " does not show yet", nil
		case key.KeyState != types.KeyStateEnabled:
			return "the key is " + string(key.KeyState), enabled(*key, region)
		}
		document, err = readPolicy(ctx, client, a.id, region)
		if awsclient.Is(err, awsclient.CodeNotFound) {
			return "the key is not visible", nil
		}
		if err != nil {
			return "", err
		}
		if open := document.PublicStatements(); len(open) > 0 {
			return "", fmt.Errorf("the policy has become open to the world (%v): close it first", open)
		}
		if wanted, err := a.want.Policy.Merge(&document, a.want.ExtraStatements); err != nil || !policy.Equal(wanted, document) {
			return "the policy does not show our statements yet", err
		}
		return "", nil
	})
	return document, err
}
