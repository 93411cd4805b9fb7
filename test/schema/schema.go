// Package schema validates files that the plugin writes with their JSON Schemas. The
// published schemas are open, so that a reader with an older schema accepts a newer
// file. Here they are closed: what a schema doesn't describe is an error.
package schema

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Folder is the folder of the published schemas.
func Folder() string {
	_, file, _, known := runtime.Caller(0)
	if !known {
		return ""
	}
	return filepath.Join(filepath.Dir(file), "..", "..", "docs")
}

// Validate returns what is wrong with a file's content. The schema is the name of a
// file in [Folder].
func Validate(schema string, content []byte) error {
	return validate(schema, content, closed)
}

// ValidateAsPublished validates with the published schema.
func ValidateAsPublished(schema string, content []byte) error {
	return validate(schema, content, func(any) {})
}

func validate(schema string, content []byte, prepare func(any)) error {
	text, err := os.ReadFile(filepath.Join(Folder(), schema))
	if err != nil {
		return err
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("%s: %w", schema, err)
	}
	prepare(document)
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource(schema, document); err != nil {
		return err
	}
	compiled, err := compiler.Compile(schema)
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(content))
	if err != nil {
		return err
	}
	return compiled.Validate(value)
}

// closed rejects fields that a schema doesn't describe.
func closed(schema any) {
	switch schema := schema.(type) {
	case map[string]any:
		_, hasFields := schema["properties"].(map[string]any)
		if _, says := schema["additionalProperties"]; hasFields && !says {
			schema["additionalProperties"] = false
		}
		if values, known := schema["examples"].([]any); known {
			schema["enum"] = values
		}
		for _, below := range schema {
			closed(below)
		}
	case []any:
		for _, below := range schema {
			closed(below)
		}
	}
}
