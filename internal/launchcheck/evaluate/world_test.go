package evaluate_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// home is the Region of the generated worlds' images.
const home = "us-east-1"

// source images of the worlds, not encrypted.
var sourceImages = []string{"ami-0a0a0a0a0a0a0a0a1", "ami-0a0a0a0a0a0a0a0a2"}

// generatedWorld is a random simulated AWS with one image.
type generatedWorld struct {
	*generator

	t     *testing.T
	sim   *awssim.World
	image string
	keys  []string // ARNs
	roles map[string]json.RawMessage
	// controls are the service control policies of the accounts.
	controls map[string][]json.RawMessage
}

func generate(t *testing.T, seed uint64) *generatedWorld {
	t.Helper()
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 0))}
	file := generatedFile()
	g.settings(&file)
	sim, err := awssim.New(file, awssim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := &generatedWorld{generator: g, t: t, sim: sim, roles: map[string]json.RawMessage{}, controls: map[string][]json.RawMessage{}}
	for _, a := range file.Accounts {
		w.controls[a.ID] = a.ServiceControlPolicies
	}
	w.makeImage()
	w.shareImage()
	w.makeRoles()
	for _, key := range w.keys {
		w.makeGrants(key)
		w.settle(key)
	}
	for _, key := range file.Keys {
		w.settleDefaultKey(key)
	}
	if g.chance(4) {
		w.must(w.ec2(owner).DisableImage(t.Context(), &ec2.DisableImageInput{ImageId: &w.image}))
	}
	return w
}

// parents of the accounts; one is in no organization.
func parents() map[string]string {
	return map[string]string{owner: "r-ab12", keyOwner: "r-ab12", member: unit, other: nested, "444444444444": apart, stranger: ""}
}

func generatedFile() awssim.WorldFile {
	file := awssim.WorldFile{
		Regions: []awssim.RegionFile{{Name: home}, {Name: "eu-west-1"}},
		Organization: &awssim.OrganizationFile{
			ID: organization, RootID: "r-ab12", ManagementAccount: awssim.ManagementAccount,
			Units: []awssim.UnitFile{{ID: unit, Parent: "r-ab12"}, {ID: nested, Parent: unit}, {ID: apart, Parent: "r-ab12"}},
		},
		Accounts: []awssim.AccountFile{{ID: awssim.ManagementAccount, Parent: "r-ab12"}, {ID: keyOwner, Parent: "r-ab12"}},
	}
	ec2Only := map[string]json.RawMessage{"launch": json.RawMessage(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"ec2:*","Resource":"*"}}`)}
	for _, id := range launching() {
		file.Accounts = append(file.Accounts, awssim.AccountFile{
			ID: id, Parent: parents()[id], ServiceLinkedRoles: []string{autoScaling, ecs},
			Roles: []awssim.RoleFile{{Name: karpenter, Policies: ec2Only}, {Name: "BatchRole", Path: "/team/", Policies: ec2Only}},
		})
	}
	for i, id := range sourceImages {
		file.Images = append(file.Images, awssim.ImageFile{Account: owner, Region: home, ID: id, Name: fmt.Sprint("source ", i)})
	}
	return file
}

func (w *generatedWorld) config(account string) aws.Config {
	id, secret := w.sim.AccessKey(account)
	return aws.Config{Region: home, Credentials: credentials.NewStaticCredentialsProvider(id, secret, ""), HTTPClient: w.sim.Client()}
}

func (w *generatedWorld) ec2(account string) *ec2.Client { return ec2.NewFromConfig(w.config(account)) }

func (w *generatedWorld) kms(key string) *kms.Client {
	return kms.NewFromConfig(w.config(keyAccount(key)))
}

// must fails the test on an error, and ignores the answer.
func (w *generatedWorld) must(_ any, err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// makeImage creates the image. It is unencrypted, or encrypted with AWS's key,
// or with one or two customer keys, which may belong to another account.
func (w *generatedWorld) makeImage() {
	switch kind := w.IntN(100); {
	case kind < 5:
		w.image = sourceImages[0]
	case kind < 9:
		w.image = w.copied(sourceImages[0], "")
	case kind < 15: // one snapshot encrypted, one not
		w.image = w.joined(w.copied(sourceImages[0], w.newKey()), sourceImages[1])
	case kind < 25:
		w.image = w.joined(w.copied(sourceImages[0], w.newKey()), w.copied(sourceImages[1], w.newKey()))
	default:
		w.image = w.copied(sourceImages[0], w.newKey())
	}
}

// newKey creates a key that the owner of the image can use.
func (w *generatedWorld) newKey() string {
	w.t.Helper()
	holder := one(w.generator, owner, owner, keyOwner)
	first := fmt.Sprintf(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":["%s"]},"Action":"kms:*","Resource":"*"}}`, strings.Join(append(launching(), holder), `","`))
	made, err := kms.NewFromConfig(w.config(holder)).CreateKey(w.t.Context(), &kms.CreateKeyInput{Policy: &first})
	w.must(made, err)
	w.keys = append(w.keys, *made.KeyMetadata.Arn)
	return *made.KeyMetadata.Arn
}

