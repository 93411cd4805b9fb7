package awssim

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// maxGrants is how many grants a key can have, including those of AWS services. Fact:
// GRANT-30.
const maxGrants = 50_000

// grantOperations are the operations a grant on a symmetric key can allow.
var grantOperations = []string{
	"CreateGrant", "Decrypt", "DescribeKey", "Encrypt", "GenerateDataKey", "GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext",
	"GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo", "RetireGrant",
}

type createGrantRequest struct {
	KeyID             string `json:"KeyId"`
	GranteePrincipal  string
	RetiringPrincipal string
	Operations        []string
	Constraints       map[string]map[string]string
	GrantTokens       []string
	Name              string
	DryRun            bool
}

// createGrant issues a grant for the caller's account. A call with the same name and
// parameters returns the first grant. An alias isn't accepted, and the grantee must
// exist. Fact: GRANT-1 to GRANT-8, GRANT-18.
func createGrant(c *call) (any, error) {
	r, err := decodeJSON[createGrantRequest](c)
	if err != nil {
		return nil, err
	}
	if problem := r.check(c); problem != nil {
		return nil, problem
	}
	k, problem := c.w.resolveKey(c.caller.Account, c.region, r.KeyID, c.now)
	if problem != nil {
		return nil, problem
	}
	problem = c.w.authorizeKMS(kmsRequest{
		principal: c.caller, action: "kms:CreateGrant", key: k, now: c.now, grantOperations: r.Operations,
		granteePrincipal: r.GranteePrincipal, retiringPrincipal: r.RetiringPrincipal, grantConstraints: slices.Sorted(maps.Keys(r.Constraints)),
	})
	if problem != nil {
		return nil, problem
	}
	if r.DryRun {
		return nil, badRequest("DryRunOperationException", "The request would have succeeded, but the DryRun option is set.")
	}
	g := &kmsGrant{
		name: r.Name, grantee: r.GranteePrincipal, retiring: r.RetiringPrincipal, issuer: c.caller.Account,
		operations: slices.Sorted(slices.Values(r.Operations)), constraints: r.Constraints, created: c.now,
	}
	if r := c.w.roleByARN(g.grantee); r != nil {
		g.granteeID = r.id
	}
	if existing := k.sameGrant(g, c.now); existing != nil {
		return map[string]string{"GrantId": existing.id, "GrantToken": "token-" + existing.id}, nil
	}
	if k.grants.holding() >= maxGrants {
		return nil, tooManyGrants(k)
	}
	g.id = c.w.newID("", 64)
	k.grants.add(g)
	return map[string]string{"GrantId": g.id, "GrantToken": "token-" + g.id}, nil
}

func tooManyGrants(k *kmsKey) *Error {
	return badRequest("LimitExceededException", "The key %s has %d grants.", k.arn, maxGrants)
}

func (r createGrantRequest) check(c *call) *Error {
	switch {
	case strings.HasPrefix(r.KeyID, "alias/") || strings.Contains(r.KeyID, ":alias/"):
		return badRequest("InvalidArnException", "%s is an alias; CreateGrant takes a key id or ARN", r.KeyID)
	case r.Name != "" && !grantPattern.MatchString(r.Name):
		return badRequest("ValidationException", "1 validation error detected: Value '%s' at 'name' failed to satisfy constraint", r.Name)
	case len(r.Operations) == 0:
		return badRequest("ValidationException", "Operations is missing")
	}
	for _, operation := range r.Operations {
		if !slices.Contains(grantOperations, operation) {
			return badRequest("ValidationException", "1 validation error detected: Value '%s' at 'operations' is no grant operation", operation)
		}
	}
	principals := []string{r.GranteePrincipal}
	if r.RetiringPrincipal != "" {
		principals = append(principals, r.RetiringPrincipal)
	}
	for _, principal := range principals {
		if !strings.HasPrefix(principal, "arn:") || !c.w.principalExists(principal, c.now) {
			return badRequest("InvalidArnException", "ARN does not refer to a valid principal: %s", principal)
		}
	}
	return nil
}

// sameGrant finds the grant that an earlier call with the same name and parameters
// created.
func (k *kmsKey) sameGrant(g *kmsGrant, now time.Time) *kmsGrant {
	if g.name == "" {
		return nil
	}
	for _, other := range activeOf(k.grants.byName[g.name], now) {
		if other.grantee == g.grantee && other.granteeID == g.granteeID && other.retiring == g.retiring && slices.Equal(other.operations, g.operations) &&
			maps.EqualFunc(other.constraints, g.constraints, maps.Equal[map[string]string]) {
			return other
		}
	}
	return nil
}

func listGrants(c *call) (any, error) {
	r, err := decodeJSON[listRequestKMS](c)
	if err != nil {
		return nil, err
	}
	k, problem := c.key(r.KeyID, false)
	if problem != nil {
		return nil, problem
	}
	grants := k.grants.active(c.now.Add(-c.w.options.PropagationLag))
	if r.GrantID != "" || r.GranteePrincipal != "" {
		grants = slices.DeleteFunc(slices.Clone(grants), func(g *kmsGrant) bool {
			return (r.GrantID != "" && r.GrantID != g.id) || (r.GranteePrincipal != "" && r.GranteePrincipal != g.grantee)
		})
	}
	return kmsPage("Grants", grants, r, 50, 100, func(g *kmsGrant) map[string]any { return c.w.grantEntry(k, g) })
}

// grantEntry describes the grant as KMS lists it. Fact: GRANT-18.
func (w *World) grantEntry(k *kmsKey, g *kmsGrant) map[string]any {
	entry := map[string]any{
		"KeyId": k.arn, "GrantId": g.id, "GranteePrincipal": g.grantee, "IssuingAccount": w.arn("iam", "", g.issuer, "root"),
		"Operations": g.operations, "CreationDate": float64(g.created.Unix()),
	}
	if g.name != "" {
		entry["Name"] = g.name
	}
	if g.retiring != "" {
		entry["RetiringPrincipal"] = g.retiring
	}
	if len(g.constraints) > 0 {
		entry["Constraints"] = g.constraints
	}
	return entry
}

type endGrantRequest struct {
	KeyID   string `json:"KeyId"`
	GrantID string `json:"GrantId"`
	DryRun  bool
}

func revokeGrantCall(c *call) (any, error) {
	r, err := decodeJSON[endGrantRequest](c)
	if err != nil {
		return nil, err
	}
	k, problem := c.key(r.KeyID, false)
	if problem != nil {
		return nil, problem
	}
	return c.endGrant(k, r.GrantID, r.DryRun)
}

func (c *call) endGrant(k *kmsKey, id string, dryRun bool) (any, error) {
	if g := k.grants.byID[id]; g == nil || !g.activeAt(c.now) {
		return nil, badRequest("NotFoundException", "Grant ID %s not found", id)
	}
	if dryRun {
		return nil, badRequest("DryRunOperationException", "The request would have succeeded, but the DryRun option is set.")
	}
	c.w.revokeGrant(k, id, c.now)
	return nil, nil
}
