package awssim_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// An image can be shared with 1,000 entities; adding one twice doesn't count, nor
// does one that is removed at the same time. Fact: EC2-SHARE-8, EC2-SHARE-9.
func TestLaunchPermissionLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := awssim.DefaultWorld()
		var all []ec2types.LaunchPermission
		for n := range 1_001 {
			id := fmt.Sprintf("7%011d", n)
			file.Accounts = append(file.Accounts, awssim.AccountFile{ID: id, Name: id})
			all = append(all, ec2types.LaunchPermission{UserId: &id})
		}
		file.Images = []awssim.ImageFile{{Account: awssim.PublishingAccount, Region: "us-east-1", ID: plainImage, Name: "plain"}}
		w := must(awssim.New(file, awssim.Options{}))(t)
		client := ec2In(w, awssim.PublishingAccount, "us-east-1")
		_, err := client.ModifyImageAttribute(t.Context(), share(plainImage, all...))
		wantCode(t, err, "ResourceLimitExceeded")
		if shared := must(client.DescribeImageAttribute(t.Context(), &ec2.DescribeImageAttributeInput{ImageId: aws.String(plainImage), Attribute: "launchPermission"}))(t); len(shared.LaunchPermissions) != 0 {
			t.Errorf("a refused request added %d permissions", len(shared.LaunchPermissions))
		}
		must(client.ModifyImageAttribute(t.Context(), share(plainImage, all[:1_000]...)))(t)
		must(client.ModifyImageAttribute(t.Context(), share(plainImage, all[5])))(t)
		organization := ec2types.LaunchPermission{OrganizationArn: aws.String(awssim.OrganizationARN)}
		_, err = client.ModifyImageAttribute(t.Context(), share(plainImage, organization))
		wantCode(t, err, "ResourceLimitExceeded")
		input := share(plainImage, organization)
		input.LaunchPermission.Remove = all[:1]
		must(client.ModifyImageAttribute(t.Context(), input))(t)
	})
}

// Sharing with an organization or unit that the world doesn't have is rejected, unless
// an option accepts it. Removing such a permission works. Fact: EC2-SHARE-6,
// EC2-SHARE-7.
func TestUnknownOrganizations(t *testing.T) {
	prefix := "arn:aws:organizations::" + awssim.ManagementAccount
	tests := map[string]struct {
		permission ec2types.LaunchPermission
		known      bool
	}{
		"the organization":           {ec2types.LaunchPermission{OrganizationArn: aws.String(awssim.OrganizationARN)}, true},
		"another organization":       {ec2types.LaunchPermission{OrganizationArn: aws.String(prefix + ":organization/o-anotherorgid")}, false},
		"another management account": {ec2types.LaunchPermission{OrganizationArn: aws.String(strings.Replace(awssim.OrganizationARN, awssim.ManagementAccount, factMember, 1))}, false},
		"the unit":                   {ec2types.LaunchPermission{OrganizationalUnitArn: aws.String(prefix + ":ou/" + awssim.OrganizationID + "/" + awssim.WorkloadsUnit)}, true},
		"another unit":               {ec2types.LaunchPermission{OrganizationalUnitArn: aws.String(prefix + ":ou/" + awssim.OrganizationID + "/ou-ab12-00000000")}, false},
		"a unit of another organization": {
			ec2types.LaunchPermission{OrganizationalUnitArn: aws.String(prefix + ":ou/o-anotherorgid/" + awssim.WorkloadsUnit)}, false,
		},
	}
	for name, test := range tests {
		for _, accept := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, accepted %v", name, accept), func(t *testing.T) {
				inImageWorld(t, awssim.Options{AcceptUnknownOrganizations: accept}, func(t *testing.T, w *awssim.World) {
					client := ec2In(w, awssim.PublishingAccount, "us-east-1")
					_, err := client.ModifyImageAttribute(t.Context(), share(plainImage, test.permission))
					if (err == nil) != (test.known || accept) {
						t.Errorf("the error is %v", err)
					}
					must(client.ModifyImageAttribute(t.Context(), &ec2.ModifyImageAttributeInput{
						ImageId: aws.String(plainImage), LaunchPermission: &ec2types.LaunchPermissionModifications{Remove: []ec2types.LaunchPermission{test.permission}},
					}))(t)
				})
			})
		}
	}
}