func (w *generatedWorld) copied(image, key string) string {
	w.t.Helper()
	in := &ec2.CopyImageInput{SourceImageId: &image, SourceRegion: aws.String(home), Name: aws.String("copy of " + image), Encrypted: aws.Bool(true)}
	if key == "" { // not the owner's default key, which it may not be allowed to use
		key = "alias/aws/ebs"
	}
	in.KmsKeyId = &key
	made, err := w.ec2(owner).CopyImage(w.t.Context(), in)
	w.must(made, err)
	return *made.ImageId
}

// joined creates an image from the snapshots of two images.
func (w *generatedWorld) joined(images ...string) string {
	w.t.Helper()
	in := &ec2.RegisterImageInput{Name: aws.String("joined"), Architecture: ec2types.ArchitectureValuesX8664, RootDeviceName: aws.String("/dev/xvda"), VirtualizationType: aws.String("hvm")}
	for i, id := range images {
		from := w.describeImage(id)
		in.BlockDeviceMappings = append(in.BlockDeviceMappings, ec2types.BlockDeviceMapping{
			DeviceName: aws.String(fmt.Sprintf("/dev/xvd%c", 'a'+i)), Ebs: &ec2types.EbsBlockDevice{SnapshotId: from.BlockDeviceMappings[0].Ebs.SnapshotId},
		})
	}
	made, err := w.ec2(owner).RegisterImage(w.t.Context(), in)
	w.must(made, err)
	return *made.ImageId
}

// shareImage shares it with the organization, units, accounts or no one.
func (w *generatedWorld) shareImage() {
	var permissions []ec2types.LaunchPermission
	if w.chance(65) {
		permissions = append(permissions, ec2types.LaunchPermission{OrganizationArn: aws.String(organizationARN(organization))})
	}
	for _, id := range []string{unit, nested, apart} {
		if w.chance(15) {
			permissions = append(permissions, ec2types.LaunchPermission{OrganizationalUnitArn: aws.String(unitARN(id))})
		}
	}
	for _, id := range launching() {
		if w.chance(35) {
			permissions = append(permissions, ec2types.LaunchPermission{UserId: &id})
		}
	}
	if w.image == sourceImages[0] && w.chance(30) {
		permissions = append(permissions, ec2types.LaunchPermission{Group: ec2types.PermissionGroupAll})
		w.must(w.ec2(owner).DisableImageBlockPublicAccess(w.t.Context(), &ec2.DisableImageBlockPublicAccessInput{}))
	}
	_, err := w.ec2(owner).ModifyImageAttribute(w.t.Context(), &ec2.ModifyImageAttributeInput{
		ImageId: &w.image, LaunchPermission: &ec2types.LaunchPermissionModifications{Add: permissions},
	})
	if err != nil && !strings.Contains(err.Error(), "shared") { // an image that is encrypted with aws/ebs can't be shared
		w.t.Fatal(err)
	}
}

// makeRoles gives roles that can have a policy the same one in every account.
func (w *generatedWorld) makeRoles() {
	key := "arn:aws:kms:us-east-1:" + owner + ":key/none"
	if len(w.keys) > 0 {
		key = w.keys[0]
	}
	for _, role := range []string{karpenter, batch} {
		document := w.identityPolicy(key)
		w.roles[role] = document
		for _, account := range launching() {
			if document == nil {
				continue
			}
			w.must(iam.NewFromConfig(w.config(account)).PutRolePolicy(w.t.Context(), &iam.PutRolePolicyInput{
				RoleName: aws.String(role[strings.LastIndexByte(role, '/')+1:]), PolicyName: aws.String("kms"), PolicyDocument: aws.String(string(document)),
			}))
		}
	}
}

