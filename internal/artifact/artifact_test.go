package artifact_test

import (
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	"github.com/hashicorp/packer-plugin-sdk/packer/registry/image"
	"github.com/hashicorp/packer-plugin-sdk/rpc"
	"github.com/mitchellh/mapstructure"

	"github.com/orgami/packer-plugin-orgami/internal/artifact"
)

func TestParseID(t *testing.T) {
	images, err := artifact.ParseID("us-east-1:ami-0123456789abcdef0,eu-west-1:ami-01234567")
	if err != nil {
		t.Fatal(err)
	}
	want := []artifact.Image{{Region: "eu-west-1", ID: "ami-01234567"}, {Region: "us-east-1", ID: "ami-0123456789abcdef0"}}
	if diff := cmp.Diff(want, images); diff != "" {
		t.Error(diff)
	}
}

func TestParseIDRefuses(t *testing.T) {
	tests := map[string]string{
		"":                                   "created no image",
		" ":                                  "created no image",
		"ami-01234567":                       "is not region:ami",
		":":                                  "is not region:ami",
		"us-east-1:":                         "is not region:ami",
		":ami-01234567":                      "is not region:ami",
		"us-east-1:ami-01234567,":            `"" is not region:ami`,
		"us-east-1:ami-0123456":              "is not region:ami",
		"us-east-1:ami-0123456789ABCDEF0":    "is not region:ami",
		"us-east-1:snap-0123456789abcdef0":   "is not region:ami",
		"us-east-1a:ami-01234567":            "is not region:ami",
		"us-east-1:ami-01234567:x":           "is not region:ami",
		"us-east-1:ami-01234567\nus-west-1:": "is not region:ami",
		"us-east-1:ami-01234567,us-east-1:ami-76543210": "region us-east-1 has two images, ami-01234567 and ami-76543210",
	}
	for id, want := range tests {
		t.Run(id, func(t *testing.T) {
			images, err := artifact.ParseID(id)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("ParseID(%q) = %v, %v; want an error with %q", id, images, err, want)
			}
		})
	}
}

// ParseID reads whatever FormatID writes for an ID that it accepted.
func FuzzParseID(f *testing.F) {
	for _, seed := range []string{
		"", ":", ",", "us-east-1:ami-01234567", "us-east-1:ami-0123456789abcdef0,eu-west-1:ami-01234567",
		"us-gov-west-1:ami-01234567 , cn-north-1:ami-01234567", "\x00:ami-", "::,,::",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, id string) {
		images, err := artifact.ParseID(id)
		if err != nil {
			return
		}
		if len(images) == 0 {
			t.Fatalf("ParseID(%q) gave neither images nor an error", id)
		}
		byRegion := map[string]string{}
		for _, i := range images {
			byRegion[i.Region] = i.ID
		}
		again, err := artifact.ParseID(artifact.FormatID(byRegion))
		if err != nil {
			t.Fatalf("reading back %q: %v", artifact.FormatID(byRegion), err)
		}
		if diff := cmp.Diff(images, again); diff != "" {
			t.Errorf("ParseID(%q) does not read back: %s", id, diff)
		}
	})
}

func TestState(t *testing.T) {
	a := &artifact.Artifact{
		Builder: artifact.PublishID,
		Images:  map[string]string{"us-east-1": "ami-01234567", "eu-west-1": "ami-76543210"},
		Labels:  map[string]map[string]string{"us-east-1": {"name": "golden"}},
		Data:    map[string]any{"ours": "own", artifact.GeneratedData: map[string]any{"SourceAMI": "ami-11111111"}},
	}
	if got := a.State("ours"); got != "own" {
		t.Errorf("own state: %v", got)
	}
	want := []*image.Image{
		{ImageID: "ami-76543210", ProviderName: "aws", ProviderRegion: "eu-west-1", SourceImageID: "ami-11111111"},
		{ImageID: "ami-01234567", ProviderName: "aws", ProviderRegion: "us-east-1", SourceImageID: "ami-11111111", Labels: map[string]string{"name": "golden"}},
	}
	if diff := cmp.Diff(want, a.State(image.ArtifactStateURI)); diff != "" {
		t.Errorf("HCP Packer's metadata: %s", diff)
	}
	if got := a.State("unknown"); got != nil {
		t.Errorf("unknown state: %v", got)
	}
	if got := a.Id(); got != "eu-west-1:ami-76543210,us-east-1:ami-01234567" {
		t.Errorf("id: %s", got)
	}
}

// TestStateAcrossRPC checks that the metadata reaches HCP Packer, which reads it in
// another process and decodes it into the SDK's own type.
func TestStateAcrossRPC(t *testing.T) {
	ours, theirs := net.Pipe()
	server, err := rpc.NewServer(theirs)
	if err != nil {
		t.Fatal(err)
	}
	a := &artifact.Artifact{
		Builder: artifact.PublishID, Images: map[string]string{"us-east-1": "ami-01234567", "eu-west-1": "ami-76543210"},
		Labels: map[string]map[string]string{"us-east-1": {"name": "golden"}, "eu-west-1": {"name": "golden"}},
		Data:   map[string]any{artifact.GeneratedData: map[string]any{"SourceAMI": "ami-11111111"}},
	}
	if err := server.RegisterArtifact(a); err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() { server.Serve(); close(served) }()
	client, err := rpc.NewClient(ours)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close(); _ = server.Close(); <-served }()
	var images []image.Image
	if err := mapstructure.Decode(client.Artifact().State(image.ArtifactStateURI), &images); err != nil {
		t.Fatal(err)
	}
	want := []image.Image{
		{ImageID: "ami-76543210", ProviderName: "aws", ProviderRegion: "eu-west-1", SourceImageID: "ami-11111111", Labels: map[string]string{"name": "golden"}},
		{ImageID: "ami-01234567", ProviderName: "aws", ProviderRegion: "us-east-1", SourceImageID: "ami-11111111", Labels: map[string]string{"name": "golden"}},
	}
	if diff := cmp.Diff(want, images); diff != "" {
		t.Error(diff)
	}
	for _, i := range images {
		if err := i.Validate(); err != nil {
			t.Error(err)
		}
	}
}

func TestGenerated(t *testing.T) {
	want := map[string]any{"SourceAMI": "ami-01234567"}
	for name, state := range map[string]any{
		"in this process": map[string]any{"SourceAMI": "ami-01234567"},
		"across RPC":      map[any]any{"SourceAMI": "ami-01234567"},
	} {
		t.Run(name, func(t *testing.T) {
			from := &packersdk.MockArtifact{StateValues: map[string]any{artifact.GeneratedData: state}}
			if diff := cmp.Diff(want, artifact.Generated(from)); diff != "" {
				t.Error(diff)
			}
		})
	}
	if got := artifact.Generated(&packersdk.MockArtifact{}); got != nil {
		t.Errorf("without generated data: %v", got)
	}
}
