package awssim

import (
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// decodeParams reads the parameters of EC2's query protocol into the struct
// that into points to. A field is the parameter of its name, or of its param
// tag; a tag that ends in ",required" rejects its absence. Slices are
// Name.1, Name.2, …; structs are Name.Field; embedded ones (by Go or by the tag
// ",embedded") add their fields. The tag "-" says that a field isn't a parameter.
// A pointer stays nil if the parameter is absent, so that a handler can tell
// false or "" from nothing.
//
// A parameter that the struct doesn't have is an error. This is stricter than AWS, so
// that the simulator never ignores a parameter silently.
func decodeParams(form url.Values, into any) *Error {
	d := paramDecoder{unread: url.Values{}}
	for name, values := range form {
		if name == "Action" || name == "Version" {
			continue
		}
		if len(values) != 1 {
			return badRequest("InvalidParameterValue", "the parameter %s is given %d times", name, len(values))
		}
		d.unread[name] = values
	}
	if problem := d.fields(reflect.ValueOf(into).Elem(), ""); problem != nil {
		return problem
	}
	if len(d.unread) > 0 {
		return badRequest("UnknownParameter", "the simulator does not know the parameter %s", slices.Min(slices.Collect(maps.Keys(d.unread))))
	}
	return nil
}

// paramDecoder consumes a form.
type paramDecoder struct {
	unread url.Values
}

// fields reads the parameters below prefix, which is empty or ends in a dot,
// into the fields of a struct.
func (d *paramDecoder) fields(s reflect.Value, prefix string) *Error {
	for i := range s.NumField() {
		field := s.Type().Field(i)
		name, option, _ := strings.Cut(field.Tag.Get("param"), ",")
		if field.Anonymous || option == "embedded" {
			if problem := d.fields(s.Field(i), prefix); problem != nil {
				return problem
			}
			continue
		}
		if name == "-" {
			continue
		}
		if name == "" {
			name = field.Name
		}
		name = prefix + name
		if option == "required" && (!d.has(name) || d.unread.Get(name) == "" && field.Type.Kind() == reflect.String) {
			return badRequest("MissingParameter", "The request must contain the parameter %s", name)
		}
		if problem := d.value(s.Field(i), name); problem != nil {
			return problem
		}
	}
	return nil
}

// has reports whether there is a parameter of the name or below it.
func (d *paramDecoder) has(name string) bool {
	if d.unread.Has(name) {
		return true
	}
	for n := range d.unread {
		if strings.HasPrefix(n, name+".") {
			return true
		}
	}
	return false
}

func (d *paramDecoder) value(v reflect.Value, name string) *Error {
	if !d.has(name) {
		return nil
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return d.value(v.Elem(), name)
	case reflect.Struct:
		return d.fields(v, name+".")
	case reflect.Slice:
		return d.list(v, name)
	default:
		return d.scalar(v, name)
	}
}

// longestList is the highest number of an element; AWS's longest lists are
// shorter.
const longestList = 10_000

// list reads name.1, name.2, … in the order of their numbers, which need not be
// dense.
func (d *paramDecoder) list(v reflect.Value, name string) *Error {
	numbers := map[int]bool{}
	for n := range d.unread {
		rest, below := strings.CutPrefix(n, name+".")
		if !below {
			continue
		}
		digits, _, _ := strings.Cut(rest, ".")
		number, err := strconv.Atoi(digits)
		if err != nil || number < 1 || number > longestList || strconv.Itoa(number) != digits {
			return badRequest("InvalidParameterValue", "%s is not numbered as a list is", n)
		}
		numbers[number] = true
	}
	for _, number := range slices.Sorted(maps.Keys(numbers)) {
		element := reflect.New(v.Type().Elem()).Elem()
		if problem := d.value(element, name+"."+strconv.Itoa(number)); problem != nil {
			return problem
		}
		v.Set(reflect.Append(v, element))
	}
	return nil
}

func (d *paramDecoder) scalar(v reflect.Value, name string) *Error {
	if !d.unread.Has(name) { // only name.something is there, which stays unread
		return nil
	}
	text := d.unread.Get(name)
	d.unread.Del(name)
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		if text != "true" && text != "false" {
			return badRequest("InvalidParameterValue", "Invalid value %q for boolean %s", text, name)
		}
		v.SetBool(text == "true")
	case reflect.Int:
		number, err := strconv.Atoi(text)
		if err != nil {
			return badRequest("InvalidParameterValue", "Invalid value %q for integer %s", text, name)
		}
		v.SetInt(int64(number))
	default:
		panic("awssim: a request has a field of kind " + v.Kind().String())
	}
	return nil
}
