package manifest_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/orgami/packer-plugin-orgami/internal/record/manifest"
)

// FuzzRead checks that a manifest that can be read, and is written again, says the
// same.
func FuzzRead(f *testing.F) {
	f.Add(`{"schema_version":1,"complete":true,"images":{"us-east-1":{"image_id":"ami-1"}},"grants":{"created":1},"errors":["a\u0000"]}`)
	f.Add(`{"key":{"regions":{"":{"policy":{"Version":"2012-10-17","Statement":{"Effect":"Allow"}}}}}}`)
	f.Add(`{"organization":null,"changes":[{}],"sources":null}`)
	f.Fuzz(func(t *testing.T, text string) {
		var read manifest.Manifest
		if json.Unmarshal([]byte(text), &read) != nil {
			return
		}
		once, err := json.Marshal(read)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		var again manifest.Manifest
		if err := json.Unmarshal(once, &again); err != nil {
			t.Fatalf("%s cannot be read again: %v", once, err)
		}
		twice, err := json.Marshal(again)
		if err != nil || !bytes.Equal(once, twice) {
			t.Errorf("%s became %s (%v)", once, twice, err)
		}
	})
}
