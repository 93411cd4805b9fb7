package awssim_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// memberKey creates a key of the member in us-east-1 with the statements, and makes
// it the member's default EBS key there.
func (l launch) memberKey(t *testing.T, statements ...string) (arn string) {
	t.Helper()
	policy := strings.ReplaceAll(*keyPolicy(statements...), awssim.PublishingAccount, factMember)
	arn = *must(kmsClient(l.w, factMember, "us-east-1").CreateKey(t.Context(), &kms.CreateKeyInput{Policy: &policy}))(t).KeyMetadata.Arn
	must(ec2In(l.w, factMember, "us-east-1").ModifyEbsDefaultKmsKeyId(t.Context(), &ec2.ModifyEbsDefaultKmsKeyIdInput{KmsKeyId: &arn}))(t)
	return arn
}

// volumeKeys are the keys of the volumes of the only instance of the image.
func (l launch) volumeKeys(t *testing.T, image string) []string {
	t.Helper()
	var keys []string
	for _, i := range l.w.Snapshot().Instances {
		if i.ImageID == image {
			keys = append(keys, i.VolumeKeys...)
		}
	}
	return keys
}

// A volume of another account's encrypted snapshot has the launching account's
// default EBS key, with and without encryption by default and Encrypted. The
// owner's volumes keep the snapshot's key. Fact: LAUNCH-7, LAUNCH-8, LAUNCH-11,
// LAUNCH-13.
func TestVolumeKeys(t *testing.T) {
	device := func(key *string) []types.BlockDeviceMapping {
		return []types.BlockDeviceMapping{{DeviceName: aws.String("/dev/xvda"), Ebs: &types.EbsBlockDevice{Encrypted: aws.Bool(true), KmsKeyId: key}}}
	}
	tests := map[string]struct {
		account   string
		byDefault bool // encryption by default
		own       bool // a default EBS key of the account's own
		options   awssim.Options
		devices   func(l launch) []types.BlockDeviceMapping
		want      string
	}{
		"a member":                             {account: factMember, want: "aws/ebs"},
		"a member with a default key":          {account: factMember, own: true, want: "own"},
		"encryption by default":                {account: factMember, own: true, byDefault: true, want: "own"},
		"Encrypted alone":                      {account: factMember, own: true, devices: func(launch) []types.BlockDeviceMapping { return device(nil) }, want: "own"},
		"the shared key is named":              {account: factMember, own: true, devices: func(l launch) []types.BlockDeviceMapping { return device(&l.key) }, want: "shared"},
		"the owner":                            {account: awssim.PublishingAccount, want: "shared"},
		"the owner with encryption by default": {account: awssim.PublishingAccount, byDefault: true, want: "shared"},
		"the owner with Encrypted alone":       {account: awssim.PublishingAccount, devices: func(launch) []types.BlockDeviceMapping { return device(nil) }, want: "shared"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inImageWorld(t, test.options, func(t *testing.T, w *awssim.World) {
				l := newLaunch(t, w)
				client, want := ec2In(w, test.account, "us-east-1"), map[string]string{"shared": l.key}
				if test.own {
					want["own"] = l.memberKey(t)
				}
				if test.byDefault {
					must(client.EnableEbsEncryptionByDefault(t.Context(), nil))(t)
				}
				input := runInput(l.image)
				if test.devices != nil {
					input.BlockDeviceMappings = test.devices(l)
				}
				id := *must(client.RunInstances(t.Context(), input))(t).Instances[0].InstanceId
				want["aws/ebs"] = *must(kmsClient(w, test.account, "us-east-1").DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: aws.String("alias/aws/ebs")}))(t).KeyMetadata.Arn
				if got := l.volumeKeys(t, l.image); !slices.Equal(got, []string{want[test.want]}) {
					t.Errorf("the volumes have the keys %v, want %s: %s", got, want[test.want], w.Diagnosis(id))
				}
			})
		})
	}
}

