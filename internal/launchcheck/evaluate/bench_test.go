package evaluate_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
)

const (
	owner        = "111111111111"
	member       = "222222222222"
	other        = "333333333333"
	stranger     = "888888888888"
	organization = "o-exampleorgid"
	unit         = "ou-ab12-11111111"
	unitPath     = organization + "/r-ab12/" + unit + "/"
	keyID        = "mrk-0a1b2c3d4e5f60718293a4b5c6d7e8f9"
	region       = "eu-west-1"
	image        = "ami-0a0a0a0a0a0a0a0a0"
	autoScaling  = "aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
	ecs          = "aws-service-role/ecs.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_ECSService"
	karpenter    = "KarpenterControllerRole"
)

func keyARN(region string) string { return policy.KeyARN("aws", region, owner, keyID) }

func roleARN(account, role string) string { return "arn:aws:iam::" + account + ":role/" + role }

// whole are the operations of a sufficient grant.
func whole() []string {
	return strings.Fields("Encrypt Decrypt ReEncryptFrom ReEncryptTo GenerateDataKey GenerateDataKeyWithoutPlaintext DescribeKey CreateGrant")
}

// published is a world as the plugin leaves it: an image shared with the organization,
// encrypted with a key that is open to it, with grants for both service-linked roles.
func published(accounts int, regions ...string) evaluate.Input {
	w := evaluate.Input{
		Partition: "aws", Organization: organization,
		Launchers: []evaluate.Launcher{
			{Name: "Karpenter", Role: karpenter, Policy: []byte(policy.Karpenter("aws", policy.WildcardKeyARN("aws", owner, keyID)).String())},
			{Name: "EC2 Auto Scaling", Role: autoScaling, ServiceLinked: true},
			{Name: "ECS", Role: ecs, ServiceLinked: true},
		},
	}
	for i := range accounts {
		w.Accounts = append(w.Accounts, evaluate.Account{ID: fmt.Sprintf("2%011d", i), Organization: organization, Path: unitPath})
	}
	document, err := policy.KeyPolicy{Partition: "aws", Owner: owner, OrganizationID: organization, Variant: policy.Open}.Merge(nil, nil)
	if err != nil {
		panic(err)
	}
	for _, r := range regions {
		key := evaluate.Key{ARN: keyARN(r), State: "Enabled", Policy: []byte(document.String())}
		for _, a := range w.Accounts {
			for _, role := range []string{autoScaling, ecs} {
				key.Grants = append(key.Grants, evaluate.Grant{ID: fmt.Sprint("grant-", len(key.Grants)), Name: "orgami", Grantee: roleARN(a.ID, role), IssuingAccount: a.ID, Operations: whole()})
			}
		}
		w.Regions = append(w.Regions, evaluate.Region{
			Name: r, Keys: map[string]evaluate.Key{key.ARN: key},
			Image: evaluate.Image{
				ID: image, Owner: owner, State: "available",
				Organizations: []string{"arn:aws:organizations::999999999999:organization/" + organization},
				Snapshots:     []evaluate.Snapshot{encrypted("snap-1", key.ARN), encrypted("snap-2", key.ARN)},
			},
		})
	}
	return w
}

// encrypted is a snapshot that was read and is encrypted with the key.
func encrypted(id, key string) evaluate.Snapshot {
	return evaluate.Snapshot{ID: id, Read: true, Encrypted: true, Key: key}
}

// plain is a snapshot that was read and is not encrypted.
func plain(id string) evaluate.Snapshot { return evaluate.Snapshot{ID: id, Read: true} }

func regions(n int) []string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("eu-west-%d", i+1))
	}
	return names
}

// BenchmarkEvaluate evaluates a large organization in which all launches succeed, and
// the same one in which none does.
func BenchmarkEvaluate(b *testing.B) {
	well := published(5000, regions(17)...)
	ill := published(5000, regions(17)...)
	for i := range ill.Regions {
		key := ill.Regions[i].Keys[keyARN(ill.Regions[i].Name)]
		key.Grants = nil
		key.Policy = []byte(strings.ReplaceAll(string(key.Policy), organization, "o-other"))
		ill.Regions[i].Keys[key.ARN] = key
	}
	for name, w := range map[string]evaluate.Input{"launches": well, "fails": ill} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if verdicts := evaluate.Evaluate(w).Verdicts; string(verdicts[0].Outcome) != name {
					b.Fatal(verdicts[0])
				}
			}
		})
	}
}

func BenchmarkCollect(b *testing.B) {
	verdicts := evaluate.Evaluate(published(5000, regions(17)...)).Verdicts
	for b.Loop() {
		evaluate.Collect(verdicts)
	}
}
