package retention

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/fanout"
	"github.com/orgami/packer-plugin-orgami/internal/wait"
)

// batch is how many images of a Region are checked together before they are disabled or
// deregistered.
const batch = imagesPerReference

// Retire does what was planned, in all Regions in parallel. A Region that fails doesn't
// stop the others, and an image that fails doesn't stop the Region's others; all errors
// are returned. Each image is checked again right before it is disabled or
// deregistered, and kept if anything about it has changed since the plan.
func Retire(ctx context.Context, clients Clients, actions []RetentionAction) error {
	byRegion := map[string][]RetentionAction{}
	for _, a := range actions {
		if a.why == "" || a.report {
			byRegion[a.image.Region] = append(byRegion[a.image.Region], a)
		}
	}
	return fanout.Each(ctx, slices.Sorted(maps.Keys(byRegion)), func(ctx context.Context, region string) error {
		api := clients(region)
		var problems []error
		for some := range slices.Chunk(byRegion[region], batch) {
			problems = append(problems, retire(ctx, api, region, some))
		}
		return errors.Join(problems...)
	})
}

func retire(ctx context.Context, api API, region string, actions []RetentionAction) error {
	var ending []Generation
	for _, a := range actions {
		if a.step.ends() {
			ending = append(ending, a.image)
		}
	}
	uses, usesErr := describeUses(ctx, api, region, ending, time.Now())
	var problems []error
	if usesErr != nil {
		problems = append(problems, fmt.Errorf("%w; no older image in %s is disabled or deregistered", usesErr, region))
	}
	for _, a := range actions {
		switch {
		case !a.step.ends():
			problems = append(problems, a.deprecate(ctx, api))
		case usesErr != nil:
		case a.report:
			problems = append(problems, a.askForReport(ctx, api, uses))
		default:
			problems = append(problems, a.end(ctx, api, uses))
		}
	}
	return errors.Join(problems...)
}

// askForReport creates a report unless another run has done so since the plan.
func (a RetentionAction) askForReport(ctx context.Context, api API, uses Uses) error {
	if _, exists := uses.Reports[a.image.ID]; exists {
		return nil
	}
	return createReport(ctx, api, a.image.Image)
}

func (a RetentionAction) deprecate(ctx context.Context, api API) error {
	at := time.Now().Add(soon).Truncate(time.Minute)
	if _, err := api.EnableImageDeprecation(ctx, &ec2.EnableImageDeprecationInput{ImageId: &a.image.ID, DeprecateAt: &at}); err != nil {
		return awsclient.Wrap(err, "deprecating the older image %s in %s", a.image.ID, a.image.Region)
	}
	return a.readBack(ctx, api, func(g Generation) bool { return !g.Deprecation.IsZero() })
}

// end disables or deregisters the image if it hasn't changed since the plan.
func (a RetentionAction) end(ctx context.Context, api API, uses Uses) error {
	now, err := describeImage(ctx, api, a.image.Region, a.image.ID)
	if awsclient.Is(err, awsclient.CodeImageNotFound) {
		return nil // deregistered since the plan
	}
	if err != nil {
		return fmt.Errorf("%w; the image is kept", err)
	}
	why := a.changed(now)
	if why == "" {
		principals, err := describePrincipals(ctx, api, now.Image)
		if err != nil {
			return fmt.Errorf("%w; the image is kept", err)
		}
		if !slices.Equal(principals, a.image.Principals) {
			why = fmt.Sprintf("it was shared with %q and is now shared with %q", a.image.Principals, principals)
		}
	}
	if why == "" {
		why, _ = uses.keep(now, a.step, time.Now())
	}
	if why != "" {
		return fmt.Errorf("image %s in %s was to be %s but is kept, because it changed after the plan: %s. Run again, or use '%s'", a.image.ID, a.image.Region, a.step, why, a.command())
	}
	if a.step == deregister {
		err = a.deregister(ctx, api)
		return awsclient.Wrap(err, "deregistering the older image %s in %s", a.image.ID, a.image.Region)
	}
	if _, err := api.DisableImage(ctx, &ec2.DisableImageInput{ImageId: &a.image.ID}); err != nil {
		return awsclient.Wrap(err, "disabling the older image %s in %s", a.image.ID, a.image.Region)
	}
	return a.readBack(ctx, api, func(g Generation) bool { return g.State == string(types.ImageStateDisabled) })
}

// changed describes what about the image itself differs from the plan.
func (a RetentionAction) changed(now Generation) string {
	switch {
	case !now.isGenerationOf(a.family):
		return "its tags no longer mark it as a published image of the family"
	case now.State != a.image.State:
		return fmt.Sprintf("it was %s and is now %s", a.image.State, now.State)
	case now.Owner != a.image.Owner || now.CreationDate != a.image.CreationDate:
		return fmt.Sprintf("it was created by account %s on %s, and EC2 returned account %q and %q", a.image.Owner, a.image.CreationDate, now.Owner, now.CreationDate)
	case !maps.Equal(now.Tags, a.image.Tags):
		return "its tags changed"
	case now.Protection != a.image.Protection:
		return fmt.Sprintf("its deregistration protection was %q and is %q", a.image.Protection, now.Protection)
	default:
		return ""
	}
}

// command is the AWS CLI command of the step.
func (a RetentionAction) command() string {
	if a.step == deregister {
		return fmt.Sprintf("aws ec2 deregister-image --region %s --image-id %s --delete-associated-snapshots", a.image.Region, a.image.ID)
	}
	return fmt.Sprintf("aws ec2 disable-image --region %s --image-id %s", a.image.Region, a.image.ID)
}

// deregister deregisters the image and deletes its snapshots, except for those
// that another image uses.
func (a RetentionAction) deregister(ctx context.Context, api API) error {
	answer, err := api.DeregisterImage(ctx, &ec2.DeregisterImageInput{ImageId: &a.image.ID, DeleteAssociatedSnapshots: aws.Bool(true)})
	if awsclient.Is(err, awsclient.CodeImageNotFound) {
		return nil // an earlier answer was lost
	}
	if err != nil {
		return err
	}
	if answer == nil {
		return errNoAnswer
	}
	var problems []error
	for _, deleted := range answer.DeleteSnapshotResults {
		if code := deleted.ReturnCode; code != types.SnapshotReturnCodesSuccess && code != types.SnapshotReturnCodesWarnSkipped {
			problems = append(problems, fmt.Errorf("its snapshot %s was not deleted, because EC2 returned %q; delete it with 'aws ec2 delete-snapshot --region %s --snapshot-id %[1]s', which needs ec2:DeleteSnapshot", aws.ToString(deleted.SnapshotId), code, a.image.Region))
		}
	}
	return errors.Join(problems...)
}

// readBack waits until readers see the change. Fact: EC2-API-1.
func (a RetentionAction) readBack(ctx context.Context, api API, done func(Generation) bool) error {
	err := wait.Until(ctx, wait.Policy{Timeout: visibility}, func(ctx context.Context) (string, error) {
		found, err := describeImage(ctx, api, a.image.Region, a.image.ID)
		if err != nil {
			return "", err
		}
		if !done(found) {
			return "the change is not visible yet", nil
		}
		return "", nil
	})
	if _, late := errors.AsType[*wait.TimeoutError](err); late {
		return fmt.Errorf("reading back the older image %s in %s, which was %s: %w; run again", a.image.ID, a.image.Region, a.step, err)
	}
	return err
}
