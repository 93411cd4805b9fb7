package kmskey_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/kmskey"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
	"github.com/orgami/packer-plugin-orgami/internal/progress"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

const (
	alias   = "alias/golden-ami"
	primary = "us-east-1"
	replica = "eu-west-1"
)

// world is a simulated AWS, with responses that a test can change on their way.
type world struct {
	sim   *awssim.World
	alter func(operation, region string, body []byte) []byte
	// account and session select the credentials of the world's clients.
	account string
}

func inWorld(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		sim, err := awssim.New(awssim.DefaultWorld(), awssim.Options{
			Latency: 50 * time.Millisecond, PropagationLag: 3 * time.Second, KeyCreationTime: 7 * time.Second,
		})
		if err != nil {
			t.Fatal(err)
		}
		f(t, &world{sim: sim, account: awssim.PublishingAccount})
	})
}

// RoundTrip lets alter replace the bodies of successful responses of KMS.
func (w *world) RoundTrip(request *http.Request) (*http.Response, error) {
	answer, err := w.sim.Client().Transport.RoundTrip(request)
	if err != nil || w.alter == nil || answer.StatusCode != http.StatusOK {
		return answer, err
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	_, operation, _ := strings.Cut(request.Header.Get("X-Amz-Target"), ".")
	body = w.alter(operation, strings.Split(request.URL.Host, ".")[1], body)
	answer.Body, answer.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	answer.Header = answer.Header.Clone()
	answer.Header.Del("Content-Length")
	answer.Header.Del("X-Amz-Crc32")
	return answer, nil
}

func (w *world) config(account string) aws.Config {
	id, secret := w.sim.AccessKey(account)
	return aws.Config{Region: primary, HTTPClient: &http.Client{Transport: w}, Credentials: credentials.NewStaticCredentialsProvider(id, secret, "")}
}

func (w *world) clients() *awsclient.Clients { return awsclient.New(w.config(w.account)) }

// others is a client of the account with unaltered responses.
func (w *world) others(account, region string) *kms.Client {
	config := w.config(account)
	config.Region, config.HTTPClient = region, w.sim.Client()
	return kms.NewFromConfig(config)
}

func desired() kmskey.Desired {
	return kmskey.Desired{
		Account: awssim.PublishingAccount, Partition: "aws", Alias: alias, Create: true,
		Primary: primary, Regions: []string{primary, replica}, Rotation: kmskey.RotateAlways, Tags: map[string]string{"team": "base"},
		Policy: policy.KeyPolicy{Partition: "aws", Owner: awssim.PublishingAccount, Variant: policy.Open, OrganizationID: awssim.OrganizationID},
	}
}

func read(t *testing.T, clients kmskey.Clients, d kmskey.Desired) (kmskey.Observed, error) {
	t.Helper()
	found, err := kmskey.Find(t.Context(), clients, d)
	if err != nil {
		return kmskey.Observed{}, err
	}
	return found.Read(t.Context(), clients, d)
}

// complete reads, plans and applies.
func (w *world) complete(t *testing.T, d kmskey.Desired) (kmskey.Plan, kmskey.Keys, error) {
	t.Helper()
	clients := w.clients()
	observed, err := read(t, clients.KMS, d)
	if err != nil {
		return kmskey.Plan{}, kmskey.Keys{}, err
	}
	plan := kmskey.Diff(d, observed)
	keys, err := plan.Apply(t.Context(), clients.KMS, quiet())
	return plan, keys, err
}

func (w *world) mustComplete(t *testing.T, d kmskey.Desired) kmskey.Keys {
	t.Helper()
	_, keys, err := w.complete(t, d)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func quiet() progress.Reporter { return progress.Reporter{Info: func(string) {}} }

// create creates a key with the alias, as another client could.
func (w *world) create(t *testing.T, region string, input kms.CreateKeyInput) string {
	t.Helper()
	client := w.others(awssim.PublishingAccount, region)
	if input.Policy != nil {
		input.BypassPolicyLockoutSafetyCheck = true
	}
	answer, err := client.CreateKey(t.Context(), &input)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.CreateAlias(t.Context(), &kms.CreateAliasInput{AliasName: aws.String(alias), TargetKeyId: answer.KeyMetadata.KeyId}); err != nil {
		t.Fatal(err)
	}
	return *answer.KeyMetadata.KeyId
}

func multiRegion() kms.CreateKeyInput { return kms.CreateKeyInput{MultiRegion: aws.Bool(true)} }

func withPolicy(document string) kms.CreateKeyInput {
	return kms.CreateKeyInput{MultiRegion: aws.Bool(true), Policy: &document}
}

// operations returns the operations that changed something, each once.
func (w *world) operations() []string {
	var names []string
	for _, entry := range w.sim.Mutations() {
		names = append(names, entry.Operation)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (w *world) count(operation string) int {
	n := 0
	for _, entry := range w.sim.Journal() {
		if entry.Operation == operation {
			n++
		}
	}
	return n
}

// edit changes one member of the JSON response, found by its path; nil removes it.
func edit(t *testing.T, body []byte, value any, path ...string) []byte {
	t.Helper()
	var document map[string]any
	if err := json.Unmarshal(body, &document); err != nil {
		t.Fatal(err)
	}
	at := document
	for _, name := range path[:len(path)-1] {
		switch next := at[name].(type) {
		case map[string]any:
			at = next
		case []any:
			at = next[0].(map[string]any)
		default:
			t.Fatalf("no %s in %s", name, body)
		}
	}
	last := path[len(path)-1]
	if _, ok := at[last]; !ok {
		t.Fatalf("no %s in %s", last, body)
	}
	if at[last] = value; value == nil {
		delete(at, last)
	}
	edited, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	return edited
}
