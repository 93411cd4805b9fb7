package awssim_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// Images of [inImageWorld], all in us-east-1 and of the publishing account but
// for theirs.
const (
	plainImage   = "ami-00000000000000001" // not encrypted, one snapshot
	managedImage = "ami-00000000000000002" // two snapshots, under aws/ebs
	instanceAMI  = "ami-00000000000000003" // instance-store
	theirImage   = "ami-00000000000000004" // a member's, shared with the publisher
)

const golden = "alias/golden"

// otherUnit is a unit of [inImageWorld] without accounts.
const otherUnit = "ou-ab12-99999999"

// imageWorldFile describes the world of tests about images.
func imageWorldFile() awssim.WorldFile {
	file := awssim.DefaultWorld()
	for i := range file.Accounts {
		file.Accounts[i].EncryptionByDefault = nil
	}
	file.Organization.Units = append(file.Organization.Units, awssim.UnitFile{ID: otherUnit, Name: "other", Parent: "r-ab12"})
	tags := map[string]string{"owner": "me"}
	file.Images = []awssim.ImageFile{
		{Account: awssim.PublishingAccount, Region: "us-east-1", ID: plainImage, Name: "plain", Tags: tags},
		{Account: awssim.PublishingAccount, Region: "us-east-1", ID: managedImage, Name: "managed", Encrypted: true, Snapshots: []int{8, 20}},
		{Account: awssim.PublishingAccount, Region: "us-east-1", ID: instanceAMI, Name: "instance", RootDeviceType: "instance-store"},
		{Account: factMember, Region: "us-east-1", ID: theirImage, Name: "theirs", Tags: tags, LaunchPermissions: []string{awssim.PublishingAccount}},
	}
	return file
}

// inImageWorld runs the test in the default world with the images above and
// without EBS encryption by default.
func inImageWorld(t *testing.T, options awssim.Options, test func(*testing.T, *awssim.World)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		file := imageWorldFile()
		w, err := awssim.New(file, options)
		if err != nil {
			t.Fatal(err)
		}
		test(t, w)
	})
}

func ec2In(w *awssim.World, account, region string) *ec2.Client {
	return ec2.NewFromConfig(config(w, account, region))
}

// newGoldenKey makes a multi-Region key with a replica in eu-west-1, and in both
// Regions the alias and the key policy's statements.
func newGoldenKey(t *testing.T, w *awssim.World, statements ...string) (arn string) {
	t.Helper()
	arn = newKey(t, w, true, statements...)
	primary, replica := kmsClient(w, awssim.PublishingAccount, "us-east-1"), kmsClient(w, awssim.PublishingAccount, "eu-west-1")
	must(primary.ReplicateKey(t.Context(), &kms.ReplicateKeyInput{KeyId: &arn, ReplicaRegion: aws.String("eu-west-1"), Policy: keyPolicy(statements...)}))(t)
	id := arn[strings.LastIndexByte(arn, '/')+1:]
	for _, client := range []*kms.Client{primary, replica} {
		must(client.CreateAlias(t.Context(), &kms.CreateAliasInput{AliasName: aws.String(golden), TargetKeyId: &id}))(t)
	}
	return arn
}

func copyOf(source string) *ec2.CopyImageInput {
	return &ec2.CopyImageInput{
		SourceRegion: aws.String("us-east-1"), SourceImageId: &source, Name: aws.String("golden"),
		Encrypted: aws.Bool(true), KmsKeyId: aws.String(golden),
	}
}

// copyImage copies and returns the copy as the caller's account describes it.
func copyImage(t *testing.T, client *ec2.Client, input *ec2.CopyImageInput) types.Image {
	t.Helper()
	made := must(client.CopyImage(t.Context(), input))(t)
	return describe(t, client, aws.ToString(made.ImageId))
}

func describe(t *testing.T, client *ec2.Client, image string) types.Image {
	t.Helper()
	return must(client.DescribeImages(t.Context(), &ec2.DescribeImagesInput{ImageIds: []string{image}}))(t).Images[0]
}

