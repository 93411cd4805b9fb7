package kmskey

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/change"
	"github.com/orgami/packer-plugin-orgami/internal/fanout"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
	"github.com/orgami/packer-plugin-orgami/internal/wait"
)

// Clients returns a Region's KMS client.
type Clients func(region string) *kms.Client

// Read reads the parts of the found key that [Diff] compares. It writes nothing. What
// is wrong with the key (its kind, owner, state, policy, alias or primary Region, or
// that there is none) becomes a finding. Only what can't be read is an error.
func (f Found) Read(ctx context.Context, clients Clients, desired Desired) (Observed, error) {
	none := Observed{PrimaryRegion: desired.Primary, Regional: map[string]Regional{}, Findings: f.findings}
	found := f.key
	if found != nil {
		none.Findings = append(none.Findings, validate(*found, desired)...)
	}
	if found == nil || len(none.Findings) > 0 {
		return none, nil
	}
	observed := Observed{
		ID: found.id, PrimaryRegion: found.topology.primary, Imported: found.origin != types.OriginTypeAwsKms,
		Regions:  slices.Sorted(maps.Keys(found.topology.arns)),
		Regional: map[string]Regional{},
	}
	if desired.PrimaryFixed && observed.PrimaryRegion != desired.Primary {
		observed.Findings = append(observed.Findings, block(change.Key, observed.PrimaryRegion, observed.ID,
			"the primary of key %s is in %s, and key.primary_region is %s. To use this key, set primary_region to %[2]q or omit it", observed.ID, observed.PrimaryRegion, desired.Primary))
	}
	existing := slices.Sorted(maps.Keys(f.ARNs(desired)))
	read, err := fanout.Collect(ctx, existing, func(ctx context.Context, region string) (regionRead, error) {
		return f.awaitRegion(ctx, clients(region), desired, region)
	})
	if err != nil {
		return Observed{}, err
	}
	for _, region := range existing {
		observed.Regional[region] = read[region].regional
		observed.Findings = append(observed.Findings, read[region].findings...)
	}
	observed.Created = read[observed.PrimaryRegion].created
	if !desired.rotates(observed) || observed.Imported {
		return observed, nil
	}
	status, err := clients(observed.PrimaryRegion).GetKeyRotationStatus(ctx, &kms.GetKeyRotationStatusInput{KeyId: &observed.ID})
	if err != nil {
		return Observed{}, awsclient.Wrap(err, "reading the rotation of key %s in %s", observed.ID, observed.PrimaryRegion)
	}
	observed.Rotation = status.KeyRotationEnabled
	return observed, nil
}

// regionRead is the result of reading one Region's key.
type regionRead struct {
	regional Regional
	created  bool // the plugin created the key, as the primary's tags say
	findings []change.Finding
}

// newKeyPatience is how long a key that its topology names may be unknown to readers
// of its Region: another run may have created it a moment ago. Fact: KMS-API-1.
const newKeyPatience = time.Minute

// awaitRegion is [Found.readRegion] for a key that may not be visible everywhere yet.
func (f Found) awaitRegion(ctx context.Context, client *kms.Client, desired Desired, region string) (regionRead, error) {
	var read regionRead
	var problem error
	err := wait.Until(ctx, wait.Policy{Interval: time.Second, MaxInterval: 5 * time.Second, Timeout: newKeyPatience}, func(ctx context.Context) (string, error) {
		read, problem = f.readRegion(ctx, client, desired, region)
		if errors.Is(problem, errNotVisible) || awsclient.IsNotFound(problem) {
			return "the key is not visible", nil
		}
		return "", problem
	})
	if _, late := errors.AsType[*wait.TimeoutError](err); late {
		return read, problem
	}
	return read, err
}

// errNotVisible says that a key which its topology names can't be read.
var errNotVisible = errors.New("the key is not visible")

