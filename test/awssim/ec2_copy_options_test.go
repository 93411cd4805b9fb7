package awssim_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// plainCopy copies the image without a key, under the name and token.
func plainCopy(t *testing.T, client *ec2.Client, source, name, token string) (string, error) {
	t.Helper()
	made, err := client.CopyImage(t.Context(), &ec2.CopyImageInput{
		SourceRegion: aws.String("us-east-1"), SourceImageId: &source, Name: &name, ClientToken: &token,
	})
	if err != nil {
		return "", err
	}
	return *made.ImageId, nil
}

// TestCopyOfATakenName checks that a copy with a taken name is rejected with
// RefuseTakenNames. A repeated call with the same token is not.
func TestCopyOfATakenName(t *testing.T) {
	for _, refuse := range []bool{false, true} {
		inImageWorld(t, awssim.Options{CopyOptions: awssim.CopyOptions{RefuseTakenNames: refuse}}, func(t *testing.T, w *awssim.World) {
			client := ec2In(w, awssim.PublishingAccount, "us-east-1")
			first := must(plainCopy(t, client, plainImage, "golden", "one"))(t)
			if again := must(plainCopy(t, client, plainImage, "golden", "one"))(t); again != first {
				t.Errorf("refuse %v: the token made %s and %s", refuse, first, again)
			}
			_, err := plainCopy(t, client, plainImage, "golden", "two")
			if refuse {
				wantCode(t, err, "InvalidAMIName.Duplicate")
			} else if err != nil {
				t.Error(err)
			}
			must(plainCopy(t, ec2In(w, awssim.PublishingAccount, "eu-west-1"), plainImage, "golden", "two"))(t)
			must(client.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: &first}))(t)
			if _, err := plainCopy(t, client, plainImage, "golden", "three"); err != nil && refuse {
				t.Errorf("the name of a deregistered image: %v", err)
			}
		})
	}
}

// TestPendingCopyWithoutItsSource checks that a pending copy without its source
// completes or fails, as the world's options say. Copies that are complete stay.
func TestPendingCopyWithoutItsSource(t *testing.T) {
	for needsSource, want := range map[bool]types.ImageState{false: types.ImageStateAvailable, true: types.ImageStateFailed} {
		options := awssim.Options{CopyTime: time.Hour, CopyOptions: awssim.CopyOptions{PendingCopiesNeedSource: needsSource}}
		inImageWorld(t, options, func(t *testing.T, w *awssim.World) {
			client, elsewhere := ec2In(w, awssim.PublishingAccount, "us-east-1"), ec2In(w, awssim.PublishingAccount, "eu-west-1")
			complete := must(plainCopy(t, elsewhere, plainImage, "first", "one"))(t)
			time.Sleep(time.Hour)
			pending, other := must(plainCopy(t, elsewhere, plainImage, "second", "two"))(t), must(plainCopy(t, elsewhere, theirImageOwned(t, client), "third", "three"))(t)
			time.Sleep(time.Minute)
			must(client.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: aws.String(plainImage)}))(t)
			if now := describe(t, elsewhere, pending).State; needsSource && now != want || !needsSource && now != types.ImageStatePending {
				t.Errorf("needs its source %v: right after, the copy is %s", needsSource, now)
			}
			time.Sleep(time.Hour)
			got := describe(t, elsewhere, pending)
			if got.State != want || (got.StateReason != nil) != needsSource {
				t.Errorf("needs its source %v: the copy ends %s, %+v", needsSource, got.State, got.StateReason)
			}
			for _, id := range []string{complete, other} {
				if state := describe(t, elsewhere, id).State; state != types.ImageStateAvailable {
					t.Errorf("needs its source %v: the copy %s is %s", needsSource, id, state)
				}
			}
		})
	}
}

// theirImageOwned registers another of the publisher's images.
func theirImageOwned(t *testing.T, client *ec2.Client) string {
	t.Helper()
	root := describe(t, client, managedImage).BlockDeviceMappings[0].Ebs.SnapshotId
	return *must(client.RegisterImage(t.Context(), &ec2.RegisterImageInput{
		Name: aws.String("another"), RootDeviceName: aws.String("/dev/xvda"), Architecture: types.ArchitectureValuesX8664,
		BlockDeviceMappings: []types.BlockDeviceMapping{{DeviceName: aws.String("/dev/xvda"), Ebs: &types.EbsBlockDevice{SnapshotId: root}}},
	}))(t).ImageId
}