// Problems with the parameters show immediately, and problems with a key only in the
// copy's state.
func TestFact5CopyImageRefuses(t *testing.T) {
	change := func(change func(*ec2.CopyImageInput)) *ec2.CopyImageInput {
		input := copyOf(plainImage)
		change(input)
		return input
	}
	tests := map[string]struct {
		input *ec2.CopyImageInput
		code  string // of the call, or of the copy's state reason
		late  bool
	}{
		"key without Encrypted":    {change(func(i *ec2.CopyImageInput) { i.Encrypted = nil }), "InvalidParameterCombination", false},
		"key with Encrypted false": {change(func(i *ec2.CopyImageInput) { i.Encrypted = aws.Bool(false) }), "InvalidParameterCombination", false},
		"decrypting": {&ec2.CopyImageInput{
			SourceRegion: aws.String("us-east-1"), SourceImageId: aws.String(managedImage), Name: aws.String("golden"),
			Encrypted: aws.Bool(false),
		}, "InvalidRequest", false},
		"no such image":          {copyOf("ami-0123456789abcdef0"), "InvalidAMIID.NotFound", false},
		"instance-store":         {copyOf(instanceAMI), "InvalidParameterCombination", false},
		"snapshot not shared":    {copyOf(theirImage), "InvalidRequest", false},
		"name too short":         {change(func(i *ec2.CopyImageInput) { i.Name = aws.String("ab") }), "InvalidAMIName.Malformed", false},
		"duration of 20 minutes": {change(func(i *ec2.CopyImageInput) { i.SnapshotCopyCompletionDurationMinutes = aws.Int64(20) }), "InvalidParameterValue", false},
		"source not enabled":     {change(func(i *ec2.CopyImageInput) { i.SourceRegion = aws.String("af-south-1") }), "InvalidParameterValue", false},
		"tags of an instance": {change(func(i *ec2.CopyImageInput) {
			i.TagSpecifications = []types.TagSpecification{{ResourceType: "instance", Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}}}
		}), "InvalidParameterValue", false},
		"no such key":           {change(func(i *ec2.CopyImageInput) { i.KmsKeyId = aws.String("alias/none") }), "Client.InternalError", true},
		"key of another region": {change(func(i *ec2.CopyImageInput) { i.KmsKeyId = nil }), "Client.InternalError", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
				key := newGoldenKey(t, w)
				if test.late && test.input.KmsKeyId == nil {
					test.input.KmsKeyId = &key // of us-east-1
				}
				client := ec2In(w, awssim.PublishingAccount, "eu-west-1")
				made, err := client.CopyImage(t.Context(), test.input)
				if !test.late {
					wantCode(t, err, test.code)
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				got := describe(t, client, *made.ImageId)
				if got.State != types.ImageStateFailed || got.StateReason == nil || aws.ToString(got.StateReason.Code) != test.code {
					t.Errorf("the copy is %s, %+v; want failed with %s", got.State, got.StateReason, test.code)
				}
			})
		})
	}
}

// A copy cannot use a key that is disabled, or that its caller may not use.
func TestFact5CopyImageNeedsTheKeys(t *testing.T) {
	tests := map[string]struct {
		statements string // of the copying role
		disable    bool
		want       types.ImageState
	}{
		"with permission": {`{"Effect":"Allow","Action":["ec2:*","kms:*"],"Resource":"*"}`, false, types.ImageStateAvailable},
		"disabled key":    {`{"Effect":"Allow","Action":["ec2:*","kms:*"],"Resource":"*"}`, true, types.ImageStateFailed},
		"no kms:CreateGrant": {
			`{"Effect":"Allow","Action":["ec2:*","kms:Decrypt","kms:DescribeKey","kms:GenerateDataKey*","kms:ReEncrypt*"],"Resource":"*"}`,
			false, types.ImageStateFailed,
		},
		"via EC2 only": {
			`{"Effect":"Allow","Action":"ec2:*","Resource":"*"},{"Effect":"Allow","Action":"kms:*","Resource":"*","Condition":{"StringEquals":{"kms:ViaService":"ec2.eu-west-1.amazonaws.com"}}}`,
			false, types.ImageStateAvailable,
		},
		"no permission": {`{"Effect":"Allow","Action":"ec2:*","Resource":"*"}`, false, types.ImageStateFailed},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
				newGoldenKey(t, w)
				if test.disable {
					id := must(kmsClient(w, awssim.PublishingAccount, "eu-west-1").DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: aws.String(golden)}))(t).KeyMetadata.KeyId
					must(kmsClient(w, awssim.PublishingAccount, "eu-west-1").DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: id}))(t)
				}
				role := newRole(t, w, awssim.PublishingAccount, "Copier", test.statements)
				client := ec2.NewFromConfig(sessionOf(t, config(w, awssim.PublishingAccount, "us-east-1"), role, "eu-west-1"))
				if got := copyImage(t, client, copyOf(plainImage)); got.State != test.want {
					t.Errorf("the copy is %s, %+v; want %s", got.State, got.StateReason, test.want)
				}
			})
		})
	}
}

