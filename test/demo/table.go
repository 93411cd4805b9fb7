package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
)

// launchTable launches everywhere, prints account × Region × launcher, and
// counts the launches that failed. If there are launch checks, it compares each
// launch with them; a difference is an error.
func launchTable(ctx context.Context, s *simulator, images map[string]string, checks evaluate.Matrix) (int, error) {
	t := launched{checks: checks, reasons: map[string]int{}}
	regions := slices.Sorted(maps.Keys(images))
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "  account\tlauncher\t%s\n", strings.Join(regions, "\t"))
	for _, account := range slices.Sorted(maps.Keys(s.AccessKeys)) {
		if account == publisher {
			continue
		}
		for _, l := range launchers {
			fmt.Fprintf(table, "  %s\t%s", account, l.name)
			for _, region := range regions {
				reason, err := l.launch(ctx, s, account, region, images[region])
				if err != nil {
					return t.failed, fmt.Errorf("launching %s in %s of account %s as %s: %w", images[region], region, account, l.name, err)
				}
				cell, err := t.add(account, region, l.name, reason)
				if err != nil {
					return t.failed, err
				}
				fmt.Fprintf(table, "\t%s", cell)
			}
			fmt.Fprintln(table)
		}
	}
	if err := table.Flush(); err != nil {
		return t.failed, err
	}
	for _, reason := range slices.SortedFunc(maps.Keys(t.reasons), func(a, b string) int { return t.reasons[a] - t.reasons[b] }) {
		fmt.Printf("  (%d) %s\n", t.reasons[reason], reason)
	}
	if checks != nil {
		fmt.Printf("\n  The launch checks of step 3 agree: %d of %d.\n", t.agreed, t.agreed)
	}
	return t.failed, nil
}

// launched counts launches, and numbers the reasons for which some failed.
type launched struct {
	checks         evaluate.Matrix
	failed, agreed int
	reasons        map[string]int
}

// add counts one launch, which failed if there is a reason, and returns the text of its
// cell in the table.
func (t *launched) add(account, region, launcher, reason string) (string, error) {
	cell := "launches"
	if reason != "" {
		t.failed++
		if t.reasons[reason] == 0 {
			t.reasons[reason] = len(t.reasons) + 1
		}
		cell = fmt.Sprintf("fails (%d)", t.reasons[reason])
	}
	if t.checks == nil {
		return cell, nil
	}
	evidence, err := agree(t.checks, account, region, launcher, reason)
	if err != nil {
		return "", err
	}
	t.agreed++
	return cell + ", " + evidence, nil
}

// agree compares a launch, which failed if there is a reason, with the plugin's
// verdict, and returns the verdict's evidence.
func agree(checks evaluate.Matrix, account, region, launcher, reason string) (string, error) {
	verdict, found := checks.Find(account, region, launcher)
	happened := evaluate.Launches
	if reason != "" {
		happened = evaluate.Fails
	}
	if !found || verdict.Outcome != happened {
		return "", fmt.Errorf("the launch in %s of account %s as %s: %s (%s), and the launch check said %q", region, account, launcher, happened, reason, verdict.Outcome)
	}
	return string(verdict.Evidence), nil
}
