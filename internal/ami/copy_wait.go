package ami

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/orgami/packer-plugin-orgami/internal/wait"
)

// visibility is how long a new image may be unknown to EC2's readers. EC2 gives no
// bound. An image that is unknown for longer counts as deregistered. Fact: EC2-IMG-27.
const visibility = 2 * time.Minute

// lastLook bounds the final look at a copy after waiting for it was stopped.
const lastLook = 10 * time.Second

// keyActions are the operations that EC2 calls with the keys on the caller's behalf.
// Fact: LAUNCH-2, LAUNCH-3.
const keyActions = "kms:CreateGrant, kms:Decrypt, kms:GenerateDataKeyWithoutPlaintext, kms:ReEncryptFrom, kms:ReEncryptTo"

// goneError means that a copy won't become available: it failed, or someone
// deregistered it.
type goneError struct {
	id, why string
	failed  bool
	created time.Time // zero if EC2 doesn't know the image
}

func (e *goneError) Error() string { return fmt.Sprintf("the copy %s %s", e.id, e.why) }

// clockSkew is the largest difference between EC2's clock and this machine's.
const clockSkew = 2 * time.Minute

// since reports whether EC2 showed that the copy was created after the time. If EC2
// doesn't know the image, a run before this one may have created it.
func (e *goneError) since(start time.Time) bool {
	return !e.created.IsZero() && !e.created.Before(start.Add(-clockSkew))
}

// wait waits until the image is available. A copy that won't become available is a
// [*goneError].
func (c *copier) wait(ctx context.Context, id string) error {
	start := time.Now()
	seen := time.Time{} // the image's creation, once EC2 has returned it
	err := wait.Until(ctx, wait.Policy{Interval: 2 * time.Second, Timeout: c.timeout}, func(ctx context.Context) (string, error) {
		image, err := describeImageAlone(ctx, c.client, c.desired.Region, id)
		switch {
		case notVisible(err) && time.Since(start) < visibility:
			return "the image is not visible yet", nil
		case notVisible(err):
			return "", &goneError{id: id, why: "no longer exists, because another principal deregistered it", created: seen}
		case err != nil:
			return "", err
		}
		c.image = image
		seen = image.created()
		pending, err := image.pending()
		if pending != "" {
			c.tell(ctx, image)
		}
		return pending, err
	})
	if _, isGone := errors.AsType[*goneError](err); isGone {
		return err
	}
	if err != nil && errors.Is(context.Cause(ctx), ErrStopped) {
		return c.stopped(ctx, id)
	}
	if _, late := errors.AsType[*wait.TimeoutError](err); late {
		err = fmt.Errorf("%w %s", err, slowest(ctx, c.client, c.image))
	}
	if err != nil {
		return fmt.Errorf("waiting for the copy %s of %s in %s: %w", id, c.desired.Source.ID, c.desired.Region, err)
	}
	c.result = "copied the image"
	return nil
}

// stopped reads a copy for the last time after the wait ended, so that the run reports
// all Regions that have failed by now.
func (c *copier) stopped(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastLook)
	defer cancel()
	image, err := describeImageAlone(ctx, c.client, c.desired.Region, id)
	if err == nil {
		c.image = image
		switch pending, err := image.pending(); {
		case err != nil:
			return fmt.Errorf("copying %s to %s: %w", c.desired.Source.ID, c.desired.Region, err)
		case pending == "":
			c.result = "copied the image"
			return nil
		}
	}
	return fmt.Errorf("waiting for the copy %s in %s: %w. The copy continues, and the next run uses it", id, c.desired.Region, ErrStopped)
}

// pending describes what an available image still lacks. It is "" if nothing is
// pending. The error says why the image won't become available.
func (i Image) pending() (string, error) {
	switch types.ImageState(i.State) {
	case types.ImageStateAvailable:
		return "", nil
	case types.ImageStatePending, types.ImageStateTransient:
		return "it is " + i.State, nil
	case types.ImageStateDeregistered:
		return "", &goneError{id: i.ID, why: "was deregistered by another principal", created: i.created()}
	case types.ImageStateDisabled:
		return "", fmt.Errorf("image %s in %s was disabled by another principal. Enable it with 'aws ec2 enable-image --region %[2]s --image-id %[1]s', or deregister it, and run again", i.ID, i.Region)
	case types.ImageStateFailed, types.ImageStateError, types.ImageStateInvalid:
		return "", &goneError{id: i.ID, failed: true, created: i.created(), why: fmt.Sprintf("is %s: %s. Check that the key is enabled, and that the caller may use it and the source's key through EC2 (%s)", i.State, i.StateReason, keyActions)}
	default:
		return fmt.Sprintf("its state %q is not supported by this version", i.State), nil
	}
}

// created is when the image was created. It is zero if EC2 didn't return it.
func (i Image) created() time.Time {
	created, _ := time.Parse(time.RFC3339, i.CreationDate) // zero if it isn't a time
	return created
}
