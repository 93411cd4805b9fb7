package publish

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"github.com/hashicorp/hcl/v2/hcldec"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/orgami/packer-plugin-orgami/internal/artifact"
	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/config"
	"github.com/orgami/packer-plugin-orgami/internal/config/pattern"
	"github.com/orgami/packer-plugin-orgami/internal/progress"
	"github.com/orgami/packer-plugin-orgami/internal/publish"
	"github.com/orgami/packer-plugin-orgami/internal/record"
	"github.com/orgami/packer-plugin-orgami/internal/record/manifest"
	"github.com/orgami/packer-plugin-orgami/internal/text"
)

// PostProcessor is the component orgami-publish.
type PostProcessor struct {
	config Config
}

var _ packersdk.PostProcessor = (*PostProcessor)(nil)

// ConfigSpec returns the specification of the arguments and blocks.
func (p *PostProcessor) ConfigSpec() hcldec.ObjectSpec { return p.config.FlatMapstructure().HCL2Spec() }

// Configure reads and checks the configuration without calls to AWS.
func (p *PostProcessor) Configure(raws ...any) error {
	config, err := decode(raws...)
	if err != nil {
		return err
	}
	p.config = config
	return config.validate()
}

// PostProcess publishes the images of the artifact. It keeps the input. With
// `keep_input_artifact = false`, Packer removes the input only after a publication of
// other images.
func (p *PostProcessor) PostProcess(ctx context.Context, ui packersdk.Ui, input packersdk.Artifact) (output packersdk.Artifact, keep, force bool, err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			output, keep, force = unpublished(input), true, true
			err = fmt.Errorf("internal error in orgami-publish; please report this issue: %v\n%s", panicked, debug.Stack())
		}
	}()
	published, force, err := p.publish(ctx, ui, input)
	return published, true, force, text.PrintableError(err)
}

// publish reports with force whether the input must be kept whatever the
// template says.
func (p *PostProcessor) publish(ctx context.Context, ui packersdk.Ui, input packersdk.Artifact) (output *artifact.Artifact, force bool, err error) {
	spec, err := p.prepare(input)
	if err != nil {
		return unpublished(input), true, err
	}
	cache := openCache(ui.Error)
	if err := cache.claimDirectory(ctx, p.config.OutputDirectory, os.Getenv("PACKER_RUN_UUID"), p.config.build()); err != nil {
		return unpublished(input), true, err
	}
	clients, err := awsclient.Load(ctx, p.config.Client("", spec.Key.PrimaryRegion))
	if err != nil {
		return unpublished(input), true, err
	}
	clients.OnWarning(printable(ui.Error))
	clients.ShareQuotas(cache.folder)
	var files []string
	runner := publish.Runner{
		Clients: clients, Reporter: newReporter(ui), Lock: cache.keyLock(spec.Key, ui.Say),
		Record: func(o publish.Outcome) (err error) {
			files, err = record.Publication(p.config.OutputDirectory, o)
			return err
		},
	}
	outcome, err := runner.Run(ctx, spec)
	if spec.PlanOnly || err != nil && !outcome.Complete {
		write := record.Failure
		if spec.PlanOnly && outcome.Planned {
			write = record.Plan
		}
		var writeErr error
		files, writeErr = write(p.config.OutputDirectory, outcome)
		err = errors.Join(err, writeErr)
	}
	ui.Say(text.PrintableLines(record.Summary(outcome)))
	if len(files) > 0 {
		ui.Say("Wrote " + strings.Join(files, ", "))
	}
	for _, event := range record.Events(outcome, files) {
		ui.Machine(event.Type, event.Data...)
	}
	if err != nil {
		if !spec.PlanOnly {
			err = fmt.Errorf("%w\n\n%s", err, record.Advice(outcome, input.BuilderId() != artifact.ExistingID))
		}
		return unpublished(input), true, err
	}
	return published(input, spec, outcome, files), spec.PlanOnly || outcome.Adopted(), nil
}

