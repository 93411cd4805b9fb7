package manifest_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/test/golden"
)

var docs = filepath.Join("..", "..", "..", "docs")

// shape is the part of a JSON Schema that the page shows.
type shape struct {
	Title       string            `json:"title"`
	Description string            `json:"description"`
	Type        string            `json:"type"`
	Ref         string            `json:"$ref"`
	Enum        []string          `json:"enum"`
	Examples    []string          `json:"examples"`
	Const       any               `json:"const"`
	Required    []string          `json:"required"`
	Properties  map[string]*shape `json:"properties"`
	Items       *shape            `json:"items"`
	Additional  json.RawMessage   `json:"additionalProperties"`
	Definitions map[string]*shape `json:"$defs"`
}

// TestPageIsInDate checks that docs/manifest.md is rendered from the schemas, in which
// every field is described, and from the readers.
func TestPageIsInDate(t *testing.T) {
	page := new(strings.Builder)
	page.WriteString(`# The files, field by field

| File | Contents | JSON Schema |
| --- | --- | --- |
| ` + "`orgami.json`" + ` | The manifest of a complete publication | [orgami.schema.json](orgami.schema.json) |
| ` + "`orgami-plan.json`" + ` | The manifest of a plan | [orgami.schema.json](orgami.schema.json) |
| ` + "`orgami-failure.json`" + ` | What a failed run achieved | [orgami-failure.schema.json](orgami-failure.schema.json) |
| ` + "`kms-grants.json`" + ` | Every grant | [kms-grants.schema.json](kms-grants.schema.json) |

This page is rendered from the schemas, which follow JSON Schema 2020-12.

` + "`schema_version`" + ` changes if a field is removed or changes its meaning. New fields, and new values of fields whose values are called examples below, can appear without a new version. A file of a later version of the plugin still fits the schema that you have, so you can validate with a copy of it. Ignore fields that you don't know. Deploy only from a manifest whose ` + "`complete`" + ` is true. Files are replaced atomically: a reader sees the old file or the new one, never a part.
`)
	for _, file := range []string{"orgami", "orgami-failure", "kms-grants"} {
		var s shape
		content := read(t, file+".schema.json")
		if err := json.Unmarshal(content, &s); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(page, "\n## %s\n\n| Field | Type | Present | Description |\n| --- | --- | --- | --- |\n", s.Title)
		describe(t, page, &s, "", s.Definitions)
	}
	page.WriteString("\n## Readers\n\nEach program prints the image of every Region. It fails if the manifest isn't complete.\n")
	for _, reader := range []struct{ language, file string }{{"go", "read.go"}, {"jq", "read.jq"}, {"python", "read.py"}} {
		fmt.Fprintf(page, "\n```%s\n%s```\n", reader.language, read(t, filepath.Join("readers", reader.file)))
	}
	golden.Compare(t, filepath.Join("..", docs, "manifest.md"), []byte(page.String()))
}

func describe(t *testing.T, page *strings.Builder, s *shape, path string, definitions map[string]*shape) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		field := s.Properties[name]
		at := strings.TrimPrefix(path+"."+name, ".")
		if field.Description == "" {
			t.Errorf("%s is not described", at)
		}
		there := "always"
		if !slices.Contains(s.Required, name) {
			there = "optional"
		}
		fmt.Fprintf(page, "| `%s` | %s | %s | %s |\n", at, field.is(), there, strings.ReplaceAll(field.Description, "|", `\|`))
		inner, below := field, at
		if field.Items != nil {
			inner, below = field.Items, at+"[]"
		} else if each := new(shape); len(field.Additional) > 0 && json.Unmarshal(field.Additional, each) == nil {
			inner, below = each, at+".NAME"
		}
		if reference := definitions[strings.TrimPrefix(inner.Ref, "#/$defs/")]; reference != nil {
			inner = reference
		}
		describe(t, page, inner, below, definitions)
	}
}

// is describes a field in one or two words.
func (s *shape) is() string {
	switch {
	case s.Const != nil:
		return fmt.Sprint(s.Const)
	case len(s.Enum) > 0:
		quoted := slices.DeleteFunc(slices.Clone(s.Enum), func(v string) bool { return v == "" })
		return "`" + strings.Join(quoted, "`, `") + "`"
	case len(s.Examples) > 0:
		return "for example `" + strings.Join(s.Examples, "`, `") + "`"
	case s.Ref != "":
		return strings.ReplaceAll(strings.TrimPrefix(s.Ref, "#/$defs/"), "_", " ")
	default:
		return s.Type
	}
}

