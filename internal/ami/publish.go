package ami

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/fanout"
	"github.com/orgami/packer-plugin-orgami/internal/wait"
)

// CheckNames looks again, right before sharing, for images because of which the
// name can't be published. EC2 has no conditional write, so another run can still
// publish the name in the moment after.
func CheckNames(ctx context.Context, clients Clients, verified Verified) error {
	return fanout.Each(ctx, verified.Regions(), func(ctx context.Context, region string) error {
		plan := verified.members[region].plan
		if plan.adopted {
			return nil
		}
		observed, err := Observe(ctx, clients, region, Search{Publication: plan.desired.Publication, Names: []string{plan.desired.Name}})
		if err != nil {
			return err
		}
		if problems := plan.desired.Conflicts(observed); len(problems) > 0 {
			return fmt.Errorf("the name was published after this run started: %s", strings.Join(problems, "; "))
		}
		return nil
	})
}

// MarkPublished tags the images as published, and returns them with the tags that
// EC2 reads back. An image that was published as it is gets the tags that copies
// are created with.
func MarkPublished(ctx context.Context, clients Clients, verified Verified) (map[string]Image, error) {
	return fanout.Collect(ctx, verified.Regions(), func(ctx context.Context, region string) (Image, error) {
		m := verified.members[region]
		missing := m.plan.missingMarks(m.image)
		if len(missing) == 0 {
			return m.image, nil
		}
		client, image := clients(region), m.image
		if _, err := client.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{image.ID}, Tags: tagList(missing)}); err != nil {
			return image, awsclient.Wrap(err, "tagging %s in %s as published", image.ID, region)
		}
		err := wait.Until(ctx, wait.Policy{Timeout: visibility}, func(ctx context.Context) (string, error) {
			found, err := describeImageAlone(ctx, client, region, image.ID)
			switch {
			case notVisible(err):
				return "the image is not visible", nil
			case err != nil:
				return "", err
			}
			image.Tags = found.Tags
			if lacking := maps.Clone(missing); len(m.plan.missingMarks(found)) > 0 || !found.available() {
				maps.DeleteFunc(lacking, func(key, value string) bool { return found.Tags[key] == value })
				return fmt.Sprintf("the image is %s and lacks the tags %s", found.State, strings.Join(slices.Sorted(maps.Keys(lacking)), ", ")), nil
			}
			return "", nil
		})
		if _, late := errors.AsType[*wait.TimeoutError](err); late {
			return image, fmt.Errorf("reading back the tags of %s in %s: %w. Another principal may be changing them. Run again", image.ID, region, err)
		}
		return image, err
	})
}
