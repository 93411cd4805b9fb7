package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"
)

// Encode returns a document as indented JSON with a line end.
func Encode(document any) ([]byte, error) {
	var buffer bytes.Buffer
	err := stream(&buffer, document)
	return buffer.Bytes(), err
}

func encode(buffer *bytes.Buffer, value any, prefix string) error {
	encoder := json.NewEncoder(buffer)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent(prefix, "  ")
	if err := encoder.Encode(value); err != nil {
		return fmt.Errorf("encoding: %w", err)
	}
	return nil
}

// stream writes a document as indented JSON. It holds only one element of a struct's
// lists at a time, because with thousands of accounts, the text of all grants is many
// times as large as the grants. A field of type [iter.Seq] is a list whose elements are
// created when they are written.
func stream(w io.Writer, document any) error {
	s := streamer{w: w}
	value := reflect.ValueOf(document)
	if _, marshals := document.(json.Marshaler); marshals || value.Kind() != reflect.Struct {
		s.value("", document, "\n")
		return s.err
	}
	s.text("{")
	separator := "\n"
	for i := range value.NumField() {
		name, options, _ := strings.Cut(value.Type().Field(i).Tag.Get("json"), ",")
		field := value.Field(i)
		if strings.Contains(options, "omitempty") && empty(field) {
			continue
		}
		s.text(separator + "  \"" + name + "\": ")
		separator = ",\n"
		if field.Kind() == reflect.Func || field.Kind() == reflect.Slice && field.Len() > 0 {
			s.list(field)
			continue
		}
		s.value("  ", field.Interface(), "")
	}
	s.text("\n}\n")
	return s.err
}

// empty reports whether encoding/json would omit the value with omitempty.
func empty(field reflect.Value) bool {
	switch field.Kind() {
	case reflect.Slice, reflect.Map, reflect.Array, reflect.String:
		return field.Len() == 0
	case reflect.Struct:
		return false
	default:
		return field.IsZero()
	}
}

// streamer keeps the first error.
type streamer struct {
	w      io.Writer
	buffer bytes.Buffer
	err    error
}

func (s *streamer) text(text string) {
	if s.err == nil {
		_, s.err = io.WriteString(s.w, text)
	}
}

func (s *streamer) list(list reflect.Value) {
	const first = "[\n    "
	separator := first
	element := func(value reflect.Value) {
		s.text(separator)
		s.value("    ", value.Interface(), "")
		separator = ",\n    "
	}
	if list.Kind() == reflect.Func && !list.IsNil() {
		for value := range list.Seq() {
			element(value)
		}
	}
	if list.Kind() == reflect.Slice {
		for _, value := range list.Seq2() {
			element(value)
		}
	}
	if separator == first {
		s.text("[]")
		return
	}
	s.text("\n  ]")
}

// value writes a value and the end. All lines but the first get the prefix.
func (s *streamer) value(prefix string, value any, end string) {
	if s.err != nil {
		return
	}
	s.buffer.Reset()
	if s.err = encode(&s.buffer, value, prefix); s.err != nil {
		return
	}
	s.text(strings.TrimSuffix(s.buffer.String(), "\n") + end)
}
