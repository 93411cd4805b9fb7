package kmskey_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/orgami/packer-plugin-orgami/internal/kmskey"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// TestIncompleteAnswers checks that a response without required information is
// an error that names the call, the key and the Region. The code doesn't guess
// and doesn't panic.
func TestIncompleteAnswers(t *testing.T) {
	whole := func(body string) func(*testing.T, []byte) []byte {
		return func(*testing.T, []byte) []byte { return []byte(body) }
	}
	lacking := func(path ...string) func(*testing.T, []byte) []byte {
		return func(t *testing.T, body []byte) []byte { return edit(t, body, nil, path...) }
	}
	for name, test := range map[string]struct {
		operation string
		answer    func(*testing.T, []byte) []byte
		says      string
	}{
		"DescribeKey {}":                          {"DescribeKey", whole("{}"), "KeyMetadata"},
		"DescribeKey empty":                       {"DescribeKey", whole(""), "KeyMetadata"},
		"DescribeKey null":                        {"DescribeKey", whole(`{"KeyMetadata":null}`), "KeyMetadata"},
		"DescribeKey without KeyId":               {"DescribeKey", lacking("KeyMetadata", "KeyId"), "KeyId"},
		"DescribeKey without Arn":                 {"DescribeKey", lacking("KeyMetadata", "Arn"), "Arn"},
		"DescribeKey without AWSAccountId":        {"DescribeKey", lacking("KeyMetadata", "AWSAccountId"), "AWSAccountId"},
		"DescribeKey without KeyState":            {"DescribeKey", lacking("KeyMetadata", "KeyState"), "KeyState"},
		"DescribeKey without KeyManager":          {"DescribeKey", lacking("KeyMetadata", "KeyManager"), "KeyManager"},
		"DescribeKey without KeySpec":             {"DescribeKey", lacking("KeyMetadata", "KeySpec"), "KeySpec"},
		"DescribeKey without KeyUsage":            {"DescribeKey", lacking("KeyMetadata", "KeyUsage"), "KeyUsage"},
		"DescribeKey without Origin":              {"DescribeKey", lacking("KeyMetadata", "Origin"), "Origin"},
		"DescribeKey without MultiRegion":         {"DescribeKey", lacking("KeyMetadata", "MultiRegion"), "MultiRegion"},
		"DescribeKey without configuration":       {"DescribeKey", lacking("KeyMetadata", "MultiRegionConfiguration"), "MultiRegionConfiguration"},
		"DescribeKey without MultiRegionKeyType":  {"DescribeKey", lacking("KeyMetadata", "MultiRegionConfiguration", "MultiRegionKeyType"), "MultiRegionKeyType"},
		"DescribeKey without PrimaryKey":          {"DescribeKey", lacking("KeyMetadata", "MultiRegionConfiguration", "PrimaryKey"), "PrimaryKey"},
		"DescribeKey without a primary's Region":  {"DescribeKey", lacking("KeyMetadata", "MultiRegionConfiguration", "PrimaryKey", "Region"), "PrimaryKey"},
		"DescribeKey without a replica's Region":  {"DescribeKey", lacking("KeyMetadata", "MultiRegionConfiguration", "ReplicaKeys", "Region"), "ReplicaKeys"},
		"DescribeKey without a replica's Arn":     {"DescribeKey", lacking("KeyMetadata", "MultiRegionConfiguration", "ReplicaKeys", "Arn"), "ReplicaKeys"},
		"GetKeyPolicy {}":                         {"GetKeyPolicy", whole("{}"), "Policy"},
		"GetKeyPolicy empty":                      {"GetKeyPolicy", whole(""), "Policy"},
		"ListResourceTags with an empty tag":      {"ListResourceTags", whole(`{"Tags":[{}]}`), "TagKey"},
		"ListResourceTags with a tag of no value": {"ListResourceTags", whole(`{"Tags":[{"TagKey":"team"}]}`), "TagValue"},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.mustComplete(t, desired())
				time.Sleep(time.Minute)
				w.sim.ResetJournal()
				w.alter = func(operation, _ string, body []byte) []byte {
					if operation != test.operation {
						return body
					}
					return test.answer(t, body)
				}
				_, _, err := w.complete(t, desired())
				if err == nil || !containsAll(err.Error(), []string{"KMS " + test.operation, "in us-east-1", "without", test.says}) ||
					!strings.Contains(err.Error(), alias) && !strings.Contains(err.Error(), "mrk-") {
					t.Errorf("error is %v", err)
				}
				if changed := w.operations(); len(changed) > 0 {
					t.Errorf("it changed: %v", changed)
				}
				if test.operation == "ListResourceTags" {
					return
				}
				key := w.sim.Snapshot().Keys[0]
				located, err := kmskey.Locate(t.Context(), w.clients().KMS, kmskey.Query{Name: alias, Region: primary})
				if test.operation == "DescribeKey" && (err == nil || !strings.Contains(err.Error(), test.says)) {
					t.Errorf("located %+v, error is %v", located, err)
				}
				found, err := kmskey.Inspect(t.Context(), w.clients().KMS, key.Region, key.ARN)
				if slices.Contains([]string{"KeyMetadata", "KeyState", "KeyManager", "Policy"}, test.says) && (err == nil || found != kmskey.Inspected{}) {
					t.Errorf("inspected %+v, error is %v", found, err)
				}
			})
		})
	}
}

// TestIncompleteSearch checks that no other key is created if a response doesn't
// identify a key: that key may be the one that an interrupted run created.
func TestIncompleteSearch(t *testing.T) {
	for name, test := range map[string]struct {
		alter func(t *testing.T, operation string, body []byte) []byte
		says  string
	}{
		"ListKeys entry without KeyId": {func(t *testing.T, operation string, body []byte) []byte {
			if operation != "ListKeys" {
				return body
			}
			return edit(t, body, nil, "Keys", "KeyId")
		}, "KMS ListKeys for alias/golden-ami in us-east-1 returned a response without KeyId"},
		"DescribeKey without CreationDate": {func(t *testing.T, operation string, body []byte) []byte {
			if operation != "DescribeKey" {
				return body
			}
			return edit(t, body, nil, "KeyMetadata", "CreationDate")
		}, "without CreationDate"},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				if _, err := w.others(awssim.PublishingAccount, primary).CreateKey(t.Context(), tagged()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				w.alter = func(operation, _ string, body []byte) []byte { return test.alter(t, operation, body) }
				_, _, err := w.complete(t, desired())
				if err == nil || !strings.Contains(err.Error(), test.says) {
					t.Errorf("error is %v", err)
				}
				if n := w.count("CreateKey"); n != 1 {
					t.Errorf("CreateKey was called %d times", n)
				}
			})
		})
	}
}

// TestUnusableStateIsNotWaitedFor checks that a new replica that gets into a state that
// this version doesn't know ends the run.
func TestUnusableStateIsNotWaitedFor(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.alter = func(operation, region string, body []byte) []byte {
			if operation != "DescribeKey" || region != replica {
				return body
			}
			return edit(t, body, "Hibernating", "KeyMetadata", "KeyState")
		}
		start := time.Now()
		_, _, err := w.complete(t, desired())
		if err == nil || !strings.Contains(err.Error(), "this version doesn't support") || time.Since(start) > time.Minute {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}
