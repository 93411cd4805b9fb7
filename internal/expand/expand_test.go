package expand

import (
	"strings"
	"testing"
)

type data struct{ Name, Region string }

func TestText(t *testing.T) {
	of := data{"golden {{ .Region }}", "eu-west-1"}
	for text, want := range map[string]string{
		"":                           "",
		"plain":                      "plain",
		"{ }":                        "{ }",
		"{{ .Name }}":                "golden {{ .Region }}", // what is filled in is not filled in again
		"{{.Region}}-{{- .Region }}": "eu-west-1-eu-west-1",
		"a {{ .Region }} b":          "a eu-west-1 b",
	} {
		if got, err := Text(text, of); err != nil || got != want {
			t.Errorf("Text(%q) = %q, %v; want %q", text, got, err, want)
		}
	}
	for _, text := range []string{
		"{{", "{{ }}", "{{ .Nobody }}", "{{ .Name.Nobody }}", `{{ print "x" }}`, "{{ range 9 }}x{{ end }}", "{{ $x := .Name }}{{ $x }}",
		"{{ .Name | len }}", `{{ define "a" }}{{ template "a" }}{{ end }}`, `{{ template "a" }}`, "{{ . }}", `{{ "x" }}`, "{{ if .Name }}x{{ end }}",
	} {
		if got, err := Text(text, of); err == nil {
			t.Errorf("Text(%q) = %q, want an error", text, got)
		}
	}
}

// Whatever the text, it is filled in or refused, and only fields are.
func FuzzText(f *testing.F) {
	for _, seed := range []string{"", "{{ .Name }}", "{{ .Region }}x{{", "{{ range 1000000000 }}{{ end }}", `{{/* c */}}`, "{{- .Name -}} "} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := Text(text, data{"N", "R"})
		if err == nil && len(got) > len(text) {
			t.Errorf("Text(%q) = %q is longer", text, got)
		}
		if err == nil && !strings.Contains(text, "{{") && got != text {
			t.Errorf("Text(%q) = %q", text, got)
		}
	})
}
