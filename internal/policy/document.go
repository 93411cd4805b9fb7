// Package policy holds the documents that open a KMS key to an organization:
// the key policy of every regional key and the IAM policy for Karpenter. It is
// pure: no AWS client, no files, no clock.
//
// Existing policies are edited, not rewritten: a [Document] keeps each
// statement that is not ours as the bytes that AWS returned, and only
// statements with our Sids are set. Two documents are compared by meaning
// ([Equal]), because KMS normalizes what it stores. Fact: KMS-KEY-23.
package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/text"
)

// MaxKeyPolicySize is the largest key policy that KMS stores, in bytes; the
// API's own shape allows more. Fact: KMS-KEY-8.
const MaxKeyPolicySize = 32_768

// version is the policy language that our documents use.
const version = "2012-10-17"

// Document is a policy document. Statements of others keep the bytes that they were
// parsed from.
type Document struct {
	Version    string
	ID         string
	Statements []json.RawMessage
}

// Parse reads a policy document as AWS returns it: Statement is one object or
// a list of them. An element that policy documents do not have is an error, as
// is an element that appears twice. Errors name the line.
func Parse(document string) (Document, error) {
	parsed, err := parseDocument([]byte(document))
	if err != nil {
		return Document{}, fmt.Errorf("parsing the policy document: %s: %w", placeOf([]byte(document), err), err)
	}
	return parsed, nil
}

// placeOf is the line of the text, from 1, that the error is about, and the column if
// the text is not valid JSON there.
func placeOf(content []byte, err error) string {
	d, found := errors.AsType[*defect](err)
	if !found {
		return "line 1"
	}
	place := text.Place(content, d.offset)
	if !d.syntax {
		place, _, _ = strings.Cut(place, ",")
	}
	return place
}

func parseDocument(raw []byte) (Document, error) {
	members, err := Object(raw)
	if err != nil {
		return Document{}, err
	}
	d, statement, err := documentOf(members)
	if err != nil {
		return Document{}, err
	}
	if d.Statements, err = statementsOf(statement.Value); err != nil {
		return Document{}, statement.inside(err)
	}
	return d, nil
}

// documentOf reads the members of a document except its Statement.
func documentOf(members []Member) (d Document, statement Member, err error) {
	for _, m := range members {
		switch elementOf(m.Name, documentElements) {
		case "Version":
			d.Version, err = stringOf(m.Value)
		case "Id":
			d.ID, err = stringOf(m.Value)
		case "Statement":
			statement = m
		default:
			err = unknownElement(m, "a policy document", documentElements)
			return d, statement, err
		}
		if err != nil {
			return d, statement, m.inside(err)
		}
	}
	if statement.Value == nil {
		return d, statement, defectf(0, `it has no "Statement"`)
	}
	return d, statement, nil
}

var documentElements = []string{"Version", "Id", "Statement"}

// statementsOf reads one statement or a list of them, and checks that each is
// a statement.
func statementsOf(raw []byte) ([]json.RawMessage, error) {
	items, err := Items(raw)
	if err != nil {
		return nil, err
	}
	statements := []json.RawMessage{}
	for i, item := range items {
		if s, err := parseStatement(item.Value); err != nil {
			err = item.inside(err)
			d, _ := errors.AsType[*defect](err)
			return nil, defectf(d.offset, "%s: %s", nameOf(s.Sid, i), d.text)
		}
		statements = append(statements, item.Value)
	}
	return statements, nil
}

// nameOf identifies a statement for users: by its Sid, or by its index from 0.
func nameOf(sid string, place int) string {
	if sid == "" {
		return fmt.Sprintf("statement %d", place+1)
	}
	return fmt.Sprintf("statement %q", sid)
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

// set returns the document with the statements set: one with the same Sid is replaced
// in its place, a new one is appended, all others stay as they are. A statement that
// already has the same meaning stays as it is.
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

// DeletedPrincipals lists the unique IDs of users and roles that stand where an
// ARN was: KMS shows them so when they are deleted, and doesn't store a
// policy that names them. Fact: KMS-KEY-21, KMS-KEY-22.
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
