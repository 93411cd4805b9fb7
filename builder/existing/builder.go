package existing

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/hashicorp/hcl/v2/hcldec"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/artifact"
	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/text"
)

// Builder is the component orgami-existing.
type Builder struct {
	config Config
}

var _ packersdk.Builder = (*Builder)(nil)

// ConfigSpec returns the specification of the arguments and blocks.
func (b *Builder) ConfigSpec() hcldec.ObjectSpec { return b.config.FlatMapstructure().HCL2Spec() }

// Templates refer to these values as build.NAME. The names are those of amazon-ebs.
const (
	dataRegion    = "BuildRegion"
	dataID        = "SourceAMI"
	dataName      = "SourceAMIName"
	dataOwner     = "SourceAMIOwner"
	dataCreated   = "SourceAMICreationDate"
	dataRunUUID   = "PackerRunUUID"
	packerRunUUID = "PACKER_RUN_UUID"
)

// Prepare reads and checks the configuration without calls to AWS.
func (b *Builder) Prepare(raws ...any) (generated, warnings []string, err error) {
	config, err := decode(raws...)
	if err != nil {
		return nil, nil, err
	}
	b.config = config
	return []string{dataRegion, dataID, dataName, dataOwner, dataCreated}, nil, config.validate()
}

// Run finds the image.
func (b *Builder) Run(ctx context.Context, ui packersdk.Ui, hook packersdk.Hook) (output packersdk.Artifact, err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			output, err = nil, fmt.Errorf("internal error in orgami-existing; please report this issue: %v\n%s", panicked, debug.Stack())
		}
	}()
	query, err := b.config.query()
	if err != nil {
		return nil, err
	}
	if err := refuseProvisioners(ctx, ui, hook); err != nil {
		return nil, err
	}
	clients, err := awsclient.Load(ctx, b.config.Client(b.config.Region, ""))
	if err != nil {
		return nil, err
	}
	ui.Say(fmt.Sprintf("Looking for %s in %s", query, query.Region))
	image, err := ami.Resolve(ctx, clients.EC2, query)
	if err != nil {
		return nil, text.PrintableError(err)
	}
	ui.Say(text.Printable(fmt.Sprintf("Found %s %q of account %s, created %s", image.ID, image.Name, image.Owner, image.CreationDate)))
	return found(image), nil
}

// found is the artifact of an existing image. Its Destroy does nothing.
func found(image ami.Image) *artifact.Artifact {
	return &artifact.Artifact{
		Builder: artifact.ExistingID,
		Images:  map[string]string{image.Region: image.ID},
		Summary: fmt.Sprintf("Existing AMI:\n%s: %s", image.Region, image.ID),
		Data: map[string]any{artifact.GeneratedData: map[string]any{
			dataRegion: image.Region, dataID: image.ID, dataName: image.Name,
			dataOwner: image.Owner, dataCreated: image.CreationDate,
			dataRunUUID: os.Getenv(packerRunUUID),
		}},
	}
}
