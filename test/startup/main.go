// Command startup measures how long a command takes from start to end, several times
// after a warm-up, and prints the median. `make size` uses it for the plugin's
// describe, which Packer calls at every start.
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"time"
)

const runs = 21

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: startup COMMAND [ARGUMENT…]")
		os.Exit(2)
	}
	times := make([]time.Duration, 0, runs)
	for i := range runs + 1 {
		start := time.Now()
		if output, err := exec.CommandContext(context.Background(), os.Args[1], os.Args[2:]...).CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "startup: %v\n%s", err, output)
			os.Exit(1)
		}
		if i > 0 { // the first one warms up
			times = append(times, time.Since(start))
		}
	}
	slices.Sort(times)
	fmt.Printf("%v: median of %d runs %s, fastest %s, slowest %s\n", os.Args[2:], runs,
		times[runs/2].Round(time.Millisecond), times[0].Round(time.Millisecond), times[runs-1].Round(time.Millisecond))
}
