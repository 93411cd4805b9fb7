package awssim_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// imagesNamed lists the names of the images that the request finds, sorted.
func imagesNamed(t *testing.T, client *ec2.Client, input *ec2.DescribeImagesInput) []string {
	t.Helper()
	names := []string{}
	for _, i := range must(client.DescribeImages(t.Context(), input))(t).Images {
		names = append(names, aws.ToString(i.Name))
	}
	slices.Sort(names)
	return names
}

func filterBy(name string, values ...string) types.Filter {
	return types.Filter{Name: &name, Values: values}
}

// TestDescribeImagesSelects checks the selection by owners, launch permissions, filters
// and IDs.
func TestDescribeImagesSelects(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		client := ec2In(w, awssim.PublishingAccount, "us-east-1")
		const al2023 = "al2023-ami-2023.10.20260114.0-kernel-6.12-x86_64"
		by := func(filters ...types.Filter) *ec2.DescribeImagesInput {
			return &ec2.DescribeImagesInput{Filters: filters, Owners: []string{"self", factMember}}
		}
		own := []string{"instance", "managed", "plain"}
		for name, test := range map[string]struct {
			input *ec2.DescribeImagesInput
			want  []string
		}{
			"self":                  {&ec2.DescribeImagesInput{Owners: []string{"self"}}, own},
			"an account":            {&ec2.DescribeImagesInput{Owners: []string{factMember}}, []string{"theirs"}},
			"nobody":                {&ec2.DescribeImagesInput{Owners: []string{"aws-marketplace"}}, []string{}},
			"amazon":                {&ec2.DescribeImagesInput{Owners: []string{"amazon"}, Filters: named("al2023-ami-*-x86_64")}, []string{al2023}},
			"amazon's account":      {&ec2.DescribeImagesInput{Owners: []string{"137112412989"}, Filters: named("al2023-ami-*-x86_?4")}, []string{al2023}},
			"explicitly for self":   {&ec2.DescribeImagesInput{ExecutableUsers: []string{"self"}}, []string{"theirs"}},
			"by id":                 {&ec2.DescribeImagesInput{ImageIds: []string{plainImage, theirImage}}, []string{"plain", "theirs"}},
			"by id and owner":       {&ec2.DescribeImagesInput{ImageIds: []string{plainImage, theirImage}, Owners: []string{"self"}}, []string{"plain"}},
			"all filters must pass": {by(filterBy("root-device-type", "ebs"), filterBy("owner-id", awssim.PublishingAccount)), []string{"managed", "plain"}},
			"one value is enough":   {by(filterBy("name", "plain", "theirs", "none")), []string{"plain", "theirs"}},
			"own tags":              {by(filterBy("tag:owner", "m?")), []string{"plain"}},
			"own tags by key":       {by(filterBy("tag-key", "owner")), []string{"plain"}},
			"no such tag value":     {by(filterBy("tag:owner", "you")), []string{}},
			"instance store":        {by(filterBy("root-device-type", "instance-store")), []string{"instance"}},
			"several filters":       {by(filterBy("state", "available"), filterBy("architecture", "x86_64"), filterBy("virtualization-type", "hvm"), filterBy("is-public", "false"), filterBy("image-id", plainImage)), []string{"plain"}},
		} {
			if diff := cmp.Diff(test.want, imagesNamed(t, client, test.input)); diff != "" {
				t.Errorf("%s:\n%s", name, diff)
			}
		}
		for code, input := range map[string]*ec2.DescribeImagesInput{
			"InvalidParameterValue": by(filterBy("colour", "red")),
			"InvalidAMIID.NotFound": {ImageIds: []string{plainImage, "ami-0123456789abcdef0"}},
			"MissingParameter":      by(types.Filter{Name: aws.String("name")}),
			"FilterLimitExceeded":   by(filterBy("name", make([]string, 201)...)),
			"InvalidNextToken":      {NextToken: aws.String("???")},
		} {
			_, err := client.DescribeImages(t.Context(), input)
			wantCode(t, err, code)
		}
	})
}

