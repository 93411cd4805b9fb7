package config_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/orgami/packer-plugin-orgami/internal/config"
)

// References that Packer left in place are one error for each kind, and are the
// cause that is named when a value can't be read.
func TestRendered(t *testing.T) {
	problems := func(c any, own ...string) string {
		var p config.Problems
		p.Rendered(c, own...)
		if err := p.Err(); err != nil {
			return err.Error()
		}
		return ""
	}
	got := problems(component{
		common: common{Profile: "${var.profile}"}, Name: "golden-{{timestamp}}", Regions: []string{"{{user `region`}}", "us-east-1"},
		Tags: map[string]string{"{{build `ID`}}": "{{ .SourceImageName }}"}, Key: &block{Alias: "alias/{{user `a`}}-${local.b}"},
	})
	for _, want := range []string{
		"key.alias, name, regions, tags: \"{{user `a`}}\" was not filled in. Functions of legacy JSON templates aren't supported here. Use an HCL template",
		`key.alias, profile: "${local.b}" was not filled in. Packer fills in ${…} only in HCL templates`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in:\n%s", want, got)
		}
	}
	for _, fine := range []component{
		{Name: "{{ }", Regions: []string{"{x}", "$x"}, Tags: map[string]string{"{{ .Name }}": "a"}},
		{Name: "<unknown>"},
	} {
		if got := problems(fine, "tags"); got != "" {
			t.Errorf("%+v: %s", fine, got)
		}
	}
	if got := problems(component{Tags: map[string]string{"of": "${var.x}"}}, "tags"); !strings.Contains(got, "tags") {
		t.Errorf("a tag with ${…}: %q", got)
	}
}

type typed struct {
	Wait  bool `mapstructure:"wait"`
	Inner *struct {
		Count int `mapstructure:"count"`
	} `mapstructure:"inner"`
	Text string `mapstructure:"text"`
}

func TestDecode(t *testing.T) {
	legacy := map[string]any{
		"wait": "{{user `wait`}}", "inner": map[string]any{"count": []uint8("{{user `n`}}")}, "text": "x",
		"packer_user_variables": map[string]any{"other": "{{env `X`}}"},
	}
	var c typed
	err := config.Decode(&c, "orgami-test", legacy)
	if err == nil || !strings.Contains(err.Error(), "inner.count, wait: ") || strings.Contains(err.Error(), "strconv") || strings.Contains(err.Error(), "other") {
		t.Errorf("the error is %v", err)
	}
	if err := config.Decode(&c, "orgami-test", map[string]any{"wait": "maybe"}); err == nil || !strings.Contains(err.Error(), "wait") {
		t.Errorf("another error is %v", err)
	}
	c = typed{}
	if err := config.Decode(&c, "orgami-test", map[string]any{"wait": true, "text": "{{user `x`}}"}); err != nil || !reflect.DeepEqual(c, typed{Wait: true, Text: "{{user `x`}}"}) {
		t.Errorf("%+v, %v", c, err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("{{user `x`}}", "a")
	f.Add("${var.x}", "{{")
	f.Fuzz(func(t *testing.T, value, text string) {
		var c typed
		if err := config.Decode(&c, "orgami-test", map[string]any{"wait": value, "text": text}); err != nil {
			if config.Unrendered(value) && strings.Contains(err.Error(), "strconv") {
				t.Error(err)
			}
			return
		}
		var p config.Problems
		p.Rendered(c)
		if (p.Err() != nil) != config.Unrendered(text) {
			t.Errorf("%q: %v", text, p.Err())
		}
	})
}
