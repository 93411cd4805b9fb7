package awssim

import (
	"maps"
	"slices"
	"strings"

	"github.com/orgami/packer-plugin-orgami/test/awssim/authz"
)

type aliasRequest struct {
	AliasName   string
	TargetKeyID string `json:"TargetKeyId"`
}

// aliasCall reads an alias operation and authorizes it on the target key, and by
// the caller's own policies on the alias. Fact: KMS-MRK-17.
func (c *call) aliasCall() (aliasRequest, *kmsKey, error) {
	r, err := decodeJSON[aliasRequest](c)
	if err != nil {
		return r, nil, err
	}
	switch {
	case strings.HasPrefix(r.AliasName, "alias/aws/"):
		return r, nil, badRequest("NotAuthorizedException", "alias/aws/ is reserved for AWS managed keys")
	case !strings.HasPrefix(r.AliasName, "alias/"):
		return r, nil, badRequest("ValidationException", `Alias must start with the prefix "alias/". Please see https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html`)
	case !aliasPattern.MatchString(r.AliasName):
		return r, nil, badRequest("ValidationException", "%s contains invalid characters for an alias", r.AliasName)
	}
	arn := c.w.aliasARN(c.region, c.caller.Account, r.AliasName)
	if decision := c.w.identityDecision(c.caller, "kms:"+c.operation, arn, c.requestContext(), c.now); decision.Effect != authz.Allow {
		return r, nil, badRequest("AccessDeniedException", "User: %s is not authorized to perform: kms:%s on resource: %s because no identity-based policy allows the kms:%[2]s action (%[4]s)",
			c.caller.ARN, c.operation, arn, decision.Reason)
	}
	if r.TargetKeyID == "" {
		return r, nil, nil
	}
	k, problem := c.key(r.TargetKeyID, false)
	if problem != nil {
		return r, nil, problem
	}
	return r, k, nil
}

func createAlias(c *call) (any, error) {
	r, k, err := c.aliasCall()
	if err != nil {
		return nil, err
	}
	if k == nil {
		return nil, badRequest("ValidationException", "TargetKeyId is missing")
	}
	if state := k.state(c.now); state != "Enabled" && state != "Disabled" {
		return nil, badRequest("KMSInvalidStateException", "%s is %s.", k.arn, state)
	}
	arn := c.w.aliasARN(c.region, c.caller.Account, r.AliasName)
	if existing := c.w.kms.aliases[arn]; existing != nil && existing.target.latest() != "" {
		return nil, badRequest("AlreadyExistsException", "An alias with the name %s already exists", arn)
	}
	alias := &kmsAlias{name: r.AliasName, arn: arn, region: c.region, account: c.caller.Account, created: c.now}
	alias.target.set(c.now, k.id)
	c.w.kms.aliases[arn] = alias
	return nil, nil
}

func updateAlias(c *call) (any, error) {
	r, k, err := c.aliasCall()
	if err != nil {
		return nil, err
	}
	alias := c.w.kms.aliases[c.w.aliasARN(c.region, c.caller.Account, r.AliasName)]
	if alias == nil || alias.target.latest() == "" || k == nil {
		return nil, badRequest("NotFoundException", "Alias %s is not found.", r.AliasName)
	}
	alias.target.set(c.now, k.id)
	return nil, nil
}

func deleteAlias(c *call) (any, error) {
	r, _, err := c.aliasCall()
	if err != nil {
		return nil, err
	}
	alias := c.w.kms.aliases[c.w.aliasARN(c.region, c.caller.Account, r.AliasName)]
	if alias == nil || alias.target.latest() == "" {
		return nil, badRequest("NotFoundException", "Alias %s is not found.", r.AliasName)
	}
	if k := c.w.kms.keys[c.w.keyARN(c.region, c.caller.Account, alias.target.latest())]; k != nil {
		if problem := c.w.authorizeKMS(kmsRequest{principal: c.caller, action: "kms:DeleteAlias", key: k, now: c.now}); problem != nil {
			return nil, problem
		}
	}
	alias.target.set(c.now, "")
	return nil, nil
}

func listAliases(c *call) (any, error) {
	r, err := decodeJSON[listRequestKMS](c)
	if err != nil {
		return nil, err
	}
	var list []map[string]any
	for _, arn := range slices.Sorted(maps.Keys(c.w.kms.aliases)) {
		alias := c.w.kms.aliases[arn]
		target := alias.target.asOf(c.now.Add(-c.w.options.PropagationLag))
		if alias.account != c.caller.Account || alias.region != c.region || target == "" ||
			(r.KeyID != "" && !strings.HasSuffix(r.KeyID, target)) {
			continue
		}
		list = append(list, map[string]any{"AliasName": alias.name, "AliasArn": arn, "TargetKeyId": target, "CreationDate": float64(alias.created.Unix())})
	}
	return kmsPage("Aliases", list, r, 50, 100, asIs)
}
