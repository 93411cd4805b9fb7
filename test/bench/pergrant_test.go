package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/internal/fanout"
	"github.com/orgami/packer-plugin-orgami/internal/grant"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// perGrantParallelism is how many resources such tools work on at once by
// default: terraform apply has -parallelism=10.
const perGrantParallelism = 10

// perGrantAttempts is how often such tools try a throttled call: Terraform's AWS
// provider has max_retries = 25.
const perGrantAttempts = 25

// grantResource is the model of a design in which each grant is a resource of
// its own, as aws_kms_grant of Terraform's AWS provider 6 has it: created by
// CreateGrant, and read by paging through all grants of the key and picking its
// own by ID. The key's owner creates all of them, which saves the model a session in
// each account. How often grants are listed doesn't depend on that.
type grantResource struct {
	client  *kms.Client
	keyID   string
	account string
	role    string
	id      string
}

func (r *grantResource) create(ctx context.Context) error {
	answer, err := r.client.CreateGrant(ctx, &kms.CreateGrantInput{
		KeyId: &r.keyID, GranteePrincipal: aws.String("arn:aws:iam::" + r.account + ":role/" + r.role),
		Name: aws.String(grant.Name(r.account, r.role)), Operations: []types.GrantOperation{types.GrantOperationDecrypt},
	})
	if err != nil {
		return err
	}
	r.id = aws.ToString(answer.GrantId)
	return r.read(ctx)
}

// read retries while the grant is not listed yet.
func (r *grantResource) read(ctx context.Context) error {
	for range 60 {
		found := false
		for pages := kms.NewListGrantsPaginator(r.client, &kms.ListGrantsInput{KeyId: &r.keyID, Limit: aws.Int32(100)}); pages.HasMorePages(); {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return err
			}
			for _, g := range page.Grants {
				found = found || aws.ToString(g.GrantId) == r.id
			}
		}
		if found {
			return nil
		}
		time.Sleep(time.Second)
	}
	return fmt.Errorf("grant %s is not listed", r.id)
}

// TestPerGrantDesign runs the model, and compares its formula with the calls of a
// refresh without changes.
func TestPerGrantDesign(t *testing.T) {
	accounts := []int{10, 100}
	if os.Getenv(Variable) != "" {
		accounts = []int{10, 30, 100, 300}
	}
	for _, n := range accounts {
		t.Run(fmt.Sprintf("%d accounts", n), func(t *testing.T) {
			measured := measurePerGrant(t, Cell{Regions: 1, Accounts: n})
			measured.Ours = measure(t, measured.Cell, true).WarmTime
			recordLine(t, Line{PerGrant: &measured})
			if diff := cmp.Diff(map[string]int{"kms ListGrants": PerGrantReads(measured.Cell)}, measured.Warm.ByKind); diff != "" {
				t.Errorf("calls of a refresh: %s", diff)
			}
			if measured.Cold.Mutating != measured.Grants() || measured.Cold.ByKind["kms ListGrants"] < PerGrantReads(measured.Cell) {
				t.Errorf("calls of the first run: %+v", measured.Cold)
			}
		})
	}
}

func measurePerGrant(t *testing.T, cell Cell) PerGrant {
	t.Helper()
	measured := PerGrant{Cell: cell}
	synctest.Test(t, func(t *testing.T) {
		world, err := awssim.New(worldOf(cell), cell.Timing())
		if err != nil {
			t.Fatal(err)
		}
		client := kms.NewFromConfig(configOf(world), func(o *kms.Options) { o.RetryMaxAttempts = perGrantAttempts })
		key, err := client.CreateKey(t.Context(), &kms.CreateKeyInput{MultiRegion: aws.Bool(true)})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		var resources []*grantResource
		for _, account := range accountIDs(cell.Accounts) {
			for _, role := range grant.DefaultRoles[:Roles] {
				resources = append(resources, &grantResource{client: client, keyID: *key.KeyMetadata.KeyId, account: account, role: role})
			}
		}
		counted := count(world)
		each := func(do func(*grantResource, context.Context) error) time.Duration {
			start := time.Now()
			errs := fanout.Limit(t.Context(), perGrantParallelism, "", resources, func(ctx context.Context, r *grantResource) error { return do(r, ctx) })
			if err := errors.Join(errs...); err != nil {
				t.Fatal(err)
			}
			return time.Since(start)
		}
		measured.Makespan = each((*grantResource).create)
		measured.Cold = counted.take(nil)
		time.Sleep(time.Minute)
		measured.WarmTime = each((*grantResource).read)
		measured.Warm = counted.take(nil)
	})
	return measured
}