// Without a named key, the copy of an encrypted image is encrypted with aws/ebs, as is
// every copy where encryption by default is on.
func TestFact5EncryptionByDefault(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		client := ec2In(w, awssim.PublishingAccount, "eu-west-1")
		encryption := func(source string) string {
			image := copyImage(t, client, &ec2.CopyImageInput{SourceRegion: aws.String("us-east-1"), SourceImageId: &source, Name: aws.String("golden")})
			snapshot := must(client.DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{SnapshotIds: []string{*image.BlockDeviceMappings[0].Ebs.SnapshotId}}))(t).Snapshots[0]
			return aws.ToString(snapshot.KmsKeyId)
		}
		managed := aws.ToString(must(kmsClient(w, awssim.PublishingAccount, "eu-west-1").DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: aws.String("alias/aws/ebs")}))(t).KeyMetadata.Arn)
		if got := encryption(plainImage); got != "" {
			t.Errorf("without encryption by default: %s", got)
		}
		if got := encryption(managedImage); got != managed {
			t.Errorf("copy of an encrypted image: %q, want %s", got, managed)
		}
		must(client.EnableEbsEncryptionByDefault(t.Context(), nil))(t)
		if got := encryption(plainImage); got != managed {
			t.Errorf("with encryption by default: %q, want %s", got, managed)
		}
		newGoldenKey(t, w)
		must(client.ModifyEbsDefaultKmsKeyId(t.Context(), &ec2.ModifyEbsDefaultKmsKeyIdInput{KmsKeyId: aws.String(golden)}))(t)
		if got := encryption(plainImage); !strings.Contains(got, "key/mrk-") {
			t.Errorf("with a default key: %q", got)
		}
	})
}

// Tags and launch permissions are copied only on request, and those of other accounts
// never.
func TestFact5WhatIsCopied(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		newGoldenKey(t, w)
		client, home := ec2In(w, awssim.PublishingAccount, "eu-west-1"), ec2In(w, awssim.PublishingAccount, "us-east-1")
		member := ec2In(w, factMember, "us-east-1")
		snapshot := describe(t, member, theirImage).BlockDeviceMappings[0].Ebs.SnapshotId
		must(member.ModifySnapshotAttribute(t.Context(), &ec2.ModifySnapshotAttributeInput{
			SnapshotId: snapshot, CreateVolumePermission: &types.CreateVolumePermissionModifications{Add: []types.CreateVolumePermission{{UserId: aws.String(awssim.PublishingAccount)}}},
		}))(t)
		must(home.ModifyImageAttribute(t.Context(), share(plainImage, types.LaunchPermission{UserId: aws.String(factMember)})))(t)
		withTags := func(source string) *ec2.CopyImageInput {
			input := copyOf(source)
			input.CopyImageTags = aws.Bool(true)
			return input
		}
		for name, test := range map[string]struct {
			input *ec2.CopyImageInput
			tags  int
		}{
			"not asked": {copyOf(plainImage), 0}, "asked": {withTags(plainImage), 1}, "another account's": {withTags(theirImage), 0},
		} {
			image := copyImage(t, client, test.input)
			permissions := must(client.DescribeImageAttribute(t.Context(), &ec2.DescribeImageAttributeInput{ImageId: image.ImageId, Attribute: "launchPermission"}))(t).LaunchPermissions
			if len(image.Tags) != test.tags || len(permissions) != 0 {
				t.Errorf("%s: tags %v, launch permissions %v; want %d tags", name, image.Tags, permissions, test.tags)
			}
		}
		if got := describe(t, home, theirImage).Tags; len(got) != 0 {
			t.Errorf("tags of another account are visible: %v", got)
		}
	})
}