// readRegion reads one Region's key. Where the alias points to it, looking for the
// alias has described it.
func (f Found) readRegion(ctx context.Context, client *kms.Client, desired Desired, region string) (regionRead, error) {
	id := f.key.id
	alias, looked := f.aliases[region]
	var key *metadata
	var document policy.Document
	var tags map[string]string
	tasks := []fanout.Task{{Name: "policy", Run: func(ctx context.Context) (err error) {
		document, err = readPolicy(ctx, client, id, region)
		return err
	}}}
	if key = alias; key == nil {
		tasks = append(tasks, fanout.Task{Name: "key", Run: func(ctx context.Context) (err error) {
			key, err = describe(ctx, client, id, region)
			return err
		}})
	}
	if !looked && desired.Alias != "" {
		tasks = append(tasks, fanout.Task{Name: "alias", Run: func(ctx context.Context) (err error) {
			alias, err = describe(ctx, client, desired.Alias, region)
			return err
		}})
	}
	if mustTag, wantsTags := len(desired.Tags) > 0, desired.Rotation == RotateCreated && desired.Alias != ""; mustTag || wantsTags && region == f.key.topology.primary {
		tasks = append(tasks, fanout.Task{Name: "tags", Run: func(ctx context.Context) (err error) {
			if tags, err = readTags(ctx, client, id, region); err != nil && !mustTag && awsclient.IsAccessDenied(err) {
				return nil
			}
			return err
		}})
	}
	err := fanout.Together(ctx, tasks...)
	switch {
	case err != nil && (key != nil || !awsclient.IsNotFound(err)):
		return regionRead{}, err
	case key == nil:
		return regionRead{}, fmt.Errorf("%w: key %s is listed in %s but cannot be read there. It may have been deleted a moment ago; run again", errNotVisible, id, region)
	}
	read := regionRead{
		regional: Regional{ARN: key.arn, State: string(key.state), HasAlias: alias != nil, Policy: document, Tags: tags},
		created:  desired.Alias != "" && tags[TagAlias] == desired.Alias,
	}
	if problem := validateState(*key, region); problem != "" {
		read.findings = append(read.findings, block(change.Key, region, id, "%s", problem))
	}
	if open := document.PublicStatements(); len(open) > 0 {
		read.findings = append(read.findings, block(change.KeyPolicy, region, id,
			"the policy of key %s in %s is open to the world (%s). Add a condition on aws:PrincipalOrgID to each of these statements, or remove them", id, region, strings.Join(open, ", ")))
	}
	if alias != nil && alias.id != id {
		read.findings = append(read.findings, block(change.Alias, region, desired.Alias,
			"%s points to key %s in %s, not to %s. Point it to that key, or choose another alias", desired.Alias, alias.id, region, id))
	}
	return read, nil
}

func readPolicy(ctx context.Context, client *kms.Client, id, region string) (policy.Document, error) {
	answer, err := client.GetKeyPolicy(ctx, &kms.GetKeyPolicyInput{KeyId: &id})
	if err != nil {
		return policy.Document{}, awsclient.Wrap(err, "reading the policy of key %s in %s", id, region)
	}
	if answer.Policy == nil {
		return policy.Document{}, incomplete("GetKeyPolicy", id, region, "Policy")
	}
	document, err := policy.Parse(*answer.Policy)
	if err != nil {
		return policy.Document{}, fmt.Errorf("reading the policy of key %s in %s: %w", id, region, err)
	}
	return document, nil
}

func readTags(ctx context.Context, client *kms.Client, id, region string) (map[string]string, error) {
	tags := map[string]string{}
	for pages := kms.NewListResourceTagsPaginator(client, &kms.ListResourceTagsInput{KeyId: &id}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, awsclient.Wrap(err, "reading the tags of key %s in %s", id, region)
		}
		for _, tag := range page.Tags {
			if tag.TagKey == nil || tag.TagValue == nil {
				return nil, incomplete("ListResourceTags", id, region, "TagKey or TagValue")
			}
			tags[aws.ToString(tag.TagKey)] = aws.ToString(tag.TagValue)
		}
	}
	return tags, nil
}
