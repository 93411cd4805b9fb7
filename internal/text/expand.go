package text

import (
	"fmt"
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
	if err != nil {
		return "", err
	}
	if parsed.Tree == nil || len(parsed.Templates()) > 1 { // it defines additional templates
		return "", fmt.Errorf("%s: only fields are supported, for example {{ .Name }}", text)
	}
	for _, node := range parsed.Root.Nodes {
		if !refers(node) {
			return "", fmt.Errorf("%s: only fields are supported, for example {{ .Name }}", node)
		}
	}
	var filled strings.Builder
	if err := parsed.Execute(&filled, data); err != nil {
		return "", err
	}
	return filled.String(), nil
}

// refers reports whether a node is text, or a field and nothing else: loops and
// functions could take any time.
func refers(node parse.Node) bool {
	switch node := node.(type) {
	case *parse.TextNode:
		return true
	case *parse.ActionNode:
		if len(node.Pipe.Decl) > 0 || len(node.Pipe.Cmds) != 1 || len(node.Pipe.Cmds[0].Args) != 1 {
			return false
		}
		field, is := node.Pipe.Cmds[0].Args[0].(*parse.FieldNode)
		return is && len(field.Ident) == 1
	default:
		return false
	}
}
