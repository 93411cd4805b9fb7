package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/orgami/packer-plugin-orgami/internal/record/manifest"
)

// shop is the account in which a setting changes.
const shop = "444444444444"

// caught changes a setting of one account that only that account can read. The next
// publication finds it, and shares nothing. Once the setting is right, the publication
// is finished with the copies that were kept.
func caught(ctx context.Context, s *simulator, p packer, variables map[string]string) error {
	variables = maps.Clone(variables)
	variables["image_name"] += "-next"
	headingf("5. Account %s allows only Amazon's AMIs in eu-west-1 now. The next image is built", shop)
	path := filepath.Join(variables["output_directory"], manifest.File)
	published, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	client := ec2.NewFromConfig(s.config(shop, "eu-west-1"))
	if _, err := client.ReplaceImageCriteriaInAllowedImagesSettings(ctx, &ec2.ReplaceImageCriteriaInAllowedImagesSettingsInput{
		ImageCriteria: []types.ImageCriterionRequest{{ImageProviders: []string{"amazon"}}},
	}); err != nil {
		return fmt.Errorf("setting Allowed AMIs: %w", err)
	}
	if _, err := client.EnableAllowedImagesSettings(ctx, &ec2.EnableAllowedImagesSettingsInput{AllowedImagesSettingsState: types.AllowedImagesSettingsEnabledStateEnabled}); err != nil {
		return fmt.Errorf("switching Allowed AMIs on: %w", err)
	}
	if err := p.build(ctx, "amazon-ebs.golden", variables); err == nil {
		return errors.New("the publication didn't fail")
	}
	now, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if !bytes.Equal(now, published) {
		return fmt.Errorf("the failed run changed %s", path)
	}
	if err := printFailure(variables["output_directory"]); err != nil {
		return err
	}
	headingf("6. The account allows the image. orgami-existing brings it in, and it's published with the copies that were kept")
	if _, err := client.DisableAllowedImagesSettings(ctx, &ec2.DisableAllowedImagesSettingsInput{}); err != nil {
		return fmt.Errorf("switching Allowed AMIs off: %w", err)
	}
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
	if verbose() {
		fmt.Printf("\nCalls that changed something: %s\n", changed)
	}
	if strings.Contains(changed, "CopyImage") {
		return errors.New("the copies of the failed run weren't used")
	}
	return nil
}

// printFailure prints why nothing was shared.
func printFailure(output string) error {
	content, err := os.ReadFile(filepath.Join(output, manifest.FailureFile))
	if err != nil {
		return err
	}
	var failure struct {
		Errors []string `json:"errors"`
	}
	if err := json.Unmarshal(content, &failure); err != nil {
		return fmt.Errorf("reading %s: %w", manifest.FailureFile, err)
	}
	if len(failure.Errors) == 0 || !strings.Contains(failure.Errors[0], "allowed-amis") {
		return fmt.Errorf("%s names another reason: %v", manifest.FailureFile, failure.Errors)
	}
	fmt.Println()
	for _, e := range failure.Errors {
		fmt.Println("  Error: " + strings.ReplaceAll(e, "\n", "\n  "))
	}
	return nil
}
