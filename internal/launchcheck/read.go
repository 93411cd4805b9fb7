package launchcheck

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/fanout"
	"github.com/orgami/packer-plugin-orgami/internal/grant"
	"github.com/orgami/packer-plugin-orgami/internal/kmskey"
	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
)

// Subject is a Region's image with its launch permissions or, before it is shared, the
// planned ones.
type Subject struct {
	Image       ami.Image
	Permissions ami.Permissions
}

// Facts are what launches depend on, by Region.
type Facts struct {
	regions map[string]regionFacts
	at      time.Time // when they were read
	members Members
	// Err joins what couldn't be read. Whatever depends on it is inconclusive.
	Err error
}

// regionFacts are those of a Region.
type regionFacts struct {
	image evaluate.Image
	keys  map[string]keyFacts // by ARN
}

// keyFacts are those of a key. Its grants are converted for one Region at a time,
// because those of all Regions take more memory than everything else.
type keyFacts struct {
	evaluate.Key

	grants func() []evaluate.Grant // nil for none
}

// With returns the facts with what was read in member accounts.
func (f Facts) With(members Members) Facts {
	f.members = members
	return f
}

// region is the Region for the evaluator.
func (f Facts) region(name string) evaluate.Region {
	region := evaluate.Region{Name: name, Image: f.regions[name].image, Keys: map[string]evaluate.Key{}}
	for keyARN, facts := range f.regions[name].keys {
		region.Keys[keyARN] = facts.key()
	}
	return region
}

// key is the key for the evaluator.
func (k keyFacts) key() evaluate.Key {
	key := k.Key
	if k.grants != nil {
		key.Grants = k.grants()
	}
	return key
}

// Future is a Region's image and key as a publication will leave them.
type Future struct {
	Image       ami.Image
	KeyARN      string
	Policy      policy.Document
	Permissions ami.Permissions
}

// Foresee are the facts after a publication: in each Region, the image, the Region's
// key, and the grants that exist or that the publication creates.
func Foresee(regions map[string]Future, grants []grant.Grant, members Members, at time.Time) (Facts, error) {
	facts := Facts{regions: map[string]regionFacts{}, at: at, members: members}
	for region, future := range regions {
		document, err := json.Marshal(future.Policy)
		if err != nil {
			return facts, fmt.Errorf("the policy of the key in %s: %w", region, err)
		}
		key := keyFacts{Key: evaluate.Key{ARN: future.KeyARN, State: "Enabled", Policy: document}}
		key.grants = func() []evaluate.Grant {
			var all []evaluate.Grant
			for _, g := range grants {
				if _, role, _ := strings.Cut(g.Role, ":role/"); g.Region == region && g.Status != grant.ToCreate && !members.lacks(g.Account, role) {
					all = append(all, created(g))
				}
			}
			return all
		}
		subject := Subject{Image: future.Image, Permissions: future.Permissions}
		facts.regions[region] = regionFacts{subject.image(), map[string]keyFacts{key.ARN: key}}
	}
	return facts, nil
}

// ReadPublished reads images that are published already, by their IDs.
func ReadPublished(ctx context.Context, clients *awsclient.Clients, images map[string]string) (map[string]Subject, error) {
	var mu sync.Mutex
	subjects := map[string]Subject{}
	err := fanout.Each(ctx, slices.Collect(maps.Keys(images)), func(ctx context.Context, region string) error {
		image, shared, err := ami.Read(ctx, clients.EC2, region, images[region])
		if err != nil {
			image = ami.Image{Region: region, ID: images[region]} // nothing else is known of it
		}
		mu.Lock()
		defer mu.Unlock()
		subjects[region] = Subject{Image: image, Permissions: shared.Image}
		return err
	})
	return subjects, err
}

// Key is a key that was read already.
type Key struct {
	State  string
	Policy policy.Document
	Grants func() []grant.Listed
}

