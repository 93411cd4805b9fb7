package publish_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/change"
	"github.com/orgami/packer-plugin-orgami/internal/publish"
	"github.com/orgami/packer-plugin-orgami/internal/retention"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

func (w *world) ec2In(region string) *ec2.Client {
	return ec2.NewFromConfig(w.config(awssim.PublishingAccount, region))
}

// described returns an image as EC2 describes it to its owner, or nil if it no longer
// exists.
func (w *world) described(t *testing.T, region, id string) *ec2types.Image {
	t.Helper()
	answer, err := w.ec2In(region).DescribeImages(t.Context(), &ec2.DescribeImagesInput{
		Owners: []string{"self"}, IncludeDisabled: aws.Bool(true), Filters: []ec2types.Filter{{Name: aws.String("image-id"), Values: []string{id}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(answer.Images) == 0 {
		return nil
	}
	return &answer.Images[0]
}

func tagsOf(image *ec2types.Image) map[string]string {
	tags := map[string]string{}
	for _, tag := range image.Tags {
		tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	return tags
}

// published publishes, and marks the images as published.
func (w *world) published(t *testing.T, spec publish.Spec) map[string]string {
	t.Helper()
	images := w.mustPublish(t, spec).Images()
	for region, id := range images {
		w.tag(t, region, id, ami.TagState, ami.StatePublished)
	}
	return images
}

// reported has image usage reports on the images created, and waits for them.
func (w *world) reported(t *testing.T, images ...map[string]string) {
	t.Helper()
	for _, image := range images {
		for region, id := range image {
			_, err := w.ec2In(region).CreateImageUsageReport(t.Context(), &ec2.CreateImageUsageReportInput{
				ImageId: &id, ResourceTypes: []ec2types.ImageUsageResourceTypeRequest{{ResourceType: aws.String("ec2:Instance")}},
				TagSpecifications: []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeImageUsageReport, Tags: []ec2types.Tag{
					{Key: aws.String(retention.TagReport), Value: aws.String(retention.ReportScope)},
				}}},
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	time.Sleep(time.Hour)
}

func lifelong(s *publish.Spec) {
	s.Image.Family = "golden"
	s.Lifecycle = retention.Lifecycle{DeprecateAfter: 90 * 24 * time.Hour, Protection: ami.ProtectedWithCooldown}
}

// TestLifecycle checks that the published images are deprecated and protected as asked
// for, and tagged with what only the run knows; a second run changes nothing.
func TestLifecycle(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		spec := w.spec()
		lifelong(&spec)
		spec.Image.Tags = map[string]string{"from": "{{ .SourceImageName }} of {{ .SourceImageCreationDate }}", "where": "{{ .Region }}", "plain": "{ }"}
		spec.Image.SnapshotTags = map[string]string{"image": "{{ .SourceImageID }}"}
		result := w.mustPublish(t, spec)
		source := w.described(t, "us-east-1", sourceImage)
		for region, id := range result.Images() {
			image := w.described(t, region, id)
			created, _ := time.Parse(time.RFC3339, aws.ToString(image.CreationDate))
			at := created.Add(90 * 24 * time.Hour).Truncate(time.Minute).Format("2006-01-02T15:04:05.000Z")
			if aws.ToString(image.DeprecationTime) != at || aws.ToString(image.DeregistrationProtection) != "enabled-with-cooldown" {
				t.Errorf("%s: deprecated at %s, want %s; protection %s", region, aws.ToString(image.DeprecationTime), at, aws.ToString(image.DeregistrationProtection))
			}
			tags := tagsOf(image)
			want := map[string]string{"from": "golden of " + aws.ToString(source.CreationDate), "where": region, "plain": "{ }", ami.TagFamily: "golden", ami.TagSourceImage: sourceImage, ami.TagSourceRegion: "us-east-1"}
			maps.DeleteFunc(tags, func(key, _ string) bool { return want[key] == "" })
			if diff := cmp.Diff(want, tags); diff != "" {
				t.Errorf("tags in %s:\n%s", region, diff)
			}
			m := result.Manifest().Images[region]
			if m.Family != "golden" || m.DeprecationTime == "" || m.DeregistrationProtection != "enabled-with-cooldown" {
				t.Errorf("the manifest says of %s: %+v", region, m)
			}
		}
		for _, snapshot := range w.state().Snapshots {
			if snapshot.Tags[ami.TagPublication] != "" && snapshot.Tags["image"] != sourceImage {
				t.Errorf("tags of snapshot %s: %v", snapshot.ID, snapshot.Tags)
			}
		}
		w.sim.ResetJournal()
		w.mustPublish(t, spec)
		if got := w.mutations(); len(got) > 0 {
			t.Errorf("a second run changes something: %v", got)
		}
	})
}

// TestLifecycleOfWhatIsPublished checks that an image that is published already gets
// what it lacks, one whose time has come is deprecated immediately, and an adopted
// source is marked as one that this plugin publishes.
func TestLifecycleOfWhatIsPublished(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		w.mustPublish(t, w.spec())
		time.Sleep(91 * 24 * time.Hour)
		spec := w.spec()
		lifelong(&spec)
		w.sim.ResetJournal()
		plan := spec
		plan.PlanOnly = true
		if n := w.mustPublish(t, plan).Changed(); n != 9 {
			t.Errorf("%d changes are planned, not 9:\n%s", n, w.said())
		}
		w.mustPublish(t, spec)
		want := map[string]int{"ec2 CreateTags": 3, "ec2 EnableImageDeprecation": 3, "ec2 EnableImageDeregistrationProtection": 3}
		if diff := cmp.Diff(want, w.mutations()); diff != "" {
			t.Errorf("mutating calls:\n%s", diff)
		}
		for range 2 { // before the time has come, and after
			w.sim.ResetJournal()
			w.mustPublish(t, spec)
			if got := w.mutations(); len(got) > 0 {
				t.Errorf("a further run changes something: %v", got)
			}
			time.Sleep(time.Hour)
		}
	})
}

// TestRetire checks that older generations are deprecated, disabled and deregistered by
// their age; those that are used, protected, of another family or architecture, or not
// this plugin's stay as they are.
func TestRetire(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		region := w.regions[0]
		publishAs := func(name, family string) map[string]string {
			spec := w.spec()
			spec.Image.Name, spec.Image.Family = name, family
			return w.published(t, spec)
		}
		other := publishAs("other", "silver")
		byHand := w.copyByHand(t, region)
		w.tag(t, region, byHand, ami.TagFamily, "golden")
		w.tag(t, region, byHand, ami.TagState, ami.StatePublished)
		var generations []map[string]string
		for _, name := range []string{"one", "two", "three", "four", "five"} {
			generations = append(generations, publishAs(name, "golden"))
			time.Sleep(100 * time.Hour)
		}
		instance := w.run(t, region, generations[0][region])
		w.template(t, "eu-west-1", generations[1]["eu-west-1"])
		if _, err := w.ec2In(region).EnableImageDeregistrationProtection(t.Context(), &ec2.EnableImageDeregistrationProtectionInput{ImageId: aws.String(generations[1][region])}); err != nil {
			t.Fatal(err)
		}
		w.tag(t, region, sourceImage, ami.TagFamily, "golden") // not published by this plugin
		w.reported(t, generations[:3]...)

		spec := w.spec()
		spec.Image.Name, spec.Image.Family = "six", "golden"
		spec.Retire = &retention.RetentionPolicy{Family: "golden", Keep: 2, DeprecateAfter: 50 * time.Hour, DisableAfter: 250 * time.Hour, DeleteAfter: 350 * time.Hour}
		before := w.state()
		plan := spec
		plan.PlanOnly = true
		planned := retired(w.mustPublish(t, plan))
		if diff := cmp.Diff(before, w.state()); diff != "" {
			t.Errorf("plan_only changed the world:\n%s", diff)
		}
		snapshots := len(before.Snapshots)
		w.sim.ResetJournal()
		result := w.mustPublish(t, spec)
		if diff := cmp.Diff(planned, retired(result)); diff != "" {
			t.Errorf("it was planned otherwise:\n%s", diff)
		}
		if len(planned) != 12 {
			t.Errorf("%d images were planned to be retired, or left for a reason, not 12: %v", len(planned), planned)
		}
		want := map[string]int{"ec2 EnableImageDeprecation": 3, "ec2 DisableImage": 3, "ec2 DeregisterImage": 3, "ec2 CopyImage": 3, "ec2 ModifyImageAttribute": 3, "ec2 CreateTags": 3}
		if diff := cmp.Diff(want, w.mutations()); diff != "" {
			t.Errorf("mutating calls:\n%s", diff)
		}
		for generation, images := range append(generations, result.Images(), other) {
			for at, id := range images {
				w.checkRetired(t, generation, at, id)
			}
		}
		if image := w.described(t, region, byHand); image == nil || image.State != ec2types.ImageStateAvailable {
			t.Errorf("the image that somebody copied by hand: %+v", image)
		}
		if got := len(w.state().Snapshots); got != snapshots { // three copies were created, and three removed
			t.Errorf("%d snapshots, not %d", got, snapshots)
		}
		for _, said := range []string{"Retirement assumes: ", "instance " + instance, "launch template lt-", "disable-image-deregistration-protection --region " + region} {
			if !strings.Contains(w.said(), said) {
				t.Errorf("the plan does not say %q:\n%s", said, w.said())
			}
		}
		w.sim.ResetJournal()
		w.mustPublish(t, spec)
		if got := w.mutations(); len(got) > 0 {
			t.Errorf("a second run changes something: %v", got)
		}
	})
}

// checkRetired checks one image of TestRetire: generations 0 to 4 are one to
// five, 5 is six, 6 is of another family.
func (w *world) checkRetired(t *testing.T, generation int, region, id string) {
	t.Helper()
	image := w.described(t, region, id)
	inUse := generation == 0 && region == w.regions[0] || generation == 1 && region == "eu-west-1"
	protected := generation == 1 && region == w.regions[0]
	if gone := generation < 2 && !inUse && !protected; gone != (image == nil) {
		t.Errorf("generation %d in %s, %s: gone is %v", generation, region, id, image == nil)
	}
	if image == nil {
		return
	}
	if disabled := image.State == ec2types.ImageStateDisabled; disabled != (generation == 2) {
		t.Errorf("generation %d in %s: disabled is %v", generation, region, disabled)
	}
	if deprecated := image.DeprecationTime != nil; deprecated != (generation == 3) {
		t.Errorf("generation %d in %s: deprecated is %v", generation, region, deprecated)
	}
}

// TestRetireNothingNewer checks that when an older image is published again, those that
// came after it stay as they are, however old they are, and count as kept.
func TestRetireNothingNewer(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		images := map[string]map[string]string{}
		names := []string{"one", "two", "three", "four"}
		for _, name := range names {
			spec := w.spec()
			spec.Image.Name, spec.Image.Family = name, "golden"
			images[name] = w.published(t, spec)
			time.Sleep(100 * time.Hour)
		}
		w.reported(t, slices.Collect(maps.Values(images))...)
		for _, test := range []struct {
			keep int
			gone []string
		}{{4, nil}, {3, []string{"one"}}, {1, []string{"one"}}} {
			spec := w.spec()
			spec.Image.Name, spec.Image.Family = "two", "golden"
			spec.Retire = &retention.RetentionPolicy{Family: "golden", Keep: test.keep, DeleteAfter: time.Hour}
			w.mustPublish(t, spec)
			for _, name := range names {
				for region, id := range images[name] {
					if gone := w.described(t, region, id) == nil; gone != slices.Contains(test.gone, name) {
						t.Errorf("keep %d: %s in %s is gone: %v", test.keep, name, region, gone)
					}
				}
			}
		}
	})
}

