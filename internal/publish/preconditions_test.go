package publish_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/publish"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// precondition is a state that a run finds, and the expected result.
type precondition struct {
	// setUp prepares the world and returns the spec that the run publishes.
	setUp func(t *testing.T, w *world) publish.Spec
	// copies is how many images the run creates; any number if it is anyNumber.
	copies int
	// refused is part of the error with which a run ends that changes nothing.
	refused string
	// remedy applies the error's advice; nil if only another name helps.
	remedy func(t *testing.T, w *world)
	// lost means that nothing can be published.
	lost bool
}

const anyNumber = -1

// choices are behaviors of EC2 that AWS doesn't document.
func choices() map[string]awssim.CopyOptions {
	return map[string]awssim.CopyOptions{
		"as documented":                     {},
		"names are refused":                 {RefuseTakenNames: true},
		"tokens are forgotten":              {TokenMemory: time.Minute},
		"one copy at a time":                {ConcurrentCopies: 1},
		"deregistered images show":          {DeregisterLag: time.Minute},
		"pending copies need their source":  {PendingCopiesNeedSource: true},
		"names refused, tokens forgotten":   {RefuseTakenNames: true, TokenMemory: time.Minute, ConcurrentCopies: 1},
		"names refused, deregistered shows": {RefuseTakenNames: true, DeregisterLag: time.Minute, PendingCopiesNeedSource: true},
	}
}

// unshared publishes and is stopped before sharing.
func (w *world) unshared(t *testing.T, spec publish.Spec) {
	t.Helper()
	w.sim.Interpose(func(call awssim.Entry) *awssim.Fault {
		if call.Operation == "ModifyImageAttribute" && !call.DryRun {
			return &awssim.Fault{Kind: awssim.Denied}
		}
		return nil
	})
	if _, err := w.publish(spec); err == nil {
		t.Error("it was published")
	}
	w.sim.ClearFaults()
}

// canceledAfter publishes and is canceled.
func (w *world) canceledAfter(t *testing.T, spec publish.Spec, after time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), after)
	defer cancel()
	if _, err := w.publishWith(ctx, spec); err == nil {
		t.Error("it was published")
	}
}

// imagesNamed are the account's images of the name in the Region.
func (w *world) imagesNamed(name, region string) []awssim.ImageState {
	return slices.DeleteFunc(w.state().Images, func(i awssim.ImageState) bool {
		return i.Name != name || i.Region != region || i.Owner != awssim.PublishingAccount
	})
}

func (w *world) deregister(t *testing.T, region, id string) {
	t.Helper()
	done(w.ec2In(region).DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: &id, DeleteAssociatedSnapshots: aws.Bool(true)}))(t)
}

func (w *world) disableImage(t *testing.T, region, id string) {
	t.Helper()
	done(w.ec2In(region).DisableImage(t.Context(), &ec2.DisableImageInput{ImageId: &id}))(t)
}

func (w *world) enableAll(t *testing.T) {
	t.Helper()
	for _, image := range w.state().Images {
		if image.State == "disabled" {
			done(w.ec2In(image.Region).EnableImage(t.Context(), &ec2.EnableImageInput{ImageId: &image.ID}))(t)
		}
	}
}

// copyAgain copies the Region's copy, tags included, as a run with another token
// does.
func (w *world) copyAgain(t *testing.T, region string) string {
	t.Helper()
	like := w.imagesNamed("golden-shared", region)[0]
	var tags []ec2types.Tag
	for key, value := range like.Tags {
		tags = append(tags, ec2types.Tag{Key: aws.String(key), Value: aws.String(value)})
	}
	var key string
	for _, snapshot := range snapshotsOf(w.state(), like) {
		key = snapshot.Key
	}
	answer, err := w.ec2In(region).CopyImage(t.Context(), &ec2.CopyImageInput{
		SourceRegion: &w.regions[0], SourceImageId: aws.String(sourceImage), Name: aws.String("twin"), Encrypted: aws.Bool(true), KmsKeyId: &key,
		TagSpecifications: []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeImage, Tags: tags}},
	})
	if err != nil {
		t.Error(err)
		return ""
	}
	return aws.ToString(answer.ImageId)
}

// byHand copies the source, without the plugin, under the wanted name.
func (w *world) byHand(t *testing.T, region string) string {
	t.Helper()
	answer, err := w.ec2In(region).CopyImage(t.Context(), &ec2.CopyImageInput{SourceRegion: &w.regions[0], SourceImageId: aws.String(sourceImage), Name: aws.String("golden-shared")})
	if err != nil {
		t.Error(err)
		return ""
	}
	return aws.ToString(answer.ImageId)
}

