package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

// sampleSize is the number of sentences in a sample of each group.
const sampleSize = 40

// group is one kind of text. Its files are given as patterns of git ls-files.
type group struct {
	name  string
	files []string
	texts func(content []byte) ([]block, error)
}

// block is a text without line breaks, and the line of its source where it begins.
type block struct {
	line int
	text string
}

// groups returns what an editor reads: a text belongs to one group. The facts about
// AWS are notes with sources, and the licenses are other people's texts.
func groups() []group {
	return []group{
		{"messages", []string{"*.go", ":!:*_test.go", ":!:test/*", ":!:tools/*"}, messages},
		{"options", []string{"docs-partials/*.mdx"}, paragraphs},
		{"documents", []string{"README.md", "docs/*.md", "docs/*.mdx", ":!:docs/aws-facts.md", ":!:docs/licenses.md"}, paragraphs},
		{"comments", []string{"*.go", ":!:*.hcl2spec.go"}, goComments},
		{"contributing", []string{"CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", ".github/*.md", "test/*.md"}, paragraphs},
	}
}

// sample prints random sentences of each group. Equal seeds print equal sentences as
// long as the files don't change.
func sample(seed uint64) error {
	for _, g := range groups() {
		found, err := g.sentences()
		if err != nil {
			return fmt.Errorf("%s: %w", g.name, err)
		}
		random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // a sample needs no secret
		random.Shuffle(len(found), func(i, j int) { found[i], found[j] = found[j], found[i] })
		fmt.Printf("\n%s: %d of %d sentences, seed %d\n", g.name, min(sampleSize, len(found)), len(found), seed)
		for i, sentence := range found[:min(sampleSize, len(found))] {
			fmt.Printf("%3d %s\n", i+1, sentence)
		}
	}
	return nil
}

// sentences returns the sentences of a group, each after its file and line.
func (g group) sentences() ([]string, error) {
	list, err := exec.CommandContext(context.Background(), "git", append([]string{"ls-files", "--"}, g.files...)...).Output()
	if err != nil {
		return nil, fmt.Errorf("git ls-files: %w", err)
	}
	var found []string
	for name := range strings.FieldsSeq(string(list)) {
		content, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		blocks, err := g.texts(content)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for _, b := range blocks {
			for _, sentence := range split(b.text) {
				found = append(found, fmt.Sprintf("%s:%d: %s", name, b.line, sentence))
			}
		}
	}
	return found, nil
}

var (
	sentenceEnd = regexp.MustCompile("[.?!][)\"'*`”]* +(?:[A-Z`*\\[(\"“]|%[a-z])")
	spaces      = regexp.MustCompile(`\s+`)
	letters     = regexp.MustCompile(`\pL{2,}`)
	code        = regexp.MustCompile("`[^`]*`")
)

// split returns the sentences of a text that have at least four words besides code.
func split(text string) []string {
	text = strings.TrimSpace(spaces.ReplaceAllString(text, " "))
	var found []string
	for text != "" {
		end := len(text)
		if at := sentenceEnd.FindStringIndex(text); at != nil {
			end = at[0] + strings.Index(text[at[0]:], " ")
		}
		if sentence := text[:end]; len(letters.FindAllString(code.ReplaceAllString(sentence, ""), 4)) == 4 {
			found = append(found, sentence)
		}
		text = strings.TrimSpace(text[end:])
	}
	return found
}

var (
	item      = regexp.MustCompile(`^\s*(?:[-*]|\d+\.) `)
	tableCell = regexp.MustCompile(`(^|[^\\])\|`)
)

// paragraphs returns the paragraphs, list items and table cells of a Markdown document.
func paragraphs(content []byte) ([]block, error) {
	var found []block
	fenced, open := false, false // in a code block; in a paragraph that the next line continues
	lines := bufio.NewScanner(bytes.NewReader(content))
	for number := 1; lines.Scan(); number++ {
		line := lines.Text()
		text := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(text, "```"):
			fenced, open = !fenced, false
		case fenced:
		case text == "", strings.HasPrefix(text, "<!--"), strings.HasPrefix(text, "@include"), strings.HasPrefix(text, "|--"), strings.HasPrefix(text, "| --"):
			open = false
		case strings.HasPrefix(text, "|"):
			open = false
			for _, cell := range tableCell.Split(text, -1) {
				found = append(found, block{number, cell})
			}
		case strings.HasPrefix(text, "#"):
			open = false
			found = append(found, block{number, strings.TrimLeft(text, "# ")})
		case open && !item.MatchString(line):
			found[len(found)-1].text += " " + text
		default:
			open = true
			found = append(found, block{number, item.ReplaceAllString(line, "")})
		}
	}
	return found, lines.Err()
}

var directive = regexp.MustCompile(`^(?:[a-z]+:[a-z]|nolint|Code generated)`)

// goComments returns the comments of a Go file.
func goComments(content []byte) ([]block, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "", content, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var found []block
	for _, comments := range file.Comments {
		if text := comments.Text(); !directive.MatchString(text) {
			for part := range strings.SplitSeq(text, "\n\n") {
				found = append(found, block{files.Position(comments.Pos()).Line, part})
			}
		}
	}
	return found, nil
}

// messages returns the strings of a Go file, as [literals] does, without tags of
// fields and without what isn't prose.
func messages(content []byte) ([]block, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "", content, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var found []block
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Field:
			return n.Tag == nil
		case *ast.BasicLit:
			if text, err := strconv.Unquote(n.Value); n.Kind == token.STRING && err == nil && strings.Contains(text, " ") {
				found = append(found, block{files.Position(n.Pos()).Line, text})
			}
		}
		return true
	})
	return found, nil
}
