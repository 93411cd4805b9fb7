package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
	"github.com/orgami/packer-plugin-orgami/internal/record/manifest"
	"github.com/orgami/packer-plugin-orgami/internal/text"
)

// printIssuers prints which account created the grants in the first Region. Each must
// have created its own: others don't count.
func printIssuers(ctx context.Context, s *simulator, published manifest.Manifest) error {
	region := slices.Min(slices.Collect(maps.Keys(published.Images)))
	key := published.Key.Regions[region].ARN
	pages := kms.NewListGrantsPaginator(kms.NewFromConfig(s.config(publisher, region)), &kms.ListGrantsInput{KeyId: &key})
	created := map[string]int{}
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, g := range page.Grants {
			issuer, grantee := strings.Split(aws.ToString(g.IssuingAccount), ":"), strings.Split(aws.ToString(g.GranteePrincipal), ":")
			if len(issuer) < 5 || len(grantee) < 5 || issuer[4] != grantee[4] {
				return fmt.Errorf("the grant %s for %s was created by %s", aws.ToString(g.Name), aws.ToString(g.GranteePrincipal), aws.ToString(g.IssuingAccount))
			}
			created[issuer[4]]++
		}
	}
	for _, account := range slices.Sorted(maps.Keys(created)) {
		fmt.Printf("  %s: %s, created by account %s for its own roles\n", region, text.Count(created[account], "grant"), account)
	}
	fmt.Println()
	return nil
}

// launchTable launches everywhere, prints account × region × launcher, and
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
		fmt.Printf("\n  The launch checks, which the plugin made before it shared the AMI, agree: %d of %d.\n", t.agreed, t.agreed)
	}
	return t.failed, nil
}

// launched counts launches, and numbers the reasons for which some failed.
type launched struct {
	checks         evaluate.Matrix
	failed, agreed int
	reasons        map[string]int
}

// add counts one launch, which failed for the reason unless that is empty, and
// says what stands in its cell of the table.
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
	predicted, err := agree(t.checks, account, region, launcher, reason)
	if err != nil {
		return "", err
	}
	t.agreed++
	return cell + ", check: " + predicted, nil
}

// agree compares a launch, which failed for the reason unless that is empty, with
// the plugin's verdict.
func agree(checks evaluate.Matrix, account, region, launcher, reason string) (string, error) {
	verdict, found := checks.Find(account, region, launcher)
	happened := evaluate.Launches
	if reason != "" {
		happened = evaluate.Fails
	}
	if !found || verdict.Outcome != happened {
		return "", fmt.Errorf("the launch in %s of account %s as %s: %s (%s), and the launch check said %q", region, account, launcher, happened, reason, verdict.Outcome)
	}
	return string(verdict.Outcome), nil
}
