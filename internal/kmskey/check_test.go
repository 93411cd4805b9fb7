package kmskey

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/internal/policy"
)

// TestCheckPolicy checks that policies are rejected that package policy rejects, or
// that KMS doesn't store because a principal no longer exists.
func TestCheckPolicy(t *testing.T) {
	for statement, want := range map[string]string{
		`{"Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":"kms:*","Resource":"*"}`:          "",
		`{"Effect":"Allow","Principal":{"AWS":"AROAEXAMPLEEXAMPLE123"},"Action":"*","Resource":"*"}`:     "it names deleted principals (AROAEXAMPLEEXAMPLE123), and KMS rejects such policies. Remove them from the policy, then run again",
		`{"Effect":"Deny","Principal":{"AWS":"111111111111"},"Resource":"*"}`:                            "Action",
		`{"Sid":"Ā","Effect":"Deny","Principal":{"AWS":"111111111111"},"Action":"kms:*","Resource":"*"}`: "U+0100",
		`{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"}`:                             "world",
	} {
		document, err := policy.Parse(`{"Version":"2012-10-17","Statement":` + statement + `}`)
		if err != nil {
			t.Fatal(err)
		}
		if got := checkPolicy(document); len(got) > 1 || (len(got) == 0) != (want == "") || !strings.Contains(strings.Join(got, ""), want) {
			t.Errorf("%s: %q", statement, got)
		}
	}
}

// TestValidateState checks that each of KMS's states is usable, about to be, or
// explained, and so is a state that KMS doesn't have yet.
func TestValidateState(t *testing.T) {
	const enable, cancel = "'aws kms enable-key --region eu-west-1 --key-id mrk-1'", "'aws kms cancel-key-deletion --region eu-west-1 --key-id mrk-1'"
	want := map[types.KeyState]string{
		types.KeyStateEnabled: "", types.KeyStateCreating: "", types.KeyStateUpdating: "",
		types.KeyStateDisabled:               "key mrk-1 is disabled in eu-west-1. Enable it with " + enable,
		types.KeyStatePendingDeletion:        "key mrk-1 is pending deletion in eu-west-1. Keep it with " + cancel + " and " + enable + ", or choose another alias",
		types.KeyStatePendingReplicaDeletion: "key mrk-1 is pending deletion in eu-west-1. Keep it with " + cancel + " and " + enable + ", or choose another alias",
		types.KeyStatePendingImport:          "key mrk-1 has no key material in eu-west-1 (state PendingImport). Import the key material there, or use another key",
		types.KeyStateUnavailable:            "key mrk-1 is unavailable in eu-west-1: its key store is disconnected. Use a key without a custom key store",
		"Hibernating":                        "key mrk-1 is in state Hibernating in eu-west-1, which this version doesn't support. Use another key, or a newer version of this plugin",
	}
	got := map[types.KeyState]string{}
	for _, state := range append(types.KeyState("").Values(), "Hibernating") {
		got[state] = validateState(metadata{id: "mrk-1", state: state}, "eu-west-1")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
