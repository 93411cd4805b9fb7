// Command mutation breaks the plugin on purpose, in one way after another, each in a
// copy of the tree, and runs the tests. They must fail for every mutation. It checks
// the tests, not the plugin; `make mutation-check` runs it.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// packages are those whose tests must catch a mutation.
var packages = []string{
	"./internal/ami", "./internal/awsclient/...", "./internal/fanout", "./internal/grant", "./internal/kmskey", "./internal/launchcheck/evaluate", "./internal/record/...",
	"./internal/policy", "./internal/progress", "./internal/publish", "./internal/retention", "./internal/ssmparam", "./internal/text", "./internal/wait",
	"./post-processor/publish",
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutation:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	from := flag.Int("from", 1, "number of the first mutation to try")
	only := flag.String("only", "", "try only the mutations whose name matches this pattern")
	tests := flag.String("run", "", "run only the tests that match this pattern")
	flag.Parse()
	chosen, err := regexp.Compile(*only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	tree, err := os.MkdirTemp("", "orgami-mutation-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tree) }() // a temporary folder
	if err := copyTree(ctx, tree); err != nil {
		return err
	}
	if output, err := test(ctx, tree, *tests, packages...); err != nil {
		return fmt.Errorf("the tests fail before anything is broken: %w\n%s", err, output)
	}
	tried, survived := 0, 0
	for i, m := range mutations {
		if i+1 < *from || !chosen.MatchString(m.name) {
			continue
		}
		tried++
		start := time.Now()
		caught, err := m.try(ctx, tree, *tests)
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		verdict := "caught by " + caught
		if caught == "" {
			survived++
			verdict = "SURVIVED"
		}
		fmt.Fprintf(out, "%2d  %-60s %s (%s)\n", i+1, m.name, verdict, time.Since(start).Round(time.Second))
	}
	fmt.Fprintf(out, "mutations %d, caught %d, survived %d\n", tried, tried-survived, survived)
	if survived > 0 {
		return errors.New("the tests do not notice every mutation")
	}
	return nil
}

// copyTree copies all tracked files, as they are in the working tree.
func copyTree(ctx context.Context, to string) error {
	list, err := exec.CommandContext(ctx, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		return fmt.Errorf("listing the files: %w", err)
	}
	for name := range strings.SplitSeq(strings.TrimRight(string(list), "\x00"), "\x00") {
		content, err := os.ReadFile(name)
		if errors.Is(err, os.ErrNotExist) {
			continue // deleted and not committed
		}
		if err != nil {
			return err
		}
		path := filepath.Join(to, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func test(ctx context.Context, tree, tests string, packages ...string) (string, error) {
	// -vet=off, because a mutation may leave a variable unused, which only vet rejects.
	command := exec.CommandContext(ctx, "go", append([]string{"test", "-short", "-failfast", "-vet=off", "-run", tests}, packages...)...)
	command.Dir = tree
	output, err := command.CombinedOutput()
	return string(output), err
}

// mutation replaces a text, which must occur exactly once in the file.
type mutation struct {
	name, file, old, new string
}

// try breaks the tree, runs the tests and restores the tree. It returns the tests that
// failed. The file's own package comes first, because its tests catch most mutations.
func (m mutation) try(ctx context.Context, tree, tests string) (caught string, err error) {
	path := filepath.Join(tree, m.file)
	original, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	if n := bytes.Count(original, []byte(m.old)); n != 1 {
		return "", fmt.Errorf("%s has the text to replace %d times: adapt the mutation to the code", m.file, n)
	}
	if err := os.WriteFile(path, bytes.Replace(original, []byte(m.old), []byte(m.new), 1), 0o644); err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.WriteFile(path, original, 0o644)) }()
	output, testErr := test(ctx, tree, tests, "./"+filepath.ToSlash(filepath.Dir(m.file)))
	if testErr == nil {
		output, testErr = test(ctx, tree, tests, packages...)
	}
	if testErr == nil {
		return "", ctx.Err()
	}
	if strings.Contains(output, "[build failed]") || strings.Contains(output, "[setup failed]") {
		return "", fmt.Errorf("the mutation does not compile:\n%s", output)
	}
	return failures(output), ctx.Err()
}

// failures names the top-level tests that failed.
func failures(output string) string {
	var names []string
	for line := range strings.Lines(output) {
		if name, ok := strings.CutPrefix(line, "--- FAIL: "); ok {
			name, _, _ = strings.Cut(name, " ")
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "a panic"
	}
	const shown = 4
	if len(names) > shown {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
	}
	return strings.Join(names, ", ")
}