func (w *world) shareByHand(t *testing.T, region, id string) {
	t.Helper()
	done(w.ec2In(region).ModifyImageAttribute(t.Context(), &ec2.ModifyImageAttributeInput{
		ImageId: &id, LaunchPermission: &ec2types.LaunchPermissionModifications{Add: []ec2types.LaunchPermission{{UserId: aws.String(awssim.OutsideAccount)}}},
	}))(t)
}

// sourceGoes deregisters the source after a while.
func (w *world) sourceGoes(t *testing.T, after time.Duration) {
	t.Helper()
	time.AfterFunc(after, func() { w.deregister(t, w.regions[0], sourceImage) })
}

// other is a publication of another image under the wanted name.
func (w *world) other(t *testing.T) publish.Spec {
	t.Helper()
	spec := w.quickSpec()
	spec.Sources[0].ImageID, spec.Image.Name = w.buildAnother(t), "golden-shared"
	return spec
}

func (w *world) underAnotherKey() publish.Spec {
	spec := w.quickSpec()
	spec.Key.Alias = "alias/other"
	return spec
}

// preconditions of the publication that [world.quickSpec] describes.
func preconditions() map[string]precondition {
	const some = "eu-west-1"
	list := map[string]precondition{
		"nothing": {copies: 3, setUp: func(_ *testing.T, w *world) publish.Spec { return w.quickSpec() }},
		"pending copies": {copies: 0, setUp: func(t *testing.T, w *world) publish.Spec {
			w.canceledAfter(t, w.quickSpec(), time.Minute)
			return w.quickSpec()
		}},
		"copies that don't show yet": {copies: anyNumber, setUp: func(t *testing.T, w *world) publish.Spec {
			w.sim.Interpose(func(call awssim.Entry) *awssim.Fault {
				if call.Operation == "CopyImage" && !call.DryRun {
					return &awssim.Fault{Kind: awssim.ResetAfter}
				}
				return nil
			})
			w.canceledAfter(t, w.quickSpec(), time.Minute)
			w.sim.ClearFaults()
			return w.quickSpec()
		}},
		"available copies": {copies: 0, setUp: func(t *testing.T, w *world) publish.Spec {
			w.unshared(t, w.quickSpec())
			return w.quickSpec()
		}},
		"a failed copy": {copies: 1, setUp: func(t *testing.T, w *world) publish.Spec {
			w.sim.FailCopy(some, "something")
			w.unshared(t, w.quickSpec())
			return w.quickSpec()
		}},
		"a pending copy that fails": {copies: 1, setUp: func(t *testing.T, w *world) publish.Spec {
			w.sim.FailCopy(some, "something")
			w.canceledAfter(t, w.quickSpec(), time.Minute)
			return w.quickSpec()
		}},
		"a copy deregistered a moment ago": {copies: 1, setUp: func(t *testing.T, w *world) publish.Spec {
			w.unshared(t, w.quickSpec())
			w.deregister(t, some, w.imagesNamed("golden-shared", some)[0].ID)
			return w.quickSpec()
		}},
		"a pending copy deregistered a moment ago": {copies: 1, setUp: func(t *testing.T, w *world) publish.Spec {
			w.canceledAfter(t, w.quickSpec(), time.Minute)
			w.deregister(t, some, w.imagesNamed("golden-shared", some)[0].ID)
			return w.quickSpec()
		}},
		"a published image deregistered a moment ago": {copies: 1, setUp: func(t *testing.T, w *world) publish.Spec {
			id := w.mustPublish(t, w.quickSpec()).Images()[some]
			w.deregister(t, some, id)
			return w.quickSpec()
		}},
		"a disabled copy": {refused: "aws ec2 enable-image", remedy: func(t *testing.T, w *world) { w.enableAll(t) }, setUp: func(t *testing.T, w *world) publish.Spec {
			w.unshared(t, w.quickSpec())
			w.disableImage(t, some, w.imagesNamed("golden-shared", some)[0].ID)
			return w.quickSpec()
		}},
		"a disabled published image": {refused: "aws ec2 enable-image", remedy: func(t *testing.T, w *world) { w.enableAll(t) }, setUp: func(t *testing.T, w *world) publish.Spec {
			w.disableImage(t, some, w.mustPublish(t, w.quickSpec()).Images()[some])
			return w.quickSpec()
		}},
		"published": {copies: 0, setUp: publishBefore},
		"shared in one Region": {copies: 0, setUp: func(t *testing.T, w *world) publish.Spec {
			w.sim.Inject(awssim.Fault{Operation: "ModifyImageAttribute", Region: some, Kind: awssim.Denied, Times: -1})
			if _, err := w.publish(w.quickSpec()); err == nil {
				t.Error("it was published")
			}
			w.sim.ClearFaults()
			return w.quickSpec()
		}},
		"a copy that someone shared": {copies: 0, setUp: func(t *testing.T, w *world) publish.Spec {
			w.unshared(t, w.quickSpec())
			w.shareByHand(t, some, w.imagesNamed("golden-shared", some)[0].ID)
			return w.quickSpec()
		}},
		"two copies, one pending": {copies: 0, setUp: func(t *testing.T, w *world) publish.Spec {
			w.unshared(t, w.quickSpec())
			w.copyAgain(t, some)
			return w.quickSpec()
		}},
		"two copies, the younger shared": {copies: 0, setUp: func(t *testing.T, w *world) publish.Spec {
			w.unshared(t, w.quickSpec())
			id := w.copyAgain(t, some)
			time.Sleep(2 * time.Minute)
			w.shareByHand(t, some, id)
			return w.quickSpec()
		}},
		"two copies, the older disabled": {refused: "aws ec2 enable-image", remedy: func(t *testing.T, w *world) { w.enableAll(t) }, setUp: func(t *testing.T, w *world) publish.Spec {
			w.unshared(t, w.quickSpec())
			w.disableImage(t, some, w.imagesNamed("golden-shared", some)[0].ID)
			w.copyAgain(t, some)
			time.Sleep(2 * time.Minute)
			return w.quickSpec()
		}},
		"someone else's image": {refused: "isn't a copy of", setUp: func(t *testing.T, w *world) publish.Spec {
			w.byHand(t, some)
			time.Sleep(2 * time.Minute)
			return w.quickSpec()
		}},
		"someone else's pending image": {refused: "isn't a copy of", setUp: func(t *testing.T, w *world) publish.Spec {
			w.byHand(t, some)
			time.Sleep(30 * time.Second)
			return w.quickSpec()
		}},
		"someone else's failed image": {copies: 3, setUp: func(t *testing.T, w *world) publish.Spec {
			w.sim.FailCopy(some, "something")
			w.byHand(t, some)
			time.Sleep(2 * time.Minute)
			return w.quickSpec()
		}},
		"another source's pending copies": {copies: 3, setUp: func(t *testing.T, w *world) publish.Spec {
			w.canceledAfter(t, w.other(t), time.Minute)
			return w.quickSpec()
		}},
		"another source's copies": {copies: 3, setUp: func(t *testing.T, w *world) publish.Spec {
			w.unshared(t, w.other(t))
			return w.quickSpec()
		}},
		"another source's disabled copy": {copies: 3, setUp: func(t *testing.T, w *world) publish.Spec {
			w.unshared(t, w.other(t))
			w.disableImage(t, some, w.imagesNamed("golden-shared", some)[0].ID)
			return w.quickSpec()
		}},
		"another source's shared copy": {refused: "is a copy of", setUp: func(t *testing.T, w *world) publish.Spec {
			w.unshared(t, w.other(t))
			w.shareByHand(t, some, w.imagesNamed("golden-shared", some)[0].ID)
			time.Sleep(time.Minute)
			return w.quickSpec()
		}},
		"another source's published image": {refused: "is a copy of", setUp: func(t *testing.T, w *world) publish.Spec {
			w.mustPublish(t, w.other(t))
			return w.quickSpec()
		}},
		"another source's failed copies, and ours": {copies: 0, setUp: func(t *testing.T, w *world) publish.Spec {
			w.unshared(t, w.other(t))
			w.unshared(t, w.quickSpec())
			return w.quickSpec()
		}},
		"copies under another key": {copies: 3, setUp: func(t *testing.T, w *world) publish.Spec {
			w.unshared(t, w.underAnotherKey())
			return w.quickSpec()
		}},
		"copies under another key, the source gone": {copies: 3, setUp: func(t *testing.T, w *world) publish.Spec {
			w.unshared(t, w.underAnotherKey())
			w.deregisterSource(t)
			return w.quickSpec()
		}},
		"published under another key": {refused: "encrypted with key", setUp: func(t *testing.T, w *world) publish.Spec {
			w.mustPublish(t, w.underAnotherKey())
			return w.quickSpec()
		}},
		"copies of another name": {copies: 3, setUp: func(t *testing.T, w *world) publish.Spec {
			spec := w.quickSpec()
			spec.Image.Name = "golden-old"
			w.unshared(t, spec)
			return w.quickSpec()
		}},
		// The copy in the source's Region stands in for it, and is published as it is.
		"copies of another name, the source gone": {copies: 2, setUp: func(t *testing.T, w *world) publish.Spec {
			spec := w.quickSpec()
			spec.Image.Name = "golden-old"
			w.unshared(t, spec)
			w.deregisterSource(t)
			spec.Image.Name = "golden-shared"
			return spec
		}},
		"copies with other tags": {copies: 0, setUp: func(t *testing.T, w *world) publish.Spec {
			spec := w.quickSpec()
			spec.Image.Tags = map[string]string{"stage": "old"}
			w.unshared(t, spec)
			return w.quickSpec()
		}},
		"copies with other tags, that don't show yet": {copies: anyNumber, setUp: func(t *testing.T, w *world) publish.Spec {
			spec := w.quickSpec()
			w.unshared(t, spec) // there is a key
			for _, image := range w.ourCopies() {
				w.deregister(t, image.Region, image.ID)
			}
			time.Sleep(2 * time.Minute)
			spec.Image.Tags = map[string]string{"stage": "old"}
			w.canceledAfter(t, spec, 6*time.Second)
			return w.quickSpec()
		}},
		"copies with other tags, deregistered": {copies: 3, setUp: func(t *testing.T, w *world) publish.Spec {
			spec := w.quickSpec()
			spec.Image.Tags = map[string]string{"stage": "old"}
			w.unshared(t, spec)
			for _, image := range w.ourCopies() {
				w.deregister(t, image.Region, image.ID)
			}
			time.Sleep(2 * time.Minute)
			return w.quickSpec()
		}},
		"fewer Regions before": {copies: 1, setUp: func(t *testing.T, w *world) publish.Spec {
			spec := w.quickSpec()
			spec.Regions = spec.Regions[:2]
			w.unshared(t, spec)
			return w.quickSpec()
		}},
		"published in fewer Regions": {copies: 1, setUp: func(t *testing.T, w *world) publish.Spec {
			spec := w.quickSpec()
			spec.Regions = spec.Regions[:2]
			w.mustPublish(t, spec)
			return w.quickSpec()
		}},
		"more Regions before": {copies: 0, setUp: func(t *testing.T, w *world) publish.Spec {
			w.unshared(t, w.quickSpec())
			spec := w.quickSpec()
			spec.Regions = spec.Regions[:2]
			return spec
		}},
		"the source's Region before": {copies: 0, setUp: func(t *testing.T, w *world) publish.Spec {
			w.unshared(t, w.quickSpec())
			spec := w.quickSpec()
			spec.Regions = spec.Regions[1:]
			return spec
		}},
		"other Regions before, the source gone": {copies: 1, setUp: func(t *testing.T, w *world) publish.Spec {
			spec := w.quickSpec()
			spec.Regions = spec.Regions[:2]
			w.unshared(t, spec)
			w.deregisterSource(t)
			spec.Regions = w.regions[1:]
			return spec
		}},
		"the source gone": {refused: "doesn't exist", lost: true, setUp: func(t *testing.T, w *world) publish.Spec {
			w.deregisterSource(t)
			return w.quickSpec()
		}},
		"the source gone, copies there": {copies: 0, setUp: func(t *testing.T, w *world) publish.Spec {
			w.unshared(t, w.quickSpec())
			w.deregisterSource(t)
			return w.quickSpec()
		}},
		"the source gone, one copy missing": {copies: 1, setUp: func(t *testing.T, w *world) publish.Spec {
			w.sim.FailCopy(some, "something")
			w.unshared(t, w.quickSpec())
			time.Sleep(time.Minute)
			w.deregisterSource(t)
			return w.quickSpec()
		}},
		"the source gone, published": {copies: 0, setUp: func(t *testing.T, w *world) publish.Spec {
			spec := publishBefore(t, w)
			w.deregisterSource(t)
			return spec
		}},
		"the source disabled, one copy missing": {copies: anyNumber, refused: "disabled", remedy: func(t *testing.T, w *world) { w.enableAll(t) }, setUp: func(t *testing.T, w *world) publish.Spec {
			w.sim.FailCopy(some, "something")
			w.unshared(t, w.quickSpec())
			w.disableImage(t, w.regions[0], sourceImage)
			time.Sleep(time.Minute)
			return w.quickSpec()
		}},
	}
	return list
}

