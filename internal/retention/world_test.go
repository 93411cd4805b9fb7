package retention_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/retention"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

const (
	home   = "us-east-1"
	away   = "eu-west-1"
	day    = 24 * time.Hour
	family = "golden"
)

// world is a simulated AWS with generations of a family.
type world struct {
	*testing.T
	sim *awssim.World
}

func inVirtualTime(t *testing.T, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		file := awssim.DefaultWorld()
		for i := range file.Accounts {
			file.Accounts[i].EncryptionByDefault = nil // members launch the images without a key
		}
		sim, err := awssim.New(file, awssim.Options{Latency: 10 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		test(&world{t, sim})
	})
}

func (w *world) config(account, region string) aws.Config {
	id, secret := w.sim.AccessKey(account)
	return aws.Config{Region: region, Credentials: credentials.NewStaticCredentialsProvider(id, secret, ""), HTTPClient: w.sim.Client(), RetryMaxAttempts: 1}
}

func (w *world) ec2(account, region string) *ec2.Client {
	return ec2.NewFromConfig(w.config(account, region))
}

func (w *world) own(region string) *ec2.Client { return w.ec2(awssim.PublishingAccount, region) }

func (w *world) clients() retention.Clients { return retention.FromEC2(w.own) }

// must ends the test if an operation fails.
func must[T any](answer T, err error) func(*world) T {
	return func(w *world) T {
		w.Helper()
		if err != nil {
			w.Fatal(err)
		}
		return answer
	}
}

// image creates an image with tags, shared with the member accounts, and lets a
// day pass.
func (w *world) image(region, name string, tags map[string]string) string {
	w.Helper()
	id := must(w.own(region).CopyImage(w.Context(), &ec2.CopyImageInput{
		SourceImageId: aws.String(awssim.BaseImage(region)), SourceRegion: &region, Name: &name,
		TagSpecifications: []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeImage, Tags: ami.TagList(tags)}},
	}))(w).ImageId
	time.Sleep(time.Hour)
	w.share(region, *id, awssim.MemberAccounts()...)
	time.Sleep(day - time.Hour)
	return *id
}

func (w *world) share(region, id string, accounts ...string) {
	w.Helper()
	var add []ec2types.LaunchPermission
	for _, account := range accounts {
		add = append(add, ec2types.LaunchPermission{UserId: &account})
	}
	must(w.own(region).ModifyImageAttribute(w.Context(), &ec2.ModifyImageAttributeInput{
		ImageId: &id, LaunchPermission: &ec2types.LaunchPermissionModifications{Add: add},
	}))(w)
}

// marks returns the tags of a published image, without the named ones.
func marks(without ...string) map[string]string {
	tags := map[string]string{
		ami.TagPublication: "pub-1", ami.TagFamily: family, ami.TagState: ami.StatePublished, ami.TagSourceImage: "ami-0a0a0a0a0a0a0a0a0", ami.TagSourceRegion: home,
	}
	maps.DeleteFunc(tags, func(key, _ string) bool { return slices.Contains(without, key) })
	return tags
}

// generation creates a published image.
func (w *world) generation(region, name string) string {
	w.Helper()
	return w.image(region, name, marks())
}

// deleteOld deregisters images that are older than a day, except the newest.
var deleteOld = retention.RetentionPolicy{Family: family, Keep: 1, DeleteAfter: day}

// plan returns the plan of a run that publishes a new image of the architecture.
func (w *world) plan(policy retention.RetentionPolicy, regions ...string) []retention.RetentionAction {
	w.Helper()
	var actions []retention.RetentionAction
	for _, region := range regions {
		have := must(retention.DescribeGenerations(w.Context(), w.clients(), region, policy))(w)
		actions = append(actions, retention.DiffGenerations(have, policy, retention.Published{Architecture: "x86_64"}, nil, time.Now())...)
	}
	return actions
}

// reported has usage reports on the images created, and waits for them.
func (w *world) reported(policy retention.RetentionPolicy, regions ...string) {
	w.Helper()
	if err := retention.Retire(w.Context(), w.clients(), w.plan(policy, regions...)); err != nil {
		w.Fatal(err)
	}
	time.Sleep(time.Hour)
}

func describeActions(actions []retention.RetentionAction) string {
	var lines []string
	for _, a := range actions {
		lines = append(lines, a.Change().String())
	}
	return strings.Join(lines, "\n")
}

// state is an image's state, "" if it is gone.
func (w *world) state(region, id string) string {
	w.Helper()
	images := must(w.own(region).DescribeImages(w.Context(), &ec2.DescribeImagesInput{
		Owners: []string{"self"}, IncludeDisabled: aws.Bool(true), Filters: []ec2types.Filter{{Name: aws.String("image-id"), Values: []string{id}}},
	}))(w).Images
	if len(images) == 0 {
		return ""
	}
	return string(images[0].State)
}

func (w *world) run(account, region, image string) string {
	w.Helper()
	return *must(w.ec2(account, region).RunInstances(w.Context(), &ec2.RunInstancesInput{
		ImageId: &image, MinCount: aws.Int32(1), MaxCount: aws.Int32(1), InstanceType: ec2types.InstanceTypeT3Micro,
	}))(w).Instances[0].InstanceId
}

func (w *world) terminate(account, region, instance string) {
	w.Helper()
	must(w.ec2(account, region).TerminateInstances(w.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{instance}}))(w)
}

func (w *world) template(account, region, name string, images ...string) string {
	w.Helper()
	client := w.ec2(account, region)
	id := must(client.CreateLaunchTemplate(w.Context(), &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: &name, LaunchTemplateData: &ec2types.RequestLaunchTemplateData{ImageId: &images[0]},
	}))(w).LaunchTemplate.LaunchTemplateId
	for _, image := range images[1:] {
		must(client.CreateLaunchTemplateVersion(w.Context(), &ec2.CreateLaunchTemplateVersionInput{
			LaunchTemplateId: id, LaunchTemplateData: &ec2types.RequestLaunchTemplateData{ImageId: &image},
		}))(w)
	}
	return *id
}

// parameter sets the parameter to the images, one version each.
func (w *world) parameter(region, name string, images ...string) {
	w.Helper()
	client := ssm.NewFromConfig(w.config(awssim.PublishingAccount, region))
	for n, image := range images {
		input := &ssm.PutParameterInput{Name: &name, Value: &image, Overwrite: aws.Bool(n > 0)}
		if n == 0 {
			input.Type, input.DataType = ssmtypes.ParameterTypeString, aws.String("aws:ec2:image")
		}
		must(client.PutParameter(w.Context(), input))(w)
		time.Sleep(time.Minute)
	}
}