// makeGrants creates grants for some roles: complete grants, grants with
// something missing, several partial grants, and revoked grants.
func (w *generatedWorld) makeGrants(key string) {
	needed := []string{"DescribeKey", "GenerateDataKeyWithoutPlaintext", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "CreateGrant"}
	for _, account := range launching() {
		for _, role := range launchRoles() {
			if !w.chance(55) || !strings.Contains(role, "aws-service-role") && w.chance(70) {
				continue
			}
			grantee, constrained := roleARN(account, role), false
			switch w.IntN(100) {
			case 0:
				w.odd, grantee = true, "arn:aws:iam::"+account+":root"
			case 1:
				w.odd, constrained = true, true
			}
			issuer := one(w.generator, account, account, account, keyAccount(key), owner, other)
			switch cut := w.IntN(len(whole())); w.IntN(12) {
			case 0: // AWS documents launches with all operations only
				w.odd = true
				w.grant(key, issuer, grantee, constrained, slices.Delete(whole(), cut, cut+1))
			case 1:
				w.grant(key, issuer, grantee, constrained, whole()[:cut+1])
				w.grant(key, one(w.generator, issuer, owner), grantee, constrained, whole()[cut:])
			case 2:
				id := w.grant(key, issuer, grantee, constrained, whole())
				w.must(w.kms(key).RevokeGrant(w.t.Context(), &kms.RevokeGrantInput{KeyId: &key, GrantId: &id}))
			case 3:
				w.grant(key, keyAccount(key), grantee, constrained, needed)
			default:
				w.grant(key, issuer, grantee, constrained, whole())
			}
		}
	}
}

// grant creates a grant with credentials of the issuer or, if its service control
// policies deny that, of the key's account.
func (w *generatedWorld) grant(key, issuer, grantee string, constrained bool, operations []string) string {
	w.t.Helper()
	in := &kms.CreateGrantInput{KeyId: &key, GranteePrincipal: &grantee}
	for _, o := range operations {
		in.Operations = append(in.Operations, grantOperation(o))
	}
	if constrained {
		in.Constraints = &kmstypes.GrantConstraints{EncryptionContextSubset: map[string]string{"team": "images"}}
	}
	made, err := kms.NewFromConfig(w.config(issuer)).CreateGrant(w.t.Context(), in)
	if err != nil && issuer != keyAccount(key) {
		made, err = w.kms(key).CreateGrant(w.t.Context(), in)
	}
	w.must(made, err)
	return *made.GrantId
}

func grantOperation(name string) kmstypes.GrantOperation { return kmstypes.GrantOperation(name) }

// settle sets the policy and the state of the key.
func (w *generatedWorld) settle(key string) {
	document := w.keyPolicy(key)
	state := w.IntN(100)
	if state < 5 {
		w.must(w.kms(key).DisableKey(w.t.Context(), &kms.DisableKeyInput{KeyId: &key}))
	} else if state < 8 {
		w.must(w.kms(key).ScheduleKeyDeletion(w.t.Context(), &kms.ScheduleKeyDeletionInput{KeyId: &key}))
	}
	_, err := w.kms(key).PutKeyPolicy(context.WithoutCancel(w.t.Context()), &kms.PutKeyPolicyInput{KeyId: &key, Policy: &document, BypassPolicyLockoutSafetyCheck: true})
	if err != nil {
		w.t.Fatalf("%s: %v", document, err)
	}
}

// launchers returns the world's launchers as input for the evaluator.
func (w *generatedWorld) launchers() []evaluate.Launcher {
	return []evaluate.Launcher{
		{Name: "Karpenter", Role: karpenter, Policy: w.roles[karpenter]},
		{Name: "Batch", Role: batch, Policy: w.roles[batch]},
		{Name: "EC2 Auto Scaling", Role: autoScaling, ServiceLinked: true},
		{Name: "ECS", Role: ecs, ServiceLinked: true},
	}
}