// KMS limits sizes and characters. Fact: KMS-KEY-8 to KMS-KEY-11, KMS-KEY-25,
// KMS-KEY-26.
func TestKMSLimits(t *testing.T) {
	tag := func(key, value string) []types.Tag {
		return []types.Tag{{TagKey: &key, TagValue: &value}}
	}
	sid := func(text string) *string { return keyPolicy(strings.Replace(openStatement, `"Org"`, `"`+text+`"`, 1)) }
	many := func(n int) []types.Tag {
		var tags []types.Tag
		for i := range n {
			tags = append(tags, tag(fmt.Sprint("key", i), "")...)
		}
		return tags
	}
	tests := map[string]struct {
		input kms.CreateKeyInput
		code  string
	}{
		"Latin-1 in the policy":    {kms.CreateKeyInput{Policy: sid("Größe ÿ")}, ""},
		"tabs and lines":           {kms.CreateKeyInput{Policy: aws.String(strings.ReplaceAll(*keyPolicy(), ",", ",\r\n\t"))}, ""},
		"another character":        {kms.CreateKeyInput{Policy: sid("Ā")}, "ValidationException"},
		"a control character":      {kms.CreateKeyInput{Policy: sid("\u0085")}, "ValidationException"},
		"a long policy":            {kms.CreateKeyInput{Policy: aws.String(*keyPolicy() + strings.Repeat(" ", 32_768))}, "LimitExceededException"},
		"a policy of 32 KB":        {kms.CreateKeyInput{Policy: aws.String(*keyPolicy() + strings.Repeat(" ", 32_768-len(*keyPolicy())))}, ""},
		"a very long policy":       {kms.CreateKeyInput{Policy: aws.String(*keyPolicy() + strings.Repeat(" ", 131_072))}, "ValidationException"},
		"no Action":                {kms.CreateKeyInput{Policy: keyPolicy(`{"Effect":"Allow","Principal":{"AWS":"222222222222"},"Resource":"*"}`)}, "MalformedPolicyDocumentException"},
		"no Resource":              {kms.CreateKeyInput{Policy: keyPolicy(`{"Effect":"Allow","Principal":{"AWS":"222222222222"},"Action":"kms:Decrypt"}`)}, "MalformedPolicyDocumentException"},
		"NotAction":                {kms.CreateKeyInput{Policy: keyPolicy(`{"Effect":"Deny","Principal":{"AWS":"222222222222"},"NotAction":"kms:Decrypt","Resource":"*"}`)}, ""},
		"a long description":       {kms.CreateKeyInput{Description: aws.String(strings.Repeat("ä", 8_193))}, "ValidationException"},
		"a description as allowed": {kms.CreateKeyInput{Description: aws.String(strings.Repeat("ä", 8_192))}, ""},
		"tags as allowed":          {kms.CreateKeyInput{Tags: tag(strings.Repeat("ä", 128), strings.Repeat("ö", 256))}, ""},
		"a long tag key":           {kms.CreateKeyInput{Tags: tag(strings.Repeat("a", 129), "")}, "TagException"},
		"a long tag value":         {kms.CreateKeyInput{Tags: tag("a", strings.Repeat("a", 257))}, "TagException"},
		"characters of tags":       {kms.CreateKeyInput{Tags: tag("Ab1 _.:/=+-@", "é")}, ""},
		"a bad tag key":            {kms.CreateKeyInput{Tags: tag("a,b", "")}, "TagException"},
		"a bad tag value":          {kms.CreateKeyInput{Tags: tag("a", "(b)")}, "TagException"},
		"a reserved tag":           {kms.CreateKeyInput{Tags: tag("AWS:a", "")}, "TagException"},
		"a tag twice":              {kms.CreateKeyInput{Tags: append(tag("a", "1"), tag("a", "2")...)}, "TagException"},
		"50 tags":                  {kms.CreateKeyInput{Tags: many(50)}, ""},
		"51 tags":                  {kms.CreateKeyInput{Tags: many(51)}, "LimitExceededException"},
		"another origin":           {kms.CreateKeyInput{Origin: types.OriginTypeAwsCloudhsm}, "UnsupportedOperationException"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
				client := kmsClient(w, awssim.PublishingAccount, "us-east-1")
				_, err := client.CreateKey(t.Context(), &test.input)
				if test.code == "" && err != nil {
					t.Error(err)
				}
				if keys := len(w.Snapshot().Keys); (keys == 1) != (test.code == "") {
					t.Errorf("%d keys exist", keys)
				}
				if test.code == "" {
					return
				}
				wantCode(t, err, test.code)
				if test.input.Policy == nil {
					return
				}
				key := newKey(t, w, true)
				_, err = client.PutKeyPolicy(t.Context(), &kms.PutKeyPolicyInput{KeyId: &key, Policy: test.input.Policy})
				wantCode(t, err, test.code)
				_, err = client.ReplicateKey(t.Context(), &kms.ReplicateKeyInput{KeyId: &key, ReplicaRegion: aws.String("eu-west-1"), Policy: test.input.Policy})
				wantCode(t, err, test.code)
			})
		})
	}
}