// TestReaders checks that each program reads the images of the golden manifest, and
// none of an incomplete one.
func TestReaders(t *testing.T) {
	golden := filepath.Join("testdata", "orgami.golden.json")
	content, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Images map[string]struct {
			ID string `json:"image_id"`
		} `json:"images"`
	}
	if err := json.Unmarshal(content, &m); err != nil {
		t.Fatal(err)
	}
	var want []string
	for region, image := range m.Images {
		want = append(want, region+" "+image.ID)
	}
	slices.Sort(want)
	incomplete := filepath.Join(t.TempDir(), "orgami.json")
	if err := os.WriteFile(incomplete, []byte(strings.Replace(string(content), `"complete": true`, `"complete": false`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	readers := filepath.Join(docs, "readers")
	for _, command := range [][]string{
		{"go", "run", filepath.Join(readers, "read.go")},
		{"jq", "--raw-output", "--from-file", filepath.Join(readers, "read.jq")},
		{"python3", filepath.Join(readers, "read.py")},
	} {
		t.Run(command[0], func(t *testing.T) {
			if _, err := exec.LookPath(command[0]); err != nil {
				t.Skip("it is not on this machine")
			}
			output, err := exec.CommandContext(t.Context(), command[0], append(command[1:], golden)...).Output()
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Split(strings.TrimSpace(string(output)), "\n")
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if output, err := exec.CommandContext(t.Context(), command[0], append(command[1:], incomplete)...).Output(); err == nil {
				t.Errorf("it reads a manifest that is not complete: %s", output)
			}
		})
	}
}

var (
	jqCommand = regexp.MustCompile(`jq -r '([^']+)' orgami/orgami\.json`)
	// guideRegion matches the Regions in the examples.
	guideRegion = regexp.MustCompile(`^(?:us-east-1|us-west-2|eu-west-1|eu-central-1)$`)
	jqStep      = regexp.MustCompile(`^(?:\.(\w+)|\["([\w-]+)"\])`)
)

// The golden manifest has a string at every path that the guides read with jq. Only
// simple paths are supported.
func TestPathsInGuides(t *testing.T) {
	var document any
	content, err := os.ReadFile(filepath.Join("testdata", "orgami.golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &document); err != nil {
		t.Fatal(err)
	}
	guides, err := filepath.Glob(filepath.Join(docs, "guides", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	paths := 0
	for _, guide := range guides {
		for _, match := range jqCommand.FindAllStringSubmatch(string(read(t, filepath.Join("guides", filepath.Base(guide)))), -1) {
			paths++
			value, rest := document, match[1]
			for rest != "" {
				step := jqStep.FindStringSubmatch(rest)
				if step == nil {
					t.Fatalf("%s: %q is not a path", guide, match[1])
				}
				name := step[1] + step[2]
				if guideRegion.MatchString(name) {
					name = "eu-west-1" // the golden manifest has an image there
				}
				object, _ := value.(map[string]any)
				value, rest = object[name], rest[len(step[0]):]
			}
			if text, ok := value.(string); !ok || text == "" {
				t.Errorf("%s: the manifest has no text at %s: %v", guide, match[1], value)
			}
		}
	}
	if paths < 3 {
		t.Errorf("only %d paths were found", paths)
	}
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(docs, name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// TestSharedDefinitions checks that the schemas define the same thing in the same way.
func TestSharedDefinitions(t *testing.T) {
	var success, failure struct {
		Properties  map[string]any `json:"properties"`
		Definitions map[string]any `json:"$defs"`
	}
	for file, into := range map[string]any{"orgami.schema.json": &success, "orgami-failure.schema.json": &failure} {
		if err := json.Unmarshal(read(t, file), into); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(success.Definitions, failure.Definitions); diff != "" {
		t.Errorf("$defs differ (-orgami +failure):\n%s", diff)
	}
	for _, name := range []string{"launches", "unpublished_copies", "sources"} {
		if diff := cmp.Diff(success.Properties[name], failure.Properties[name]); diff != "" {
			t.Errorf("%s differs (-orgami +failure):\n%s", name, diff)
		}
	}
}