// preconditionCell is a precondition in one of the worlds.
type preconditionCell struct {
	name, choice string
	precondition precondition
	options      awssim.CopyOptions
}

// TestPreconditions checks that whatever an earlier run, another publication or someone
// else left, a run publishes, or rejects and changes nothing; then the remedy of its
// error helps. It copies only what is missing. It runs in worlds that behave
// differently where AWS documents nothing.
func TestPreconditions(t *testing.T) {
	var cells []preconditionCell
	all, worlds := preconditions(), choices()
	for _, name := range sortedKeys(all) {
		for _, choice := range sortedKeys(worlds) {
			cells = append(cells, preconditionCell{name, choice, all[name], worlds[choice]})
		}
	}
	for _, c := range sample(cells, 32) {
		axisCell(t, &figures.preconditions, c.name+", "+c.choice, c.run)
	}
}

func (c preconditionCell) run(t *testing.T) {
	w := quickWorld(t, c.options)
	spec := c.precondition.setUp(t, w)
	before := w.state()
	w.sim.ResetJournal()
	defer w.guard(t, guarding{regions: spec.Regions, grants: 2})()
	o, err := w.publish(spec)
	w.checkHonest(t, o, err)
	if c.precondition.refused != "" {
		if err == nil || !strings.Contains(err.Error(), c.precondition.refused) {
			t.Errorf("the run ends with: %v", err)
		}
		if got := w.mutations(); len(got) > 0 {
			t.Errorf("a run that refuses changes: %v", got)
		}
		switch {
		case c.precondition.lost:
			return
		case c.precondition.remedy != nil:
			c.precondition.remedy(t, w)
		default:
			spec.Image.Name = "golden-too"
		}
		w.mustConverge(t, spec)
		return
	}
	if err != nil && c.options.DeregisterLag > 0 && strings.Contains(err.Error(), "Someone deregistered it. Run again") {
		w.mustConverge(t, spec) // the plan used images that EC2 still listed
		return
	}
	if err != nil {
		t.Errorf("the run ends with: %v", err)
	}
	created := 0
	for _, image := range w.state().Images {
		if !slices.ContainsFunc(before.Images, func(was awssim.ImageState) bool { return was.ID == image.ID }) {
			created++
		}
	}
	if want := c.precondition.copies; created != want && want != anyNumber {
		t.Errorf("the run created %d images, not %d", created, want)
	}
	last := w.mustConverge(t, spec)
	if !maps.Equal(o.Images(), last.Images()) {
		t.Errorf("the run published %v, and the next one %v", o.Images(), last.Images())
	}
	checkOneEach(t, w.state(), o)
}

