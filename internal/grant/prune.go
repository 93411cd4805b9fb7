package grant

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/change"
	"github.com/orgami/packer-plugin-orgami/internal/fanout"
	"github.com/orgami/packer-plugin-orgami/internal/progress"
)

// Stale is a grant that an earlier run created, by its name, for an account or a
// role that is no longer in the configuration. It still lets that role use the
// key: a grant doesn't depend on the organization. Fact: GRANT-27.
type Stale struct {
	Region  string
	KeyARN  string
	GrantID string
	Name    string
	// Grantee is the role's ARN, or its unique ID if it was deleted.
	Grantee string
}

// ineffective is a grant for a desired role that doesn't let the role use the key,
// because an account other than the role's created it. Fact: GRANT-9, GRANT-16.
type ineffective struct {
	Stale

	issuer  string // "" if KMS didn't return it
	instead Grant  // the desired grant and its status
}

var (
	ourNames = regexp.MustCompile(`^orgami/[0-9]{12}/[a-zA-Z0-9_-]*-[0-9a-f]{8}(/member)?$`)
	uniqueID = regexp.MustCompile(`^ARO[A-Z0-9]+$`)
)

// ourName returns the name of a grant if the plugin uses it for the grantee, or "". KMS
// shows a deleted role by its unique ID. In that case, the form of the name decides.
func ourName(name, grantee string) string {
	if !ourNames.MatchString(name) {
		return ""
	}
	if uniqueID.MatchString(grantee) {
		return name
	}
	role, err := arn.Parse(grantee)
	if err != nil {
		return ""
	}
	ours := Name(role.AccountID, strings.TrimPrefix(role.Resource, "role/"))
	if name != ours && name != replacedName(ours) {
		return ""
	}
	return name
}

// stale are our grants that are not desired, in the order of Region, name and ID.
func (o Observed) stale(desired Desired, keyARN func(region string) string) []Stale {
	wanted := map[string]bool{}
	for _, account := range desired.Accounts {
		for _, role := range desired.Roles {
			wanted[RoleARN(desired.Partition, account, role)] = true
		}
	}
	var found []Stale
	for region, byGrantee := range o.byGrantee {
		for grantee, grants := range byGrantee {
			for _, g := range grants {
				if g.name != "" && !wanted[grantee] {
					found = append(found, Stale{Region: region, KeyARN: keyARN(region), GrantID: g.id, Name: g.name, Grantee: grantee})
				}
			}
		}
	}
	slices.SortFunc(found, func(a, b Stale) int {
		return cmp.Or(cmp.Compare(a.Region, b.Region), cmp.Compare(a.Name, b.Name), cmp.Compare(a.GrantID, b.GrantID))
	})
	return found
}

func (s Stale) change(prune bool) change.Change {
	c := change.Change{Kind: change.Grant, Action: change.Unmanaged, Region: s.Region, ID: s.Grantee, Detail: "not in the configuration; set grants.prune to revoke it"}
	if prune {
		c.Action, c.Detail = change.Delete, "no longer in the configuration"
	}
	return c
}

// ours reports whether it is a grant that pruning may revoke. Without the issuing
// account, it must stay.
func (i ineffective) ours() bool { return i.Name != "" && i.issuer != "" }

func (i ineffective) change(prune bool) change.Change {
	c := change.Change{Kind: change.Grant, Action: change.Unmanaged, Region: i.Region, ID: i.Grantee}
	if i.issuer == "" {
		c.Detail = "KMS didn't return which account created it, so it doesn't count"
		return c
	}
	c.Detail = "created by account " + i.issuer + "; it doesn't let the role use the key"
	switch {
	case i.Name == "": // not ours
	case !prune:
		c.Detail += ". Set grants.prune to revoke it once the role's account has created its own"
	case i.instead.Status == ToCreate:
		c.Detail += ". A later run revokes it, once the role's account has created its own"
	default:
		c.Action = change.Delete
		c.Detail += ". It is revoked once the grant of the role's account is listed"
	}
	return c
}

// replaced are our grants that another account than the role's created, and that a
// grant of the role's account replaces: one that KMS lists now.
func (p Plan) replaced(ctx context.Context, owner Clients) ([]Stale, error) {
	keys := map[string]string{}
	for _, i := range p.ineffective {
		if i.ours() {
			keys[i.Region] = i.KeyARN
		}
	}
	now, err := Read(ctx, owner, keys)
	if err != nil {
		return nil, err
	}
	var replaced []Stale
	for _, i := range p.ineffective {
		if _, listed := now.find(i.instead); listed && i.ours() {
			replaced = append(replaced, i.Stale)
		}
	}
	return replaced, nil
}

// Prune revokes the stale grants, if that is configured, with the owner's
// credentials, and waits until they are no longer listed. It also revokes our
// grants that another account than the role's created, where KMS lists the grant
// that replaces one. A grant that no longer exists counts as revoked. It returns
// those that it revoked, also on failure.
func (p Plan) Prune(ctx context.Context, owner Clients, reporter progress.Reporter) ([]Stale, error) {
	if !p.desired.Prune {
		return nil, nil
	}
	replaced, err := p.replaced(ctx, owner)
	if err != nil {
		return nil, err
	}
	byRegion := map[string][]Stale{}
	for _, s := range slices.Concat(p.stale, replaced) {
		byRegion[s.Region] = append(byRegion[s.Region], s)
	}
	regions := slices.Sorted(maps.Keys(byRegion))
	stage := reporter.Start("revoking grants", regions)
	defer stage.End()
	revoked, err := fanout.Collect(ctx, regions, func(ctx context.Context, region string) ([]Stale, error) {
		return byRegion[region], revoke(ctx, owner, stage, byRegion[region])
	})
	var all []Stale
	for _, region := range regions {
		all = append(all, revoked[region]...)
	}
	return all, err
}

// revokedAtOnce bounds the concurrent calls in a Region.
const revokedAtOnce = 16

func revoke(ctx context.Context, owner Clients, stage *progress.Stage, stale []Stale) error {
	region, key := stale[0].Region, stale[0].KeyARN
	failed := fanout.Limit(ctx, revokedAtOnce, region, stale, func(ctx context.Context, s Stale) error {
		_, err := owner(region).RevokeGrant(ctx, &kms.RevokeGrantInput{KeyId: &s.KeyARN, GrantId: &s.GrantID})
		stage.Count(region, len(stale))
		if awsclient.Is(err, awsclient.CodeNotFound) {
			return nil
		}
		return awsclient.Wrap(err, "revoking the grant %s (%s) of %s on key %s in %s", s.Name, s.GrantID, s.Grantee, s.KeyARN, region)
	})
	if ctx.Err() != nil {
		return fmt.Errorf("revoking grants on key %s in %s: %w", key, region, context.Cause(ctx))
	}
	if len(failed) > 0 {
		return joined(few(failed))
	}
	err := untilListed(ctx, owner, region, key, func(observed Observed) string {
		listed := 0
		for _, s := range stale {
			if slices.ContainsFunc(observed.byGrantee[region][s.Grantee], func(e existing) bool { return e.id == s.GrantID }) {
				listed++
			}
		}
		if listed > 0 {
			return fmt.Sprintf("%d of %d revoked grants are still listed", listed, len(stale))
		}
		return ""
	})
	if err != nil {
		return fmt.Errorf("reading back the grants of key %s in %s after revoking: %w", key, region, err)
	}
	stage.FinishCount(region, "revoked grants", len(stale))
	return nil
}