// TestRetireAsksAgain checks that an image that comes into use during the
// copies is kept, and that the run reports it.
func TestRetireAsksAgain(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		old := w.spec()
		old.Image.Name, old.Image.Family = "one", "golden"
		first := w.published(t, old)
		time.Sleep(100 * time.Hour)
		w.reported(t, first)
		spec := w.spec()
		spec.Image.Name, spec.Image.Family = "two", "golden"
		spec.Retire = &retention.RetentionPolicy{Family: "golden", Keep: 1, DeleteAfter: time.Hour}
		region := w.regions[0]
		done := make(chan error)
		go func() {
			_, err := w.publish(spec)
			done <- err
		}()
		time.Sleep(time.Minute)
		id := w.run(t, region, first[region])
		err := <-done
		if err == nil || !strings.Contains(err.Error(), id) || !strings.Contains(err.Error(), first[region]) {
			t.Errorf("error is %v", err)
		}
		for at, id := range first {
			if gone := w.described(t, at, id) == nil; gone != (at != region) {
				t.Errorf("in %s, gone is %v", at, gone)
			}
		}
	})
}

// retired are the changes of a result that are about older images.
func retired(result outcome) []change.Change {
	return slices.DeleteFunc(result.Manifest().Changes, func(c change.Change) bool { return c.Kind != change.OldImage })
}

