package awssim

import (
	"cmp"
	"encoding/json"
	"strings"

	"github.com/orgami/packer-plugin-orgami/test/awssim/authz"
)

// keyPolicy is a key policy as KMS stores it.
type keyPolicy struct {
	text   string
	parsed *authz.Policy
	// roles are the unique IDs of the roles that it names, by ARN, at the time
	// when it was set.
	roles map[string]string
}

// newKeyPolicy stores a policy that was checked before.
func (w *World) newKeyPolicy(text string) keyPolicy {
	parsed, err := parseStored(text)
	if err != nil {
		panic("the policy was checked before: " + err.Error())
	}
	p := keyPolicy{text: text, parsed: parsed, roles: map[string]string{}}
	for _, principal := range parsed.Principals() {
		if r := w.roleByARN(principal); r != nil {
			p.roles[principal] = r.id
		}
	}
	return p
}

// parseStored parses a policy that KMS stores, perhaps since before it checked the
// statements' elements.
func parseStored(text string) (*authz.Policy, error) {
	text, statements := effective(text)
	if statements == 0 {
		return &authz.Policy{}, nil
	}
	return authz.ParseResourcePolicy(text)
}

// present returns the policy as KMS shows and evaluates it now. It has the unique IDs
// of roles that were deleted since, even if new roles have their names. Fact:
// KMS-KEY-21.
func (w *World) present(p keyPolicy) keyPolicy {
	text := p.text
	for arn, id := range p.roles {
		if r := w.roleByARN(arn); r == nil || r.id != id {
			text = strings.ReplaceAll(text, `"`+arn+`"`, `"`+id+`"`)
		}
	}
	if text == p.text {
		return p
	}
	return w.newKeyPolicy(text)
}

// defaultKeyPolicy is what KMS attaches when none is given. Fact: KMS-KEY-6.
func (w *World) defaultKeyPolicy(account string) string {
	return `{"Version":"2012-10-17","Id":"key-default-1","Statement":[{"Sid":"Enable IAM User Permissions","Effect":"Allow","Principal":{"AWS":"` + w.arn("iam", "", account, "root") + `"},"Action":"kms:*","Resource":"*"}]}`
}

// checkKeyPolicy rejects what KMS rejects: a policy that is too large or
// malformed, statements without Action or Resource, principals that don't exist,
// and a policy that would lock the caller out. Fact: KMS-KEY-1, KMS-KEY-2,
// KMS-KEY-8 to KMS-KEY-11, KMS-KEY-22.
func (c *call) checkKeyPolicy(policy string, bypass bool) (string, *Error) {
	if policy == "" {
		policy = c.w.defaultKeyPolicy(c.caller.Account)
	}
	if problem := checkPolicyText(policy); problem != nil {
		return "", problem
	}
	parsed, err := authz.ParseResourcePolicy(policy)
	if err != nil {
		return "", badRequest("MalformedPolicyDocumentException", "%v", err)
	}
	for _, principal := range parsed.Principals() {
		if !c.w.principalExists(principal, c.now) {
			return "", badRequest("MalformedPolicyDocumentException", "Policy contains a statement with one or more invalid principals: %s", principal)
		}
	}
	context := c.w.principalContext(c.caller)
	context["kms:CallerAccount"] = []string{c.caller.Account}
	later := parsed.Evaluate(authz.Request{Action: "kms:PutKeyPolicy", Resource: "*", Principal: authzPrincipal(c.caller), Context: context})
	if !bypass && (later.Effect != authz.Allow || later.ViaAccount && !c.allows("kms:PutKeyPolicy", c.ownKeys())) {
		return "", badRequest("MalformedPolicyDocumentException", "The new key policy will not allow you to update the key policy in the future.")
	}
	return policy, nil
}

// ownKeys is the resource for requests about a key without an ID yet: all of the
// caller's keys in the Region.
func (c *call) ownKeys() string { return c.w.keyARN(c.region, c.caller.Account, "*") }

func getKeyPolicy(c *call) (any, error) {
	r, err := decodeJSON[keyRequest](c)
	if err != nil {
		return nil, err
	}
	k, problem := c.key(r.KeyID, false)
	if problem != nil {
		return nil, problem
	}
	if cmp.Or(r.PolicyName, "default") != "default" {
		return nil, badRequest("NotFoundException", "No such policy exists")
	}
	stored := c.w.present(k.policy.asOf(c.now.Add(-c.w.options.PropagationLag)))
	return map[string]any{"Policy": normalised(stored.text), "PolicyName": "default"}, nil
}

// listKeyPolicies lists the one policy that a key has. Fact: KMS-KEY-29.
func listKeyPolicies(c *call) (any, error) {
	r, err := decodeJSON[struct {
		KeyID  string `json:"KeyId"`
		Limit  int
		Marker string
	}](c)
	if err != nil {
		return nil, err
	}
	if _, problem := c.key(r.KeyID, false); problem != nil {
		return nil, problem
	}
	return map[string]any{"PolicyNames": []string{"default"}, "Truncated": false}, nil
}

// normalised returns a policy as KMS stores it: indented, and with a single element
// instead of a list of one. Fact: KMS-KEY-23.
func normalised(policy string) string {
	var document any
	if json.Unmarshal([]byte(policy), &document) != nil {
		return policy
	}
	text, err := json.MarshalIndent(singled(document, ""), "", "  ")
	if err != nil {
		return policy
	}
	return strings.ReplaceAll(string(text), "\\u003c", "<")
}

// singled replaces lists of one element with the element, except the list of
// statements.
func singled(value any, key string) any {
	switch v := value.(type) {
	case map[string]any:
		for k := range v {
			v[k] = singled(v[k], k)
		}
		return v
	case []any:
		for i := range v {
			v[i] = singled(v[i], "")
		}
		if len(v) == 1 && key != "Statement" {
			return v[0]
		}
		return v
	default:
		return value
	}
}

type putKeyPolicyRequest struct {
	KeyID                          string `json:"KeyId"`
	PolicyName, Policy             string
	BypassPolicyLockoutSafetyCheck bool
}

func putKeyPolicy(c *call) (any, error) {
	r, err := decodeJSON[putKeyPolicyRequest](c)
	if err != nil {
		return nil, err
	}
	k, problem := c.key(r.KeyID, false)
	if problem != nil {
		return nil, problem
	}
	if k.manager == "AWS" {
		return nil, badRequest("AccessDeniedException", "the policy of an AWS managed key cannot be changed")
	}
	policy, problem := c.checkKeyPolicy(r.Policy, r.BypassPolicyLockoutSafetyCheck)
	if problem != nil {
		return nil, problem
	}
	k.policy.set(c.now, c.w.newKeyPolicy(policy))
	return nil, nil
}
