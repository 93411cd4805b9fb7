package retention

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/text"
)

// Use is a resource of an account that refers to an image.
type Use struct {
	Account string
	// Kind is the kind of resource, for example "instance" or "launch template".
	Kind string
	// ID is the resource's ID or ARN; empty if only the number is known.
	ID string
	// Note is a detail, for example "version 3".
	Note string
	// Count is how many resources of the kind the account has, if ID is empty.
	Count int64
}

// String describes the use, for example "instance i-0a (account 111111111111)".
func (u Use) String() string {
	text := strings.TrimSpace(u.Kind + " " + u.ID)
	if u.ID == "" && u.Count > 0 {
		text = fmt.Sprintf("%d × %s", u.Count, u.Kind)
	}
	if u.Note != "" {
		text += ", " + u.Note
	}
	return fmt.Sprintf("%s (account %s)", text, u.Account)
}

// Uses are the uses of images in a Region.
type Uses struct {
	ByImage map[string][]Use
	// Reports are the usage reports on other accounts, by image: one that counts,
	// or one that is being created.
	Reports map[string]Report
	// Unknown explains why it isn't known who uses the Region's images. It is
	// empty if that is known.
	Unknown []string
}

// With returns the uses together with another one of the image.
func (u Uses) With(image string, use Use) Uses {
	u.ByImage = maps.Clone(u.ByImage)
	if u.ByImage == nil {
		u.ByImage = map[string][]Use{}
	}
	u.ByImage[image] = slices.Clone(u.ByImage[image])
	u.add(image, use)
	return u
}

func (u *Uses) add(image string, use Use) {
	known := func(k Use) bool {
		return k.Account == use.Account && k.Kind == use.Kind && k.ID == use.ID && use.ID != ""
	}
	if !slices.ContainsFunc(u.ByImage[image], known) {
		u.ByImage[image] = append(u.ByImage[image], use)
	}
}

func (u *Uses) unknownf(format string, arguments ...any) {
	if why := fmt.Sprintf(format, arguments...); !slices.Contains(u.Unknown, why) {
		u.Unknown = append(u.Unknown, why)
	}
}

const (
	kindInstance = "instance"
	kindTemplate = "launch template"
)

// liveStates are the states of instances that still need their image's ID: a
// stopped instance does, a terminated one doesn't.
var liveStates = []string{"pending", "running", "shutting-down", "stopping", "stopped"}

// imagesPerFilter bounds the values of one filter: EC2 allows 200.
const imagesPerFilter = 200

// describeUses reads who uses the images: the account's own instances, all
// versions of its launch templates, other references to the images that EC2
// reports, and the usage reports on other accounts. If a response is incomplete,
// the uses of the Region are unknown.
func describeUses(ctx context.Context, api API, region string, images []Generation, now time.Time) (Uses, error) {
	uses := Uses{ByImage: map[string][]Use{}, Reports: map[string]Report{}}
	if len(images) == 0 {
		return uses, nil
	}
	ids := make([]string, len(images))
	for n, image := range images {
		ids[n] = image.ID
	}
	slices.Sort(ids)
	account := images[0].Owner // that of all images: only the account's own images are searched
	for _, read := range []struct {
		what string
		uses func() error
	}{
		{"instances", func() error { return uses.byInstances(ctx, api, account, ids) }},
		{"launch templates", func() error { return uses.byTemplates(ctx, api, account, ids) }},
		{"resources", func() error { return uses.byReferences(ctx, api, ids) }},
		{"other accounts", func() error { return uses.byReports(ctx, api, account, ids, now) }},
	} {
		switch err := read.uses(); {
		case awsclient.Is(err, "InvalidAction", "UnsupportedOperation"):
			uses.unknownf("%s", awsclient.Wrap(err, "listing the %s in %s that use images", read.what, region))
		case err != nil:
			return Uses{}, awsclient.Wrap(err, "listing the %s in %s that use %s", read.what, region, few(ids))
		}
	}
	return uses, nil
}

func (u *Uses) byInstances(ctx context.Context, api API, account string, ids []string) error {
	for some := range slices.Chunk(ids, imagesPerFilter) {
		err := eachPage(ctx, api.DescribeInstances, func(token *string) *ec2.DescribeInstancesInput {
			return &ec2.DescribeInstancesInput{NextToken: token, IncludeManagedResources: aws.Bool(true), Filters: []types.Filter{
				{Name: aws.String("image-id"), Values: some},
				{Name: aws.String("instance-state-name"), Values: liveStates},
			}}
		}, func(answer *ec2.DescribeInstancesOutput) *string {
			for _, reservation := range answer.Reservations {
				for _, instance := range reservation.Instances {
					image, id := aws.ToString(instance.ImageId), aws.ToString(instance.InstanceId)
					if !slices.Contains(some, image) {
						u.unknownf("EC2 returned instance %q with image %qin response to a request for the instances of %s. Run again.", id, image, few(some))
						continue
					}
					u.add(image, Use{Account: account, Kind: kindInstance, ID: id})
				}
			}
			return answer.NextToken
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// few names the first of many items.
func few[T any](list []T) string {
	names := make([]string, len(list))
	for i, item := range list {
		names[i] = fmt.Sprint(item)
	}
	return text.Few(names, 3)
}
