package record

import (
	"maps"
	"slices"
	"strconv"

	"github.com/orgami/packer-plugin-orgami/internal/change"
	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
	"github.com/orgami/packer-plugin-orgami/internal/publish"
)

// Event is a line of Packer's machine-readable output: a type and its data.
type Event struct {
	Type string
	Data []string
}

// Events contain the same as [Summary] and [Images], for programs that read Packer's
// machine-readable output:
//
//   - orgami-result: published, planned or failed
//   - orgami-plan: how many resources to create, update and delete, and unchanged ones
//   - orgami-launch-checks: how many passed, failed, are pending and are inconclusive
//   - orgami-image: a Region and the ID of its image, for each
//   - orgami-file: the path of a file that was written, for each
func Events(o publish.Outcome, files []string) []Event {
	result := "published"
	switch {
	case o.Spec.PlanOnly && o.Planned:
		result = "planned"
	case !o.Complete:
		result = "failed"
	}
	events := []Event{{"orgami-result", []string{result}}}
	if o.Planned {
		actions := map[change.Action]int{}
		for _, c := range o.Changes {
			actions[c.Action]++
		}
		events = append(events, Event{"orgami-plan", numbers(actions[change.Create], actions[change.Update], actions[change.Delete], actions[change.NoOp])})
	}
	if m := o.Checks.Matrix; m.Total() > 0 {
		events = append(events, Event{"orgami-launch-checks", numbers(m.Count(evaluate.Launches), m.Count(evaluate.Fails), m.Count(evaluate.Pending), m.Count(evaluate.Inconclusive))})
	}
	ids := o.ImageIDs()
	for _, region := range slices.Sorted(maps.Keys(ids)) {
		events = append(events, Event{"orgami-image", []string{region, ids[region]}})
	}
	for _, file := range files {
		events = append(events, Event{"orgami-file", []string{file}})
	}
	return events
}

func numbers(list ...int) []string {
	texts := make([]string, len(list))
	for i, n := range list {
		texts[i] = strconv.Itoa(n)
	}
	return texts
}
