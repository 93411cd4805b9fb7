package awssim

import "cmp"

type replicateKeyRequest struct {
	KeyID                          string `json:"KeyId"`
	ReplicaRegion                  string
	Policy, Description            string
	BypassPolicyLockoutSafetyCheck bool
	Tags                           []kmsTag
}

func replicateKey(c *call) (any, error) {
	r, err := decodeJSON[replicateKeyRequest](c)
	if err != nil {
		return nil, err
	}
	k, problem := c.key(r.KeyID, false)
	if problem != nil {
		return nil, problem
	}
	target := c.w.regions[r.ReplicaRegion]
	switch {
	case !k.family.multiRegion || !k.primary():
		return nil, badRequest("UnsupportedOperationException", "%s is not a multi-Region primary key.", k.arn)
	case k.usable(c.now) != nil:
		return nil, k.usable(c.now)
	case target == nil:
		return nil, badRequest("ValidationException", "%s is not a region of this partition", r.ReplicaRegion)
	case !c.w.accounts[c.caller.Account].enabledIn(target, c.now):
		return nil, badRequest("AccessDeniedException", "region %s is not enabled for the account", r.ReplicaRegion)
	case !c.allows("kms:CreateKey", "*"):
		return nil, badRequest("AccessDeniedException", "User: %s is not authorized to perform: kms:CreateKey in %s", c.caller.ARN, r.ReplicaRegion)
	case len(r.Tags) > 0 && !c.allows("kms:TagResource", c.ownKeys()):
		return nil, badRequest("AccessDeniedException", "User: %s is not authorized to perform: kms:TagResource", c.caller.ARN)
	case k.family.members[r.ReplicaRegion] != nil && !k.family.members[r.ReplicaRegion].gone(c.now):
		return nil, badRequest("AlreadyExistsException", "The replica key already exists in %s.", r.ReplicaRegion)
	case c.w.options.Quotas && !c.w.replicaQuota(c, r.ReplicaRegion):
		return nil, throttled("kms")
	}
	policy, problem := c.checkKeyPolicy(r.Policy, r.BypassPolicyLockoutSafetyCheck)
	if problem = cmp.Or(problem, checkDescription(r.Description), checkKMSTags(r.Tags)); problem != nil {
		return nil, problem
	}
	replica := c.w.addKey(k.family, c.caller.Account, r.ReplicaRegion, policy, c.now)
	replica.withoutMaterial = k.family.imported
	replica.usableFrom, replica.description = c.now.Add(c.w.options.KeyCreationTime), r.Description
	if err := replica.setTags(r.Tags); err != nil {
		return nil, err
	}
	return map[string]any{"ReplicaKeyMetadata": c.w.metadata(replica, c.now), "ReplicaPolicy": policy, "ReplicaTags": replica.tagList()}, nil
}

// replicaQuota counts a replication as two CreateKey calls in the replica's
// Region. Fact: QUOTA-5.
func (w *World) replicaQuota(c *call, region string) bool {
	limit := kmsQuotas["CreateKey"]
	return w.quotas.allow(quotaKey{c.caller.Account, region, "kms", "CreateKey"}, limit, limit, c.now, 2)
}