// checkOneEach checks that, for each publication and name, exactly one image in a
// Region is marked as published.
func checkOneEach(t *testing.T, state awssim.State, o outcome) {
	t.Helper()
	published := map[string]int{}
	for _, image := range state.Images {
		if image.Tags[ami.TagState] == ami.StatePublished {
			published[fmt.Sprintf("%s %s %s", image.Region, image.Tags[ami.TagPublication], image.Name)]++
		}
	}
	for what, n := range published {
		if n != 1 {
			t.Errorf("%d images are marked as published: %s", n, what)
		}
	}
	if len(o.Images()) != len(o.Spec.Regions) {
		t.Errorf("published are %v", o.Images())
	}
}

// TestSourceGoesWhileCopying covers a source that is deregistered while the copies are
// pending. If a copy is available by then, the publication is finished, at the latest
// by the next run; whether pending copies need their source or not.
func TestSourceGoesWhileCopying(t *testing.T) {
	type leaving struct {
		choice string
		after  time.Duration
	}
	var cells []leaving
	for _, choice := range sortedKeys(choices()) {
		for _, seconds := range []int{5, 15, 20, 25, 30, 60, 100} {
			cells = append(cells, leaving{choice, time.Duration(seconds) * time.Second})
		}
	}
	for _, c := range sample(cells, 12) {
		axisCell(t, &figures.preconditions, fmt.Sprintf("the source goes after %v, %s", c.after, c.choice), func(t *testing.T) {
			w := quickWorldWith(t, choices()[c.choice], map[string]time.Duration{"us-east-1": 10 * time.Second})
			defer w.guard(t, guarding{regions: w.regions, grants: 2})()
			w.sourceGoes(t, c.after)
			o, err := w.publish(w.quickSpec())
			w.checkHonest(t, o, err)
			if err == nil {
				return
			}
			if slices.ContainsFunc(w.ourCopies(), func(i awssim.ImageState) bool { return i.State == "available" }) {
				w.mustConverge(t, w.quickSpec())
			}
		})
	}
}
