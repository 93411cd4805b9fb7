package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMutationsApply checks that the text that each mutation replaces exists exactly
// once. `make mutation-check`, which takes long, checks that the tests catch it.
func TestMutationsApply(t *testing.T) {
	for _, m := range mutations {
		content, err := os.ReadFile(filepath.Join("..", "..", m.file))
		if err != nil {
			t.Errorf("%s: %v", m.name, err)
			continue
		}
		if n := strings.Count(string(content), m.old); n != 1 {
			t.Errorf("%s: the text to replace is %d times in %s", m.name, n, m.file)
		}
	}
}