// Read reads the keys of the images: their state, policy and, if withGrants,
// grants. It doesn't read those that are known, by ARN.
func Read(ctx context.Context, clients *awsclient.Clients, subjects map[string]Subject, withGrants bool, known map[string]Key) Facts {
	var mu sync.Mutex
	facts := Facts{regions: map[string]regionFacts{}, at: time.Now()}
	facts.Err = fanout.Each(ctx, slices.Collect(maps.Keys(subjects)), func(ctx context.Context, region string) error {
		read := regionFacts{subjects[region].image(), map[string]keyFacts{}}
		var problems []error
		for _, snapshot := range subjects[region].Image.Snapshots {
			keyARN := snapshot.KeyARN
			if _, done := read.keys[keyARN]; done || keyARN == "" {
				continue
			}
			if key, found := known[keyARN]; found {
				read.keys[keyARN] = key.facts(keyARN, withGrants)
				continue
			}
			key, denied, err := readKey(ctx, clients, region, keyARN, withGrants)
			if err != nil {
				problems = append(problems, err)
				continue
			}
			read.keys[keyARN] = key
			problems = append(problems, ofOwner(denied, keyARN, subjects[region].Image.Owner))
		}
		mu.Lock()
		defer mu.Unlock()
		facts.regions[region] = read
		return errors.Join(problems...)
	})
	return facts
}

// image converts the image to the evaluator's input.
func (s Subject) image() evaluate.Image {
	image := evaluate.Image{
		ID: s.Image.ID, Owner: s.Image.Owner, State: s.Image.State,
		Public: s.Permissions.Public, Accounts: s.Permissions.Accounts,
		Organizations: s.Permissions.Organizations, OrganizationalUnits: s.Permissions.OrganizationalUnits,
	}
	image.Name, image.ProductCodes, image.Deprecated = s.Image.Name, s.Image.ProductCodes, s.Image.Deprecation
	image.Created, _ = time.Parse(time.RFC3339, s.Image.CreationDate) // zero if AWS didn't return it
	for range s.Image.Unresolved {
		image.Snapshots = append(image.Snapshots, evaluate.Snapshot{})
	}
	for _, snapshot := range s.Image.Snapshots {
		image.Snapshots = append(image.Snapshots, evaluate.Snapshot{ID: snapshot.ID, Read: snapshot.Read, Encrypted: snapshot.Encrypted, Key: snapshot.KeyARN})
	}
	return image
}

// ofOwner is the error, if the key is of the image owner's own account. That another
// account's key can't be read is expected.
func ofOwner(denied error, keyARN, owner string) error {
	if parsed, _ := arn.Parse(keyARN); parsed.AccountID != owner { // a value that isn't an ARN has no owner
		return nil
	}
	return denied
}

// readKey also returns the errors about parts of the key that AWS denies or doesn't
// find.
func readKey(ctx context.Context, clients *awsclient.Clients, region, keyARN string, withGrants bool) (key keyFacts, denied, err error) {
	inspected, err := kmskey.Inspect(ctx, clients.KMS, region, keyARN)
	if err != nil {
		return keyFacts{}, nil, err
	}
	key = keyFacts{Key: evaluate.Key{
		ARN: keyARN, State: inspected.State, AWSManaged: inspected.AWSManaged,
		Policy: json.RawMessage(inspected.Policy), GrantsUnknown: true,
	}}
	if !withGrants || inspected.State == "" {
		return key, inspected.Unreadable, nil
	}
	state, err := grant.Read(ctx, clients.KMS, map[string]string{region: keyARN})
	if awsclient.Is(err, awsclient.CodeAccessDenied) {
		return key, inspected.Unreadable, nil // another account's key
	}
	if err != nil {
		return keyFacts{}, nil, fmt.Errorf("reading grants: %w", err)
	}
	key.GrantsUnknown, key.grants = false, func() []evaluate.Grant { return listed(state.Listed(region)) }
	return key, inspected.Unreadable, nil
}

// facts converts the key.
func (k Key) facts(keyARN string, withGrants bool) keyFacts {
	key := keyFacts{Key: evaluate.Key{ARN: keyARN, State: k.State, Policy: json.RawMessage(k.Policy.String()), GrantsUnknown: !withGrants}}
	if withGrants {
		key.grants = func() []evaluate.Grant { return listed(k.Grants()) }
	}
	return key
}

func listed(grants []grant.Listed) []evaluate.Grant {
	converted := make([]evaluate.Grant, len(grants))
	for i, g := range grants {
		converted[i] = evaluate.Grant{ID: g.ID, Name: g.Name, Grantee: g.Grantee, IssuingAccount: g.Issuer, Operations: g.Operations}
	}
	return converted
}
