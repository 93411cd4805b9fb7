package manifest

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/internal/change"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
)

// TestStream checks that streaming writes the bytes that encoding/json does.
func TestStream(t *testing.T) {
	full := Manifest{
		SchemaVersion: 1, Complete: true, Organization: &Organization{ID: "o-1"}, Sources: []Source{{Name: "<golden>"}, {}},
		Key:     Key{Regions: map[string]RegionalKey{"b": {}, "a": {ARN: "arn", Policy: policy.NewDocument(policy.Statement{Sid: "A", Effect: "Allow"})}}},
		Images:  map[string]Image{"eu-west-1": {SnapshotIDs: []string{"snap-1", "snap-2"}, Permissions: Permissions{Accounts: []string{"1"}}}},
		Changes: []change.Change{{Kind: change.Key, Detail: "a \u2028 \n \x00"}}, Errors: []string{"one", "two"},
	}
	for name, document := range map[string]any{
		"a manifest":         full,
		"an empty one":       Manifest{},
		"one with no errors": Manifest{Errors: []string{}, Changes: []change.Change{}},
		"a policy":           policy.Karpenter("aws", "arn:aws:kms:*:111111111111:key/mrk-1"),
		"a number":           1,
	} {
		compareStream(t, name, document, document)
	}
}

// TestStreamSequence checks that a list whose elements are made one by one is written
// like one that exists.
func TestStreamSequence(t *testing.T) {
	type listed struct {
		SchemaVersion int     `json:"schema_version"`
		KeyID         string  `json:"key_id"`
		Grants        []Grant `json:"grants"`
	}
	for name, grants := range map[string][]Grant{
		"two": {{Account: "1", Operations: []string{"Decrypt"}}, {Operations: nil}}, "none": {},
	} {
		compareStream(t, name, listed{1, "mrk-1", grants}, Grants{1, "mrk-1", slices.Values(grants)})
	}
	compareStream(t, "no sequence", listed{Grants: []Grant{}}, Grants{})
}

// compareStream compares the output of encoding/json for one document with that of
// streaming for the other.
func compareStream(t *testing.T, name string, encoded, streamed any) {
	t.Helper()
	var want, got bytes.Buffer
	if err := errors.Join(encode(&want, encoded, ""), stream(&got, streamed)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.String(), got.String()); diff != "" {
		t.Errorf("%s:\n%s", name, diff)
	}
}

type broken struct{ after int }

func (b *broken) Write(p []byte) (int, error) {
	if b.after -= len(p); b.after < 0 {
		return 0, errors.New("the disk is full")
	}
	return len(p), nil
}

// TestStreamFails checks that wherever writing fails, that is what is reported.
func TestStreamFails(t *testing.T) {
	document := Grants{Grants: slices.Values([]Grant{{}, {}})}
	whole, err := Encode(document)
	if err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		if err := stream(&broken{n}, document); err == nil || !strings.Contains(err.Error(), "full") {
			t.Fatalf("after %d bytes: %v", n, err)
		}
	}
	if err := stream(&broken{len(whole)}, document); err != nil {
		t.Error(err)
	}
}