// TestTokenMemory checks that a token that is forgotten makes another image, also with
// other parameters.
func TestTokenMemory(t *testing.T) {
	inImageWorld(t, awssim.Options{CopyOptions: awssim.CopyOptions{TokenMemory: 24 * time.Hour}}, func(t *testing.T, w *awssim.World) {
		client := ec2In(w, awssim.PublishingAccount, "us-east-1")
		first := must(plainCopy(t, client, plainImage, "golden", "one"))(t)
		time.Sleep(24*time.Hour - time.Second)
		if again := must(plainCopy(t, client, plainImage, "golden", "one"))(t); again != first {
			t.Errorf("remembered, the token made %s and %s", first, again)
		}
		_, err := plainCopy(t, client, plainImage, "silver", "one")
		wantCode(t, err, "IdempotentParameterMismatch")
		time.Sleep(time.Second)
		second := must(plainCopy(t, client, plainImage, "silver", "one"))(t)
		if second == first {
			t.Error("the token is still remembered")
		}
		if again := must(plainCopy(t, client, plainImage, "silver", "one"))(t); again != second {
			t.Errorf("used again, the token made %s and %s", second, again)
		}
	})
}

// TestConcurrentCopies checks that the limit counts an account's pending copies in a
// destination Region.
func TestConcurrentCopies(t *testing.T) {
	options := awssim.Options{CopyTime: time.Hour, CopyOptions: awssim.CopyOptions{ConcurrentCopies: 2}}
	inImageWorld(t, options, func(t *testing.T, w *awssim.World) {
		client := ec2In(w, awssim.PublishingAccount, "eu-west-1")
		for _, token := range []string{"one", "two"} {
			must(plainCopy(t, client, plainImage, "golden", token))(t)
		}
		_, err := plainCopy(t, client, plainImage, "golden", "three")
		wantCode(t, err, "ResourceLimitExceeded")
		must(plainCopy(t, client, plainImage, "golden", "two"))(t) // made already
		must(plainCopy(t, ec2In(w, awssim.PublishingAccount, "us-east-1"), plainImage, "golden", "one"))(t)
		time.Sleep(time.Hour)
		must(plainCopy(t, client, plainImage, "golden", "three"))(t)
	})
}

// TestTokenComparesTags checks that other tags under the same token are a mismatch.
func TestTokenComparesTags(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		client := ec2In(w, awssim.PublishingAccount, "us-east-1")
		tagged := func(of types.ResourceType, value string) (string, error) {
			made, err := client.CopyImage(t.Context(), &ec2.CopyImageInput{
				SourceRegion: aws.String("us-east-1"), SourceImageId: aws.String(plainImage), Name: aws.String("golden"), ClientToken: aws.String("one"),
				TagSpecifications: []types.TagSpecification{{ResourceType: of, Tags: []types.Tag{{Key: aws.String("state"), Value: &value}}}},
			})
			if err != nil {
				return "", err
			}
			return *made.ImageId, nil
		}
		first := must(tagged(types.ResourceTypeImage, "unpublished"))(t)
		_, err := tagged(types.ResourceTypeImage, "published")
		wantCode(t, err, "IdempotentParameterMismatch")
		_, err = tagged(types.ResourceTypeSnapshot, "unpublished")
		wantCode(t, err, "IdempotentParameterMismatch")
		_, err = plainCopy(t, client, plainImage, "golden", "one")
		wantCode(t, err, "IdempotentParameterMismatch")
		if again := must(tagged(types.ResourceTypeImage, "unpublished"))(t); again != first {
			t.Errorf("the same tags made %s and %s", first, again)
		}
	})
}

