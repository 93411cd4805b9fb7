package launchcheck_test

import (
	"encoding/json"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/grant"
	"github.com/orgami/packer-plugin-orgami/internal/launchcheck"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

const (
	home        = "us-east-1"
	away        = "eu-west-1"
	owner       = awssim.PublishingAccount
	member      = "222222222222"
	other       = "333333333333"
	sourceImage = "ami-0a0a0a0a0a0a0a0a0"
	autoScaling = "aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
	spot        = "aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot"
)

// world is a simulated AWS with an image that is encrypted with one multi-Region
// key, in two Regions.
type world struct {
	t      *testing.T
	sim    *awssim.World
	key    awssim.KeyFile
	images map[string]string // by Region
}

func newWorld(t *testing.T) *world {
	t.Helper()
	document, err := policy.KeyPolicy{Partition: "aws", Owner: owner, OrganizationID: awssim.OrganizationID, Variant: policy.Open}.Merge(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	key := awssim.KeyFile{Account: owner, Region: home, MultiRegion: true, Replicas: []string{away}, Policy: json.RawMessage(document.String())}
	file := awssim.WorldIn("aws", []string{home, away})
	file.Keys = []awssim.KeyFile{key}
	file.Images = []awssim.ImageFile{{Account: owner, Region: home, ID: sourceImage, Name: "golden"}}
	sim, err := awssim.New(file, awssim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, sim: sim, key: key, images: map[string]string{}}
	for _, region := range []string{home, away} {
		copied, err := w.ec2(region).CopyImage(t.Context(), &ec2.CopyImageInput{
			SourceImageId: aws.String(sourceImage), SourceRegion: aws.String(home), Name: aws.String("golden-encrypted"),
			Encrypted: aws.Bool(true), KmsKeyId: aws.String(key.ARN(region)),
		})
		if err != nil {
			t.Fatal(err)
		}
		w.images[region] = *copied.ImageId
	}
	return w
}

func (w *world) config(account, region string) aws.Config {
	id, secret := w.sim.AccessKey(account)
	return aws.Config{Region: region, Credentials: credentials.NewStaticCredentialsProvider(id, secret, ""), HTTPClient: w.sim.Client()}
}

func (w *world) clients() *awsclient.Clients { return awsclient.New(w.config(owner, home)) }

func (w *world) ec2(region string) *ec2.Client { return ec2.NewFromConfig(w.config(owner, region)) }

// share shares the Region's image with the organization.
func (w *world) share(region string) {
	w.t.Helper()
	_, err := w.ec2(region).ModifyImageAttribute(w.t.Context(), &ec2.ModifyImageAttributeInput{
		ImageId: aws.String(w.images[region]),
		LaunchPermission: &ec2types.LaunchPermissionModifications{
			Add: []ec2types.LaunchPermission{{OrganizationArn: aws.String(awssim.OrganizationARN)}},
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// grant creates a grant for a role of the account, with credentials of the issuer.
func (w *world) grant(issuer, account, role, region string) {
	w.t.Helper()
	in := &kms.CreateGrantInput{KeyId: aws.String(w.key.ARN(region)), GranteePrincipal: aws.String("arn:aws:iam::" + account + ":role/" + role)}
	for _, o := range grant.Operations {
		in.Operations = append(in.Operations, kmstypes.GrantOperation(o))
	}
	if _, err := kms.NewFromConfig(w.config(issuer, region)).CreateGrant(w.t.Context(), in); err != nil {
		w.t.Fatal(err)
	}
}

// scope is the whole organization, with grants for the members.
func (w *world) scope() launchcheck.Scope {
	return launchcheck.Scope{
		Partition: "aws", Organization: awssim.OrganizationID,
		Share:         ami.Permissions{Organizations: []string{awssim.OrganizationARN}},
		GrantAccounts: []string{member, other}, GrantRoles: []string{autoScaling},
		KeyWildcardARN: policy.WildcardKeyARN("aws", owner, w.key.KeyID()),
	}
}

// read reads the published images and their keys.
func (w *world) read() launchcheck.Facts {
	w.t.Helper()
	subjects, err := launchcheck.ReadPublished(w.t.Context(), w.clients(), w.images)
	if err != nil {
		w.t.Fatal(err)
	}
	return launchcheck.Read(w.t.Context(), w.clients(), subjects, true, nil)
}
