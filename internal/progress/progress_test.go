package progress_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/internal/progress"
	"github.com/orgami/packer-plugin-orgami/internal/text"
)

type lines struct{ said, meanwhile []string }

func (l *lines) reporter() progress.Reporter {
	return progress.Reporter{
		Info:     func(line string) { l.said = append(l.said, line) },
		Progress: func(line string) { l.meanwhile = append(l.meanwhile, line) },
	}
}

// Copies that take 40 minutes are reported at most ten times, however many there are.
// The remaining time is that of the slowest. Copies that take 20 seconds are reported
// only at their end.
func TestPercent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l lines
		stage := l.reporter().Start("copying the image", []string{"eu-west-1", "sa-east-1", "us-east-1"})
		stage.Finish("us-east-1", "") // had the image
		for percent := range 100 {
			stage.Percent("eu-west-1", min(2*percent, 99))
			if percent == 50 {
				stage.Finish("eu-west-1", "copied the image")
			}
			stage.Percent("sa-east-1", percent)
			time.Sleep(24 * time.Second)
		}
		stage.Finish("sa-east-1", "copied the image")
		stage.End()
		if len(l.meanwhile) > 10 {
			t.Errorf("%d lines", len(l.meanwhile))
		}
		if want := "Copying the image: 2 of 3 Regions done, sa-east-1 at 55%, 22m24s elapsed, about 18m20s left"; !strings.Contains(strings.Join(l.meanwhile, "\n"), want) {
			t.Errorf("not said: %s\n%s", want, strings.Join(l.meanwhile, "\n"))
		}
		if diff := cmp.Diff([]string{"Copied the image in eu-west-1, sa-east-1 (40m0s, sa-east-1 last)"}, l.said); diff != "" {
			t.Error(diff)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		var l lines
		stage := l.reporter().Start("copying the image", []string{"eu-west-1"})
		for percent := range 100 {
			stage.Percent("eu-west-1", percent)
			time.Sleep(200 * time.Millisecond)
		}
		if len(l.meanwhile) > 0 {
			t.Errorf("%q", l.meanwhile)
		}
	})
}

// A Region whose progress can't be read doesn't prevent reports about the others.
func TestOneRegionIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l lines
		stage := l.reporter().Start("copying the image", []string{"eu-west-1", "us-east-1"})
		for percent := range 50 {
			stage.Percent("eu-west-1", percent)
			stage.Percent("us-east-1", 20)
			time.Sleep(24 * time.Second)
		}
		if len(l.meanwhile) == 0 {
			t.Error("nothing was reported")
		}
		before := len(l.meanwhile)
		for percent := range 50 {
			stage.Percent("us-east-1", 50+percent)
			time.Sleep(24 * time.Second)
		}
		if len(l.meanwhile) == before {
			t.Error("nothing was reported without eu-west-1")
		}
	})
}

func TestCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l lines
		regions := []string{"eu-west-1", "us-east-1"}
		stage := l.reporter().Start("creating grants", regions)
		for range 5_000 {
			time.Sleep(40 * time.Millisecond)
			stage.Count("eu-west-1", 5_000)
			stage.Count("us-east-1", 5_000)
		}
		for _, region := range regions {
			stage.FinishCount(region, "created grants", 5_000)
		}
		stage.End()
		want := []string{
			"Creating grants: 1,499 of 10,000, 30s elapsed, about 2m50s left",
			"Creating grants: 2,999 of 10,000, 1m0s elapsed, about 2m20s left",
			"Creating grants: 4,499 of 10,000, 1m30s elapsed, about 1m50s left",
			"Creating grants: 5,999 of 10,000, 2m0s elapsed, about 1m20s left",
			"Creating grants: 7,499 of 10,000, 2m30s elapsed, about 50s left",
			"Creating grants: 8,999 of 10,000, 3m0s elapsed, about 20s left",
		}
		if diff := cmp.Diff(want, l.meanwhile); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"Created grants in eu-west-1, us-east-1 (10,000 in 3m20s)"}, l.said); diff != "" {
			t.Error(diff)
		}
	})
}

// A reporter without progress gets only the ends of stages. The work of
// computing progress is skipped.
func TestQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l lines
		reporter := l.reporter()
		reporter.Progress = nil
		stage := reporter.Start("copying", []string{"eu-west-1"})
		time.Sleep(10 * time.Minute)
		if stage.ShouldReport("eu-west-1") {
			t.Error("something is due")
		}
		stage.Percent("eu-west-1", 50)
		stage.Count("eu-west-1", 2)
		stage.Logf("eu-west-1", "made %s", text.Count(1, "copy"))
		stage.End()
		if diff := cmp.Diff([]string{"eu-west-1: made 1 copy"}, l.said); diff != "" {
			t.Error(diff)
		}
	})
}

// Text from AWS neither acts on a terminal nor adds a line.
func TestTextFromOutside(t *testing.T) {
	var l lines
	l.reporter().Start("copying", []string{"eu-west-1"}).Logf("eu-west-1", "copying %s", "golden\x1b[31m\neu-west-1: done")
	if diff := cmp.Diff([]string{`eu-west-1: copying golden\x1b[31m\neu-west-1: done`}, l.said); diff != "" {
		t.Error(diff)
	}
}

// A stage that ended differently in the Regions has a line for each result. Many
// Regions are counted.
func TestEnd(t *testing.T) {
	for _, test := range []struct {
		after   time.Duration
		results map[string]string
		want    []string
	}{
		{1234 * time.Microsecond, map[string]string{"eu-west-1": "done"}, []string{"Done in eu-west-1 (1ms)"}},
		{59600 * time.Millisecond, map[string]string{"a": "created it", "b": "updated it", "c": ""}, []string{"Created it in a (1m0s)", "Updated it in b (1m0s)"}},
		{90 * time.Second, map[string]string{"a": "done", "b": "done", "c": "done", "d": "done", "e": "done"}, []string{"Done in 5 Regions (1m30s)"}},
		{2*time.Hour + 4*time.Minute + 40*time.Second, map[string]string{"a": "done"}, []string{"Done in a (2h5m)"}},
		{10 * time.Hour, map[string]string{"a": ""}, nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			var l lines
			stage := l.reporter().Start("doing", slices.Sorted(maps.Keys(test.results)))
			time.Sleep(test.after)
			for region, result := range test.results {
				stage.Finish(region, result)
			}
			stage.End()
			if diff := cmp.Diff(test.want, l.said); diff != "" {
				t.Error(diff)
			}
		})
	}
}
