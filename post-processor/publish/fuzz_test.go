package publish

import (
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2/hcldec"
	"github.com/zclconf/go-cty/cty"

	"github.com/orgami/packer-plugin-orgami/internal/artifact"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
)

// FuzzConfigure checks that no value makes the configuration panic, and that an
// accepted configuration never leads to a public key policy.
func FuzzConfigure(f *testing.F) {
	f.Add("eu-west-1", "alias/golden", "222222222222", "arn:aws:organizations::999999999999:ou/o-exampleorgid/ou-root-12345678", "arn:aws:iam::111111111111:role/admin", "90m")
	f.Add("", "alias/aws/ebs", "*", "arn:aws:organizations::999999999999:ou/*/*", "*", "-1s")
	f.Add("eu-west-1,", "\x00", "1", "ou//", "arn:aws:iam::111111111111:*", "9999999999h")
	f.Fuzz(func(t *testing.T, region, alias, account, unit, administrator, timeout string) {
		p := new(PostProcessor)
		list := func(value string) cty.Value { return cty.ListVal([]cty.Value{cty.StringVal(value)}) }
		body := map[string]cty.Value{
			"regions": list(region), "wait_timeout": cty.StringVal(timeout),
			"key":   cty.ObjectVal(map[string]cty.Value{"alias": cty.StringVal(alias), "administrators": list(administrator)}),
			"share": cty.ObjectVal(map[string]cty.Value{"organization": cty.False, "accounts": list(account), "organizational_units": list(unit)}),
		}
		configured := map[string]cty.Value{}
		for name, kind := range hcldec.ImpliedType(p.ConfigSpec()).AttributeTypes() {
			configured[name] = filled(body[name], kind)
		}
		if err := p.Configure(cty.ObjectVal(configured)); err != nil {
			return
		}
		spec, err := p.config.spec([]artifact.Image{{Region: region, ID: "ami-01234567"}})
		if err != nil {
			return
		}
		k := policy.KeyPolicy{
			Partition: "aws", Owner: "111111111111", Variant: spec.Key.Policy, Administrators: spec.Key.Administrators,
			Accounts: spec.Share.Accounts, OrganizationPaths: policy.OrganizationPaths(spec.Share.OrganizationalUnits),
		}
		document, err := k.Merge(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if open := document.PublicStatements(); len(open) > 0 || strings.Contains(spec.Key.Alias, "\x00") || spec.WaitTimeout <= 0 {
			t.Errorf("accepted with alias %q, wait timeout %v, policy %s", spec.Key.Alias, spec.WaitTimeout, document)
		}
	})
}

// FuzzConfigureLife covers the options for the time after publishing. No value
// makes the configuration panic. No accepted configuration retires the
// published image, reverses the steps, or names a parameter that belongs to
// AWS.
func FuzzConfigureLife(f *testing.F) {
	f.Add("golden", "2160h", "720h", "1440h", "2160h", "/golden-ami/{{ .Region }}", "{{ .SourceImageName }}", int64(2), int64(60))
	f.Add("", "-1s", "0s", "", "1", "/aws/x", "{{", int64(0), int64(7))
	f.Add(strings.Repeat("f", 300), "2562047h47m16.854775807s", "1ns", "1ns", "1ns", "//", "{{ range 9 }}{{ end }}", int64(-1), int64(1<<40))
	f.Fuzz(func(t *testing.T, family, deprecated, step1, step2, step3, parameter, tag string, keep, minutes int64) {
		p := new(PostProcessor)
		body := map[string]cty.Value{
			"key":    cty.ObjectVal(map[string]cty.Value{"alias": cty.StringVal("alias/golden")}),
			"family": cty.StringVal(family), "deprecate_after": cty.StringVal(deprecated), "snapshot_copy_duration_minutes": cty.NumberIntVal(minutes),
			"retire": cty.ObjectVal(map[string]cty.Value{
				"keep": cty.NumberIntVal(keep), "deprecate_after": cty.StringVal(step1), "disable_after": cty.StringVal(step2), "delete_after": cty.StringVal(step3),
			}),
			"outputs": cty.ListVal([]cty.Value{cty.StringVal("ssm")}),
			"ssm":     cty.ObjectVal(map[string]cty.Value{"name": cty.StringVal(parameter)}),
			"tags":    cty.MapVal(map[string]cty.Value{"of": cty.StringVal(tag)}),
		}
		configured := map[string]cty.Value{}
		for name, kind := range hcldec.ImpliedType(p.ConfigSpec()).AttributeTypes() {
			configured[name] = filled(body[name], kind)
		}
		if err := p.Configure(cty.ObjectVal(configured)); err != nil {
			return
		}
		spec, err := p.config.spec([]artifact.Image{{Region: "us-east-1", ID: "ami-01234567"}})
		if err != nil {
			return
		}
		r, before := spec.Retire, time.Duration(0)
		for _, age := range []time.Duration{r.DeprecateAfter, r.DisableAfter, r.DeleteAfter} {
			if age != 0 && age <= before {
				t.Errorf("accepted in the wrong order: %+v", r)
			}
			before = max(before, age)
		}
		if r.Keep < 1 || before == 0 || r.Family == "" || spec.Lifecycle.DeprecateAfter < 0 || spec.Lifecycle.DeprecateAfter > maxDeprecation {
			t.Errorf("accepted: %+v, %+v", r, spec.Lifecycle)
		}
		if strings.HasPrefix(strings.ToLower(strings.TrimPrefix(spec.Parameter.Name, "/")), "aws") {
			t.Errorf("accepted the parameter %q", spec.Parameter.Name)
		}
	})
}

// filled is the value with null for every attribute that it lacks, as Packer
// hands it over.
func filled(value cty.Value, kind cty.Type) cty.Value {
	switch {
	case value == cty.NilVal:
		return cty.NullVal(kind)
	case !kind.IsObjectType():
		return value
	}
	attributes := map[string]cty.Value{}
	for name, inner := range kind.AttributeTypes() {
		attributes[name] = cty.NullVal(inner)
		if value.Type().HasAttribute(name) {
			attributes[name] = value.GetAttr(name)
		}
	}
	return cty.ObjectVal(attributes)
}
