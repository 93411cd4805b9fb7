package bench

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"go.uber.org/goleak"

	"github.com/orgami/packer-plugin-orgami/internal/grant"
	"github.com/orgami/packer-plugin-orgami/internal/kmskey"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
	"github.com/orgami/packer-plugin-orgami/internal/progress"
	"github.com/orgami/packer-plugin-orgami/internal/publish"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// No test may leave a goroutine behind.
func TestMain(m *testing.M) {
	if os.Getenv(publisherVariable) != "" {
		os.Exit(m.Run()) // the measured process ends with connections that are kept for more
	}
	goleak.VerifyTestMain(m)
}

// regionNames are AWS's commercial Regions. The Regions that every account has come
// first.
var regionNames = []string{
	"us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "sa-east-1", "eu-west-1", "eu-west-2", "eu-west-3",
	"eu-central-1", "eu-north-1", "ap-south-1", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-southeast-1", "ap-southeast-2",
	"af-south-1", "ap-east-1", "ap-east-2", "ap-south-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5", "ap-southeast-7",
	"ca-west-1", "eu-central-2", "eu-south-1", "eu-south-2", "il-central-1", "me-central-1", "me-south-1", "mx-central-1",
}

const (
	sourceImage = "ami-0a0a0a0a0a0a0a0a0"
	alias       = "alias/golden-ami"
)

func accountID(n int) string { return fmt.Sprintf("70%010d", n) }

func accountIDs(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = accountID(i)
	}
	return ids
}

// worldOf is a world with the cell's Regions, accounts with the service-linked
// roles and one that the publisher assumes, and an image to publish.
func worldOf(c Cell) awssim.WorldFile {
	file := awssim.WorldIn("aws", regionNames[:c.Regions])
	member := file.Accounts[slices.IndexFunc(file.Accounts, func(a awssim.AccountFile) bool { return a.ID == awssim.MemberAccounts()[0] })]
	for _, id := range accountIDs(c.Accounts) {
		file.Accounts = append(file.Accounts, awssim.AccountFile{
			ID: id, Name: id, Parent: awssim.WorkloadsUnit, Roles: member.Roles, ServiceLinkedRoles: member.ServiceLinkedRoles,
		})
	}
	file.Images = []awssim.ImageFile{{
		Account: awssim.PublishingAccount, Region: regionNames[0], ID: sourceImage, Name: "golden", Architecture: "x86_64", Snapshots: []int{8}, Encrypted: true,
	}}
	return file
}

// specOf publishes the image to all the cell's Regions, with grants for all its
// accounts.
func specOf(c Cell) publish.Spec {
	home := regionNames[0]
	return publish.Spec{
		Sources: []publish.Source{{Region: home, ImageID: sourceImage}},
		Regions: regionNames[:c.Regions],
		Key:     publish.KeySpec{Alias: alias, PrimaryRegion: home, Create: true, Policy: policy.Open, Rotation: kmskey.RotateCreated},
		Share:   publish.ShareSpec{Organization: true},
		Grants: publish.GrantsSpec{
			Accounts: accountIDs(c.Accounts), Roles: grant.DefaultRoles[:Roles], MemberRole: awssim.GrantRole, MissingRole: "fail",
		},
		WaitTimeout: 2 * time.Hour,
		Check:       publish.CheckFail,
	}
}

// configOf is an SDK configuration for the publisher in the home Region.
func configOf(world *awssim.World) aws.Config {
	id, secret := world.AccessKey(awssim.PublishingAccount)
	return aws.Config{Region: regionNames[0], Credentials: credentials.NewStaticCredentialsProvider(id, secret, ""), HTTPClient: world.Client()}
}

// silent discards the output.
var silent = progress.Reporter{Info: func(string) {}, Warn: func(string) {}}

// unlocked is no lock: one run at a time.
func unlocked(context.Context, publish.Section) (func(), bool, error) { return func() {}, false, nil }
