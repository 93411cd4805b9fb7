package awssim

import (
	"maps"
	"slices"
	"strings"

	"github.com/orgami/packer-plugin-orgami/test/awssim/authz"
)

// retireGrant allows the retiring principal, the grantee if the grant includes
// RetireGrant, and the account that issued the grant. A key policy doesn't control it. AWS doesn't say which principals of the issuing account can retire:
// here, those whose own policies allow it. Fact: GRANT-23.
func retireGrant(c *call) (any, error) {
	r, err := decodeJSON[endGrantRequest](c)
	if err != nil {
		return nil, err
	}
	k, problem := c.w.resolveKey(c.caller.Account, c.region, r.KeyID, c.now)
	if problem != nil {
		return nil, problem
	}
	if g := k.grants.byID[r.GrantID]; g != nil && g.activeAt(c.now) {
		if problem := c.mayRetire(k, g); problem != nil {
			return nil, problem
		}
	}
	return c.endGrant(k, r.GrantID, r.DryRun)
}

func (c *call) mayRetire(k *kmsKey, g *kmsGrant) *Error {
	const action = "kms:RetireGrant"
	refuse := func(why string) *Error {
		return badRequest("AccessDeniedException", "User: %s is not authorized to perform: %s on resource: %s because %s", c.caller.ARN, action, k.arn, why)
	}
	context := c.w.kmsContext(kmsRequest{principal: c.caller, action: action, key: k, now: c.now})
	identity := c.w.identityDecision(c.caller, action, k.arn, context, c.now)
	who := c.caller.ARN
	if c.caller.RoleARN != "" {
		who = c.caller.RoleARN
	}
	byGrant := g.retiring == who || g.grantee == who && slices.Contains(g.operations, "RetireGrant")
	switch {
	case identity.Effect == authz.Deny:
		return refuse("it is denied explicitly: " + identity.Reason)
	case byGrant, g.issuer == c.caller.Account && identity.Effect == authz.Allow:
		return nil
	default:
		return refuse("the grant doesn't name it as retiring principal, doesn't let it retire as grantee, and no identity-based policy of the issuing account " + g.issuer + " allows it")
	}
}

// listRetirableGrants lists the grants of all accounts' keys in the Region that a
// principal of the caller's account can retire as their retiring principal. The caller
// needs no permission on the keys. Source: the API reference of ListRetirableGrants.
func listRetirableGrants(c *call) (any, error) {
	r, err := decodeJSON[struct {
		Limit             int
		Marker            string
		RetiringPrincipal string
	}](c)
	if err != nil {
		return nil, err
	}
	parts := strings.SplitN(r.RetiringPrincipal, ":", 6)
	if len(parts) != 6 || parts[4] != c.caller.Account {
		return nil, badRequest("InvalidArnException", "%q is not a principal of account %s", r.RetiringPrincipal, c.caller.Account)
	}
	if !c.allows("kms:ListRetirableGrants", r.RetiringPrincipal) {
		return nil, denied(c)
	}
	type retirable struct {
		key   *kmsKey
		grant *kmsGrant
	}
	var all []retirable
	for _, arn := range slices.Sorted(maps.Keys(c.w.kms.keys)) {
		k := c.w.kms.keys[arn]
		if k.region != c.region || k.gone(c.now) {
			continue
		}
		for _, g := range k.grants.active(c.now.Add(-c.w.options.PropagationLag)) {
			if g.retiring == r.RetiringPrincipal {
				all = append(all, retirable{k, g})
			}
		}
	}
	list := listRequestKMS{Limit: r.Limit, Marker: r.Marker}
	return kmsPage("Grants", all, list, 50, 100, func(g retirable) map[string]any { return c.w.grantEntry(g.key, g.grant) })
}
