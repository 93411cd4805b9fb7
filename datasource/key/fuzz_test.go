package key

import (
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2/hcldec"
	"github.com/zclconf/go-cty/cty"
)

// FuzzConfigure checks that no value causes a panic, and that an accepted one results
// in a query for exactly one key.
func FuzzConfigure(f *testing.F) {
	f.Add("alias/golden", "", "us-east-1", "eu-west-1", "", "arn:aws:iam::111111111111:role/r")
	f.Add("", "mrk-0123456789abcdef0123456789abcdef", "", "", "http://127.0.0.1:1", "")
	f.Add("\x00", "arn:aws:kms:*:111111111111:key/mrk-0123456789abcdef0123456789abcdef", "us-east-1\n", "us-east-1", "://", "*")
	f.Fuzz(func(t *testing.T, alias, id, region, further, endpoint, role string) {
		d := new(Datasource)
		body := map[string]cty.Value{
			"alias": cty.StringVal(alias), "id": cty.StringVal(id), "region": cty.StringVal(region),
			"regions": cty.ListVal([]cty.Value{cty.StringVal(further)}), "endpoint_url": cty.StringVal(endpoint),
		}
		configured := map[string]cty.Value{}
		for name, kind := range hcldec.ImpliedType(d.ConfigSpec()).AttributeTypes() {
			value, ok := body[name]
			if !ok {
				value = cty.NullVal(kind)
			}
			if name == "assume_role" && role != "" {
				attributes := map[string]cty.Value{}
				for name, kind := range kind.AttributeTypes() {
					attributes[name] = cty.NullVal(kind)
				}
				attributes["role_arn"] = cty.StringVal(role)
				value = cty.ObjectVal(attributes)
			}
			configured[name] = value
		}
		if err := d.Configure(cty.ObjectVal(configured)); err != nil {
			return
		}
		query, err := d.config.query()
		if err != nil {
			return
		}
		if !strings.HasPrefix(query.Name, "alias/") && !strings.Contains(query.Name, "mrk-") || strings.ContainsAny(query.Name+query.Region, "\x00\n *") || alias != "" && id != "" {
			t.Errorf("accepted: %+v", query)
		}
	})
}
