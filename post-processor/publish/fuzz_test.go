package publish

import (
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2/hcldec"
	"github.com/zclconf/go-cty/cty"

	"github.com/orgami/packer-plugin-orgami/internal/artifact"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
)

// FuzzConfigure: no value makes the configuration panic, and one that is
// accepted makes a specification whose key policy is not open to the world.
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
		if open := document.OpenStatements(); len(open) > 0 || strings.Contains(spec.Key.Alias, "\x00") || spec.WaitTimeout <= 0 {
			t.Errorf("accepted with alias %q, wait timeout %v, policy %s", spec.Key.Alias, spec.WaitTimeout, document)
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