func share(image string, with ...types.LaunchPermission) *ec2.ModifyImageAttributeInput {
	return &ec2.ModifyImageAttributeInput{ImageId: &image, LaunchPermission: &types.LaunchPermissionModifications{Add: with}}
}

// Launch permissions take IDs of accounts and ARNs, of the owner's image, which
// is encrypted with a key of the owner's.
func TestFact5LaunchPermissions(t *testing.T) {
	const unit = "arn:aws:organizations::999999999999:ou/o-exampleorgid/" + awssim.WorkloadsUnit
	tests := map[string]struct {
		account string
		input   *ec2.ModifyImageAttributeInput
		code    string
	}{
		"account":           {awssim.PublishingAccount, share(plainImage, types.LaunchPermission{UserId: aws.String(factMember)}), ""},
		"the same twice":    {awssim.PublishingAccount, share(plainImage, types.LaunchPermission{UserId: aws.String(factMember)}, types.LaunchPermission{UserId: aws.String(factMember)}), ""},
		"unit":              {awssim.PublishingAccount, share(plainImage, types.LaunchPermission{OrganizationalUnitArn: aws.String(unit)}), ""},
		"organization":      {awssim.PublishingAccount, share(plainImage, types.LaunchPermission{OrganizationArn: aws.String("arn:aws:organizations::999999999999:organization/o-exampleorgid")}), ""},
		"bare organization": {awssim.PublishingAccount, share(plainImage, types.LaunchPermission{OrganizationArn: aws.String("o-exampleorgid")}), "InvalidParameterValue"},
		"bare unit":         {awssim.PublishingAccount, share(plainImage, types.LaunchPermission{OrganizationalUnitArn: aws.String(awssim.WorkloadsUnit)}), "InvalidParameterValue"},
		"other partition":   {awssim.PublishingAccount, share(plainImage, types.LaunchPermission{OrganizationArn: aws.String("arn:aws-cn:organizations::999999999999:organization/o-exampleorgid")}), "InvalidParameterValue"},
		"no such account":   {awssim.PublishingAccount, share(plainImage, types.LaunchPermission{UserId: aws.String("123456789012")}), "InvalidAMIAttributeItemValue"},
		"under aws/ebs":     {awssim.PublishingAccount, share(managedImage, types.LaunchPermission{UserId: aws.String(factMember)}), "InvalidParameter"},
		"another's image":   {awssim.PublishingAccount, share(theirImage, types.LaunchPermission{UserId: aws.String(factMember)}), "AuthFailure"},
		"an unseen image":   {awssim.OutsideAccount, share(plainImage, types.LaunchPermission{UserId: aws.String(factMember)}), "InvalidAMIID.NotFound"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
				_, err := ec2In(w, test.account, "us-east-1").ModifyImageAttribute(t.Context(), test.input)
				if test.code == "" && err != nil {
					t.Error(err)
				}
				if test.code != "" {
					wantCode(t, err, test.code)
				}
			})
		})
	}
}

// At most 300 copies are pending at once in a destination Region.
// Fact: EC2-COPY-31.
func TestFact5ConcurrentCopies(t *testing.T) {
	inImageWorld(t, awssim.Options{CopyTime: time.Minute}, func(t *testing.T, w *awssim.World) {
		client := ec2In(w, awssim.PublishingAccount, "eu-west-1")
		input := func(n int) *ec2.CopyImageInput {
			return &ec2.CopyImageInput{SourceRegion: aws.String("us-east-1"), SourceImageId: aws.String(plainImage), Name: aws.String(fmt.Sprintf("copy-%d", n))}
		}
		for n := range 300 {
			must(client.CopyImage(t.Context(), input(n)))(t)
		}
		_, err := client.CopyImage(t.Context(), input(300))
		wantCode(t, err, "ResourceLimitExceeded")
		must(ec2In(w, awssim.PublishingAccount, "ap-southeast-2").CopyImage(t.Context(), input(300)))(t)
		time.Sleep(time.Minute)
		must(client.CopyImage(t.Context(), input(300)))(t)
	})
}