// newReporter returns a reporter that writes to ui. It omits progress updates when
// the output isn't interactive: Packer sets PACKER_NO_COLOR in machine-readable
// mode.
func newReporter(ui packersdk.Ui) progress.Reporter {
	r := progress.Reporter{Info: printable(ui.Say), Warn: printable(ui.Error), Progress: printable(ui.Say)}
	if os.Getenv("PACKER_NO_COLOR") != "" {
		r.Progress = nil
	}
	return r
}

// printable makes messages printable. Text from AWS was already escaped where
// the message was composed, so that it can't add a line. printable escapes
// everything else.
func printable(say func(string)) func(string) {
	return func(message string) { say(text.PrintableLines(message)) }
}

// prepare does everything that doesn't require AWS.
func (p *PostProcessor) prepare(input packersdk.Artifact) (publish.Spec, error) {
	if fields := config.UnknownFields(p.config); len(fields) > 0 {
		return publish.Spec{}, fmt.Errorf("no value for %s: the template refers to a build variable that the builder doesn't set. Use another variable, or set the value", strings.Join(fields, ", "))
	}
	if err := checkBuilder(input.BuilderId()); err != nil {
		return publish.Spec{}, err
	}
	images, err := artifact.ParseID(input.Id())
	if err != nil {
		return publish.Spec{}, err
	}
	if err := samePartition(images, p.config.Regions); err != nil {
		return publish.Spec{}, err
	}
	spec, err := p.config.spec(images)
	if err != nil {
		return publish.Spec{}, fmt.Errorf("key.extra_statements_file: %w", err)
	}
	return spec, manifest.Probe(p.config.OutputDirectory)
}

// samePartition rejects Regions that no copy can reach. Fact: EC2-COPY-1.
func samePartition(images []artifact.Image, regions []string) error {
	partition := pattern.Partition(images[0].Region)
	for _, region := range regions {
		if pattern.Partition(region) != partition {
			return fmt.Errorf("regions: %q is in the partition %s, but the artifact's image in %s is in %s, and AWS doesn't copy images between partitions. Build the image in each partition", region, pattern.Partition(region), images[0].Region, partition)
		}
	}
	return nil
}

// published returns the artifact of a publication. A plan publishes nothing, so
// its artifact has the images of its input.
func published(input packersdk.Artifact, spec publish.Spec, outcome publish.Outcome, files []string) *artifact.Artifact {
	output := unpublished(input)
	output.Paths = files
	if spec.PlanOnly {
		return output
	}
	output.Images = outcome.ImageIDs()
	output.Labels = labels(record.Manifest(outcome))
	output.Summary = record.Images(outcome)
	if content, err := manifest.Encode(record.Manifest(outcome)); err == nil {
		output.Data[stateManifest] = string(content)
	}
	return output
}

// labels are the data that HCP Packer records about the images in addition to their
// IDs.
func labels(m manifest.Manifest) map[string]map[string]string {
	labels := map[string]map[string]string{}
	for region, i := range m.Images {
		labels[region] = map[string]string{
			"name": i.Name, "architecture": i.Architecture, "kms_key_arn": i.KMSKeyARN, "source_image_id": i.SourceImageID,
		}
		if m.Organization != nil {
			labels[region]["organization"] = m.Organization.ID
		}
		if i.Family != "" {
			labels[region]["family"] = i.Family
		}
	}
	return labels
}

// stateManifest is the state of the artifact that holds the manifest, as JSON.
const stateManifest = "orgami.manifest"

// unpublished returns an artifact with the input's images, because Packer destroys the
// input if there is no artifact.
func unpublished(input packersdk.Artifact) *artifact.Artifact {
	output := &artifact.Artifact{Builder: artifact.PublishID, Images: map[string]string{}, Data: map[string]any{}}
	if generated := artifact.Generated(input); generated != nil {
		output.Data[artifact.GeneratedData] = generated
	}
	if images, err := artifact.ParseID(input.Id()); err == nil {
		for _, image := range images {
			output.Images[image.Region] = image.ID
		}
	}
	return output
}
