package publish_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/kmskey"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// TestLocate checks that the key of a publication is found by each of its names, from
// each of its Regions, and looking changes nothing.
func TestLocate(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		key := w.mustPublish(t, w.spec()).Manifest().Key
		arns := map[string]string{}
		for region, regional := range key.Regions {
			arns[region] = regional.ARN
		}
		w.sim.ResetJournal()
		for name, query := range map[string]kmskey.Query{
			"alias":               {Name: alias, Region: "us-east-1"},
			"alias, of a replica": {Name: alias, Region: "eu-west-1"},
			"id":                  {Name: key.ID, Region: "ap-southeast-2"},
			"ARN of the primary":  {Name: arns["us-east-1"]},
			"ARN of a replica":    {Name: arns["eu-west-1"], Region: "us-west-2"},
		} {
			want := kmskey.Located{ID: key.ID, Primary: "us-east-1", ARN: arns["us-east-1"], ARNs: arns, WildcardARN: key.WildcardARN}
			found, err := kmskey.Locate(t.Context(), w.kms(), query)
			if diff := cmp.Diff(want, found); err != nil || diff != "" {
				t.Errorf("%s: %v\n%s", name, err, diff)
			}
			query.Regions = []string{"eu-west-1"}
			want.ARNs = map[string]string{"eu-west-1": arns["eu-west-1"]}
			found, err = kmskey.Locate(t.Context(), w.kms(), query)
			if diff := cmp.Diff(want, found); err != nil || diff != "" {
				t.Errorf("%s, of one region: %v\n%s", name, err, diff)
			}
		}
		if changed := w.mutations(); len(changed) > 0 {
			t.Errorf("looking changed something: %v", changed)
		}
	})
}

// TestLocateRefuses checks that unusable keys are rejected with an error that
// says what to do.
func TestLocateRefuses(t *testing.T) {
	ask := func(regions ...string) kmskey.Query {
		return kmskey.Query{Name: alias, Region: "us-east-1", Regions: regions}
	}
	for name, test := range map[string]struct {
		setUp func(*testing.T, *world)
		query kmskey.Query
		says  []string
	}{
		"none":           {func(*testing.T, *world) {}, ask(), []string{alias, "does not exist in us-east-1", "orgami-publish", "aws kms list-aliases --region us-east-1"}},
		"single-Region":  {func(t *testing.T, w *world) { w.makeKey(t, "us-east-1", false, "") }, ask(), []string{"single-Region", alias}},
		"without region": {func(t *testing.T, w *world) { w.makeKey(t, "us-east-1", true, "") }, ask("us-east-1", "eu-west-1"), []string{"no replica in eu-west-1", "It is in us-east-1"}},
		"disabled":       {func(t *testing.T, w *world) { w.disable(t, "us-east-1", w.makeKey(t, "us-east-1", true, "")) }, ask(), []string{"disabled in us-east-1", "enable-key"}},
		"one replica disabled": {func(t *testing.T, w *world) {
			key := w.mustPublish(t, w.spec()).Manifest().Key
			w.disable(t, "eu-west-1", key.ID)
		}, ask(), []string{"disabled in eu-west-1", "enable-key --region eu-west-1", "list the Regions that you need"}},
		"pending deletion": {func(t *testing.T, w *world) { w.scheduleDeletion(t, "us-east-1", w.makeKey(t, "us-east-1", true, "")) }, ask(), []string{"pending deletion", "cancel-key-deletion"}},
		"replica being made": {func(t *testing.T, w *world) {
			id := w.makeKey(t, "us-east-1", true, "")
			time.Sleep(time.Minute)
			region := "eu-west-1"
			if _, err := kms.NewFromConfig(w.config(awssim.PublishingAccount, "us-east-1")).ReplicateKey(t.Context(), &kms.ReplicateKeyInput{KeyId: &id, ReplicaRegion: &region}); err != nil {
				t.Fatal(err)
			}
		}, ask("eu-west-1"), []string{"Creating in eu-west-1", "run again"}},
		"AWS's key": {func(*testing.T, *world) {}, kmskey.Query{Name: "alias/aws/ebs", Region: "us-east-1"}, []string{"managed by AWS"}},
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
				test.setUp(t, w)
				if name != "replica being made" {
					time.Sleep(time.Minute)
				}
				_, err := kmskey.Locate(t.Context(), w.kms(), test.query)
				if err == nil {
					t.Fatal("it is found")
				}
				for _, want := range test.says {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("%q is not in: %v", want, err)
					}
				}
			})
		})
	}
}

// kms returns the publishing account's clients, as the plugin creates them.
func (w *world) kms() kmskey.Clients {
	return awsclient.New(w.config(awssim.PublishingAccount, w.regions[0])).KMS
}
