package config

import (
	"fmt"
	"slices"
	"strings"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/orgami/packer-plugin-orgami/internal/config/pattern"
)

// Problems collects the errors in a configuration, so that the user sees all of them at
// once. Each problem names the field as the user writes it, and the remedy.
type Problems struct{ all []error }

// Addf adds a problem.
func (p *Problems) Addf(format string, arguments ...any) {
	p.all = append(p.all, fmt.Errorf(format, arguments...))
}

// Err returns all problems as one error, or nil.
func (p *Problems) Err() error {
	if len(p.all) == 0 {
		return nil
	}
	return &packersdk.MultiError{Errors: p.all}
}

// Check reports whether the value matches the pattern, or can't be checked because
// Packer didn't fill it in, and adds a problem if not.
func (p *Problems) Check(field, value string, form pattern.Pattern) bool {
	if unchecked(value) || form.Match(value) {
		return true
	}
	p.Addf("%s: %s", field, form.Problem(value))
	return false
}

// List checks the elements of a list. A list that is set must not be empty, and must
// not have duplicates.
func (p *Problems) List(field string, values []string, form pattern.Pattern) {
	if values != nil && len(values) == 0 {
		p.Addf("%s: the list is empty. Add an element, or omit the option", field)
	}
	for i, value := range values {
		if !p.Check(field, value, form) {
			continue
		}
		if !unchecked(value) && slices.Index(values, value) < i {
			p.Addf("%s: the list contains %q twice. Remove one", field, value)
		}
	}
}

// OneOf checks a field with few possible values. Empty is the default.
func (p *Problems) OneOf(field, value string, allowed ...string) {
	if value == "" || unchecked(value) || slices.Contains(allowed, value) {
		return
	}
	p.Addf("%s: %q is not supported. Set %s", field, value, quotedList(allowed))
}

// unchecked reports whether the value isn't known, or wasn't filled in, which
// [Problems.Rendered] reports.
func unchecked(value string) bool { return Unknown(value) || Unrendered(value) }

func quotedList(values []string) string {
	quoted := make([]string, len(values))
	for i, value := range values {
		quoted[i] = fmt.Sprintf("%q", value)
	}
	last := len(quoted) - 1
	return strings.Join(quoted[:last], ", ") + " or " + quoted[last]
}
