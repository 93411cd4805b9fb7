package existing

import (
	"testing"

	"github.com/hashicorp/hcl/v2/hcldec"
	"github.com/zclconf/go-cty/cty"

	"github.com/orgami/packer-plugin-orgami/internal/config/pattern"
)

// FuzzPrepare checks that no value causes a panic, and that an accepted one names an
// image or an owner.
func FuzzPrepare(f *testing.F) {
	f.Add("us-east-1", "ami-01234567", "", "", "")
	f.Add("us-east-1", "", "name", "golden-*", "self")
	f.Add("us-east-1\n", "ami-0123456\x00", "", "*", "*")
	f.Fuzz(func(t *testing.T, region, id, filter, value, owner string) {
		b := new(Builder)
		body := map[string]cty.Value{"region": cty.StringVal(region), "image_id": cty.StringVal(id)}
		if filter+value != "" {
			body["filters"] = cty.MapVal(map[string]cty.Value{filter: cty.StringVal(value)})
		}
		if owner != "" {
			body["owners"] = cty.ListVal([]cty.Value{cty.StringVal(owner)})
		}
		configured := map[string]cty.Value{}
		for name, kind := range hcldec.ImpliedType(b.ConfigSpec()).AttributeTypes() {
			configured[name] = cty.NullVal(kind)
			if value, ok := body[name]; ok {
				configured[name] = value
			}
		}
		if _, _, err := b.Prepare(cty.ObjectVal(configured)); err != nil {
			return
		}
		query, err := b.config.query()
		if err != nil {
			return
		}
		if !pattern.Region.Match(query.Region) || (query.ID == "") == (len(query.Owners) == 0) {
			t.Errorf("accepted: %+v", query)
		}
	})
}
