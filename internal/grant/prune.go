package grant

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	"golang.org/x/sync/errgroup"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/change"
	"github.com/orgami/packer-plugin-orgami/internal/fanout"
	"github.com/orgami/packer-plugin-orgami/internal/progress"
	"github.com/orgami/packer-plugin-orgami/internal/wait"
)

// Leftover is a grant that an earlier run made, by its name, for an account or a
// role that is not in the configuration any more. It lets that role use the key
// still: a grant does not look at the organisation. Fact: 3.
type Leftover struct {
	Region  string
	KeyARN  string
	GrantID string
	Name    string
	// Grantee is the role's ARN, or its unique id if it was deleted.
	Grantee string
}

var ourNames = regexp.MustCompile(`^orgami/[0-9]{12}/[a-zA-Z0-9_-]*-[0-9a-f]{8}$`)

// ourName returns the name of a grant if it is one that this plugin gives to the
// grantee, else "". The name of a deleted role, whose ARN KMS does not tell any
// more, goes by its form.
func ourName(name, grantee string) string {
	if !ourNames.MatchString(name) {
		return ""
	}
	parts := strings.SplitN(grantee, ":", 6) // arn:PARTITION:iam::ACCOUNT:role/ROLE
	if len(parts) == 6 && name != Name(parts[4], strings.TrimPrefix(parts[5], "role/")) {
		return ""
	}
	return name
}

// leftovers are our grants that are not wanted, in the order of region, name and
// id.
func (s State) leftovers(want Want, keyARN func(region string) string) []Leftover {
	wanted := map[string]bool{}
	for _, account := range want.Accounts {
		for _, role := range want.Roles {
			wanted[fmt.Sprintf("arn:%s:iam::%s:role/%s", want.Partition, account, role)] = true
		}
	}
	var found []Leftover
	for region, byGrantee := range s.byGrantee {
		for grantee, grants := range byGrantee {
			for _, g := range grants {
				if g.name != "" && !wanted[grantee] {
					found = append(found, Leftover{Region: region, KeyARN: keyARN(region), GrantID: g.id, Name: g.name, Grantee: grantee})
				}
			}
		}
	}
	slices.SortFunc(found, func(a, b Leftover) int {
		return cmp.Or(cmp.Compare(a.Region, b.Region), cmp.Compare(a.Name, b.Name), cmp.Compare(a.GrantID, b.GrantID))
	})
	return found
}

func (l Leftover) change(prune bool) change.Change {
	c := change.Change{Kind: change.Grant, Action: change.Unmanaged, Region: l.Region, ID: l.Grantee, Detail: "left over from an earlier configuration; grants.prune revokes it"}
	if prune {
		c.Action, c.Detail = change.Delete, "not in the configuration any more"
	}
	return c
}

// Leftovers are our grants that are not wanted any more.
func (p Plan) Leftovers() []Leftover { return p.leftovers }

// Prune revokes the leftovers, if that is wanted, with the owner's credentials,
// and waits until they are not listed any more. One that is gone already is as
// good. It returns those that it revoked, also on failure.
func (p Plan) Prune(ctx context.Context, owner Clients, reporter progress.Reporter) ([]Leftover, error) {
	if !p.want.Prune || len(p.leftovers) == 0 {
		return nil, nil
	}
	byRegion := map[string][]Leftover{}
	var regions []string
	for _, l := range p.leftovers {
		if byRegion[l.Region] == nil {
			regions = append(regions, l.Region)
		}
		byRegion[l.Region] = append(byRegion[l.Region], l)
	}
	revoked, err := fanout.Collect(ctx, regions, func(ctx context.Context, region string) ([]Leftover, error) {
		return byRegion[region], revoke(ctx, owner, reporter.Start(region), byRegion[region])
	})
	var all []Leftover
	for _, region := range regions {
		all = append(all, revoked[region]...)
	}
	return all, err
}

func revoke(ctx context.Context, owner Clients, stage *progress.Stage, leftovers []Leftover) error {
	region := leftovers[0].Region
	group := errgroup.Group{}
	group.SetLimit(perRegion)
	failed := make([]error, len(leftovers))
	for i, l := range leftovers {
		group.Go(func() error {
			_, err := owner(region).RevokeGrant(ctx, &kms.RevokeGrantInput{KeyId: &l.KeyARN, GrantId: &l.GrantID})
			if !awsclient.Is(err, awsclient.CodeNotFound) {
				failed[i] = awsclient.Wrap(err, "revoking the grant %s (%s) of %s on key %s in %s", l.Name, l.GrantID, l.Grantee, l.KeyARN, region)
			}
			stage.Count(len(leftovers), "revoking grants,")
			return nil
		})
	}
	_ = group.Wait() // its functions return nil
	if ctx.Err() != nil {
		return fmt.Errorf("revoking grants on key %s in %s: %w", leftovers[0].KeyARN, region, context.Cause(ctx))
	}
	if err := joinFew(failed); err != nil {
		return err
	}
	if err := awaitRevoked(ctx, owner, region, leftovers); err != nil {
		return err
	}
	stage.Finishf("revoked %s", progress.Count(len(leftovers), "grant"))
	return nil
}

func awaitRevoked(ctx context.Context, owner Clients, region string, leftovers []Leftover) error {
	key := leftovers[0].KeyARN
	err := wait.Until(ctx, wait.Policy{Interval: 2 * time.Second, Timeout: 10 * time.Minute}, func(ctx context.Context) (string, error) {
		state, err := Look(ctx, owner, map[string]string{region: key})
		if err != nil {
			return "", err
		}
		listed := 0
		for _, l := range leftovers {
			if slices.ContainsFunc(state.byGrantee[region][l.Grantee], func(e existing) bool { return e.id == l.GrantID }) {
				listed++
			}
		}
		if listed > 0 {
			return fmt.Sprintf("%d of %d revoked grants are still listed", listed, len(leftovers)), nil
		}
		return "", nil
	})
	if err != nil {
		return fmt.Errorf("reading the grants of key %s in %s back after revoking: %w", key, region, err)
	}
	return nil
}