// A rejected TagResource changes nothing, and a key that is to be deleted keeps its
// tags. Fact: KMS-KEY-25, KMS-MRK-12.
func TestTaggingKeysIsAllOrNothing(t *testing.T) {
	inVirtualTime(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		client, key := kmsClient(w, awssim.PublishingAccount, "us-east-1"), newKey(t, w, false)
		tags := []types.Tag{{TagKey: aws.String("a"), TagValue: aws.String("b")}, {TagKey: aws.String("c,d"), TagValue: aws.String("")}}
		_, err := client.TagResource(t.Context(), &kms.TagResourceInput{KeyId: &key, Tags: tags})
		wantCode(t, err, "TagException")
		if got := w.Snapshot().Keys[0].Tags; len(got) != 0 {
			t.Errorf("the key has the tags %v", got)
		}
		must(client.ScheduleKeyDeletion(t.Context(), &kms.ScheduleKeyDeletionInput{KeyId: &key}))(t)
		_, err = client.TagResource(t.Context(), &kms.TagResourceInput{KeyId: &key, Tags: tags[:1]})
		wantCode(t, err, "KMSInvalidStateException")
		_, err = client.UntagResource(t.Context(), &kms.UntagResourceInput{KeyId: &key, TagKeys: []string{"a"}})
		wantCode(t, err, "KMSInvalidStateException")
	})
}

// EC2 counts characters of tags and descriptions, not bytes. Fact: EC2-IMG-28,
// EC2-IMG-29.
func TestEC2Limits(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		client := ec2In(w, awssim.PublishingAccount, "us-east-1")
		for _, test := range []struct{ key, value, code string }{
			{strings.Repeat("ä", 128), strings.Repeat("ö", 256), ""},
			{"any(character)?", "€,\"", ""},
			{strings.Repeat("a", 129), "", "InvalidParameterValue"},
			{"a", strings.Repeat("a", 257), "InvalidParameterValue"},
			{"aws:a", "", "InvalidParameterValue"},
		} {
			_, err := client.CreateTags(t.Context(), &ec2.CreateTagsInput{Resources: []string{plainImage}, Tags: []ec2types.Tag{{Key: &test.key, Value: &test.value}}})
			if test.code == "" && err != nil {
				t.Error(err)
			} else if test.code != "" {
				wantCode(t, err, test.code)
			}
		}
		long, longest := strings.Repeat("ä", 256), strings.Repeat("ä", 255)
		for description, code := range map[string]string{long: "InvalidParameterValue", longest: ""} {
			input := copyOf(plainImage)
			input.KmsKeyId, input.Description = nil, &description
			_, copied := client.CopyImage(t.Context(), input)
			_, modified := client.ModifyImageAttribute(t.Context(), &ec2.ModifyImageAttributeInput{ImageId: aws.String(plainImage), Description: &ec2types.AttributeValue{Value: &description}})
			for _, err := range []error{copied, modified} {
				if code == "" && err != nil {
					t.Error(err)
				} else if code != "" {
					wantCode(t, err, code)
				}
			}
		}
	})
}

