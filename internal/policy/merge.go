package policy

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Merge returns the policy that a key needs: the existing policy, or an empty
// one for a new key (existing is nil), with our statements and the user's extra
// statements set. The extra statements are a JSON list as [ParseStatements]
// returns it.
//
// Merge omits the owner's statement in two cases: if another statement already
// gives the owner's account kms:*, as in AWS's default key policy, so that an
// adopted policy grows as little as possible; and if
// [KeyPolicy.KeepOwnerAccess] is set.
func (k KeyPolicy) Merge(existing *Document, extra []byte) (Document, error) {
	base := Document{Version: version}
	if existing != nil {
		base = *existing
	}
	var raws []json.RawMessage // the owner's first
	for _, s := range k.Statements() {
		raws = append(raws, s.raw())
	}
	if len(extra) > 0 {
		more, err := statementsOf(extra)
		if err != nil {
			return Document{}, fmt.Errorf("reading the extra statements: %w", err)
		}
		raws = append(raws, more...)
	}
	// The statement must remain after the merge: one that is about to be replaced
	// doesn't count.
	merged := base.set(raws[1:])
	keep := existing != nil && k.KeepOwnerAccess
	if slices.Contains(base.Sids(), SidOwner) || !merged.administeredBy(k.Owner) && !keep {
		merged = base.set(raws)
	}
	if size := len(merged.String()); size > MaxKeyPolicySize {
		return Document{}, fmt.Errorf("the key policy would be %d bytes, but KMS stores at most %d. Shorten extra_statements_file, or share with the organization instead of single accounts", size, MaxKeyPolicySize)
	}
	return merged, nil
}

// administeredBy reports whether a statement, unconditionally, allows the
// account's root principal kms:*.
func (d Document) administeredBy(account string) bool {
	for _, raw := range d.Statements {
		s, err := parseStatement(raw)
		if err == nil && s.Effect == "Allow" && len(s.Condition) == 0 &&
			slices.Contains(s.Principal["AWS"], account) &&
			(slices.Contains(s.Action, "kms:*") || slices.Contains(s.Action, "*")) &&
			slices.Contains(s.Resource, "*") {
			return true
		}
	}
	return false
}

// Leftovers lists the Sids of statements of ours that the policy has and the
// configuration no longer asks for. They are reported and kept, because another AMI
// encrypted with the same key may still need them.
func (k KeyPolicy) Leftovers(existing Document) []string {
	wanted := map[string]bool{SidOwner: true}
	for _, s := range k.Statements() {
		wanted[s.Sid] = true
	}
	var left []string
	for _, sid := range existing.Sids() {
		if !wanted[sid] && isOurs(sid) {
			left = append(left, sid)
		}
	}
	return left
}
