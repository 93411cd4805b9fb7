package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/record/manifest"
)

// finishLater has a publication fail in one Region, and finishes it.
func finishLater(ctx context.Context, s *simulator, p packer, variables map[string]string) error {
	variables = maps.Clone(variables)
	variables["image_name"] += "-next"
	headingf("5. Failure: EC2 denies the copy to eu-west-1, and nothing is shared. The files of the last publication stay as they are")
	path := filepath.Join(variables["output_directory"], manifest.File)
	published, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	// The first CopyImage is the dry run.
	fault := map[string]any{"service": "ec2", "operation": "CopyImage", "region": "eu-west-1", "kind": "denied", "skip": 1}
	if err := s.control(ctx, http.MethodPost, "fault", fault, &struct{}{}); err != nil {
		return err
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
	headingf("6. Resume: orgami-existing brings in the same AMI, and only the missing copy is created")
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
	if !strings.Contains(changed, "ec2 CopyImage × 1,") {
		return errors.New("the copies of the failed run weren't used")
	}
	_, err = readManifest(variables["output_directory"])
	return err
}
