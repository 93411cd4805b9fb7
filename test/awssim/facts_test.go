package awssim_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var factRow = regexp.MustCompile(`(?m)^\| ([A-Z0-9]+(?:-[A-Z0-9]+)*-[0-9]+) \|.*\| (\w+) \|$`)

// TestFactsAreCounted checks that the IDs of the facts are unique, that each fact has one
// of the statuses, and that the page counts them.
func TestFactsAreCounted(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("..", "..", "docs", "aws-facts.md"))
	if err != nil {
		t.Fatal(err)
	}
	ids, statuses := map[string]bool{}, map[string]int{}
	rows := factRow.FindAllStringSubmatch(string(content), -1)
	for _, row := range rows {
		if ids[row[1]] {
			t.Errorf("%s is there twice", row[1])
		}
		ids[row[1]] = true
		statuses[row[2]]++
	}
	if sum := statuses["verified"] + statuses["believed"] + statuses["unknown"]; sum != len(rows) {
		t.Errorf("statuses: %v", statuses)
	}
	want := fmt.Sprintf("This page has %d facts: %d verified, %d believed and %d unknown.", len(rows), statuses["verified"], statuses["believed"], statuses["unknown"])
	if !strings.Contains(string(content), want) {
		t.Errorf("the page doesn't say: %s", want)
	}
}
