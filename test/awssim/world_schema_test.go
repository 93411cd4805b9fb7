package awssim_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
	"github.com/orgami/packer-plugin-orgami/test/schema"
)

const worldSchema = "../test/awssim/world.schema.json"

// The worlds of the repository are valid, and a misspelled field isn't.
func TestWorldsMatchSchema(t *testing.T) {
	standard, err := json.Marshal(awssim.DefaultWorld())
	if err != nil {
		t.Fatal(err)
	}
	worlds := map[string][]byte{"the default world": standard}
	if worlds["the example"], err = os.ReadFile(filepath.Join("..", "..", "example", "demo", "world.json")); err != nil {
		t.Fatal(err)
	}
	for name, content := range worlds {
		if err := schema.ValidateAsPublished(worldSchema, content); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, bad := range []string{`{}`, `{"accounts":[],"region":[]}`, `{"accounts":[{"id":"1","name":"a"}],"regions":[]}`, `{"accounts":[],"regions":[],"physics":{"latency":"2 seconds"}}`} {
		if err := schema.ValidateAsPublished(worldSchema, []byte(bad)); err == nil {
			t.Errorf("%s is valid", bad)
		}
	}
}

// The schema has the fields of the world file, and no others.
func TestWorldSchemaIsComplete(t *testing.T) {
	content, err := os.ReadFile("world.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var document map[string]any
	if err := json.Unmarshal(content, &document); err != nil {
		t.Fatal(err)
	}
	compareFields(t, "world", reflect.TypeFor[awssim.WorldFile](), document)
}

func compareFields(t *testing.T, at string, of reflect.Type, described map[string]any) {
	t.Helper()
	switch {
	case of == reflect.TypeFor[json.RawMessage](): // a policy
	case of.Kind() == reflect.Pointer:
		compareFields(t, at, of.Elem(), described)
	case of.Kind() == reflect.Slice:
		items, _ := described["items"].(map[string]any)
		compareFields(t, at+"[]", of.Elem(), items)
	case of.Kind() == reflect.Map:
		values, _ := described["additionalProperties"].(map[string]any)
		compareFields(t, at+".*", of.Elem(), values)
	case of.Kind() == reflect.Struct:
		properties, _ := described["properties"].(map[string]any)
		var names []string
		for _, field := range reflect.VisibleFields(of) {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if field.Anonymous || name == "-" {
				continue
			}
			names = append(names, name)
			below, known := properties[name].(map[string]any)
			if !known {
				t.Errorf("the schema lacks %s.%s", at, name)
				continue
			}
			compareFields(t, at+"."+name, field.Type, below)
		}
		for name := range properties {
			if !slices.Contains(names, name) {
				t.Errorf("the world file has no %s.%s", at, name)
			}
		}
	}
}

// The shell session in the README runs as written.
func TestSessionOfReadme(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and serves the simulator")
	}
	for _, tool := range []string{"bash", "aws", "jq"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	session := regexp.MustCompile("(?s)## A session\n.*?```sh\n(.*?)```").FindSubmatch(page)
	if session == nil {
		t.Fatal("no session")
	}
	run := exec.CommandContext(t.Context(), "bash", "-c", "set -e; unset AWS_PROFILE; trap '[ -z \"$simulator\" ] || kill $simulator 2>/dev/null' EXIT\n"+string(session[1]))
	run.Dir = filepath.Join("..", "..")
	run.Env = append(os.Environ(), "AWS_PAGER=", "AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull, "AWS_SESSION_TOKEN=")
	output, err := run.CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, output)
	}
	for _, want := range []string{"arn:aws:iam::111111111111:user/admin", "(SignatureDoesNotMatch)", "ami-"} {
		if !strings.Contains(string(output), want) {
			t.Errorf("the session doesn't print %q: %s", want, output)
		}
	}
}
