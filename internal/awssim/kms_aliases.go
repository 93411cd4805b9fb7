package awssim

import (
	"maps"
	"slices"
	"strings"
)

type aliasRequest struct {
	AliasName   string
	TargetKeyID string `json:"TargetKeyId"`
}

// aliasCall reads an alias operation and authorises it on the target key. The
// caller's own policies must allow it on the alias too, which is not modelled
// apart. Fact: 2.
func (c *call) aliasCall() (aliasRequest, *kmsKey, error) {
	r, err := decodeJSON[aliasRequest](c)
	if err != nil {
		return r, nil, err
	}
	switch {
	case strings.HasPrefix(r.AliasName, "alias/aws/"):
		return r, nil, badRequest("NotAuthorizedException", "alias/aws/ is reserved for AWS managed keys")
	case !aliasPattern.MatchString(r.AliasName):
		return r, nil, badRequest("InvalidAliasNameException", "%q is not a valid alias name", r.AliasName)
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
	if !c.w.identityAllows(c.caller, "kms:DeleteAlias", alias.arn, nil, c.now) {
		return nil, denied(c)
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
	return kmsPage("Aliases", list, r, 50, 100)
}
