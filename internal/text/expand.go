package text

import (
	"fmt"
	"strings"
	"text/template"
	"text/template/parse"
)

// Expand fills in a text of the configuration with what a Packer template can't
// know when it is written, such as {{ .SourceImageName }}, from the fields of a
// struct. A text that refers to anything else, or does more than to refer, is an
// error. A text without {{ stays as it is.
func Expand(text string, data any) (string, error) {
	if !strings.Contains(text, "{{") {
		return text, nil
	}
	parsed, err := template.New("value").Parse(text)
	if err != nil {
		return "", err
	}
	if parsed.Tree == nil || len(parsed.Templates()) > 1 { // it defines further ones
		return "", fmt.Errorf("%s: only fields can be filled in, as {{ .Name }}", text)
	}
	for _, node := range parsed.Root.Nodes {
		if !refers(node) {
			return "", fmt.Errorf("%s: only fields can be filled in, as {{ .Name }}", node)
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