// run runs an instance in the publishing account.
func (w *world) run(t *testing.T, region, image string) string {
	t.Helper()
	answer, err := w.ec2In(region).RunInstances(t.Context(), &ec2.RunInstancesInput{
		ImageId: &image, MinCount: aws.Int32(1), MaxCount: aws.Int32(1), InstanceType: ec2types.InstanceTypeT4gMicro,
	})
	if err != nil {
		t.Fatal(err)
	}
	id := answer.Instances[0].InstanceId
	time.Sleep(time.Minute)
	if _, err := w.ec2In(region).StopInstances(t.Context(), &ec2.StopInstancesInput{InstanceIds: []string{*id}}); err != nil {
		t.Fatal(err)
	}
	return *id
}

// copyByHand copies the source without this plugin.
func (w *world) copyByHand(t *testing.T, region string) string {
	t.Helper()
	answer, err := w.ec2In(region).CopyImage(t.Context(), &ec2.CopyImageInput{
		SourceImageId: aws.String(sourceImage), SourceRegion: &region, Name: aws.String("by hand"),
	})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Hour)
	return aws.ToString(answer.ImageId)
}

// template creates a launch template, an older version of which names the image.
func (w *world) template(t *testing.T, region, image string) {
	t.Helper()
	client := w.ec2In(region)
	answer, err := client.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: aws.String("web"), LaunchTemplateData: &ec2types.RequestLaunchTemplateData{ImageId: &image},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.CreateLaunchTemplateVersion(t.Context(), &ec2.CreateLaunchTemplateVersionInput{
		LaunchTemplateId: answer.LaunchTemplate.LaunchTemplateId, LaunchTemplateData: &ec2types.RequestLaunchTemplateData{InstanceType: ec2types.InstanceTypeT4gMicro},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) tag(t *testing.T, region, resource, key, value string) {
	t.Helper()
	_, err := w.ec2In(region).CreateTags(t.Context(), &ec2.CreateTagsInput{Resources: []string{resource}, Tags: []ec2types.Tag{{Key: &key, Value: &value}}})
	if err != nil {
		t.Fatal(err)
	}
}