// An older key can have statements without Action or Resource, which have no effect.
// Its policy can be read, but not stored again. Fact: KMS-KEY-10, KMS-KEY-11.
func TestOldPolicies(t *testing.T) {
	old := *keyPolicy(`{"Sid":"NoAction","Effect":"Deny","Principal":"*","Resource":"*"}`, `{"Sid":"NoResource","Effect":"Deny","Principal":"*","Action":"kms:*"}`)
	synctest.Test(t, func(t *testing.T) {
		file := awssim.DefaultWorld()
		key := awssim.KeyFile{Account: awssim.PublishingAccount, Region: "us-east-1", Policy: json.RawMessage(old)}
		onlyOld := awssim.KeyFile{Account: awssim.PublishingAccount, Region: "us-east-1", Description: "closed", Policy: json.RawMessage(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"kms:*"}}`)}
		file.Keys = []awssim.KeyFile{key, onlyOld}
		w := must(awssim.New(file, awssim.Options{}))(t)
		client, arn := kmsClient(w, awssim.PublishingAccount, "us-east-1"), key.ARN("us-east-1")
		must(client.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &arn}))(t)
		got := aws.ToString(must(client.GetKeyPolicy(t.Context(), &kms.GetKeyPolicyInput{KeyId: &arn}))(t).Policy)
		if !strings.Contains(got, "NoAction") || !strings.Contains(got, "NoResource") {
			t.Errorf("the policy is %s", got)
		}
		_, err := client.PutKeyPolicy(t.Context(), &kms.PutKeyPolicyInput{KeyId: &arn, Policy: &got})
		wantCode(t, err, "MalformedPolicyDocumentException")
		_, err = client.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: aws.String(onlyOld.ARN("us-east-1"))})
		wantCode(t, err, "AccessDeniedException")
	})
}

// Imported key material has no rotation, and each replica needs its own import.
// Fact: KMS-MRK-10, KMS-MRK-12, KMS-MRK-19, KMS-MRK-20.
func TestImportedKeyMaterial(t *testing.T) {
	key := awssim.KeyFile{
		Account: awssim.PublishingAccount, Region: "us-east-1", MultiRegion: true, Replicas: []string{"ap-southeast-2"}, Origin: "EXTERNAL",
		PendingImport: []string{"ap-southeast-2"},
	}
	synctest.Test(t, func(t *testing.T) {
		file := awssim.DefaultWorld()
		file.Keys = []awssim.KeyFile{key}
		w := must(awssim.New(file, awssim.Options{}))(t)
		primary, arn := kmsClient(w, awssim.PublishingAccount, "us-east-1"), key.ARN("us-east-1")
		_, err := primary.EnableKeyRotation(t.Context(), &kms.EnableKeyRotationInput{KeyId: &arn})
		wantCode(t, err, "UnsupportedOperationException")
		if must(primary.GetKeyRotationStatus(t.Context(), &kms.GetKeyRotationStatusInput{KeyId: &arn}))(t).KeyRotationEnabled {
			t.Error("the key is rotated")
		}
		must(primary.ReplicateKey(t.Context(), &kms.ReplicateKeyInput{KeyId: &arn, ReplicaRegion: aws.String("eu-west-1")}))(t)
		want := map[string]types.KeyState{"us-east-1": types.KeyStateEnabled, "eu-west-1": types.KeyStatePendingImport, "ap-southeast-2": types.KeyStatePendingImport}
		for region, state := range want {
			id, client := key.ARN(region), kmsClient(w, awssim.PublishingAccount, region)
			got := must(client.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &id}))(t).KeyMetadata
			if got.KeyState != state || got.Origin != types.OriginTypeExternal {
				t.Errorf("the key in %s is %s, %s", region, got.KeyState, got.Origin)
			}
			_, err := client.CreateGrant(t.Context(), &kms.CreateGrantInput{
				KeyId: &id, GranteePrincipal: aws.String("arn:aws:iam::" + factMember + ":role/" + awssim.LauncherRole), Operations: []types.GrantOperation{"Decrypt"},
			})
			if state == types.KeyStateEnabled && err != nil {
				t.Error(err)
			} else if state != types.KeyStateEnabled {
				wantCode(t, err, "KMSInvalidStateException")
			}
			must(client.ImportKeyMaterial(t.Context(), &kms.ImportKeyMaterialInput{KeyId: &id, ImportToken: []byte("x"), EncryptedKeyMaterial: []byte("y"), ExpirationModel: types.ExpirationModelTypeKeyMaterialDoesNotExpire}))(t)
			must(client.Encrypt(t.Context(), &kms.EncryptInput{KeyId: &id, Plaintext: []byte("x")}))(t)
		}
		made := must(primary.CreateKey(t.Context(), &kms.CreateKeyInput{Origin: types.OriginTypeExternal}))(t).KeyMetadata
		if made.KeyState != types.KeyStatePendingImport {
			t.Errorf("a new key is %s", made.KeyState)
		}
		must(primary.ScheduleKeyDeletion(t.Context(), &kms.ScheduleKeyDeletionInput{KeyId: made.KeyId}))(t)
		own := newKey(t, w, false)
		_, err = primary.ImportKeyMaterial(t.Context(), &kms.ImportKeyMaterialInput{KeyId: &own, ImportToken: []byte("x"), EncryptedKeyMaterial: []byte("y")})
		wantCode(t, err, "UnsupportedOperationException")
	})
}

// A member that hasn't enabled an opt-in Region can neither call it, nor use its
// roles, nor launch there. Fact: KMS-KEY-16, NET-1, NET-4.
func TestRegionsThatAMemberHasNotEnabled(t *testing.T) {
	const optIn = "af-south-1"
	synctest.Test(t, func(t *testing.T) {
		file := awssim.DefaultWorld()
		for i, a := range file.Accounts {
			if a.ID == awssim.PublishingAccount || a.ID == "333333333333" {
				file.Accounts[i].EnabledRegions = []string{optIn}
			}
		}
		file.Images = []awssim.ImageFile{{Account: awssim.PublishingAccount, Region: optIn, ID: plainImage, Name: "plain", LaunchPermissions: []string{factMember, "333333333333"}}}
		w := must(awssim.New(file, awssim.Options{}))(t)
		key := *must(kmsClient(w, awssim.PublishingAccount, optIn).CreateKey(t.Context(), &kms.CreateKeyInput{Policy: keyPolicy(openStatement)}))(t).KeyMetadata.Arn

		_, err := ec2In(w, factMember, optIn).DescribeImages(t.Context(), nil)
		wantCode(t, err, "AuthFailure")
		_, err = kmsClient(w, factMember, optIn).DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &key})
		wantCode(t, err, "UnrecognizedClientException")
		_, err = ec2In(w, factMember, "us-east-1").CopyImage(t.Context(), &ec2.CopyImageInput{SourceRegion: aws.String(optIn), SourceImageId: aws.String(plainImage), Name: aws.String("copy")})
		wantCode(t, err, "InvalidParameterValue")
		// A session of another Region isn't accepted, and STS in the Region issues
		// none.
		role := "arn:aws:iam::" + factMember + ":role/" + awssim.GrantRole
		session := sessionOf(t, config(w, awssim.PublishingAccount, "us-east-1"), role, optIn)
		_, err = kms.NewFromConfig(session).DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &key})
		wantCode(t, err, "UnrecognizedClientException")
		assume := &sts.AssumeRoleInput{RoleArn: &role, RoleSessionName: aws.String("test")}
		_, err = sts.NewFromConfig(config(w, awssim.PublishingAccount, optIn)).AssumeRole(t.Context(), assume)
		wantCode(t, err, "RegionDisabledException")

		got := must(w.LaunchAsServiceLinkedRole(factMember, autoScaling, optIn, plainImage))(t)
		if got.State != "refused" || got.Reason != "OptInRequired" || !strings.Contains(got.Diagnosis, factMember) || !strings.Contains(got.Diagnosis, optIn) {
			t.Errorf("the launch: %+v", got)
		}
		if got := must(w.LaunchAsServiceLinkedRole("333333333333", autoScaling, optIn, plainImage))(t); got.State != "running" {
			t.Errorf("the launch where the Region is enabled: %+v", got)
		}
		must(kmsClient(w, "333333333333", optIn).DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &key}))(t)
		assume.RoleArn = aws.String(strings.Replace(role, factMember, "333333333333", 1))
		must(sts.NewFromConfig(config(w, awssim.PublishingAccount, optIn)).AssumeRole(t.Context(), assume))(t)
	})
}
