// Package policy holds the documents that open a KMS key to an organisation:
// the key policy of every regional key and the IAM policy for Karpenter. It is
// pure: no AWS client, no files, no clock.
//
// Existing policies are edited, not rewritten: a [Document] keeps each
// statement that is not ours as the bytes that AWS returned, and only
// statements with our Sids are set. Two documents are compared by meaning
// ([Equal]), because KMS normalises what it stores. Fact: 1.
package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
)

// MaxKeyPolicySize is the largest key policy that KMS stores, in bytes; the
// API's own shape allows more. Fact: 1.
const MaxKeyPolicySize = 32_768

// version is the policy language that our documents use.
const version = "2012-10-17"

// Document is a policy document. Statements that are not ours stay the bytes
// that they were parsed from.
type Document struct {
	Version    string
	ID         string
	Statements []json.RawMessage
}

// Parse reads a policy document as AWS returns it: Statement is one object or
// a list of them. An element that policy documents do not have is an error.
func Parse(document string) (Document, error) {
	var wire struct {
		Version   string
		ID        string `json:"Id"`
		Statement json.RawMessage
	}
	if err := decodeStrict([]byte(document), &wire); err != nil {
		return Document{}, fmt.Errorf("parsing the policy document: %w", err)
	}
	statements, err := splitStatements(wire.Statement)
	if err != nil {
		return Document{}, fmt.Errorf("parsing the policy document: %w", err)
	}
	return Document{Version: wire.Version, ID: wire.ID, Statements: statements}, nil
}

// decodeStrict decodes exactly one JSON value without unknown fields.
func decodeStrict(data []byte, into any) error {
	if err := uniqueKeys(data); err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more text behind the document")
	}
	return nil
}

// splitStatements returns the statements of one object or a list of objects,
// each checked to be a statement.
func splitStatements(raw json.RawMessage) ([]json.RawMessage, error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return nil, errors.New(`it has no "Statement"`)
	}
	statements := []json.RawMessage{raw}
	if raw[0] == '[' {
		statements = nil
		if err := json.Unmarshal(raw, &statements); err != nil {
			return nil, err
		}
	}
	for i, s := range statements {
		if _, err := parseStatement(s); err != nil {
			return nil, fmt.Errorf("statement %d: %w", i+1, err)
		}
	}
	return statements, nil
}

// String is the document as JSON, compact, with the elements in the order
// Version, Id, Statement.
func (d Document) String() string { return string(d.encode("")) }

// Indented is the document as JSON for readers.
func (d Document) Indented() string { return string(d.encode("  ")) + "\n" }

func (d Document) encode(indent string) []byte {
	wire := struct {
		Version   string            `json:",omitempty"`
		ID        string            `json:"Id,omitempty"`
		Statement []json.RawMessage `json:"Statement"`
	}{d.Version, d.ID, d.Statements}
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", indent)
	if err := encoder.Encode(wire); err != nil {
		// Every raw statement was parsed before it got here.
		panic(fmt.Sprintf("encoding a policy document: %v", err))
	}
	return bytes.TrimRight(buffer.Bytes(), "\n")
}

// Sids lists the statements' Sids in order, "" for a statement without one.
func (d Document) Sids() []string {
	sids := make([]string, len(d.Statements))
	for i, raw := range d.Statements {
		sids[i] = sidOf(raw)
	}
	return sids
}

func sidOf(raw json.RawMessage) string {
	s, err := parseStatement(raw)
	if err != nil {
		return ""
	}
	return s.Sid
}

// set returns the document with the statements set: one with the same Sid is
// replaced in its place, a new one is appended, all others stay as they are.
// A statement that already has the same meaning is left as it stands.
func (d Document) set(statements []json.RawMessage) Document {
	merged := d
	merged.Statements = slices.Clone(d.Statements)
	for _, raw := range statements {
		i := slices.Index(merged.Sids(), sidOf(raw))
		switch {
		case i < 0:
			merged.Statements = append(merged.Statements, raw)
		case canonicalStatement(merged.Statements[i]) != canonicalStatement(raw):
			merged.Statements[i] = raw
		}
	}
	return merged
}

var uniqueID = regexp.MustCompile(`"(A(?:ROA|IDA)[A-Z0-9]{12,})"`)

// DeletedPrincipals lists the unique ids of users and roles that stand where an
// ARN was: KMS shows them so when they are deleted, and refuses to store a
// policy that names them. Fact: 1.
func (d Document) DeletedPrincipals() []string {
	var ids []string
	for _, statement := range d.Statements {
		var principals struct{ Principal, NotPrincipal json.RawMessage }
		if err := json.Unmarshal(statement, &principals); err != nil {
			continue // Parse has seen that statements are objects
		}
		for _, match := range uniqueID.FindAllSubmatch(slices.Concat(principals.Principal, principals.NotPrincipal), -1) {
			ids = append(ids, string(match[1]))
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
