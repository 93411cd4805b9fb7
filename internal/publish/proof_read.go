package publish

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/fanout"
	"github.com/orgami/packer-plugin-orgami/internal/grant"
	"github.com/orgami/packer-plugin-orgami/internal/kmskey"
	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
)

// readForLaunch reads what launches of the images, by region, depend on. Grants
// are read only if there are to be some.
func readForLaunch(ctx context.Context, clients *awsclient.Clients, images map[string]string, grants bool) (map[string]evaluate.Region, error) {
	return fanout.Collect(ctx, slices.Collect(maps.Keys(images)), func(ctx context.Context, region string) (evaluate.Region, error) {
		image, shared, err := ami.Read(ctx, clients.EC2, region, images[region])
		if err != nil {
			return evaluate.Region{}, err
		}
		read := evaluate.Region{Name: region, Image: imageForLaunch(image, shared), Keys: map[string]evaluate.Key{}}
		for _, snapshot := range image.Snapshots {
			arn := snapshot.KeyARN
			if _, known := read.Keys[arn]; known || arn == "" {
				continue
			}
			if read.Keys[arn], err = keyForLaunch(ctx, clients, region, arn, grants); err != nil {
				return evaluate.Region{}, err
			}
		}
		return read, nil
	})
}

func imageForLaunch(image ami.Image, shared ami.Shared) evaluate.Image {
	read := evaluate.Image{
		ID: image.ID, Owner: image.Owner, State: image.State,
		Public: shared.Image.Public, Accounts: shared.Image.Accounts,
		Organizations: shared.Image.Organizations, OrganizationalUnits: shared.Image.OrganizationalUnits,
	}
	for _, s := range image.Snapshots {
		read.Snapshots = append(read.Snapshots, evaluate.Snapshot{ID: s.ID, Key: s.KeyARN})
	}
	return read
}

func keyForLaunch(ctx context.Context, clients *awsclient.Clients, region, arn string, grants bool) (evaluate.Key, error) {
	inspected, err := kmskey.Inspect(ctx, clients.KMS, region, arn)
	if err != nil {
		return evaluate.Key{}, err
	}
	key := evaluate.Key{
		ARN: arn, State: inspected.State, AWSManaged: inspected.AWSManaged,
		Policy: json.RawMessage(inspected.Policy), GrantsUnknown: true,
	}
	if !grants || inspected.State == "" {
		return key, nil
	}
	state, err := grant.Look(ctx, clients.KMS, map[string]string{region: arn})
	if awsclient.Is(err, awsclient.CodeAccessDenied) {
		return key, nil // of a key that is somebody else's
	}
	if err != nil {
		return evaluate.Key{}, err
	}
	key.GrantsUnknown = false
	for _, g := range state.Listed(region) {
		key.Grants = append(key.Grants, evaluate.Grant{ID: g.ID, Name: g.Name, Grantee: g.Grantee, Operations: g.Operations})
	}
	return key, nil
}
