package policy

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Problems explains, in one sentence for each problem, why KMS would not store
// the document as a key policy, or why this plugin neither writes nor adopts
// it. It is empty for a valid document. KMS can return policies that it no
// longer accepts: since August 2025 it rejects statements without Action or
// Resource, which older keys still have. Fact: KMS-KEY-11.
func (d Document) Problems() []string {
	var all []string
	for i, raw := range d.Statements {
		s, err := parseStatement(raw)
		if err != nil {
			all = append(all, fmt.Sprintf("%s: %s", nameOf(s.Sid, i), err))
			continue
		}
		for _, p := range s.problems() {
			all = append(all, fmt.Sprintf("%s: %s", nameOf(s.Sid, i), p))
		}
	}
	if len(d.Statements) == 0 {
		all = append(all, "the policy has no statement. Add one")
	}
	if strings.ContainsFunc(d.ID, notStored) {
		all = append(all, "Id: "+unstorable(d.ID))
	}
	if size := len(d.String()); size > MaxKeyPolicySize {
		all = append(all, fmt.Sprintf("the policy is %d bytes, and KMS stores at most %d. Remove or merge statements", size, MaxKeyPolicySize))
	}
	return all
}

// notStored reports whether KMS rejects a policy with the character: it accepts
// tab, line feed, carriage return and U+0020 to U+00FF. (PutKeyPolicy, pattern of
// Policy).
func notStored(r rune) bool {
	return r != '\t' && r != '\n' && r != '\r' && (r < 0x20 || r > 0xff)
}

// unstorable names the first such character of the text.
func unstorable(text string) string {
	r, _ := utf8.DecodeRuneInString(text[strings.IndexFunc(text, notStored):])
	return fmt.Sprintf("KMS does not accept the character %q (U+%04X) in a policy. Replace it", r, r)
}

// unstorable finds the element that has a character which KMS does not store. A
// character that is escaped in JSON is plain ASCII to KMS.
func (p parsed) unstorable() []problem {
	i := bytes.IndexFunc(p.raw, notStored)
	if i < 0 {
		return nil
	}
	return []problem{{p.elementAt(i), unstorable(string(p.raw))}}
}

// elementAt names the element that the byte of the statement belongs to.
func (p parsed) elementAt(offset int) string {
	in := "Sid"
	for element, at := range p.at {
		if at <= offset && at >= p.at[in] {
			in = element
		}
	}
	return in
}

// problems lists why KMS would reject the statement in a key policy, and why
// the statement may be open to the public.
func (p parsed) problems() []problem {
	all := p.unstorable()
	for _, required := range []struct {
		element, correction string
		count               int
	}{
		{"Principal", "Name a principal", len(p.Principal) + len(p.NotPrincipal)},
		{"Action", `Name actions, for example "kms:Decrypt"`, len(p.Action) + len(p.NotAction)},
		{"Resource", `Write "Resource": "*", which is the key itself`, len(p.Resource) + len(p.NotResource)},
	} {
		if required.count == 0 {
			all = append(all, problem{required.element, "KMS requires this element in each statement of a key policy. " + required.correction})
		}
	}
	for _, kinds := range []map[string][]string{p.Principal, p.NotPrincipal} {
		for _, kind := range inOrder(kinds) {
			if len(kinds[kind]) == 0 {
				all = append(all, problem{"Principal", fmt.Sprintf("the list of %s principals is empty, which KMS rejects. Name a principal, or remove the statement", kind)})
			}
		}
	}
	if p.public() {
		all = append(all, p.whyPublic())
	}
	return all
}
