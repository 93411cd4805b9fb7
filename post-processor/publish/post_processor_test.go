package publish

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
)

func images(builder, id string) *packersdk.MockArtifact {
	return &packersdk.MockArtifact{BuilderIdValue: builder, IdValue: id}
}

const oneImage = "us-east-1:ami-0123456789abcdef0"

func TestAccept(t *testing.T) {
	for builder, want := range map[string]string{
		"mitchellh.amazonebs":                 "",
		"mitchellh.amazon.ebssurrogate":       "",
		"mitchellh.amazon.chroot":             "",
		"packer.post-processor.amazon-import": "",
		"orgami.existing":                     "",
		"orgami.publish":                      "",
		"mitchellh.amazon.instance":           "instance-store",
		"mitchellh.amazon.ebsvolume":          "volumes, not an image",
		"fnoeding.null":                       "orgami-publish accepts artifacts of amazon-ebs",
		"":                                    "orgami-publish accepts artifacts of amazon-ebs",
	} {
		err := checkBuilder(builder)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", builder, err, want)
		}
	}
}

// Whatever fails, the artifact has the images of the input, and the input is kept.
func TestFailuresKeepTheInput(t *testing.T) {
	unusable := filepath.Join(t.TempDir(), "file")
	tests := map[string]struct {
		body  string
		input *packersdk.MockArtifact
		want  string
	}{
		"malformed id":     {minimal, images(amazonEBS, "ami-0123456789abcdef0"), "is not region:ami"},
		"foreign":          {minimal, images("null", oneImage), `artifact of "null"`},
		"other partition":  {"regions = [\"cn-north-1\"]\n" + minimal, images(amazonEBS, oneImage), "aws-cn"},
		"unknown value":    {"ami_name = \"<unknown>\"\n" + minimal, images(amazonEBS, oneImage), "no value for ami_name"},
		"output directory": {`output_directory = "` + filepath.Join(unusable, "below") + `"` + "\n" + minimal, images(amazonEBS, oneImage), "output_directory"},
		"no such profile":  {"profile = \"missing\"\noutput_directory = \"" + t.TempDir() + "\"\n" + minimal, images(amazonEBS, oneImage), "missing"},
		"panic":            {"output_directory = \"" + t.TempDir() + "\"\n" + minimal, nil, "please report this issue"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var input packersdk.Artifact = test.input
			if test.input == nil {
				input = panicking{images(amazonEBS, oneImage)}
			}
			p, err := configure(t, test.body)
			if err != nil {
				t.Fatal(err)
			}
			// The directory becomes unusable only after the configuration was checked.
			if err := os.WriteFile(unusable, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.Remove(unusable) })
			t.Setenv("AWS_CONFIG_FILE", os.DevNull)
			t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
			output, keep, force, err := p.PostProcess(t.Context(), &packersdk.MockUi{}, input)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%q is not in: %v", test.want, err)
			}
			if output == nil || !keep || !force {
				t.Errorf("artifact %v, keep %t, force %t", output, keep, force)
			} else if output.Id() != "" && output.Id() != oneImage {
				t.Errorf("id %q", output.Id())
			}
		})
	}
}

// panicking is an artifact whose code panics.
type panicking struct{ *packersdk.MockArtifact }

func (panicking) BuilderId() string { panic("no builder") }
