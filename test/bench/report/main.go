// Command report prints the measurements of `make bench` as tables and writes them
// between the markers of docs/performance.md:
//
//	report MEASUREMENTS.jsonl docs/performance.md
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/orgami/packer-plugin-orgami/test/bench"
)

const (
	begin = "<!-- begin: written by make bench -->\n"
	end   = "<!-- end: written by make bench -->"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: report MEASUREMENTS.jsonl docs/performance.md")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

func run(measurements, page string) error {
	lines, err := bench.Read(measurements)
	if err != nil {
		return err
	}
	if len(lines) == 0 {
		return fmt.Errorf("%s has no measurements", measurements)
	}
	text := bench.Markdown(lines)
	fmt.Print(text)
	content, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(content), begin)
	_, after, found2 := strings.Cut(rest, end)
	if !found || !found2 {
		return errors.New(page + " has no markers: " + begin)
	}
	machine := fmt.Sprintf("Measured with %s on %d cores of %s/%s.\n\n", runtime.Version(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH)
	return os.WriteFile(page, []byte(before+begin+"\n"+machine+text+end+after), 0o644)
}
