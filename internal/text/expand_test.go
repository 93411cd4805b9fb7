package text_test

import (
	"strings"
	"testing"

	"github.com/orgami/packer-plugin-orgami/internal/text"
)

type data struct{ Name, Region string }

func TestExpand(t *testing.T) {
	of := data{"golden {{ .Region }}", "eu-west-1"}
	for in, want := range map[string]string{
		"":                           "",
		"plain":                      "plain",
		"{ }":                        "{ }",
		"{{ .Name }}":                "golden {{ .Region }}", // values aren't filled in again
		"{{.Region}}-{{- .Region }}": "eu-west-1-eu-west-1",
		"a {{ .Region }} b":          "a eu-west-1 b",
	} {
		if got, err := text.Expand(in, of); err != nil || got != want {
			t.Errorf("text.Expand(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{
		"{{", "{{timestamp}}", "{{user `x`}}", "{{ }}", "{{ .Nobody }}", "{{ .Name.Nobody }}", `{{ print "x" }}`, "{{ range 9 }}x{{ end }}", "{{ $x := .Name }}{{ $x }}",
		"{{ .Name | len }}", `{{ define "a" }}{{ template "a" }}{{ end }}`, `{{ template "a" }}`, "{{ . }}", `{{ "x" }}`, "{{ if .Name }}x{{ end }}",
	} {
		if got, err := text.Expand(in, of); err == nil || strings.Contains(err.Error(), "template:") {
			t.Errorf("text.Expand(%q) = %q, %v, want an error in our words", in, got, err)
		}
	}
}

// Any text is filled in or rejected, and only fields are filled in.
func FuzzExpand(f *testing.F) {
	for _, seed := range []string{"", "{{ .Name }}", "{{ .Region }}x{{", "{{ range 1000000000 }}{{ end }}", `{{/* c */}}`, "{{- .Name -}} "} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		got, err := text.Expand(in, data{"N", "R"})
		if err != nil && strings.Contains(err.Error(), "executing") {
			t.Error(err)
		}
		if err == nil && len(got) > len(in) {
			t.Errorf("text.Expand(%q) = %q is longer", in, got)
		}
		if err == nil && !strings.Contains(in, "{{") && got != in {
			t.Errorf("text.Expand(%q) = %q", in, got)
		}
	})
}
