package ami

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/wait"
)

// errOtherParameters means that the client token was used for another copy.
var errOtherParameters = errors.New("the client token was used with other parameters")

// start calls CopyImage with the client token of the link and returns the image's ID.
// It waits while the account has as many copies in progress as EC2 allows. A source
// that no longer exists is replaced by a copy of it.
func (c *copier) start(ctx, waiting context.Context, link int) (string, error) {
	sources := append([]Image{c.desired.Source}, c.desired.Alternates...)
	for n, source := range sources {
		d := c.desired
		d.Source = source
		id, err := c.startWhenAllowed(ctx, waiting, d, link)
		switch {
		case awsclient.Is(err, awsclient.CodeImageNotFound, awsclient.CodeImageUnavailable) && n+1 < len(sources):
			c.stage.Logf(c.desired.Region, "%s in %s can't be copied (%s): copying %s in %s instead, a copy of it", source.ID, source.Region, awsclient.Code(err), sources[n+1].ID, sources[n+1].Region)
			continue
		case err == nil:
			c.desired.Source, c.desired.Alternates = source, sources[n+1:]
		}
		return id, err
	}
	return "", nil // not reached: the last source returns
}

// startWhenAllowed retries CopyImage while EC2 rejects another concurrent copy. Fact:
// EC2-COPY-33.
func (c *copier) startWhenAllowed(ctx, waiting context.Context, d Desired, link int) (string, error) {
	var id string
	told := false
	err := wait.Until(waiting, wait.Policy{Interval: 15 * time.Second, MaxInterval: time.Minute, Timeout: c.timeout}, func(context.Context) (string, error) {
		var err error
		id, err = c.call(ctx, d, link)
		if !awsclient.Is(err, awsclient.CodeResourceLimit) {
			return "", err
		}
		if !told {
			told = true
			c.stage.Logf(c.desired.Region, "EC2 doesn't allow another concurrent copy. Waiting for one to finish")
		}
		return "EC2 rejects another concurrent copy (ResourceLimitExceeded)", nil
	})
	if _, late := errors.AsType[*wait.TimeoutError](err); late || errors.Is(err, ErrStopped) {
		return "", fmt.Errorf("copying %s from %s to %s: %w", d.Source.ID, d.Source.Region, d.Region, err)
	}
	return id, err
}

// call calls CopyImage. EC2 may reject a name that another image has. Here, only an
// unpublished copy can have the wanted name. It must not block this run, so the copy
// gets the alternate name.
func (c *copier) call(ctx context.Context, d Desired, link int) (string, error) {
	answer, err := c.client.CopyImage(ctx, d.copyInput(d.Name, link))
	if awsclient.Is(err, awsclient.CodeImageNameTaken) {
		name := d.alternateName()
		c.stage.Logf(c.desired.Region, "EC2 rejects the name %q, because an unpublished copy has it. The copy gets the name %q", d.Name, name)
		answer, err = c.client.CopyImage(ctx, d.copyInput(name, link))
	}
	switch {
	case awsclient.Is(err, awsclient.CodeIdempotentMismatch):
		return "", errOtherParameters
	case err != nil:
		return "", awsclient.Wrap(err, "copying %s from %s to %s with key %s", d.Source.ID, d.Source.Region, d.Region, d.KeyARN)
	case aws.ToString(answer.ImageId) == "":
		return "", fmt.Errorf("copying %s from %s to %s: CopyImage returned no image ID. Run again. EC2 recognizes the request and creates no second copy", d.Source.ID, d.Source.Region, d.Region)
	}
	return *answer.ImageId, nil
}

func (d Desired) copyInput(name string, link int) *ec2.CopyImageInput {
	token := clientToken(d, name, link)
	input := &ec2.CopyImageInput{
		SourceRegion:  &d.Source.Region,
		SourceImageId: &d.Source.ID,
		Name:          &name,
		Description:   aws.String(d.Source.Description),
		Encrypted:     aws.Bool(true),
		KmsKeyId:      &d.KeyARN,
		ClientToken:   &token,
		TagSpecifications: []types.TagSpecification{
			{ResourceType: types.ResourceTypeImage, Tags: tagList(d.imageTags())},
			{ResourceType: types.ResourceTypeSnapshot, Tags: tagList(d.snapshotTags())},
		},
	}
	if d.CopyDuration > 0 {
		input.SnapshotCopyCompletionDurationMinutes = &d.CopyDuration
	}
	return input
}

// clientToken makes repeated calls for the same copy one copy. It is derived, not
// random, so that the next run can finish the work of a run that died before it read
// the response. For a known token, EC2 returns the image that it created first, even if
// that image no longer exists. Each attempt needs a new link.
func clientToken(d Desired, name string, link int) string {
	return "orgami-" + hash("copy/2", d.Publication, d.Source.Region, d.Source.ID, d.Region, d.KeyARN, name, strconv.Itoa(link))[:40]
}
