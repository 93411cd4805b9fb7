// Package expand fills in texts of the configuration with what a template of
// Packer cannot know when it is written, as {{ .SourceImageName }}.
package expand

import (
	"strings"
	"text/template"
)

// Text fills in a text from the fields of a struct; what refers to anything else
// is an error. One without {{ stays as it is.
func Text(text string, data any) (string, error) {
	if !strings.Contains(text, "{{") {
		return text, nil
	}
	parsed, err := template.New("value").Parse(text)
	if err != nil {
		return "", err
	}
	var filled strings.Builder
	if err := parsed.Execute(&filled, data); err != nil {
		return "", err
	}
	return filled.String(), nil
}
