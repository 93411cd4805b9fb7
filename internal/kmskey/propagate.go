package kmskey

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/fanout"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
	"github.com/orgami/packer-plugin-orgami/internal/wait"
)

// policyWrites bounds how often a policy is set again if another client keeps
// overwriting it.
const policyWrites = 5

// policyPatience is how long a new policy may take to become visible before the run assumes
// that it was overwritten: several times what KMS usually needs. Fact: KMS-KEY-24.
const policyPatience = 2 * time.Minute

// agreement is when several reads in a row return the same: one endpoint may be
// behind.
var agreement = wait.Policy{Interval: time.Second, MaxInterval: time.Second, Timeout: 10 * time.Minute, Streak: 3}

// mergePolicy sets our statements in the current policy, not in the policy that
// the plan read, so that it keeps edits that were made since. KMS has no
// conditional write: an edit in the seconds between reading and writing may be
// lost.
func (a applied) mergePolicy(ctx context.Context, client *kms.Client, region string) error {
	current, err := a.currentPolicy(ctx, client, region)
	if err != nil {
		return err
	}
	if open := current.PublicStatements(); len(open) > 0 {
		return fmt.Errorf("the policy of key %s in %s has become open to the world (%s). Close it, then run again", a.id, region, strings.Join(open, ", "))
	}
	merged, err := a.desired.Policy.Merge(&current, a.desired.ExtraStatements)
	if err != nil {
		return fmt.Errorf("merging the policy of key %s in %s: %w", a.id, region, err)
	}
	if policy.Equal(current, merged) {
		return nil
	}
	if problems := checkPolicy(merged); len(problems) > 0 {
		return fmt.Errorf("%s: %s", cannotSet(a.id, region, false), strings.Join(problems, "; "))
	}
	_, err = client.PutKeyPolicy(ctx, &kms.PutKeyPolicyInput{KeyId: &a.id, Policy: aws.String(merged.String())})
	return a.desired.withPrincipals(awsclient.Wrap(err, "setting the policy of key %s in %s", a.id, region))
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

// readBack waits until every Region that was changed reads back as planned, and
// returns the keys with the policies that AWS reports.
func (a applied) readBack(ctx context.Context) (Keys, error) {
	keys := Keys{id: a.id, primary: a.observed.PrimaryRegion, arns: map[string]string{}, policy: map[string]policy.Document{}}
	policies, err := fanout.Collect(ctx, a.regions, func(ctx context.Context, region string) (policy.Document, error) {
		if step := a.perRegion[region]; !step.create && !step.setPolicy && !step.addAlias {
			return a.observed.Regional[region].Policy, nil
		}
		return a.readBackRegion(ctx, region)
	})
	if err != nil {
		return Keys{}, err
	}
	for region, document := range policies {
		keys.arns[region] = policy.KeyARN(a.desired.Partition, region, a.desired.Account, a.id)
		keys.policy[region] = document
	}
	return keys, nil
}

// readBackRegion waits until the Region's key reads back as planned. A policy that
// doesn't is merged and set again, because another client overwrote it with an older
// version.
func (a applied) readBackRegion(ctx context.Context, region string) (policy.Document, error) {
	client := a.clients(region)
	var overwritten error
	for range policyWrites {
		document, err := a.awaitPropagated(ctx, client, region)
		if err == nil {
			return document, nil
		}
		if _, timeout := errors.AsType[*wait.TimeoutError](err); !timeout {
			return document, fmt.Errorf("reading back key %s in %s: %w", a.id, region, err)
		}
		overwritten = err
		if err := a.mergePolicy(ctx, client, region); err != nil {
			return document, err
		}
	}
	return policy.Document{}, fmt.Errorf("reading back key %s in %s after setting its policy %d times: %w. Another principal is changing the policy. Run again when they are done", a.id, region, policyWrites, overwritten)
}

// awaitPropagated waits until the key is usable, and alias and policy show.
func (a applied) awaitPropagated(ctx context.Context, client *kms.Client, region string) (policy.Document, error) {
	patience := propagation
	patience.Timeout = policyPatience
	var document policy.Document
	name := cmp.Or(a.desired.Alias, a.id)
	err := wait.Until(ctx, patience, func(ctx context.Context) (string, error) {
		key, err := describe(ctx, client, name, region)
		if err != nil {
			return "", err
		}
		if key == nil || key.id != a.id {
			return name + " isn't visible yet", nil
		}
		if pending, err := pendingState(key, region); pending != "" || err != nil {
			return pending, err
		}
		document, err = readPolicy(ctx, client, a.id, region)
		if awsclient.Is(err, awsclient.CodeNotFound) {
			return "the key is not visible", nil
		}
		if err != nil {
			return "", err
		}
		if open := document.PublicStatements(); len(open) > 0 {
			return "", fmt.Errorf("the policy has become open to the world (%s). Close it, then run again", strings.Join(open, ", "))
		}
		if wanted, err := a.desired.Policy.Merge(&document, a.desired.ExtraStatements); err != nil || !policy.Equal(wanted, document) {
			return "the plugin's statements aren't visible in the policy yet", err
		}
		return "", nil
	})
	return document, err
}
