package evaluate_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
)

// hiding is a way in which less is known of a world than there is to know.
type hiding struct {
	name string
	hide func(*evaluate.Input)
	// never: nothing launches for certain when this is hidden.
	never bool
}

// hidings are what AWS can leave out or say in a form that is not known.
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
		{"accounts are in no known place", func(known *evaluate.Input) {
			for i := range known.Accounts {
				known.Accounts[i].Organization, known.Accounts[i].Path = "", ""
			}
		}, false},
		{"the partition is not known", func(known *evaluate.Input) { known.Partition = "" }, true},
		{"EC2's name in the partition is not known", intoAnotherPartition, false},
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

// compareWithLess hides from the evaluator what it knew, one thing after the
// other: a verdict on less is what happened, or inconclusive. What a verdict on
// everything got wrong is reported elsewhere.
func (w *generatedWorld) compareWithLess(known evaluate.Input, happened []evaluate.Outcome) (compared, doubts int) {
	w.t.Helper()
	for _, h := range hidings() {
		less := known
		less.Accounts = slices.Clone(known.Accounts)
		less.Regions = slices.Clone(known.Regions)
		less.Regions[0].Keys = maps.Clone(known.Regions[0].Keys)
		less.Regions[0].Image.Snapshots = slices.Clone(known.Regions[0].Image.Snapshots)
		h.hide(&less)
		for i, v := range evaluate.Evaluate(less) {
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
