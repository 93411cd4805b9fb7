package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2/hclparse"
)

// pages are all documents for readers, by their path in the repository.
func pages(t *testing.T) map[string]string {
	t.Helper()
	root := filepath.Join("..", "..")
	pages := map[string]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(root, path)
		if entry.IsDir() && (name == "build" || name == "dist" || name == ".git" || name == "docs-partials" || name == ".web-docs") {
			return filepath.SkipDir
		}
		if extension := filepath.Ext(path); extension != ".md" && extension != ".mdx" {
			return nil
		}
		content, err := os.ReadFile(path)
		pages[filepath.ToSlash(name)] = string(content)
		return err
	})
	if err != nil || len(pages) < 20 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	return pages
}

var (
	fence = regexp.MustCompile("(?ms)^```hcl\n(.*?)^```")
	link  = regexp.MustCompile(`\]\(([^)\s]+)\)`)
)

// Real Packer accepts every template in the documents, and every fragment of a template
// is valid HCL.
func TestTemplatesInDocuments(t *testing.T) {
	t.Parallel()
	p := newPacker(t, "AWS_REGION=us-east-1")
	whole := 0
	for name, text := range pages(t) {
		for n, match := range fence.FindAllStringSubmatch(text, -1) {
			template := match[1]
			at := fmt.Sprintf("%s, template %d", name, n+1)
			if _, diagnostics := hclparse.NewParser().ParseHCL([]byte(template), at); diagnostics.HasErrors() {
				t.Errorf("%s: %v", at, diagnostics)
			}
			if !strings.Contains(template, "build {") {
				continue
			}
			whole++
			if !strings.Contains(template, `source "`) { // it shows only the build
				template = sources + template
			}
			if output, err := p.run(write(t, template), "validate", "."); err != nil {
				t.Errorf("%s: %v\n%s", at, err, output)
			}
		}
	}
	if whole < 3 {
		t.Errorf("only %d whole templates were found", whole)
	}
}

// Every link in the documents to a file of the repository points to an existing
// file and, if it names one, to an existing heading.
func TestLinksInDocuments(t *testing.T) {
	for name, text := range pages(t) {
		for _, match := range link.FindAllStringSubmatch(text, -1) {
			target, anchor, _ := strings.Cut(match[1], "#")
			if strings.Contains(target, "://") || strings.HasPrefix(target, "/packer/") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			path := filepath.ToSlash(filepath.Join(filepath.Dir(name), target))
			if target == "" { // this page
				path = name
			}
			if _, err := os.Stat(filepath.Join("..", "..", path)); err != nil {
				t.Errorf("%s: %s leads nowhere", name, match[1])
				continue
			}
			if anchor == "" || filepath.Ext(path) != ".md" {
				continue
			}
			page, err := os.ReadFile(filepath.Join("..", "..", path))
			if err != nil {
				t.Fatal(err)
			}
			if !hasHeading(string(page), anchor) {
				t.Errorf("%s: %s has no heading #%s", name, path, anchor)
			}
		}
	}
}

// named finds the names of what readers create or pass on.
var named = map[string]*regexp.Regexp{
	"key alias":        regexp.MustCompile(`"alias/([^"]+)"`),
	"member role":      regexp.MustCompile(`member_role\s*=\s*"([^"]+)"`),
	"parameter folder": regexp.MustCompile(`name\s*=\s*"/([^/"]+)/[^"]*/latest"`),
}

// Documents and examples name the same thing the same everywhere: what one page creates,
// the next one finds.
func TestNamesAgree(t *testing.T) {
	texts := pages(t)
	examples, err := filepath.Glob(filepath.Join("..", "..", "example", "*", "*.hcl"))
	if err != nil || len(examples) == 0 {
		t.Fatal(examples, err)
	}
	for _, path := range examples {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		texts[path] = string(content)
	}
	want := map[string][]string{
		"key alias":        {"golden-ami", "aws/ebs", "golden-${var.group.name}"}, // a key for each group of accounts
		"member role":      {"orgami-grants", "deploy/OrgamiGrantMaker"},          // a role with a path
		"parameter folder": {"golden-ami"},
	}
	found := map[string]int{}
	for path, text := range texts {
		for what, pattern := range named {
			for _, match := range pattern.FindAllStringSubmatch(text, -1) {
				found[what]++
				if !slices.Contains(want[what], match[1]) {
					t.Errorf("%s: %s %q, elsewhere %q", path, what, match[1], want[what][0])
				}
			}
		}
	}
	for what := range named {
		if found[what] < 2 {
			t.Errorf("%s: %d found", what, found[what])
		}
	}
}

var notInAnchor = regexp.MustCompile(`[^\p{L}\p{N} _-]`)

func hasHeading(page, anchor string) bool {
	for line := range strings.Lines(page) {
		if heading, is := strings.CutPrefix(strings.TrimLeft(strings.TrimSpace(line), "#"), " "); is && strings.HasPrefix(line, "#") {
			if strings.ReplaceAll(notInAnchor.ReplaceAllString(strings.ToLower(heading), ""), " ", "-") == anchor {
				return true
			}
		}
	}
	return false
}
