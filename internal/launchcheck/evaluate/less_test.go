package evaluate_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
)

// hiding removes some information about a world.
type hiding struct {
	name string
	hide func(*evaluate.Input)
	// never means that no launch certainly succeeds without this information.
	never bool
}

// hidings are the values that AWS can omit or return in an unknown form.
func hidings() []hiding {
	image := func(hide func(*evaluate.Image)) func(*evaluate.Input) {
		return func(known *evaluate.Input) { hide(&known.Regions[0].Image) }
	}
	keys := func(hide func(*evaluate.Key)) func(*evaluate.Input) {
		return func(known *evaluate.Input) {
			for arn, key := range known.Regions[0].Keys {
				hide(&key)
				known.Regions[0].Keys[arn] = key
			}
		}
	}
	return []hiding{
		{"a snapshot is not returned", image(func(i *evaluate.Image) { i.Snapshots[0] = evaluate.Snapshot{ID: i.Snapshots[0].ID} }), true},
		{"a snapshot is not returned, its key is known", image(func(i *evaluate.Image) { i.Snapshots[0].Read = false }), true},
		{"the last snapshot is returned without its key", image(func(i *evaluate.Image) { i.Snapshots[len(i.Snapshots)-1].Key = "" }), false},
		{"a snapshot is returned without its ID", image(func(i *evaluate.Image) { i.Snapshots[0].ID = "" }), true},
		{"there are no block devices", image(func(i *evaluate.Image) { i.Snapshots = nil }), true},
		{"the image has no state", image(func(i *evaluate.Image) { i.State = "" }), true},
		{"the image has a state of tomorrow", image(func(i *evaluate.Image) { i.State = "archived" }), true},
		{"the image has a product code", image(func(i *evaluate.Image) { i.ProductCodes = []string{"abc"} }), true},
		{"keys are not read", func(known *evaluate.Input) { known.Regions[0].Keys = nil }, false},
		{"keys have no state", keys(func(k *evaluate.Key) { k.State = "" }), false},
		{"keys have a state of tomorrow", keys(func(k *evaluate.Key) { k.State = "Rotating" }), false},
		{"key policies are not read", keys(func(k *evaluate.Key) {
			if !k.AWSManaged { // whose policy is known
				k.Policy = nil
			}
		}), false},
		{"grants are not read", keys(func(k *evaluate.Key) { k.Grants, k.GrantsUnknown = nil, true }), false},
		{"grants are returned without their issuing accounts", keys(func(k *evaluate.Key) {
			k.Grants = slices.Clone(k.Grants)
			for i := range k.Grants {
				k.Grants[i].IssuingAccount = ""
			}
		}), false},
		{"the image has no name", image(func(i *evaluate.Image) { i.Name = "" }), false},
		{"the image has no creation date", image(func(i *evaluate.Image) { i.Created = time.Time{} }), false},
		{"the policies of default EBS keys are not read", defaultKeys(func(k *evaluate.Key) { k.Policy = nil }), false},
		{"the grants of default EBS keys are not read", defaultKeys(func(k *evaluate.Key) { k.Grants, k.GrantsUnknown = nil, true }), false},
		{"default EBS keys have no state", defaultKeys(func(k *evaluate.Key) { k.State = "" }), false},
		{"the management account is not known", func(known *evaluate.Input) { known.ManagementAccount = "" }, false},
		{"Allowed AMIs have criteria of tomorrow", func(known *evaluate.Input) {
			for i, a := range known.Accounts {
				setting := a.AllowedAMIs[home]
				setting.Criteria = slices.Clone(setting.Criteria)
				for j := range setting.Criteria {
					setting.Criteria[j].Other = true
				}
				known.Accounts[i].AllowedAMIs = map[string]evaluate.AllowedAMIs{home: setting}
			}
		}, false},
		{"accounts are in no known place", func(known *evaluate.Input) {
			for i := range known.Accounts {
				known.Accounts[i].Organization, known.Accounts[i].Path = "", ""
			}
		}, false},
		{"the partition is not known", func(known *evaluate.Input) { known.Partition = "" }, true},
		{"EC2's name in the partition is not known", intoAnotherPartition, false},
	}
}

// defaultKeys hides information about the customer managed default EBS keys.
func defaultKeys(hide func(*evaluate.Key)) func(*evaluate.Input) {
	return func(known *evaluate.Input) {
		for i, a := range known.Accounts {
			key, there := a.DefaultEBSKeys[home]
			if !there || key.AWSManaged {
				continue
			}
			hide(&key)
			known.Accounts[i].DefaultEBSKeys = map[string]evaluate.Key{home: key}
		}
	}
}

// intoAnotherPartition renames the partition, and that of all ARNs.
func intoAnotherPartition(known *evaluate.Input) {
	text, err := json.Marshal(known)
	if err != nil {
		return // policies that are not JSON have no partition
	}
	var moved evaluate.Input
	if err := json.Unmarshal([]byte(strings.ReplaceAll(string(text), "arn:aws:", "arn:aws-iso:")), &moved); err != nil {
		panic(err)
	}
	moved.Partition = "aws-iso"
	*known = moved
}

// compareWithLess hides one piece of information after the other from the evaluator.
// Each verdict must be what happened, or inconclusive. Wrong verdicts on complete
// information are reported elsewhere.
func (w *generatedWorld) compareWithLess(known evaluate.Input, happened []evaluate.Outcome) (compared, doubts int) {
	w.t.Helper()
	for _, h := range hidings() {
		less := known
		less.Accounts = slices.Clone(known.Accounts)
		less.Regions = slices.Clone(known.Regions)
		less.Regions[0].Keys = maps.Clone(known.Regions[0].Keys)
		less.Regions[0].Image.Snapshots = slices.Clone(known.Regions[0].Image.Snapshots)
		h.hide(&less)
		for i, v := range evaluate.Evaluate(less).Verdicts {
			compared++
			switch {
			case v.Outcome == evaluate.Inconclusive:
				doubts++
			case v.Outcome != happened[i], h.never && v.Outcome == evaluate.Launches:
				w.t.Errorf("where %s, the evaluator says that a launch in %s by %s %s, %+v; it %s", h.name, v.Account, v.Launcher, v.Outcome, v.Links, happened[i])
			}
		}
	}
	return compared, doubts
}