// TestDeregisterLag checks that a deregistered image is listed for a while, then gone;
// but no error while it has instances.
func TestDeregisterLag(t *testing.T) {
	for _, lag := range []time.Duration{0, time.Minute} {
		inImageWorld(t, awssim.Options{CopyOptions: awssim.CopyOptions{DeregisterLag: lag}}, func(t *testing.T, w *awssim.World) {
			client := ec2In(w, awssim.PublishingAccount, "us-east-1")
			run := must(client.RunInstances(t.Context(), &ec2.RunInstancesInput{
				ImageId: aws.String(plainImage), InstanceType: types.InstanceTypeT3Micro, MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
			}))(t)
			must(client.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: aws.String(plainImage)}))(t)
			byID := &ec2.DescribeImagesInput{ImageIds: []string{plainImage}}
			got := [2]int{len(imagesNamed(t, client, byID)), len(imagesNamed(t, client, &ec2.DescribeImagesInput{Owners: []string{"self"}, Filters: named("plain")}))}
			if want := map[bool][2]int{true: {1, 1}}[lag > 0]; got != want {
				t.Errorf("lag %s: at first %v", lag, got)
			}
			_, err := plainCopy(t, client, plainImage, "golden", "one")
			wantCode(t, err, "InvalidAMIID.NotFound")
			time.Sleep(lag)
			if n := len(imagesNamed(t, client, byID)); n != 0 {
				t.Errorf("lag %s: %d images while an instance runs", lag, n)
			}
			must(client.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{*run.Instances[0].InstanceId}}))(t)
			time.Sleep(time.Minute)
			_, err = client.DescribeImages(t.Context(), byID)
			wantCode(t, err, "InvalidAMIID.NotFound")
		})
	}
}

// TestMarketplaceImages checks that another account's image with product codes can't be
// copied; the owner's can, and keeps them.
func TestMarketplaceImages(t *testing.T) {
	file := awssim.DefaultWorld()
	const product = "ami-00000000000000005"
	file.Images = []awssim.ImageFile{{
		Account: factMember, Region: "us-east-1", ID: product, Name: "product", Public: true, ProductCodes: []string{"abc"},
		IMDSSupport: "v2.0", TPMSupport: "v2.0", SriovNetSupport: "simple", ENASupport: aws.Bool(false), BootMode: "uefi", Snapshots: []int{8, 20},
	}}
	w := must(awssim.New(file, awssim.Options{}))(t)
	_, err := plainCopy(t, ec2In(w, awssim.PublishingAccount, "us-east-1"), product, "golden", "one")
	wantCode(t, err, "InvalidRequest")
	owner := ec2In(w, factMember, "us-east-1")
	copied := describe(t, owner, must(plainCopy(t, owner, product, "golden", "one"))(t))
	if len(copied.ProductCodes) != 1 || aws.ToString(copied.ProductCodes[0].ProductCodeId) != "abc" || copied.ProductCodes[0].ProductCodeType != types.ProductCodeValuesMarketplace {
		t.Errorf("product codes %+v", copied.ProductCodes)
	}
	if n := len(imagesNamed(t, owner, &ec2.DescribeImagesInput{Filters: []types.Filter{filterBy("product-code", "abc")}})); n != 2 {
		t.Errorf("%d images have the product code", n)
	}
	if copied.ImdsSupport != types.ImdsSupportValuesV20 || copied.TpmSupport != types.TpmSupportValuesV20 || aws.ToString(copied.SriovNetSupport) != "simple" ||
		aws.ToBool(copied.EnaSupport) || copied.BootMode != types.BootModeValuesUefi {
		t.Errorf("hardware attributes %+v", copied)
	}
	devices := copied.BlockDeviceMappings
	if len(devices) != 2 || aws.ToInt32(devices[1].Ebs.VolumeSize) != 20 || devices[1].Ebs.VolumeType != types.VolumeTypeGp3 || !aws.ToBool(devices[1].Ebs.DeleteOnTermination) {
		t.Errorf("block device mappings %+v", devices)
	}
}

// TestExecutableBy checks that for one's own account, permissions of the organization
// and its units count, for another account they don't.
func TestExecutableBy(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		owner, member := ec2In(w, awssim.PublishingAccount, "us-east-1"), ec2In(w, factMember, "us-east-1")
		must(owner.ModifyImageAttribute(t.Context(), share(plainImage, types.LaunchPermission{OrganizationArn: aws.String(awssim.OrganizationARN)})))(t)
		got := map[string]int{}
		for _, user := range []string{"self", factMember, awssim.PublishingAccount, awssim.OrganizationARN} {
			got[user] = len(imagesNamed(t, member, &ec2.DescribeImagesInput{ExecutableUsers: []string{user}, Owners: []string{awssim.PublishingAccount}}))
		}
		if diff := cmp.Diff(map[string]int{"self": 1, factMember: 1, awssim.PublishingAccount: 0, awssim.OrganizationARN: 0}, got); diff != "" {
			t.Error(diff)
		}
	})
}

