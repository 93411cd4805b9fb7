package manifest_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/orgami/packer-plugin-orgami/internal/change"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
	"github.com/orgami/packer-plugin-orgami/internal/record/manifest"
	"github.com/orgami/packer-plugin-orgami/test/golden"
)

const (
	keyID  = "mrk-1234abcd12ab34cd56ef1234567890ab"
	keyARN = "arn:aws:kms:eu-west-1:111111111111:key/" + keyID
)

func example(t *testing.T) manifest.Manifest {
	t.Helper()
	document, err := policy.KeyPolicy{Partition: "aws", Owner: "111111111111", Variant: policy.Open, OrganizationID: "o-exampleorgid"}.Merge(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return manifest.Manifest{
		SchemaVersion: manifest.SchemaVersion, Complete: true, Partition: "aws", Account: "111111111111",
		Organization: &manifest.Organization{ID: "o-exampleorgid", ARN: "arn:aws:organizations::999999999999:organization/o-exampleorgid"},
		Sources:      []manifest.Source{{Region: "eu-west-1", ImageID: "ami-0123456789abcdef0", Name: "golden <1>"}},
		Key: manifest.Key{
			ID: keyID, Alias: "alias/golden-ami", PrimaryRegion: "eu-west-1",
			WildcardARN: "arn:aws:kms:*:111111111111:key/" + keyID,
			Regions:     map[string]manifest.RegionalKey{"eu-west-1": {ARN: keyARN, Policy: document, Digest: document.Digest(), Grants: 4}},
		},
		Images: map[string]manifest.Image{"eu-west-1": {
			ImageID: "ami-0fedcba9876543210", Name: "golden <1>-shared", Origin: "copied",
			SourceImageID: "ami-0123456789abcdef0", SourceRegion: "eu-west-1", Architecture: "x86_64",
			SnapshotIDs: []string{"snap-0123456789abcdef0"}, KMSKeyARN: keyARN, Verified: true, Shared: true,
			Permissions: manifest.Permissions{Organizations: []string{"arn:aws:organizations::999999999999:organization/o-exampleorgid"}},
		}},
		Grants:  manifest.GrantCounts{Created: 1, ToCreate: 1},
		Changes: []change.Change{{Kind: change.Key, Action: change.Create, Region: "eu-west-1", Detail: "multi-Region primary"}},
		Errors:  []string{},
	}
}

func exampleGrants() manifest.Grants {
	return manifest.Grants{SchemaVersion: manifest.SchemaVersion, KeyID: keyID, Grants: slices.Values([]manifest.Grant{{
		Account: "222222222222", Role: "arn:aws:iam::222222222222:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling",
		Region: "eu-west-1", KeyARN: keyARN, Name: "orgami/222222222222/AWSServiceRoleForAutoScaling-01234567",
		Operations: []string{"Decrypt"}, Status: "skipped", Reason: "the role does not exist", Command: "aws kms create-grant",
	}})}
}

func TestGolden(t *testing.T) {
	for name, test := range map[string]struct {
		document any
		schema   string
	}{
		"orgami.golden.json":     {example(t), "orgami.schema.json"},
		"kms-grants.golden.json": {exampleGrants(), "kms-grants.schema.json"},
	} {
		content, err := manifest.Encode(test.document)
		if err != nil {
			t.Fatal(err)
		}
		golden.Compare(t, name, content)
		if err := validate(t, test.schema, content); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSchemaRefusesWhatTheManifestNeverHas(t *testing.T) {
	content, err := manifest.Encode(example(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, replace := range map[string][2]string{
		"version":        {`"schema_version": 1`, `"schema_version": 2`},
		"unknown field":  {`"complete": true`, `"complete": true, "finished": true`},
		"single-Region":  {keyID, "1234abcd-12ab-34cd-56ef-1234567890ab"},
		"unknown origin": {`"copied"`, `"found"`},
		"account number": {`"account": "111111111111"`, `"account": 111111111111`},
	} {
		broken := strings.ReplaceAll(string(content), replace[0], replace[1])
		if broken == string(content) {
			t.Fatalf("%s: nothing was replaced", name)
		}
		if err := validate(t, "orgami.schema.json", []byte(broken)); err == nil {
			t.Errorf("%s: the schema accepts it", name)
		}
	}
}

func validate(t *testing.T, schema string, content []byte) error {
	t.Helper()
	compiled, err := jsonschema.NewCompiler().Compile(filepath.Join("..", "..", "..", "docs", schema))
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	return compiled.Validate(document)
}

func TestWrite(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "a", "b")
	if err := manifest.Probe(directory); err != nil {
		t.Fatal(err)
	}
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte("theirs"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(directory, "one")); err != nil {
		t.Fatal(err)
	}
	paths, err := manifest.Write(directory, manifest.Document{Name: "one", Content: 1}, manifest.Document{Name: "two", Content: 2})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{filepath.Join(directory, "one"), filepath.Join(directory, "two")}; !equal(paths, want) {
		t.Errorf("paths are %v", paths)
	}
	for path, want := range map[string]string{paths[0]: "1\n", paths[1]: "2\n", outside: "theirs"} {
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%s holds %q, %v", path, got, err)
		}
	}
	entries, err := os.ReadDir(directory)
	if err != nil || len(entries) != 2 {
		t.Errorf("files remain: %v, %v", entries, err)
	}
	info, err := os.Lstat(paths[0])
	if err != nil || info.Mode() != 0o644 {
		t.Errorf("mode is %v, %v", info.Mode(), err)
	}
}

func equal(a, b []string) bool { return strings.Join(a, "\n") == strings.Join(b, "\n") }

func TestProbeRefusesWhatCannotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := manifest.Probe(filepath.Join(file, "below"))
	if err == nil || !strings.Contains(err.Error(), "output_directory") {
		t.Errorf("error is %v", err)
	}
	if _, err := manifest.Write(filepath.Join(file, "below")); err == nil {
		t.Error("a directory below a file was written to")
	}
	if _, ok := errors.AsType[*os.PathError](err); !ok {
		t.Errorf("the cause is lost: %v", err)
	}
}
