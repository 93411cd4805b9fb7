package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/internal/artifact"
	"github.com/orgami/packer-plugin-orgami/internal/record/manifest"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// packerManifest is what Packer's own manifest post-processor writes.
type packerManifest struct {
	Builds []struct {
		BuilderType string `json:"builder_type"`
		ArtifactID  string `json:"artifact_id"`
		Files       []struct {
			Name string `json:"name"`
		} `json:"files"`
		CustomData map[string]string `json:"custom_data"`
	} `json:"builds"`
}

// TestBuildAndPublish publishes an image end to end, and then the same image again,
// which changes nothing.
func TestBuildAndPublish(t *testing.T) {
	t.Parallel()
	aws := newAWS(t, awssim.Options{})
	p := newPacker(t, aws.environment...)
	folder := template(t, fromEBS, keep, publish, `
post-processor "manifest" {
  output      = "after.json"
  custom_data = { source = build.SourceAMIName }
}`)
	p.mustBuild(folder)
	aws.checkPublished(t, "golden-shared", "us-east-1", "eu-west-1")

	m := readJSON[manifest.Manifest](t, folder, "orgami", manifest.File)
	if !m.Complete || len(m.Images) != 2 {
		t.Errorf("the manifest is not complete: %+v", m)
	}
	after := readJSON[packerManifest](t, folder, "after.json").Builds[0]
	if want := artifact.FormatID(aws.images("golden-shared")); after.ArtifactID != want {
		t.Errorf("the next link got %q, want %q", after.ArtifactID, want)
	}
	var files []string
	for _, file := range after.Files {
		files = append(files, file.Name)
	}
	if diff := cmp.Diff([]string{"orgami/karpenter-kms-policy.json", "orgami/kms-grants.json", "orgami/orgami.json"}, files); diff != "" {
		t.Errorf("files of the artifact: %s", diff)
	}
	if !strings.HasPrefix(after.CustomData["source"], "al2023-ami-") {
		t.Errorf("build variables are lost behind orgami-publish: %v", after.CustomData)
	}
	if _, kept := aws.images("golden")["us-east-1"]; !kept {
		t.Error("the image that was built is gone")
	}

	aws.ResetJournal()
	output := p.mustBuild(template(t, fromExisting, publish))
	if changed := aws.changed(); len(changed) > 0 {
		t.Errorf("publishing again changed something: %v", changed)
	}
	if !strings.Contains(output, "No changes. The published AMI matches the configuration.") {
		t.Errorf("it does not say that nothing changed:\n%s", output)
	}
}

// denied is a fault by which one Region's copy fails once, after its dry run.
var denied = awssim.Fault{Service: "ec2", Operation: "CopyImage", Region: "eu-west-1", Kind: awssim.Denied, Skip: 1}

// With manifest first, the AMI that was built survives a publication that fails.
// The next run of orgami-existing finishes it, with the copies that were kept.
func TestFailureWithManifestIsFinishedLater(t *testing.T) {
	t.Parallel()
	aws := newAWS(t, awssim.Options{})
	p := newPacker(t, aws.environment...)
	aws.Inject(denied)
	folder := template(t, fromEBS, keep, publish)
	output, err := p.build(folder)
	if err == nil || !strings.Contains(output, "eu-west-1") || !strings.Contains(output, "UnauthorizedOperation") {
		t.Fatalf("the build ended with %v:\n%s", err, output)
	}
	built := aws.images("golden")
	if len(built) != 1 {
		t.Errorf("the image that was built: %v", built)
	}
	kept := aws.images("golden-shared")
	if len(kept) != 1 || kept["us-east-1"] == "" {
		t.Errorf("copies of the failed run: %v", kept)
	}
	aws.checkUnshared(t, "golden-shared")
	failure := readJSON[manifest.Failure](t, folder, "orgami", manifest.FailureFile)
	if len(failure.Errors) == 0 || failure.Images["us-east-1"].ImageID != kept["us-east-1"] {
		t.Errorf("%s: %+v", manifest.FailureFile, failure)
	}
	if _, err := os.Stat(filepath.Join(folder, "orgami", manifest.File)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the failed run wrote %s: %v", manifest.File, err)
	}

	aws.ResetJournal()
	p.mustBuild(template(t, fromExisting, keep, publish))
	aws.checkPublished(t, "golden-shared", "us-east-1", "eu-west-1")
	if n := aws.called("RunInstances") + aws.called("CreateImage") + aws.called("CreateKey"); n > 0 || aws.called("CopyImage") != 1 {
		t.Errorf("it built again, created another key, or copied what was kept: %v", aws.changed())
	}
	if diff := cmp.Diff(built, aws.images("golden")); diff != "" {
		t.Errorf("the image that was built: %s", diff)
	}
}

// An image that orgami-existing brought in is never destroyed.
func TestFailureLeavesTheExistingImage(t *testing.T) {
	t.Parallel()
	aws := newAWS(t, awssim.Options{})
	p := newPacker(t, aws.environment...)
	p.mustBuild(template(t, fromEBS, keep))
	aws.Inject(denied)
	if output, err := p.build(template(t, fromExisting, publish)); err == nil {
		t.Fatalf("the build succeeded:\n%s", output)
	}
	if images := aws.images("golden"); len(images) != 1 {
		t.Errorf("the existing image: %v", images)
	}
}

func TestKeepInputArtifact(t *testing.T) {
	t.Parallel()
	aws := newAWS(t, awssim.Options{})
	p := newPacker(t, aws.environment...)

	p.mustBuild(template(t, fromEBS, keep, publishWith("keep_input_artifact = false\nplan_only = true")))
	if len(aws.images("golden")) != 1 || len(aws.images("golden-shared")) != 0 {
		t.Fatalf("plan_only: the image that was built %v, copies %v", aws.images("golden"), aws.images("golden-shared"))
	}
	p.mustBuild(template(t, fromExisting, publishWith("keep_input_artifact = false")))
	if len(aws.images("golden")) != 1 {
		t.Error("the existing image was destroyed")
	}
	aws.checkPublished(t, "golden-shared", "us-east-1", "eu-west-1")
}

// An image that was built with the key is published itself, and Packer must not destroy
// it.
func TestKeepInputArtifactFalseKeepsWhatIsPublished(t *testing.T) {
	t.Parallel()
	aws := newAWS(t, awssim.Options{})
	p := newPacker(t, aws.environment...)
	p.mustBuild(template(t, fromEBS, keep, publish)) // creates the key
	p.mustBuild(template(t, fromKey, keep, publishWith("keep_input_artifact = false")))
	aws.checkPublished(t, "encrypted", "us-east-1", "eu-west-1")
}

func TestKeepInputArtifactFalseDestroysWhatWasCopied(t *testing.T) {
	t.Parallel()
	aws := newAWS(t, awssim.Options{})
	p := newPacker(t, aws.environment...)
	p.mustBuild(template(t, fromEBS, keep, publishWith("keep_input_artifact = false")))
	if images := aws.images("golden"); len(images) > 0 {
		t.Errorf("the image that was built is still there: %v", images)
	}
	aws.checkPublished(t, "golden-shared", "us-east-1", "eu-west-1")
}
