// Command prose extracts what vale can't see by itself: the strings of Go files, and
// the comments of HCL, Terraform, shell, Make and YAML files.
//
//	go run ./tools/prose DIR
//
// writes a text file for every tracked file into DIR, with each text on the line that
// it has in the source, so that vale's line numbers are right.
//
//	go run ./tools/prose -sample SEED
//
// prints random sentences for an editor to read: 40 each of the messages, the options'
// docstrings, the documents, the Go comments, and the texts for contributors.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

func main() {
	seed := flag.Uint64("sample", 0, "print random sentences, chosen by this `seed`")
	flag.Parse()
	var err error
	switch {
	case *seed != 0 && flag.NArg() == 0:
		err = sample(*seed)
	case *seed == 0 && flag.NArg() == 1:
		err = extract(flag.Arg(0))
	default:
		fmt.Fprintln(os.Stderr, "usage: prose DIR, or prose -sample SEED")
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "prose:", err)
		os.Exit(1)
	}
}

func extract(into string) error {
	list, err := exec.CommandContext(context.Background(), "git", "ls-files", "-z", "--", "*.go", "*.hcl", "*.tf", "*.sh", "*.yml", "*.yaml", "GNUmakefile", ":!:*/testdata/*", ":!:tools/vale").Output()
	if err != nil {
		return fmt.Errorf("git ls-files: %w", err)
	}
	for name := range strings.SplitSeq(strings.Trim(string(list), "\x00"), "\x00") {
		content, err := os.ReadFile(name)
		if errors.Is(err, os.ErrNotExist) {
			continue // deleted and not committed yet
		}
		if err != nil {
			return err
		}
		lines := comments(content)
		if strings.HasSuffix(name, ".go") {
			if lines, err = literals(name, content); err != nil {
				return err
			}
		}
		out := filepath.Join(into, name+".txt")
		if err := os.MkdirAll(filepath.Dir(out), 0o750); err != nil {
			return err
		}
		if err := os.WriteFile(out, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// literals returns the strings of a Go file that are prose, by line: those with a
// space in them.
func literals(name string, content []byte) ([]string, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, content, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	lines := make([]string, bytes.Count(content, []byte("\n"))+1)
	ast.Inspect(file, func(n ast.Node) bool {
		literal, ok := n.(*ast.BasicLit)
		if !ok || literal.Kind != token.STRING {
			return true
		}
		text, err := strconv.Unquote(literal.Value)
		if err != nil || !strings.Contains(text, " ") {
			return true
		}
		first := files.Position(literal.Pos()).Line - 1
		if !strings.HasPrefix(literal.Value, "`") {
			text = strings.ReplaceAll(text, "\n", " ")
		}
		for i, line := range strings.Split(text, "\n") {
			lines[first+i] = strings.TrimSpace(lines[first+i] + " " + line)
		}
		return true
	})
	return lines, nil
}

var comment = regexp.MustCompile(`(?:^|\s)#+ (.*)`)

// comments returns what follows a # on each line.
func comments(content []byte) []string {
	var lines []string
	for line := range strings.Lines(string(content)) {
		text := ""
		if found := comment.FindStringSubmatch(strings.TrimRight(line, "\r\n")); found != nil {
			text = found[1]
		}
		lines = append(lines, text)
	}
	return lines
}
