package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
	"github.com/orgami/packer-plugin-orgami/internal/record/manifest"
)

// story is the demo: build and publish, launch before and after, publish again, and
// finish a publication that failed.
func story(ctx context.Context, s *simulator, p packer, work string) error {
	number := nextNumber(work)
	output := filepath.Join(work, "orgami")
	variables := map[string]string{
		"image_name":       "golden-" + strconv.Itoa(number),
		"output_directory": output,
		"packer_manifest":  filepath.Join(work, "packer-manifest.json"),
	}
	headingf("1. packer build: amazon-ebs builds %s, orgami-publish publishes it", variables["image_name"])
	before, err := s.journal(ctx)
	if err != nil {
		return err
	}
	if err := p.build(ctx, "amazon-ebs.golden", variables); err != nil {
		return err
	}
	after, err := s.journal(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("\nCalls that changed something: %s\n", mutations(after[len(before):]))

	published, err := readManifest(output)
	if err != nil {
		return err
	}
	if err := attachPolicies(ctx, s, output); err != nil {
		return err
	}
	untreated := map[string]string{}
	for _, region := range slices.Sorted(maps.Keys(published.Images)) {
		untreated[region] = published.Sources[0].ImageID
	}
	headingf("2. Before: the AMI as amazon-ebs created it, encrypted by default with aws/ebs")
	if err := tryToShare(ctx, s, published.Sources[0], published.Organization.ARN); err != nil {
		return err
	}
	failed, err := launchTable(ctx, s, untreated, nil)
	if err != nil {
		return err
	}
	if failed == 0 {
		return errors.New("the untreated AMI launches in other accounts: the simulation is wrong")
	}
	if err := settled(ctx); err != nil {
		return err
	}
	headingf("3. After: the AMI as orgami-publish published it")
	images := map[string]string{}
	for region, image := range published.Images {
		images[region] = image.ImageID
	}
	if failed, err = launchTable(ctx, s, images, published.Launches); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%d launches of the published AMI failed", failed)
	}
	if err := again(ctx, s, p, variables); err != nil {
		return err
	}
	if err := finishLater(ctx, s, p, variables); err != nil {
		return err
	}
	headingf("The documents for the deploys downstream")
	for _, name := range []string{manifest.File, manifest.KarpenterFile, manifest.GrantsFile} {
		fmt.Println("  " + filepath.Join(output, name))
	}
	return os.WriteFile(filepath.Join(work, "builds"), []byte(strconv.Itoa(number)), 0o644)
}

// nextNumber counts the demos in this folder.
func nextNumber(work string) int {
	text, err := os.ReadFile(filepath.Join(work, "builds"))
	if err != nil {
		return 1
	}
	number, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 1
	}
	return number + 1
}

func readManifest(output string) (manifest.Manifest, error) {
	var m manifest.Manifest
	content, err := os.ReadFile(filepath.Join(output, manifest.File))
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(content, &m); err != nil {
		return m, fmt.Errorf("reading %s: %w", manifest.File, err)
	}
	if !m.Complete || len(m.Images) == 0 || len(m.Sources) == 0 {
		return m, fmt.Errorf("%s is not complete: %v", manifest.File, m.Errors)
	}
	return m, nil
}

func attachPolicies(ctx context.Context, s *simulator, output string) error {
	policy, err := os.ReadFile(filepath.Join(output, manifest.KarpenterFile))
	if err != nil {
		return err
	}
	for _, account := range slices.Sorted(maps.Keys(s.AccessKeys)) {
		if account == publisher {
			continue
		}
		if err := attachKarpenterPolicy(ctx, s, account, string(policy)); err != nil {
			return err
		}
	}
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

// again publishes the same image again, brought in by orgami-existing.
func again(ctx context.Context, s *simulator, p packer, variables map[string]string) error {
	headingf("4. Again: orgami-existing brings in the same AMI, and orgami-publish has nothing to do")
	before, err := s.journal(ctx)
	if err != nil {
		return err
	}
	if err := p.build(ctx, "orgami-existing.golden", variables); err != nil {
		return err
	}
	after, err := s.journal(ctx)
	if err != nil {
		return err
	}
	changed := mutations(after[len(before):])
	fmt.Printf("\nCalls that changed something: %s\n", changed)
	if changed != "none" {
		return errors.New("publishing again changed something")
	}
	return nil
}

// mutations counts the successful mutating calls by operation.
func mutations(entries []journalEntry) string {
	counts := map[string]int{}
	for _, e := range entries {
		if e.Mutating && e.Error == "" {
			counts[e.Service+" "+e.Operation]++
		}
	}
	if len(counts) == 0 {
		return "none"
	}
	var list []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		list = append(list, fmt.Sprintf("%s × %d", name, counts[name]))
	}
	return strings.Join(list, ", ")
}

func headingf(format string, arguments ...any) {
	fmt.Printf("\n== "+format+"\n\n", arguments...)
}

// indented prefixes every line, so that Packer's own output stands apart.
func indented(to io.Writer) io.Writer { return &indenter{to: to, fresh: true} }

type indenter struct {
	to    io.Writer
	fresh bool
}

func (i *indenter) Write(text []byte) (int, error) {
	for line := range strings.Lines(string(text)) {
		if i.fresh {
			line = "  | " + line
		}
		i.fresh = strings.HasSuffix(line, "\n")
		if _, err := io.WriteString(i.to, line); err != nil {
			return 0, err
		}
	}
	return len(text), nil
}