// TestDisabledImages checks that disabled images are found only with IncludeDisabled,
// even by ID or state, and lose their launch permissions permanently.
func TestDisabledImages(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		client := ec2In(w, awssim.PublishingAccount, "us-east-1")
		id := aws.String(plainImage)
		must(client.ModifyImageAttribute(t.Context(), share(plainImage, types.LaunchPermission{UserId: aws.String(factMember)})))(t)
		must(client.DisableImage(t.Context(), &ec2.DisableImageInput{ImageId: id}))(t)
		for name, input := range map[string]ec2.DescribeImagesInput{
			"by ID":    {ImageIds: []string{plainImage}},
			"by state": {Filters: []types.Filter{filterBy("state", "disabled")}},
			"by name":  {Filters: named("plain"), Owners: []string{"self"}},
		} {
			without := len(imagesNamed(t, client, &input))
			input.IncludeDisabled = aws.Bool(true)
			if with := len(imagesNamed(t, client, &input)); without != 0 || with != 1 {
				t.Errorf("%s: %d images, %d with disabled ones", name, without, with)
			}
		}
		_, err := client.ModifyImageAttribute(t.Context(), share(plainImage, types.LaunchPermission{UserId: aws.String(factMember)}))
		wantCode(t, err, "InvalidAMIID.Unavailable")
		permissions := func() int {
			return len(must(client.DescribeImageAttribute(t.Context(), &ec2.DescribeImageAttributeInput{ImageId: id, Attribute: types.ImageAttributeNameLaunchPermission}))(t).LaunchPermissions)
		}
		if n := permissions(); n != 0 {
			t.Errorf("%d launch permissions while disabled", n)
		}
		must(client.EnableImage(t.Context(), &ec2.EnableImageInput{ImageId: id}))(t)
		if n := permissions(); n != 0 || describe(t, client, plainImage).State != types.ImageStateAvailable {
			t.Errorf("%d launch permissions after EnableImage", n)
		}
	})
}

// TestWorldFileTiming checks that a world file can set all timing.
func TestWorldFileTiming(t *testing.T) {
	var physics awssim.Physics
	text := `{"copy_time":"1m","refuse_taken_names":true,"pending_copies_need_source":true,"token_memory":"24h","concurrent_copies":2,"deregister_lag":"5s"}`
	if err := json.Unmarshal([]byte(text), &physics); err != nil {
		t.Fatal(err)
	}
	want := awssim.Options{CopyTime: time.Minute, CopyOptions: awssim.CopyOptions{
		RefuseTakenNames: true, PendingCopiesNeedSource: true, TokenMemory: 24 * time.Hour, ConcurrentCopies: 2, DeregisterLag: 5 * time.Second,
	}}
	if diff := cmp.Diff(want, must(physics.Options())(t)); diff != "" {
		t.Error(diff)
	}
}

// TestSnapshotsOfCopies checks the state, progress and size of snapshots while a copy
// is pending, complete and failed.
func TestSnapshotsOfCopies(t *testing.T) {
	inImageWorld(t, awssim.Options{CopyTime: time.Hour}, func(t *testing.T, w *awssim.World) {
		client := ec2In(w, awssim.PublishingAccount, "us-east-1")
		check := func(image, want string) {
			t.Helper()
			got := ""
			snapshots := snapshotsIn(t, client, describe(t, client, image))
			slices.SortFunc(snapshots, func(a, b types.Snapshot) int { return int(*a.VolumeSize - *b.VolumeSize) })
			for _, s := range snapshots {
				got += fmt.Sprintf("%s %q %d GiB, ", s.State, aws.ToString(s.Progress), aws.ToInt32(s.VolumeSize))
			}
			if got != want {
				t.Errorf("the snapshots are %s, not %s", got, want)
			}
		}
		good := must(plainCopy(t, client, managedImage, "good", "one"))(t)
		w.FailCopy("us-east-1", "out of luck")
		bad := must(plainCopy(t, client, plainImage, "bad", "two"))(t)
		time.Sleep(15 * time.Minute)
		check(good, `pending "25%" 8 GiB, pending "25%" 20 GiB, `)
		check(bad, `pending "25%" 8 GiB, `)
		time.Sleep(time.Hour)
		check(good, `completed "100%" 8 GiB, completed "100%" 20 GiB, `)
		check(bad, `error "" 8 GiB, `)
	})
}