// TestWhoSeesAnImage checks that the owner and the accounts that an image is shared
// with see it, and all accounts if it is public. Tags are their owner's. Fact:
// EC2-SHARE-5, EC2-SHARE-16.
func TestWhoSeesAnImage(t *testing.T) {
	outside := types.LaunchPermission{UserId: aws.String(awssim.OutsideAccount)}
	organization := types.LaunchPermission{OrganizationArn: aws.String(awssim.OrganizationARN)}
	unit := types.LaunchPermission{OrganizationalUnitArn: aws.String(awssim.WorkloadsUnitARN)}
	for name, test := range map[string]struct {
		with []types.LaunchPermission
		want []string
	}{
		"private":      {nil, nil},
		"account":      {[]types.LaunchPermission{outside}, []string{awssim.OutsideAccount}},
		"organization": {[]types.LaunchPermission{organization}, []string{factMember, awssim.ManagementAccount}},
		"unit":         {[]types.LaunchPermission{unit}, []string{factMember}},
		"both":         {[]types.LaunchPermission{unit, outside}, []string{factMember, awssim.OutsideAccount}},
		"everybody":    {[]types.LaunchPermission{{Group: types.PermissionGroupAll}}, []string{factMember, awssim.OutsideAccount, awssim.ManagementAccount}},
	} {
		t.Run(name, func(t *testing.T) {
			inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
				owner := ec2In(w, awssim.PublishingAccount, "us-east-1")
				must(owner.DisableImageBlockPublicAccess(t.Context(), nil))(t)
				if test.with != nil {
					must(owner.ModifyImageAttribute(t.Context(), share(plainImage, test.with...)))(t)
				}
				var got []string
				for _, account := range []string{factMember, awssim.OutsideAccount, awssim.ManagementAccount} {
					client := ec2In(w, account, "us-east-1")
					answer, err := client.DescribeImages(t.Context(), &ec2.DescribeImagesInput{ImageIds: []string{plainImage}})
					if err != nil {
						wantCode(t, err, "InvalidAMIID.NotFound")
						continue
					}
					got = append(got, account)
					image := answer.Images[0]
					if len(image.Tags) > 0 || aws.ToString(image.OwnerId) != awssim.PublishingAccount {
						t.Errorf("%s sees the tags %v of the image of %s", account, image.Tags, aws.ToString(image.OwnerId))
					}
					_, err = client.DescribeImageAttribute(t.Context(), &ec2.DescribeImageAttributeInput{ImageId: aws.String(plainImage), Attribute: types.ImageAttributeNameLaunchPermission})
					wantCode(t, err, "AuthFailure")
					_, err = client.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: aws.String(plainImage)})
					wantCode(t, err, "AuthFailure")
				}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("seen by (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestDescribeImagesPages checks that pages neither miss nor repeat an image, also when
// others go away meanwhile.
func TestDescribeImagesPages(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		client := ec2In(w, awssim.PublishingAccount, "us-east-1")
		all := map[string]int{}
		input := &ec2.DescribeImagesInput{Owners: []string{"self", factMember}}
		for _, i := range must(client.DescribeImages(t.Context(), input))(t).Images {
			all[aws.ToString(i.ImageId)] = 1
		}
		seen, pages := map[string]int{}, 0
		input.MaxResults = aws.Int32(1)
		for paginator := ec2.NewDescribeImagesPaginator(client, input); paginator.HasMorePages(); pages++ {
			page := must(paginator.NextPage(t.Context()))(t)
			if len(page.Images) > 1 {
				t.Errorf("page %d has %d images", pages, len(page.Images))
			}
			for _, i := range page.Images {
				seen[aws.ToString(i.ImageId)]++
			}
			if pages == 0 {
				must(client.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: aws.String(slices.Min(slices.Collect(maps.Keys(seen))))}))(t)
			}
		}
		if diff := cmp.Diff(all, seen); diff != "" || pages != len(all) {
			t.Errorf("%d pages:\n%s", pages, diff)
		}
		input.MaxResults = aws.Int32(1001)
		_, err := client.DescribeImages(t.Context(), input)
		wantCode(t, err, "InvalidParameterValue")
		_, err = client.DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{SnapshotIds: []string{"snap-00000000"}, MaxResults: aws.Int32(5)})
		wantCode(t, err, "InvalidParameterCombination")
	})
}

// TestDeprecatedAndDisabledImages checks that these images aren't listed for all
// accounts.
func TestDeprecatedAndDisabledImages(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		owner, other := ec2In(w, factMember, "us-east-1"), ec2In(w, awssim.PublishingAccount, "us-east-1")
		id := aws.String(theirImage)
		list := func(deprecated, disabled bool) *ec2.DescribeImagesInput {
			return &ec2.DescribeImagesInput{Owners: []string{factMember}, IncludeDeprecated: &deprecated, IncludeDisabled: &disabled}
		}
		listed := func(input *ec2.DescribeImagesInput) [2]int {
			return [2]int{len(imagesNamed(t, owner, input)), len(imagesNamed(t, other, input))}
		}
		for _, at := range []time.Time{time.Now().Add(-time.Hour), time.Now().AddDate(10, 0, 1)} {
			_, err := owner.EnableImageDeprecation(t.Context(), &ec2.EnableImageDeprecationInput{ImageId: id, DeprecateAt: &at})
			wantCode(t, err, "InvalidParameterValue")
		}
		must(owner.EnableImageDeprecation(t.Context(), &ec2.EnableImageDeprecationInput{ImageId: id, DeprecateAt: aws.Time(time.Now().Add(time.Hour))}))(t)
		before := listed(list(false, false))
		time.Sleep(time.Hour + time.Minute)
		got := map[string][2]int{"before": before, "deprecated": listed(list(false, false)), "included": listed(list(true, false))}
		must(owner.DisableImageDeprecation(t.Context(), &ec2.DisableImageDeprecationInput{ImageId: id}))(t)
		got["undone"] = listed(list(false, false))
		must(owner.DisableImage(t.Context(), &ec2.DisableImageInput{ImageId: id}))(t)
		got["disabled"], got["disabled, included"] = listed(list(false, false)), listed(list(false, true))
		must(owner.EnableImage(t.Context(), &ec2.EnableImageInput{ImageId: id}))(t)
		got["enabled, but private now"] = listed(list(false, false))
		want := map[string][2]int{ // owner, other
			"before": {1, 1}, "deprecated": {1, 0}, "included": {1, 1}, "undone": {1, 1},
			"disabled": {0, 0}, "disabled, included": {1, 0}, "enabled, but private now": {1, 0},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}
