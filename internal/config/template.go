package config

import (
	"cmp"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	sdkconfig "github.com/hashicorp/packer-plugin-sdk/template/config"
)

// reference is a part of a value that a template should have filled in.
var reference = regexp.MustCompile(`(?s)\{\{.*?\}\}|\$\{.*?\}`)

// Unrendered reports whether the value has a reference that Packer left as it is:
// {{…}} of a legacy JSON template, or ${…} where Packer evaluates none.
func Unrendered(value string) bool { return reference.MatchString(value) }

// Decode reads the configuration of a component into the target, which is a pointer
// to a struct. name is the component's, for example orgami-publish. It interpolates
// nothing.
func Decode(target any, name string, raws ...any) error {
	err := sdkconfig.Decode(target, &sdkconfig.DecodeOpts{PluginType: name}, raws...)
	if err == nil {
		return nil
	}
	var p Problems
	for _, raw := range raws { // Decode has turned HCL into maps
		p.unrendered(func(found func(field, value string)) { walkRaw(reflect.ValueOf(raw), "", found) }, nil)
	}
	if problems := p.Err(); problems != nil {
		return problems // the cause of a number or a duration that couldn't be read
	}
	return err
}

// Rendered adds a problem for the fields with references that Packer left as they
// are. The plugin fills in {{…}} in the fields of own itself.
func (p *Problems) Rendered(config any, own ...string) {
	p.unrendered(func(found func(field, value string)) { walk(reflect.ValueOf(config), "", found) }, own)
}

func (p *Problems) unrendered(walk func(found func(field, value string)), own []string) {
	type reported struct{ field, example string }
	var all []reported
	walk(func(field, value string) {
		for _, found := range reference.FindAllString(value, -1) {
			if found[:2] != "{{" || !slices.Contains(own, field) {
				all = append(all, reported{field, found})
			}
		}
	})
	slices.SortFunc(all, func(a, b reported) int {
		return cmp.Or(cmp.Compare(a.field, b.field), cmp.Compare(a.example, b.example))
	})
	for _, kind := range []struct{ begin, remedy string }{
		{"{{", "Functions of legacy JSON templates aren't supported here. Use an HCL template; packer hcl2_upgrade converts a JSON template into one"},
		{"${", "Packer fills in ${…} only in HCL templates, and not after $${. Correct the reference, or write the value"},
	} {
		var fields []string
		var example string
		for _, r := range all {
			if strings.HasPrefix(r.example, kind.begin) {
				fields, example = append(fields, r.field), cmp.Or(example, r.example)
			}
		}
		if len(fields) > 0 {
			p.Addf("%s: %q was not filled in. %s", strings.Join(slices.Compact(fields), ", "), example, kind.remedy)
		}
	}
}

// walkRaw calls found for each text of a configuration before it is decoded, except
// those that Packer adds.
func walkRaw(value reflect.Value, path string, found func(field, value string)) {
	switch value.Kind() {
	case reflect.String:
		found(path, value.String())
	case reflect.Interface:
		walkRaw(value.Elem(), path, found)
	case reflect.Slice:
		if text, is := reflect.TypeAssert[[]byte](value); is {
			found(path, string(text))
			return
		}
		for i := range value.Len() {
			walkRaw(value.Index(i), path, found)
		}
	case reflect.Map:
		for entries := value.MapRange(); entries.Next(); {
			if name := fmt.Sprint(entries.Key()); !strings.HasPrefix(name, "packer_") {
				walkRaw(entries.Value(), strings.TrimPrefix(path+"."+name, "."), found)
			}
		}
	}
}
