package awssim

import (
	"net/url"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// decodeTarget has every kind of field that requests have.
type decodeTarget struct {
	Name    string `param:",required"`
	Count   int
	Size    *int
	On      bool
	Maybe   *bool
	IDs     []string      `param:"Id"`
	Filters []filter      `param:"Filter"`
	Devices []blockDevice `param:"BlockDeviceMapping"`
	Place   struct{ Zone string }
	paging
}

func query(t *testing.T, text string) url.Values {
	t.Helper()
	form, err := url.ParseQuery(text)
	if err != nil {
		t.Fatal(err)
	}
	return form
}

func TestDecodeParams(t *testing.T) {
	yes, no, eight, ten, empty := true, false, 8, 10, ""
	for text, want := range map[string]decodeTarget{
		"Name=a":                             {Name: "a"},
		"Action=X&Version=2016-11-15&Name=a": {Name: "a"},
		"Name=a&Count=-3&Size=8&On=true":     {Name: "a", Count: -3, Size: &eight, On: true},
		// false differs from an absent value
		"Name=a&Maybe=false":       {Name: "a", Maybe: &no},
		"Name=a&Maybe=true":        {Name: "a", Maybe: &yes},
		"Name=a&Place.Zone=z":      {Name: "a", Place: struct{ Zone string }{"z"}},
		"Name=a&MaxResults=10":     {Name: "a", paging: paging{MaxResults: &ten}},
		"Name=a&Id.1=x&Id.2=y":     {Name: "a", IDs: []string{"x", "y"}},
		"Name=a&Id.10=y&Id.9=x":    {Name: "a", IDs: []string{"x", "y"}}, // by number, not by text
		"Name=a&Id.1=&NextToken=t": {Name: "a", IDs: []string{""}, paging: paging{NextToken: "t"}},
		"Name=a&Filter.1.Name=n&Filter.1.Value.1=v&Filter.1.Value.2=w&Filter.2.Name=m&Filter.2.Value.1=u": {
			Name: "a", Filters: []filter{{"n", []string{"v", "w"}}, {"m", []string{"u"}}},
		},
		"Name=a&BlockDeviceMapping.1.DeviceName=/dev/xvda&BlockDeviceMapping.1.Ebs.SnapshotId=snap-1&BlockDeviceMapping.1.Ebs.Encrypted=false": {
			Name: "a", Devices: []blockDevice{{DeviceName: "/dev/xvda", EBS: &blockDeviceEBS{SnapshotID: "snap-1", Encrypted: &no}}},
		},
		"Name=a&BlockDeviceMapping.1.DeviceName=/dev/xvdb&BlockDeviceMapping.1.NoDevice=": {
			Name: "a", Devices: []blockDevice{{DeviceName: "/dev/xvdb", NoDevice: &empty}},
		},
	} {
		t.Run(text, func(t *testing.T) {
			var got decodeTarget
			if problem := decodeParams(query(t, text), &got); problem != nil {
				t.Fatal(problem)
			}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(decodeTarget{})); diff != "" {
				t.Errorf("decoded (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeParamsRefuses(t *testing.T) {
	for text, code := range map[string]string{
		"":                                 "MissingParameter",
		"Name=":                            "MissingParameter",
		"Name=a&Filter.1.Name=n":           "MissingParameter",
		"Name=a&Filter.1.Value.1=v":        "MissingParameter",
		"Name=a&Other=x":                   "UnknownParameter",
		"Name=a&Name.1=x":                  "UnknownParameter",
		"Name=a&Place=x":                   "UnknownParameter",
		"Name=a&Place.City=x":              "UnknownParameter",
		"Name=a&Name=b":                    "InvalidParameterValue",
		"Name=a&Count=many":                "InvalidParameterValue",
		"Name=a&Size=":                     "InvalidParameterValue",
		"Name=a&On=True":                   "InvalidParameterValue",
		"Name=a&Id.0=x":                    "InvalidParameterValue",
		"Name=a&Id.01=x":                   "InvalidParameterValue",
		"Name=a&Id.-1=x":                   "InvalidParameterValue",
		"Name=a&Id.x=x":                    "InvalidParameterValue",
		"Name=a&Id.1.Name=x":               "UnknownParameter",
		"Name=a&Filter.1.Values.1=v":       "MissingParameter",
		"Name=a&Id.99999999999999999999=x": "InvalidParameterValue",
	} {
		t.Run(text, func(t *testing.T) {
			var got decodeTarget
			problem := decodeParams(query(t, text), &got)
			if problem == nil {
				t.Fatalf("decoded as %+v, want %s", got, code)
			}
			if problem.Code != code {
				t.Errorf("problem is %v, want %s", problem, code)
			}
		})
	}
}

// FuzzDecodeParams checks that the result contains every parameter that was accepted,
// so that none is ignored.
func FuzzDecodeParams(f *testing.F) {
	for _, seed := range []string{
		"Name=a&Count=1&On=true&Maybe=false",
		"Name=a&Id.1=x&Id.3=y",
		"Name=a&Filter.1.Name=n&Filter.1.Value.1=v",
		"Name=a&BlockDeviceMapping.1.DeviceName=d&BlockDeviceMapping.1.Ebs.VolumeSize=8",
		"Name=a&Id.1.1=x", "Name=a&Id.=x", "Name=a&.=x", "Name=a&Place.=x", "Name=%ff&NextToken=%00",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		form, err := url.ParseQuery(text)
		if err != nil {
			return
		}
		var got decodeTarget
		if decodeParams(form, &got) != nil {
			return
		}
		form.Del("Action")
		form.Del("Version")
		if scalars := countScalars(reflect.ValueOf(got)); len(form) > scalars {
			t.Errorf("of %d parameters %d were decoded: %v", len(form), scalars, form)
		}
		var again decodeTarget
		if problem := decodeParams(form, &again); problem != nil || !reflect.DeepEqual(got, again) {
			t.Errorf("decoded again as %+v (%v), not %+v", again, problem, got)
		}
	})
}

// countScalars counts the values of a decoded struct that can have come from a
// parameter.
func countScalars(v reflect.Value) int {
	count := 0
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			count += countScalars(v.Elem())
		}
	case reflect.Struct:
		for _, field := range v.Fields() {
			count += countScalars(field)
		}
	case reflect.Slice:
		for i := range v.Len() {
			count += countScalars(v.Index(i))
		}
	default:
		count++
	}
	return count
}
