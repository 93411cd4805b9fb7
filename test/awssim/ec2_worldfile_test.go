package awssim_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// TestImageFiles checks that the images of a world file exist from the start, with
// their defaults.
func TestImageFiles(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		state := w.Snapshot()
		type fact struct {
			ID, Owner, State string
			Snapshots        int
			Permissions      string
		}
		var got []fact
		for _, i := range state.Images {
			got = append(got, fact{i.ID, i.Owner, i.State, len(i.Snapshots), strings.Join(i.LaunchPermissions, " ")})
		}
		want := []fact{
			{plainImage, awssim.PublishingAccount, "available", 1, ""},
			{managedImage, awssim.PublishingAccount, "available", 2, ""},
			{instanceAMI, awssim.PublishingAccount, "available", 0, ""},
			{theirImage, factMember, "available", 1, awssim.PublishingAccount},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("images (-want +got):\n%s", diff)
		}
		encrypted := 0
		for _, s := range state.Snapshots {
			if s.Key != "" {
				encrypted++
			}
		}
		if len(state.Snapshots) != 4 || encrypted != 2 {
			t.Errorf("%d snapshots, %d of them encrypted", len(state.Snapshots), encrypted)
		}
		// Reading changes nothing, except that the first read creates the network.
		for region := range map[string]bool{"us-east-1": true, "eu-west-1": true, "ap-southeast-2": true} {
			client := ec2In(w, awssim.PublishingAccount, region)
			must(client.DescribeImages(t.Context(), nil))(t)
			must(client.DescribeVpcs(t.Context(), nil))(t)
			must(client.DescribeImages(t.Context(), &ec2.DescribeImagesInput{ImageIds: []string{awssim.BaseImage(region)}}))(t)
		}
		if diff := cmp.Diff(state, w.Snapshot()); diff != "" {
			t.Errorf("looking changed the world:\n%s", diff)
		}
	})
}

func TestImageFilesAreChecked(t *testing.T) {
	for name, test := range map[string]struct {
		image awssim.ImageFile
		says  string
	}{
		"no account":       {awssim.ImageFile{Region: "us-east-1", Name: "golden"}, "account"},
		"no region":        {awssim.ImageFile{Account: factMember, Name: "golden"}, "region"},
		"no name":          {awssim.ImageFile{Account: factMember, Region: "us-east-1"}, "AMI names"},
		"wrong id":         {awssim.ImageFile{Account: factMember, Region: "us-east-1", Name: "golden", ID: "golden"}, "golden"},
		"wrong permission": {awssim.ImageFile{Account: factMember, Region: "us-east-1", Name: "golden", LaunchPermissions: []string{"o-abc"}}, "o-abc"},
	} {
		file := awssim.DefaultWorld()
		file.Images = []awssim.ImageFile{test.image}
		if _, err := awssim.New(file, awssim.Options{}); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	file := awssim.DefaultWorld()
	twin := awssim.ImageFile{Account: factMember, Region: "us-east-1", Name: "golden"}
	file.Images = []awssim.ImageFile{twin, twin}
	if _, err := awssim.New(file, awssim.Options{}); err == nil {
		t.Error("two images of one id")
	}
}

// TestEBSDefaults checks that EBS defaults apply to one account and one Region. Fact:
// EC2-API-4.
func TestEBSDefaults(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		arn := newGoldenKey(t, w)
		client, elsewhere := ec2In(w, awssim.PublishingAccount, "us-east-1"), ec2In(w, awssim.PublishingAccount, "eu-west-1")
		must(client.EnableEbsEncryptionByDefault(t.Context(), nil))(t)
		_, err := client.ModifyEbsDefaultKmsKeyId(t.Context(), &ec2.ModifyEbsDefaultKmsKeyIdInput{KmsKeyId: aws.String("alias/none")})
		wantCode(t, err, "InvalidParameterValue")
		must(client.ModifyEbsDefaultKmsKeyId(t.Context(), &ec2.ModifyEbsDefaultKmsKeyIdInput{KmsKeyId: aws.String(golden)}))(t)
		settings := func(c *ec2.Client) [2]string {
			on := must(c.GetEbsEncryptionByDefault(t.Context(), nil))(t)
			return [2]string{string(on.SseType), aws.ToString(must(c.GetEbsDefaultKmsKeyId(t.Context(), nil))(t).KmsKeyId)}
		}
		if got := settings(client); got != [2]string{"sse-kms", arn} {
			t.Errorf("here: %v", got)
		}
		if got := settings(elsewhere); got != [2]string{"none", "alias/aws/ebs"} {
			t.Errorf("elsewhere: %v", got)
		}
		instance := must(run(t, client, plainImage))(t)
		if got := w.Snapshot().Instances[0]; got.ID != *instance.InstanceId || !cmp.Equal(got.VolumeKeys, []string{arn}) {
			t.Errorf("the instance is %+v", got)
		}
		must(client.ResetEbsDefaultKmsKeyId(t.Context(), nil))(t)
		must(client.DisableEbsEncryptionByDefault(t.Context(), nil))(t)
		if got := settings(client); got != [2]string{"none", "alias/aws/ebs"} {
			t.Errorf("in the end: %v", got)
		}
	})
}