// A customer managed default key must allow the launching principal: by its policy
// and IAM, or by a grant. aws/ebs allows every principal of the account.
// Fact: LAUNCH-12.
func TestVolumeKeyMustAllowTheLauncher(t *testing.T) {
	slr := "arn:aws:iam::" + factMember + ":role/" + awssim.DefaultServiceLinkedRoles()[0]
	allow := func(actions ...string) string {
		return `{"Effect":"Allow","Principal":{"AWS":"` + slr + `"},"Action":[` + quoted(actions) + `],"Resource":"*"}`
	}
	missing := func(key, action string) []string {
		return []string{"the default EBS key of account " + factMember, key, "perform: " + action + " "}
	}
	tests := map[string]func(t *testing.T, l launch) (diagnosis []string){
		"aws/ebs": func(*testing.T, launch) []string { return nil },
		"customer managed without the role": func(t *testing.T, l launch) []string {
			return missing(l.memberKey(t), "kms:DescribeKey")
		},
		"customer managed with the role": func(t *testing.T, l launch) []string {
			l.memberKey(t, allow(launchActions...))
			return nil
		},
		"customer managed with a grant": func(t *testing.T, l launch) []string {
			l.grant(t, l.memberKey(t), launchGrantOperations)
			return nil
		},
		"customer managed, disabled": func(t *testing.T, l launch) []string {
			key := l.memberKey(t, allow(launchActions...))
			must(kmsClient(l.w, factMember, "us-east-1").DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: &key}))(t)
			return []string{"the default EBS key of account " + factMember, key, "is disabled"}
		},
		"the shared key without its grant": func(t *testing.T, l launch) []string {
			grants := must(l.kms().ListGrants(t.Context(), &kms.ListGrantsInput{KeyId: &l.key}))(t).Grants
			must(l.kms().RevokeGrant(t.Context(), &kms.RevokeGrantInput{KeyId: &l.key, GrantId: grants[0].GrantId}))(t)
			return []string{"the key of the snapshot", l.key, "perform: kms:DescribeKey "}
		},
	}
	for _, action := range launchActions {
		tests["customer managed without "+action] = func(t *testing.T, l launch) []string {
			return missing(l.memberKey(t, allow(without(launchActions, action)...)), action)
		}
	}
	for name, alter := range tests {
		t.Run(name, func(t *testing.T) {
			inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
				l := newLaunch(t, w)
				l.role = slr
				l.grant(t, l.key, launchGrantOperations)
				diagnosis := alter(t, l)
				got := must(w.LaunchAsServiceLinkedRole(factMember, autoScaling, "us-east-1", l.image))(t)
				if (got.State == "running") != (diagnosis == nil) {
					t.Errorf("the instance is %s: %s", got.State, got.Diagnosis)
				}
				for _, text := range diagnosis {
					if !strings.Contains(got.Diagnosis, text) {
						t.Errorf("the diagnosis doesn't say %q: %s", text, got.Diagnosis)
					}
				}
			})
		})
	}
}

// A launch that names the shared key doesn't need the default key. Fact: LAUNCH-9.
func TestLaunchWithKey(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		l := newLaunch(t, w)
		l.memberKey(t)
		l.role = "arn:aws:iam::" + factMember + ":role/" + awssim.DefaultServiceLinkedRoles()[0]
		l.grant(t, l.key, launchGrantOperations)
		if got := must(w.LaunchAsServiceLinkedRole(factMember, autoScaling, "us-east-1", l.image))(t); got.State != "terminated" {
			t.Errorf("without a key: %+v", got)
		}
		if got := must(w.LaunchWithKey(factMember, autoScaling, "us-east-1", l.image, l.key))(t); got.State != "running" {
			t.Errorf("with the shared key: %+v", got)
		}
		if got := l.volumeKeys(t, l.image); !slices.Equal(got, []string{l.key}) {
			t.Errorf("the volumes have the keys %v", got)
		}
		if got := must(w.LaunchWithKey(factMember, autoScaling, "us-east-1", l.image, "alias/none"))(t); got.State != "terminated" || !strings.Contains(got.Diagnosis, "alias/none") {
			t.Errorf("with a key that doesn't exist: %+v", got)
		}
	})
}

