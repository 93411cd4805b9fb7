package config_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/internal/config"
)

type common struct {
	Profile string `mapstructure:"profile"`
}

type block struct {
	Alias string `mapstructure:"alias"`
}

type component struct {
	common  `mapstructure:",squash"`
	Name    string            `mapstructure:"name"`
	Regions []string          `mapstructure:"regions"`
	Tags    map[string]string `mapstructure:"tags"`
	Key     *block            `mapstructure:"key"`
	Other   *block            `mapstructure:"other"`
	derived string
}

func TestUnknownFields(t *testing.T) {
	c := component{
		common: common{Profile: "<unknown>"}, Name: "golden-<unknown>", Regions: []string{"us-east-1", "<unknown>", "<unknown>"},
		Tags: map[string]string{"a": "b", "c": "<unknown>"}, Key: &block{Alias: "alias/<unknown>"}, derived: "<unknown>",
	}
	want := []string{"key.alias", "name", "profile", "regions", "tags"}
	if diff := cmp.Diff(want, config.UnknownFields(c)); diff != "" {
		t.Error(diff)
	}
	if got := config.UnknownFields(component{Name: "unknown", Key: &block{Alias: "<known>"}}); len(got) > 0 {
		t.Errorf("found %v where all is known", got)
	}
}
