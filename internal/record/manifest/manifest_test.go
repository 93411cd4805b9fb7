package manifest_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/orgami/packer-plugin-orgami/internal/change"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
	"github.com/orgami/packer-plugin-orgami/internal/record/manifest"
	"github.com/orgami/packer-plugin-orgami/test/golden"
	"github.com/orgami/packer-plugin-orgami/test/schema"
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
		if err := schema.Validate(test.schema, content); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The schemas reject values that a manifest never has. They accept fields that a newer
// version of the plugin adds, so that a reader can keep its schema.
func TestSchemas(t *testing.T) {
	files := map[string][]byte{}
	for name, document := range map[string]any{"orgami.schema.json": example(t), "kms-grants.schema.json": exampleGrants()} {
		content, err := manifest.Encode(document)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = content
	}
	const (
		refused  = "refused"
		accepted = "accepted by readers, and unknown to this version"
	)
	for name, test := range map[string]struct{ file, old, new, want string }{
		"version":            {"orgami", `"schema_version": 1`, `"schema_version": 2`, refused},
		"single-Region key":  {"orgami", keyID, "1234abcd-12ab-34cd-56ef-1234567890ab", refused},
		"unknown origin":     {"orgami", `"copied"`, `"found"`, refused},
		"account number":     {"orgami", `"account": "111111111111"`, `"account": 111111111111`, refused},
		"no account":         {"orgami", `"account": "111111111111"`, `"account": ""`, refused},
		"no partition":       {"orgami", `"partition": "aws"`, `"partition": ""`, refused},
		"no organization":    {"orgami", `"arn:aws:organizations::999999999999:organization/o-exampleorgid"`, `""`, refused},
		"an alias as a key":  {"orgami", `"kms_key_arn": "` + keyARN, `"kms_key_arn": "alias/golden-ami`, refused},
		"no image":           {"orgami", `"image_id": "ami-0fedcba9876543210"`, `"image_id": ""`, refused},
		"new field":          {"orgami", `"complete": true`, `"complete": true, "finished": true`, accepted},
		"new field of image": {"orgami", `"verified": true`, `"verified": true, "finished": true`, accepted},
		"new kind of change": {"orgami", `"kind": "key"`, `"kind": "share"`, accepted},
		"no account of role": {"kms-grants", `"account": "222222222222"`, `"account": ""`, refused},
		"no key":             {"kms-grants", keyARN, "", refused},
		"new field of grant": {"kms-grants", `"region"`, `"paid": true, "region"`, accepted},
	} {
		t.Run(name, func(t *testing.T) {
			file := test.file + ".schema.json"
			changed := []byte(strings.ReplaceAll(string(files[file]), test.old, test.new))
			if bytes.Equal(changed, files[file]) {
				t.Fatal("nothing was replaced")
			}
			if err := schema.Validate(file, changed); err == nil {
				t.Error("the closed schema accepts it")
			}
			if err := schema.ValidateAsPublished(file, changed); (err == nil) != (test.want == accepted) {
				t.Errorf("the published schema: %v", err)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	if err := example(t).Check(); err != nil {
		t.Error(err)
	}
	const elsewhere = "arn:aws:kms:us-east-1:111111111111:key/" + keyID
	for name, change := range map[string]func(*manifest.Manifest){
		"a key of another Region":    func(m *manifest.Manifest) { m.Key.Regions["eu-west-1"] = manifest.RegionalKey{ARN: elsewhere} },
		"an image's key elsewhere":   func(m *manifest.Manifest) { m.Images["eu-west-1"] = manifest.Image{KMSKeyARN: elsewhere} },
		"a key of another account":   func(m *manifest.Manifest) { m.Account = "222222222222" },
		"a key of another partition": func(m *manifest.Manifest) { m.Partition = "aws-cn" },
		"no ARN":                     func(m *manifest.Manifest) { m.Key.Regions["eu-west-1"] = manifest.RegionalKey{} },
	} {
		m := example(t)
		change(&m)
		if err := m.Check(); err == nil || !strings.Contains(err.Error(), "eu-west-1") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for g := range exampleGrants().Grants {
		if err := g.Check(); err != nil {
			t.Error(err)
		}
		for name, wrong := range map[string]manifest.Grant{
			"key of another Region":   {Account: g.Account, Region: g.Region, KeyARN: elsewhere, Role: g.Role},
			"role of another account": {Account: "333333333333", Region: g.Region, KeyARN: g.KeyARN, Role: g.Role},
			"no role":                 {Account: g.Account, Region: g.Region, KeyARN: g.KeyARN},
		} {
			if wrong.Check() == nil {
				t.Errorf("%s: it is accepted", name)
			}
		}
	}
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