// A world file can also define keys and default EBS keys.
func TestWorldFileKeys(t *testing.T) {
	key := awssim.KeyFile{
		Account: factMember, Region: "us-east-1", MultiRegion: true, Replicas: []string{"eu-west-1"}, Aliases: []string{"alias/ebs"},
		Tags: map[string]string{"team": "base"}, Description: "default", Rotation: true,
	}
	synctest.Test(t, func(t *testing.T) {
		file := awssim.DefaultWorld()
		file.Keys = []awssim.KeyFile{key}
		file.Images = []awssim.ImageFile{{Account: factMember, Region: "us-east-1", Name: "golden", Encrypted: true, KMSKey: "alias/ebs"}}
		for i, a := range file.Accounts {
			if a.ID == factMember {
				file.Accounts[i].EBSDefaultKey = map[string]string{"eu-west-1": "alias/ebs", "us-east-1": key.ARN("us-east-1"), "ap-southeast-2": "alias/aws/ebs"}
			}
		}
		w := must(awssim.New(file, physics))(t)
		for region, want := range map[string]string{"us-east-1": key.ARN("us-east-1"), "eu-west-1": key.ARN("eu-west-1"), "ap-southeast-2": "alias/aws/ebs"} {
			got := must(ec2In(w, factMember, region).GetEbsDefaultKmsKeyId(t.Context(), nil))(t)
			if aws.ToString(got.KmsKeyId) != want {
				t.Errorf("the default key of %s is %s", region, aws.ToString(got.KmsKeyId))
			}
		}
		replica := must(kmsClient(w, factMember, "eu-west-1").DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: aws.String("alias/ebs")}))(t).KeyMetadata
		if replica.KeyState != kmstypes.KeyStateEnabled || *replica.MultiRegionConfiguration.PrimaryKey.Region != "us-east-1" {
			t.Errorf("the replica: %+v", replica)
		}
		for _, s := range w.Snapshot().Snapshots {
			if s.Owner == factMember && s.Key != key.ARN("us-east-1") {
				t.Errorf("the snapshot has the key %s", s.Key)
			}
		}
	})
	for name, broken := range map[string]func(*awssim.WorldFile){
		"no account":        func(f *awssim.WorldFile) { f.Keys[0].Account = "777777777777" },
		"no region":         func(f *awssim.WorldFile) { f.Keys[0].Replicas = []string{"mars-north-1"} },
		"no alias":          func(f *awssim.WorldFile) { f.Keys[0].Aliases = []string{"ebs"} },
		"no policy":         func(f *awssim.WorldFile) { f.Keys[0].Policy = json.RawMessage(`{}`) },
		"twice":             func(f *awssim.WorldFile) { f.Keys = append(f.Keys, f.Keys[0]) },
		"single, replicas":  func(f *awssim.WorldFile) { f.Keys[0].MultiRegion = false },
		"rotation":          func(f *awssim.WorldFile) { f.Keys[0].Origin = "EXTERNAL" },
		"origin":            func(f *awssim.WorldFile) { f.Keys[0].Origin = "AWS_CLOUDHSM" },
		"default key":       func(f *awssim.WorldFile) { f.Accounts[0].EBSDefaultKey = map[string]string{"*": "alias/none"} },
		"key of an image":   func(f *awssim.WorldFile) { f.Images[0].KMSKey = "alias/none" },
		"unencrypted image": func(f *awssim.WorldFile) { f.Images[0].Encrypted = false },
	} {
		file := awssim.DefaultWorld()
		file.Keys = []awssim.KeyFile{key}
		file.Images = []awssim.ImageFile{{Account: factMember, Region: "us-east-1", Name: "golden", Encrypted: true, KMSKey: "alias/ebs"}}
		broken(&file)
		if _, err := awssim.New(file, awssim.Options{}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// kms:ViaService ends in amazonaws.com in China as well; the host of EC2's endpoint
// doesn't. Fact: KMS-COND-2.
func TestViaServiceInChina(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := awssim.WorldIn("aws-cn", []string{"cn-north-1"})
		key := awssim.KeyFile{
			Account: awssim.PublishingAccount, Region: "cn-north-1",
			Policy: json.RawMessage(fmt.Sprintf(`{"Version":"2012-10-17","Statement":[
				{"Effect":"Allow","Principal":{"AWS":"arn:aws-cn:iam::%[1]s:root"},"Action":["kms:Describe*","kms:CreateGrant"],"Resource":"*"},
				{"Effect":"Allow","Principal":{"AWS":"arn:aws-cn:iam::%[1]s:root"},"Action":"kms:*","Resource":"*","Condition":{"StringEquals":{"kms:ViaService":"ec2.cn-north-1.amazonaws.com"}}}]}`, awssim.PublishingAccount)),
			Aliases: []string{"alias/golden"},
		}
		file.Keys = []awssim.KeyFile{key}
		file.Images = []awssim.ImageFile{{Account: awssim.PublishingAccount, Region: "cn-north-1", Name: "golden", Encrypted: true, KMSKey: "alias/golden"}}
		w := must(awssim.New(file, awssim.Options{}))(t)
		client := ec2In(w, awssim.PublishingAccount, "cn-north-1")
		image := must(client.DescribeImages(t.Context(), &ec2.DescribeImagesInput{Owners: []string{"self"}}))(t).Images[0]
		if got := must(run(t, client, *image.ImageId))(t); got.State.Name != types.InstanceStateNameRunning {
			t.Errorf("the instance is %s: %s", got.State.Name, w.Diagnosis(*got.InstanceId))
		}
		region := must(client.DescribeRegions(t.Context(), nil))(t).Regions[0]
		if got := aws.ToString(region.Endpoint); got != "ec2.cn-north-1.amazonaws.com.cn" {
			t.Errorf("the endpoint is %s", got)
		}
	})
}
