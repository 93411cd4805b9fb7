package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/record/manifest"
)

// story is the demo. It builds and publishes, launches the unpublished and the
// published image, and finds a launch that would fail before any other account sees the
// image.
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
	if verbose() {
		fmt.Printf("\nCalls that changed something: %s\n", mutations(after[len(before):]))
	}

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
	headingf("2. Without the plugin: the AMI as amazon-ebs created it, encrypted by default with aws/ebs")
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
	if published, err = again(ctx, s, p, variables); err != nil {
		return err
	}
	headingf("4. The published AMI, launched in every account and Region, and what the launch checks rest on")
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
	if err := caught(ctx, s, p, variables); err != nil {
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

// again publishes the same image again, brought in by orgami-existing. The roles have
// their policy now, and the checks find it.
func again(ctx context.Context, s *simulator, p packer, variables map[string]string) (manifest.Manifest, error) {
	headingf("3. Again, after the emitted policy was attached to Karpenter's roles: orgami-existing brings in the same AMI, and nothing changes")
	before, err := s.journal(ctx)
	if err != nil {
		return manifest.Manifest{}, err
	}
	if err := p.build(ctx, "orgami-existing.golden", variables); err != nil {
		return manifest.Manifest{}, err
	}
	after, err := s.journal(ctx)
	if err != nil {
		return manifest.Manifest{}, err
	}
	changed := mutations(after[len(before):])
	fmt.Printf("\nCalls that changed something: %s\n", changed)
	if changed != "none" {
		return manifest.Manifest{}, errors.New("publishing again changed something")
	}
	return readManifest(variables["output_directory"])
}

// mutations counts the successful calls by operation that changed something. Assuming a
// role changes nothing.
func mutations(entries []journalEntry) string {
	counts := map[string]int{}
	for _, e := range entries {
		if e.Mutating && e.Error == "" && e.Service != "sts" {
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
