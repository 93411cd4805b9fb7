package text

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"text/template"
	"text/template/parse"
)

// Expand fills in values that a Packer template can't know when it is written,
// for example {{ .SourceImageName }}. The values are the fields of a struct. It
// returns an error if the text refers to anything else, or uses more of the
// template language than references. It returns a text without {{ unchanged.
func Expand(text string, data any) (string, error) {
	if !strings.Contains(text, "{{") {
		return text, nil
	}
	parsed, err := template.New("value").Parse(text)
	if err != nil || parsed.Tree == nil || len(parsed.Templates()) > 1 { // it calls functions, or defines additional templates
		return "", errors.New("functions can't be used here")
	}
	for _, node := range parsed.Root.Nodes {
		name, is := refers(node)
		if !is {
			return "", fmt.Errorf("%s can't be filled in", node)
		}
		if _, found := reflect.TypeOf(data).FieldByName(name); name != "" && !found {
			return "", fmt.Errorf("%s is not a value that can be filled in", node)
		}
	}
	var filled strings.Builder
	if err := parsed.Execute(&filled, data); err != nil {
		return "", fmt.Errorf("it can't be filled in: %w", err) // not of a known text
	}
	return filled.String(), nil
}

// refers reports whether a node is text or only a field, and returns the field's name.
// Loops and functions aren't allowed, because they could take any time.
func refers(node parse.Node) (field string, is bool) {
	switch node := node.(type) {
	case *parse.TextNode:
		return "", true
	case *parse.ActionNode:
		if len(node.Pipe.Decl) > 0 || len(node.Pipe.Cmds) != 1 || len(node.Pipe.Cmds[0].Args) != 1 {
			return "", false
		}
		field, is := node.Pipe.Cmds[0].Args[0].(*parse.FieldNode)
		if !is || len(field.Ident) != 1 {
			return "", false
		}
		return field.Ident[0], true
	default:
		return "", false
	}
}
