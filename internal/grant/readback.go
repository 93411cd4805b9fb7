package grant

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/fanout"
	"github.com/orgami/packer-plugin-orgami/internal/wait"
)

// readBack waits until the new grants are listed: a launch by a service-linked
// role can't be given a grant token. Fact: GRANT-24, GRANT-25.
func (c *creator) readBack(ctx context.Context) error {
	return fanout.Each(ctx, slices.Collect(maps.Keys(c.regions)), func(ctx context.Context, region string) error {
		grants := slices.DeleteFunc(slices.Clone(c.regions[region].grants), func(g *Grant) bool { return g.Status != Created })
		if len(grants) == 0 {
			return nil
		}
		key := grants[0].KeyARN
		err := untilListed(ctx, c.owner, region, key, func(observed Observed) string {
			missing := 0
			for _, g := range grants {
				id, ok := observed.listed(*g)
				if !ok {
					missing++
				}
				g.GrantID = cmp.Or(g.GrantID, id)
			}
			if missing > 0 {
				return fmt.Sprintf("%d of %d grants are not listed yet", missing, len(grants))
			}
			return ""
		})
		if err != nil {
			return fmt.Errorf("reading back the grants of key %s in %s: %w", key, region, err)
		}
		c.stage.FinishCount(region, "created grants", len(grants))
		return nil
	})
}

// listed returns the ID of the created grant, if it's visible. It counts as visible
// without the issuing account, too. The launch check evaluates that.
func (o Observed) listed(g Grant) (string, bool) {
	i := slices.IndexFunc(o.byGrantee[g.Region][g.Role], func(e existing) bool {
		return e.id == g.GrantID || g.GrantID == "" && (e.issuer == g.Account || e.issuer == "") && len(e.lacks(g)) == 0
	})
	if i < 0 {
		return "", false
	}
	return o.byGrantee[g.Region][g.Role][i].id, true
}

// untilListed reads the key's grants until pending returns "", for at most
// [visibility]. The key itself may be so new that it is not visible.
func untilListed(ctx context.Context, owner Clients, region, keyARN string, pending func(Observed) string) error {
	return wait.Until(ctx, wait.Policy{Interval: 2 * time.Second, Timeout: visibility}, func(ctx context.Context) (string, error) {
		observed, err := Read(ctx, owner, map[string]string{region: keyARN})
		if awsclient.Is(err, awsclient.CodeNotFound) {
			return "the key is not visible", nil
		}
		if err != nil {
			return "", err
		}
		return pending(observed), nil
	})
}
