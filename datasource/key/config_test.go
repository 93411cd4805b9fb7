package key

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2/hcldec"
	"github.com/hashicorp/hcl/v2/hclparse"

	"github.com/orgami/packer-plugin-orgami/internal/kmskey"
)

const (
	id     = "mrk-0123456789abcdef0123456789abcdef"
	keyARN = "arn:aws:kms:us-east-1:111111111111:key/" + id
)

// configure configures a data source with the body of its block, as Packer does:
// HCL by the component's own specification.
func configure(t *testing.T, body string) (*Datasource, error) {
	t.Helper()
	d := new(Datasource)
	file, diagnostics := hclparse.NewParser().ParseHCL([]byte(body), "test.pkr.hcl")
	if diagnostics.HasErrors() {
		t.Fatal(diagnostics)
	}
	value, diagnostics := hcldec.Decode(file.Body, d.ConfigSpec(), nil)
	if diagnostics.HasErrors() {
		return d, diagnostics
	}
	return d, d.Configure(value)
}

func TestQuery(t *testing.T) {
	tests := map[string]struct {
		body string
		want kmskey.Query
	}{
		"alias": {`alias = "alias/golden"`, kmskey.Query{Name: "alias/golden"}},
		"id": {
			"id = \"" + id + "\"\nregion = \"eu-west-1\"\nregions = [\"eu-west-1\", \"us-gov-west-1\"]",
			kmskey.Query{Name: id, Region: "eu-west-1", Regions: []string{"eu-west-1", "us-gov-west-1"}},
		},
		"ARN": {`id = "` + keyARN + `"`, kmskey.Query{Name: keyARN}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d, err := configure(t, test.body)
			if err != nil {
				t.Fatal(err)
			}
			got, err := d.config.query()
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
	tests := map[string]struct {
		body string
		want []string
	}{
		"nothing":           {``, []string{"alias or id is required"}},
		"both":              {"alias = \"alias/x\"\nid = \"" + id + "\"", []string{"alias conflicts with id"}},
		"alias without":     {`alias = "golden"`, []string{`alias: "golden" is not an alias`, `write "alias/golden"`}},
		"single-Region key": {`id = "12345678-1234-1234-1234-123456789012"`, []string{"is not the ID or ARN of a multi-Region key", "mrk-"}},
		"alias as id":       {`id = "alias/golden"`, []string{"is not the ID or ARN of a multi-Region key"}},
		"zone":              {"alias = \"alias/x\"\nregion = \"us-east-1a\"", []string{`region: "us-east-1a"`}},
		"regions":           {"alias = \"alias/x\"\nregions = [\"\", \"eu-west-1\", \"eu-west-1\", \"europe\"]", []string{`regions: ""`, `regions: "europe"`, "twice", "3 error(s)"}},
		"everything":        {"id = \"x\"\nregion = \"y\"\nendpoint_url = \"z\"\nassume_role {\nrole_arn = \"w\"\n}", []string{"4 error(s)"}},
		"unknown argument":  {"alias = \"alias/x\"\nname = \"y\"", []string{"Unsupported argument"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := configure(t, test.body)
			if err == nil {
				t.Fatal("it is accepted")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
		})
	}
}

// A value that isn't known when Packer reads data sources is an error that names it.
func TestUnknownValue(t *testing.T) {
	d, err := configure(t, `alias = "alias/<unknown>"`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Execute(); err == nil || !strings.Contains(err.Error(), "[alias]") {
		t.Errorf("error is %v", err)
	}
}

func TestNoRegion(t *testing.T) {
	for _, variable := range []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"} {
		t.Setenv(variable, "")
	}
	t.Setenv("AWS_CONFIG_FILE", t.TempDir()+"/none")
	d, err := configure(t, `alias = "alias/golden"`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Execute(); err == nil || !strings.Contains(err.Error(), "region is required") {
		t.Errorf("error is %v", err)
	}
}
