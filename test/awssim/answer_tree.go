package awssim

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// transform decodes a successful response, changes its top level, and encodes it again.
// A response without a body keeps none, unless the change adds members.
func (p protocol) transform(body []byte, change func(object) object) ([]byte, error) {
	if p == jsonProtocol {
		return transformJSON(body, change)
	}
	root, attributes, value, err := decodeXML(body)
	if err != nil {
		return nil, err
	}
	top, _ := value.(object) // "" for an element without children
	if p == queryProtocol {
		name := root[:len(root)-len("Response")] + "Result"
		if result, has := top[name]; has {
			inner, _ := result.(object)
			top = object{name: change(inner), "ResponseMetadata": top["ResponseMetadata"]}
		}
	} else {
		top = change(top)
	}
	var buffer bytes.Buffer
	buffer.WriteString(xml.Header)
	encoder := xml.NewEncoder(&buffer)
	item := "item"
	if p == queryProtocol {
		item = "member"
	}
	err = encodeXML(encoder, xml.StartElement{Name: xml.Name{Local: root}, Attr: attributes}, item, top)
	if err == nil {
		err = encoder.Close()
	}
	return buffer.Bytes(), err
}

func transformJSON(body []byte, change func(object) object) ([]byte, error) {
	top := object{}
	if len(body) > 0 {
		decoder := json.NewDecoder(bytes.NewReader(body))
		decoder.UseNumber()
		if err := decoder.Decode(&top); err != nil {
			return nil, err
		}
	}
	return json.Marshal(change(top))
}

// decodeXML decodes a document into its root element's name, attributes, and
// value.
func decodeXML(body []byte) (root string, attributes []xml.Attr, value any, err error) {
	decoder := xml.NewDecoder(bytes.NewReader(body))
	for {
		token, err := decoder.RawToken()
		if err != nil {
			return "", nil, nil, fmt.Errorf("reading the root element: %w", err)
		}
		if start, ok := token.(xml.StartElement); ok {
			value, err := decodeElement(decoder)
			return start.Name.Local, start.Attr, value, err
		}
	}
}

// decodeElement reads up to the end of an element whose start has been read. It
// returns a list if all children are list items, an object if there are other
// children, and otherwise the text.
func decodeElement(decoder *xml.Decoder) (any, error) {
	var text strings.Builder
	var list []any
	members := object{}
	for {
		token, err := decoder.RawToken()
		if err != nil {
			return nil, fmt.Errorf("reading an element: %w", err)
		}
		switch t := token.(type) {
		case xml.CharData:
			text.Write(t)
		case xml.StartElement:
			child, err := decodeElement(decoder)
			if err != nil {
				return nil, err
			}
			if name := t.Name.Local; name == "item" || name == "member" {
				list = append(list, child)
			} else {
				members[name] = child
			}
		case xml.EndElement:
			switch {
			case list != nil:
				return list, nil
			case len(members) > 0:
				return members, nil
			default:
				return text.String(), nil
			}
		}
	}
}

// encodeXML writes a value as an element, members in the order of their names.
func encodeXML(encoder *xml.Encoder, start xml.StartElement, item string, value any) error {
	if err := encoder.EncodeToken(start); err != nil {
		return err
	}
	element := func(name string, value any) error {
		return encodeXML(encoder, xml.StartElement{Name: xml.Name{Local: name}}, item, value)
	}
	switch v := value.(type) {
	case object:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if err := element(name, v[name]); err != nil {
				return err
			}
		}
	case []any:
		for _, e := range v {
			if err := element(item, e); err != nil {
				return err
			}
		}
	case string:
		if err := encoder.EncodeToken(xml.CharData(v)); err != nil {
			return err
		}
	}
	return encoder.EncodeToken(start.End())
}
