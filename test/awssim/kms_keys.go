package awssim

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

var kmsOperations map[string]operation

func init() {
	kmsOperations = map[string]operation{
		"CreateKey":            {mutating: true, handle: createKey}, // kms:CreateKey has no key, and so no key policy
		"ReplicateKey":         {mutating: true, ownAuthorization: true, handle: replicateKey},
		"DescribeKey":          {ownAuthorization: true, handle: describeKey},
		"ListKeys":             {handle: listKeys},
		"GetKeyPolicy":         {ownAuthorization: true, handle: getKeyPolicy},
		"ListKeyPolicies":      {ownAuthorization: true, handle: listKeyPolicies},
		"PutKeyPolicy":         {mutating: true, ownAuthorization: true, handle: putKeyPolicy},
		"EnableKey":            {mutating: true, ownAuthorization: true, handle: enableKey},
		"DisableKey":           {mutating: true, ownAuthorization: true, handle: disableKey},
		"ScheduleKeyDeletion":  {mutating: true, ownAuthorization: true, handle: scheduleKeyDeletion},
		"CancelKeyDeletion":    {mutating: true, ownAuthorization: true, handle: cancelKeyDeletion},
		"EnableKeyRotation":    {mutating: true, ownAuthorization: true, handle: enableKeyRotation},
		"DisableKeyRotation":   {mutating: true, ownAuthorization: true, handle: disableKeyRotation},
		"GetKeyRotationStatus": {ownAuthorization: true, handle: getKeyRotationStatus},
		"TagResource":          {mutating: true, ownAuthorization: true, handle: tagKey},
		"UntagResource":        {mutating: true, ownAuthorization: true, handle: untagKey},
		"ListResourceTags":     {ownAuthorization: true, handle: listResourceTags},
		"CreateAlias":          {mutating: true, ownAuthorization: true, handle: createAlias},
		"UpdateAlias":          {mutating: true, ownAuthorization: true, handle: updateAlias},
		"DeleteAlias":          {mutating: true, ownAuthorization: true, handle: deleteAlias},
		"ListAliases":          {handle: listAliases},
		"CreateGrant":          {mutating: true, ownAuthorization: true, handle: createGrant},
		"ListGrants":           {ownAuthorization: true, handle: listGrants},
		"RevokeGrant":          {mutating: true, ownAuthorization: true, handle: revokeGrantCall},
		"RetireGrant":          {mutating: true, ownAuthorization: true, handle: retireGrant},
		"ListRetirableGrants":  {ownAuthorization: true, handle: listRetirableGrants},
		"ImportKeyMaterial":    {mutating: true, ownAuthorization: true, handle: importKeyMaterial},
	}
	for _, name := range []string{"Encrypt", "Decrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext"} {
		kmsOperations[name] = operation{ownAuthorization: true, handle: useKey}
	}
}

// keyRequest has the parameters that most operations on one key take.
type keyRequest struct {
	KeyID       string `json:"KeyId"`
	PolicyName  string
	GrantTokens []string
}

// key finds the key and authorizes the call on it. An operation that works on a
// key ID or ARN only rejects aliases. Fact: GRANT-1.
func (c *call) key(id string, aliases bool) (*kmsKey, *Error) {
	if !aliases && (strings.HasPrefix(id, "alias/") || strings.Contains(id, ":alias/")) {
		return nil, badRequest("NotFoundException", "Invalid keyId '%s'", id)
	}
	k, problem := c.w.resolveKey(c.caller.Account, c.region, id, c.now)
	if problem != nil {
		return nil, problem
	}
	return k, c.w.authorizeKMS(kmsRequest{principal: c.caller, action: "kms:" + c.operation, key: k, now: c.now})
}

type kmsTag struct{ TagKey, TagValue string }

type createKeyRequest struct {
	Policy, Description            string
	BypassPolicyLockoutSafetyCheck bool
	MultiRegion                    bool
	KeySpec, KeyUsage, Origin      string
	Tags                           []kmsTag
}

func createKey(c *call) (any, error) {
	r, err := decodeJSON[createKeyRequest](c)
	if err != nil {
		return nil, err
	}
	if !slices.Contains([]string{"", "AWS_KMS", "EXTERNAL"}, r.Origin) {
		return nil, badRequest("UnsupportedOperationException", "the simulator has no key store for the origin %s", r.Origin)
	}
	policy, problem := c.checkKeyPolicy(r.Policy, r.BypassPolicyLockoutSafetyCheck)
	if problem = cmp.Or(problem, checkDescription(r.Description), checkKMSTags(r.Tags)); problem != nil {
		return nil, problem
	}
	if len(r.Tags) > 0 && !c.allows("kms:TagResource", c.ownKeys()) {
		return nil, badRequest("AccessDeniedException", "User: %s is not authorized to perform: kms:TagResource", c.caller.ARN)
	}
	if r.MultiRegion {
		if problem := c.serviceLinkedRoleForMultiRegionKeys(); problem != nil {
			return nil, problem
		}
	}
	id := c.w.newID("", 32)
	if r.MultiRegion {
		id = "mrk-" + id
	} else {
		id = strings.Join([]string{id[:8], id[8:12], id[12:16], id[16:20], id[20:]}, "-")
	}
	f := &kmsFamily{
		id: id, multiRegion: r.MultiRegion, primary: c.region, members: map[string]*kmsKey{},
		spec: cmp.Or(r.KeySpec, "SYMMETRIC_DEFAULT"), usage: cmp.Or(r.KeyUsage, "ENCRYPT_DECRYPT"),
		imported: r.Origin == "EXTERNAL",
	}
	k := c.w.addKey(f, c.caller.Account, c.region, policy, c.now)
	k.description, k.withoutMaterial = r.Description, f.imported
	return map[string]any{"KeyMetadata": c.w.metadata(k, c.now)}, k.setTags(r.Tags)
}

