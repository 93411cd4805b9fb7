package ami

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/fanout"
	"github.com/orgami/packer-plugin-orgami/internal/progress"
	"github.com/orgami/packer-plugin-orgami/internal/wait"
)

// Keys tells the ARN of each region's key. Demanding them, not strings, keeps
// copies behind the keys.
type Keys interface {
	ARN(region string) string
}

// Images are the images of a publication, one a region, each available. Only
// [Copy] makes them.
type Images struct {
	byRegion map[string]Image
	// plans holds what each was to be.
	plans map[string]Plan
	// keys are the ARNs that the images must be under.
	keys map[string]string
	// attempts are this run's CopyImage calls, by region.
	attempts map[string]attempt
}

// attempt records the calls that may have made an image. Tokens are known
// before the call, so that a copy whose answer was lost is cleaned up too; ids
// after it, so that one that readers do not see yet is.
type attempt struct {
	tokens []string
	ids    []string
}

// Made lists the ids of the images that this run made, by region.
func (i Images) Made() map[string]string {
	made := map[string]string{}
	for region, image := range i.byRegion {
		if len(i.attempts[region].tokens) > 0 {
			made[region] = image.ID
		}
	}
	return made
}

// Image is the region's image, if it has one.
func (i Images) Image(region string) (Image, bool) {
	image, ok := i.byRegion[region]
	return image, ok
}

// visibility is how long a new image may be unknown to EC2's readers. EC2 gives
// no bound; one that is unknown for longer is taken for deregistered. Fact: 8.
const visibility = 2 * time.Minute

// maxAttempts bounds the chain of client tokens of failed earlier copies.
const maxAttempts = 10

// Copy brings the planned image to every region, all side by side, and returns
// when all are available or have failed; timeout bounds each region. Images is
// filled on failure too, for [Images.Discard].
func Copy(ctx context.Context, clients Clients, plans []Plan, keys Keys, timeout time.Duration, reporter progress.Reporter) (Images, error) {
	images := Images{byRegion: map[string]Image{}, plans: map[string]Plan{}, keys: map[string]string{}, attempts: map[string]attempt{}}
	var regions []string
	for _, plan := range plans {
		region := plan.Region()
		regions = append(regions, region)
		images.plans[region], images.keys[region] = plan, keys.ARN(region)
	}
	var mu sync.Mutex
	available, err := fanout.Collect(ctx, regions, func(ctx context.Context, region string) (Image, error) {
		c := copier{plan: images.plans[region], client: clients(region), keyARN: images.keys[region], timeout: timeout, stage: reporter.Start(region)}
		image, err := c.run(ctx)
		mu.Lock()
		defer mu.Unlock()
		images.attempts[region] = c.attempt
		return image, err
	})
	images.byRegion = available
	return images, err
}

// copier brings the image to one region.
type copier struct {
	plan    Plan
	client  *ec2.Client
	keyARN  string
	timeout time.Duration
	stage   *progress.Stage
	attempt attempt
}

func (c *copier) run(ctx context.Context) (Image, error) {
	if c.plan.adopted {
		return *c.plan.existing, nil
	}
	if c.plan.existing != nil {
		if c.plan.existing.State == string(types.ImageStateAvailable) {
			return *c.plan.existing, nil
		}
		c.stage.Logf("waiting for the copy %s of an earlier run", c.plan.existing.ID)
		return c.waitAvailable(ctx, c.plan.existing.ID)
	}
	dead := slices.Clone(c.plan.dead)
	slices.Sort(dead)
	for range maxAttempts {
		id, err := c.start(ctx, dead)
		if err != nil {
			return Image{}, err
		}
		if slices.Contains(dead, id) {
			return Image{}, fmt.Errorf("copying %s to %s: EC2 answers with image %s, which has failed: deregister it and run again", c.plan.want.Source.ID, c.plan.Region(), id)
		}
		image, err := c.waitAvailable(ctx, id)
		if !errors.Is(err, errGone) {
			return image, err
		}
		dead = append(dead, id)
	}
	return Image{}, fmt.Errorf("copying %s to %s: %d earlier copies of it were deregistered; set another ami_name", c.plan.want.Source.ID, c.plan.Region(), maxAttempts)
}

