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
	regions map[string]evaluate.Region
	at      time.Time // when they were read
	members Members
	// Err joins what couldn't be read. Whatever depends on it is inconclusive.
	Err error
}

// With returns the facts with what was read in member accounts.
func (f Facts) With(members Members) Facts {
	f.members = members
	return f
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
	facts := Facts{regions: map[string]evaluate.Region{}, at: at, members: members}
	for region, future := range regions {
		document, err := json.Marshal(future.Policy)
		if err != nil {
			return facts, fmt.Errorf("the policy of the key in %s: %w", region, err)
		}
		key := evaluate.Key{ARN: future.KeyARN, State: "Enabled", Policy: document}
		for _, g := range grants {
			if _, role, _ := strings.Cut(g.Role, ":role/"); g.Region != region || g.Status == grant.ToCreate || members.lacks(g.Account, role) {
				continue
			}
			key.Grants = append(key.Grants, created(g))
		}
		subject := Subject{Image: future.Image, Permissions: future.Permissions}
		facts.regions[region] = evaluate.Region{Name: region, Image: subject.image(), Keys: map[string]evaluate.Key{key.ARN: key}}
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

// Key is a key that was read already, with its grants.
type Key struct {
	State  string
	Policy policy.Document
	Grants []grant.Listed
}

// Read reads the keys of the images: their state, policy and, if withGrants,
// grants. It doesn't read those that are known, by ARN.
func Read(ctx context.Context, clients *awsclient.Clients, subjects map[string]Subject, withGrants bool, known map[string]Key) Facts {
	var mu sync.Mutex
	facts := Facts{regions: map[string]evaluate.Region{}, at: time.Now()}
	facts.Err = fanout.Each(ctx, slices.Collect(maps.Keys(subjects)), func(ctx context.Context, region string) error {
		read := evaluate.Region{Name: region, Image: subjects[region].image(), Keys: map[string]evaluate.Key{}}
		var problems []error
		for _, snapshot := range subjects[region].Image.Snapshots {
			keyARN := snapshot.KeyARN
			if _, done := read.Keys[keyARN]; done || keyARN == "" {
				continue
			}
			if key, found := known[keyARN]; found {
				read.Keys[keyARN] = key.evaluated(keyARN, withGrants)
				continue
			}
			key, denied, err := readKey(ctx, clients, region, keyARN, withGrants)
			if err != nil {
				problems = append(problems, err)
				continue
			}
			read.Keys[keyARN] = key
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
func readKey(ctx context.Context, clients *awsclient.Clients, region, keyARN string, withGrants bool) (key evaluate.Key, denied, err error) {
	inspected, err := kmskey.Inspect(ctx, clients.KMS, region, keyARN)
	if err != nil {
		return evaluate.Key{}, nil, err
	}
	key = evaluate.Key{
		ARN: keyARN, State: inspected.State, AWSManaged: inspected.AWSManaged,
		Policy: json.RawMessage(inspected.Policy), GrantsUnknown: true,
	}
	if !withGrants || inspected.State == "" {
		return key, inspected.Unreadable, nil
	}
	state, err := grant.Read(ctx, clients.KMS, map[string]string{region: keyARN})
	if awsclient.Is(err, awsclient.CodeAccessDenied) {
		return key, inspected.Unreadable, nil // another account's key
	}
	if err != nil {
		return evaluate.Key{}, nil, fmt.Errorf("reading grants: %w", err)
	}
	key.GrantsUnknown, key.Grants = false, listed(state.Listed(region))
	return key, inspected.Unreadable, nil
}

// evaluated converts the key to the evaluator's input.
func (k Key) evaluated(keyARN string, withGrants bool) evaluate.Key {
	key := evaluate.Key{ARN: keyARN, State: k.State, Policy: json.RawMessage(k.Policy.String()), GrantsUnknown: !withGrants}
	if withGrants {
		key.Grants = listed(k.Grants)
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
