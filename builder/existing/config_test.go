package existing

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2/hcldec"
	"github.com/hashicorp/hcl/v2/hclparse"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
)

// prepare prepares a builder with the body of its block, as Packer does: HCL by
// the component's own specification.
func prepare(t *testing.T, body string) (*Builder, error) {
	t.Helper()
	b := new(Builder)
	file, diagnostics := hclparse.NewParser().ParseHCL([]byte(body), "test.pkr.hcl")
	if diagnostics.HasErrors() {
		t.Fatal(diagnostics)
	}
	value, diagnostics := hcldec.Decode(file.Body, b.ConfigSpec(), nil)
	if diagnostics.HasErrors() {
		return b, diagnostics
	}
	_, _, err := b.Prepare(value)
	return b, err
}

func TestQuery(t *testing.T) {
	tests := map[string]struct {
		body string
		want ami.Query
	}{
		"by id": {
			"region = \"us-east-1\"\nimage_id = \"ami-01234567\"",
			ami.Query{Region: "us-east-1", ID: "ami-01234567"},
		},
		"by filters": {
			"region = \"cn-north-1\"\nfilters = { name = \"golden-*\" }\nowners = [\"self\", \"123456789012\"]\nmost_recent = true",
			ami.Query{Region: "cn-north-1", Filters: map[string]string{"name": "golden-*"}, Owners: []string{"self", "123456789012"}, MostRecent: true},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b, err := prepare(t, test.body)
			if err != nil {
				t.Fatal(err)
			}
			got, err := b.config.query()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWrongConfigurations(t *testing.T) {
	const region = "region = \"us-east-1\"\n"
	tests := map[string]struct {
		body string
		want []string
	}{
		"nothing":             {``, []string{"region is required", "image_id or filters is required", "2 error(s)"}},
		"zone":                {"region = \"us-east-1a\"\nimage_id = \"ami-01234567\"", []string{`region: "us-east-1a"`, "us-east-1"}},
		"id of a snapshot":    {region + `image_id = "snap-01234567"`, []string{"image_id", "ami- and 8 or 17"}},
		"id and filters":      {region + "image_id = \"ami-01234567\"\nfilters = { name = \"x\" }", []string{"image_id", "image_id conflicts with filters", "Remove one of them"}},
		"id and owners":       {region + "image_id = \"ami-01234567\"\nowners = [\"self\"]", []string{"image_id conflicts with owners and most_recent"}},
		"id and most recent":  {region + "image_id = \"ami-01234567\"\nmost_recent = true", []string{"image_id conflicts with owners and most_recent"}},
		"filters, no owners":  {region + `filters = { name = "x" }`, []string{"owners", "any account can use a name", `owners = ["self"]`}},
		"filters, nil owners": {region + "filters = { name = \"x\" }\nowners = []", []string{"owners", "any account can use a name"}},
		"unknown owner":       {region + "filters = { name = \"x\" }\nowners = [\"me\"]", []string{`owners: "me"`, "12-digit"}},
		"owner twice":         {region + "filters = { name = \"x\" }\nowners = [\"self\", \"self\"]", []string{"owners", "twice"}},
		"empty filter":        {region + "filters = { name = \"\" }\nowners = [\"self\"]", []string{"filters", "Complete the filter"}},
		"bad role":            {region + "image_id = \"ami-01234567\"\nassume_role { role_arn = \"x\" }", []string{"assume_role.role_arn", "arn:aws:iam::"}},
		"unknown argument":    {region + "image_id = \"ami-01234567\"\nami_id = \"x\"", []string{"Unsupported argument", "ami_id"}},
		"owners as text":      {region + "filters = { name = \"x\" }\nowners = \"self\"", []string{"owners", "list of string required"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := prepare(t, test.body)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in:\n%v", want, err)
				}
			}
		})
	}
}

func TestUnknownValuesAreRefusedWhenTheyAreNeeded(t *testing.T) {
	b, err := prepare(t, "region = \"us-east-1\"\nimage_id = \"<unknown>\"")
	if err != nil {
		t.Fatalf("before the build: %v", err)
	}
	if _, err := b.config.query(); err == nil || !strings.Contains(err.Error(), "image_id") {
		t.Errorf("in the build: %v", err)
	}
}