// start calls CopyImage; dead are images that earlier calls of the same copy
// made and that are gone.
func (c *copier) start(ctx context.Context, dead []string) (string, error) {
	want := c.plan.want
	token := clientToken(want.Source, want.Region, c.keyARN, want.Name, dead)
	c.attempt.tokens = append(c.attempt.tokens, token)
	input := ec2.CopyImageInput{
		SourceRegion:  &want.Source.Region,
		SourceImageId: &want.Source.ID,
		Name:          &want.Name,
		Description:   aws.String(want.Source.Description),
		Encrypted:     aws.Bool(true),
		KmsKeyId:      &c.keyARN,
		ClientToken:   &token,
		TagSpecifications: []types.TagSpecification{
			{ResourceType: types.ResourceTypeImage, Tags: tagList(want.imageTags(token))},
			{ResourceType: types.ResourceTypeSnapshot, Tags: tagList(want.snapshotTags(token))},
		},
	}
	if want.CopyDuration > 0 {
		input.SnapshotCopyCompletionDurationMinutes = &want.CopyDuration
	}
	answer, err := c.client.CopyImage(ctx, &input)
	if awsclient.IsClientError(err) {
		c.attempt.tokens = c.attempt.tokens[:len(c.attempt.tokens)-1] // it made nothing
	}
	if err != nil {
		return "", awsclient.Wrap(err, "copying %s from %s to %s under key %s", want.Source.ID, want.Source.Region, want.Region, c.keyARN)
	}
	id := aws.ToString(answer.ImageId)
	c.attempt.ids = append(c.attempt.ids, id)
	c.stage.Logf("copying %s from %s to %s", want.Source.ID, want.Source.Region, id)
	return id, nil
}

// keyActions are what EC2 does with the keys for the caller. Fact: 6.
const keyActions = "kms:CreateGrant, kms:Decrypt, kms:GenerateDataKeyWithoutPlaintext, kms:ReEncryptFrom, kms:ReEncryptTo"

// errGone says that EC2 named an image that does not exist (any more).
var errGone = errors.New("the image does not exist")

func (c *copier) waitAvailable(ctx context.Context, id string) (Image, error) {
	var image Image
	start := time.Now()
	err := wait.Until(ctx, wait.Policy{Interval: 2 * time.Second, Timeout: c.timeout}, func(ctx context.Context) (string, error) {
		var err error
		image, err = describeImageAlone(ctx, c.client, c.plan.Region(), id)
		switch {
		case awsclient.Is(err, awsclient.CodeImageNotFound) && time.Since(start) < visibility:
			return "the image is not visible yet", nil
		case awsclient.Is(err, awsclient.CodeImageNotFound):
			return "", errGone
		case err != nil:
			return "", err
		}
		switch types.ImageState(image.State) {
		case types.ImageStateAvailable:
			return "", nil
		case types.ImageStatePending, types.ImageStateTransient:
			c.tell(ctx, image)
			return "it is " + image.State, nil
		case types.ImageStateDeregistered:
			return "", errGone
		default:
			return "", fmt.Errorf("the image is %s: %s (is the key usable, and may the caller use it and the source's key through EC2: %s?)", image.State, image.StateReason, keyActions)
		}
	})
	if errors.Is(err, errGone) {
		return Image{}, errGone
	}
	if _, late := errors.AsType[*wait.TimeoutError](err); late {
		err = fmt.Errorf("%w %s", err, slowest(ctx, c.client, image))
	}
	if err != nil {
		return Image{}, fmt.Errorf("waiting for the copy %s of %s in %s: %w", id, c.plan.want.Source.ID, c.plan.Region(), err)
	}
	c.stage.Finishf("%s is available", id)
	return image, nil
}