// serviceLinkedRoleForMultiRegionKeys creates the role that KMS needs to keep
// regional keys in sync. KMS creates it with an account's first multi-Region
// primary key. Fact: KMS-MRK-16.
func (c *call) serviceLinkedRoleForMultiRegionKeys() *Error {
	const path, name, action = "/aws-service-role/mrk.kms.amazonaws.com/", "AWSServiceRoleForKeyManagementServiceMultiRegionKeys", "iam:CreateServiceLinkedRole"
	a := c.w.accounts[c.caller.Account]
	if a.roles[strings.TrimPrefix(path, "/")+name] != nil {
		return nil
	}
	if !c.allows(action, c.w.arn("iam", "", a.id, "role"+path+name)) {
		return badRequest("AccessDeniedException", "User: %s is not authorized to perform: %s, which the first multi-Region key of an account needs", c.caller.ARN, action)
	}
	_, problem := c.w.addRole(a, path, name, "", c.now)
	return problem
}

// setTags adds all tags or none. It returns an untyped nil on success.
func (k *kmsKey) setTags(tags []kmsTag) error {
	if problem := checkKMSTags(tags); problem != nil {
		return problem
	}
	all := maps.Clone(k.tags)
	for _, tag := range tags {
		all[tag.TagKey] = tag.TagValue
	}
	if len(all) > maxTags {
		return badRequest("LimitExceededException", "Too many tags for %s", k.arn)
	}
	k.tags = all
	return nil
}

// metadata returns a key's KeyMetadata.
func (w *World) metadata(k *kmsKey, now time.Time) map[string]any {
	m := map[string]any{
		"AWSAccountId": k.account, "KeyId": k.id, "Arn": k.arn, "CreationDate": float64(k.created.UnixMilli()) / 1000,
		"Enabled": k.state(now) == "Enabled", "Description": k.description, "KeyUsage": k.family.usage, "KeyState": k.state(now),
		"Origin": k.family.origin(), "KeyManager": k.manager, "KeySpec": k.family.spec, "CustomerMasterKeySpec": k.family.spec,
		"EncryptionAlgorithms": []string{"SYMMETRIC_DEFAULT"}, "MultiRegion": k.family.multiRegion,
	}
	if !k.deletion.IsZero() {
		m["DeletionDate"] = float64(k.deletion.Unix())
	}
	if k.family.multiRegion {
		kind := "REPLICA"
		if k.primary() {
			kind = "PRIMARY"
		}
		replicas := []map[string]string{}
		for _, region := range slices.Sorted(maps.Keys(k.family.members)) {
			if member := k.family.members[region]; region != k.family.primary && !member.gone(now) {
				replicas = append(replicas, map[string]string{"Arn": member.arn, "Region": region})
			}
		}
		m["MultiRegionConfiguration"] = map[string]any{
			"MultiRegionKeyType": kind,
			"PrimaryKey":         map[string]string{"Arn": k.family.members[k.family.primary].arn, "Region": k.family.primary},
			"ReplicaKeys":        replicas,
		}
	}
	return m
}

func describeKey(c *call) (any, error) {
	r, err := decodeJSON[keyRequest](c)
	if err != nil {
		return nil, err
	}
	k, problem := c.key(r.KeyID, true)
	if problem != nil {
		return nil, problem
	}
	return map[string]any{"KeyMetadata": c.w.metadata(k, c.now)}, nil
}

type listRequestKMS struct {
	KeyID            string `json:"KeyId"`
	Limit            int
	Marker           string
	GrantID          string `json:"GrantId"`
	GranteePrincipal string
}

// kmsPage returns one page of a list. entry encodes an element.
func kmsPage[T, E any](key string, all []T, r listRequestKMS, defaultLimit, most int, entry func(T) E) (any, error) {
	limit := cmp.Or(r.Limit, defaultLimit)
	if limit < 1 || limit > most {
		return nil, badRequest("ValidationException", "Limit %d is not between 1 and %d", r.Limit, most)
	}
	from := 0
	if r.Marker != "" {
		var err error
		if from, err = strconv.Atoi(strings.TrimPrefix(r.Marker, "marker-")); err != nil || from < 0 || from > len(all) {
			return nil, badRequest("InvalidMarkerException", "invalid marker %q", r.Marker)
		}
	}
	to := min(from+limit, len(all))
	page := make([]E, 0, to-from)
	for _, element := range all[from:to] {
		page = append(page, entry(element))
	}
	answer := map[string]any{key: page, "Truncated": to < len(all)}
	if to < len(all) {
		answer["NextMarker"] = "marker-" + strconv.Itoa(to)
	}
	return answer, nil
}

// asIs encodes elements unchanged.
func asIs[T any](element T) T { return element }

func listKeys(c *call) (any, error) {
	r, err := decodeJSON[listRequestKMS](c)
	if err != nil {
		return nil, err
	}
	var list []map[string]string
	for _, arn := range slices.Sorted(maps.Keys(c.w.kms.keys)) {
		k := c.w.kms.keys[arn]
		if k.account == c.caller.Account && k.region == c.region && !k.gone(c.now) && !k.created.After(c.now.Add(-c.w.options.PropagationLag)) {
			list = append(list, map[string]string{"KeyId": k.id, "KeyArn": k.arn})
		}
	}
	return kmsPage("Keys", list, r, 100, 1000, asIs)
}
