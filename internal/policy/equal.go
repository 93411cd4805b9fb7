package policy

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
)

// Equal reports whether two documents have the same meaning. It ignores the
// order of statements and of lists, the case of actions and condition keys, and
// the difference between a single value and a list, and between an account
// number and its root ARN.
func Equal(a, b Document) bool { return a.canonical() == b.canonical() }

// Digest returns a SHA-256 of the document's meaning. Documents that are
// [Equal] have the same digest, however KMS writes them.
func (d Document) Digest() string {
	sum := sha256.Sum256([]byte(d.canonical()))
	return "sha256:" + hex.EncodeToString(sum[:])
}

func (d Document) canonical() string {
	statements := make([]string, 0, len(d.Statements))
	for _, raw := range d.Statements {
		statements = append(statements, canonicalStatement(raw))
	}
	slices.Sort(statements)
	// A document without Version uses the older language version.
	language := d.Version
	if language == "" {
		language = "2008-10-17"
	}
	return fmt.Sprintf("%s\n%s", language, statements)
}

func canonicalStatement(raw json.RawMessage) string {
	p, err := parseStatement(raw)
	if err != nil {
		return "unreadable: " + string(raw) // equal to nothing but itself
	}
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(p); err != nil {
		panic(fmt.Sprintf("encoding a canonical statement: %v", err)) // strings, lists and maps of them
	}
	return buffer.String()
}

// Differing returns the Sids of statements in after that before doesn't have
// with the same meaning, in after's order.
func Differing(before, after Document) []string {
	have := map[string]bool{}
	for _, raw := range before.Statements {
		have[canonicalStatement(raw)] = true
	}
	var differ []string
	for _, raw := range after.Statements {
		if !have[canonicalStatement(raw)] {
			differ = append(differ, sidOf(raw))
		}
	}
	return differ
}
