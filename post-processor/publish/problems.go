package publish

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/orgami/packer-plugin-orgami/internal/placeholder"
)

// problems collects what is wrong with a configuration, so that the user sees
// all of it at once. Each problem names the field as the user writes it, and
// the remedy.
type problems struct{ all []error }

func (p *problems) addf(format string, arguments ...any) {
	p.all = append(p.all, fmt.Errorf(format, arguments...))
}

func (p *problems) err() error {
	if len(p.all) == 0 {
		return nil
	}
	return &packersdk.MultiError{Errors: p.all}
}

// A form is what a value has to look like. Remedy says how to write it, and
// hint, if there is one, what a common mistake was.
type form struct {
	what    string
	pattern *regexp.Regexp
	remedy  string
	hint    func(value string) string
}

// check reports whether the value has the form.
func (p *problems) check(field, value string, f form) bool {
	if placeholder.In(value) || f.pattern.MatchString(value) {
		return true
	}
	remedy := f.remedy
	if f.hint != nil {
		if hint := f.hint(value); hint != "" {
			remedy = hint
		}
	}
	p.addf("%s: %q is not %s: %s", field, value, f.what, remedy)
	return false
}

// list checks the elements of a list, that it has some if it is given, and
// that none is in it twice.
func (p *problems) list(field string, values []string, f form) {
	if values != nil && len(values) == 0 {
		p.addf("%s: the list is empty: name at least one element, or leave the field out", field)
	}
	for i, value := range values {
		if !p.check(field, value, f) {
			continue
		}
		if !placeholder.In(value) && slices.Index(values, value) < i {
			p.addf("%s: %q is in the list twice: remove one", field, value)
		}
	}
}

// oneOf checks a field with few possible values; empty is the default.
func (p *problems) oneOf(field, value string, allowed ...string) {
	if value == "" || placeholder.In(value) || slices.Contains(allowed, value) {
		return
	}
	p.addf("%s: %q is unknown: use %s", field, value, quotedList(allowed))
}

func quotedList(values []string) string {
	quoted := make([]string, len(values))
	for i, value := range values {
		quoted[i] = fmt.Sprintf("%q", value)
	}
	last := len(quoted) - 1
	return strings.Join(quoted[:last], ", ") + " or " + quoted[last]
}
