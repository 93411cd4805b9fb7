package progress_test

import (
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

// A copy of 40 minutes is heard of ten times at most, and the time left is
// right; one of 20 seconds only at its end.
func TestPercent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l lines
		stage := l.reporter().Start("eu-west-1")
		for percent := range 100 {
			stage.Percent(percent, "copying ami-1")
			time.Sleep(24 * time.Second)
		}
		stage.Finishf("ami-1 is available")
		if len(l.meanwhile) > 10 {
			t.Errorf("%d lines", len(l.meanwhile))
		}
		if want := "eu-west-1: copying ami-1, 54%, about 18m24s left"; !strings.Contains(strings.Join(l.meanwhile, "\n"), want) {
			t.Errorf("not said: %s\n%s", want, strings.Join(l.meanwhile, "\n"))
		}
		if diff := cmp.Diff([]string{"eu-west-1: ami-1 is available after 40m0s"}, l.said); diff != "" {
			t.Error(diff)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		var l lines
		stage := l.reporter().Start("eu-west-1")
		for percent := range 100 {
			stage.Percent(percent, "copying ami-1")
			time.Sleep(200 * time.Millisecond)
		}
		if len(l.meanwhile) > 0 {
			t.Errorf("%q", l.meanwhile)
		}
	})
}

func TestCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l lines
		stage := l.reporter().Start("eu-west-1")
		for range 10_000 {
			time.Sleep(20 * time.Millisecond)
			stage.Count(10_000, "granting")
		}
		stage.Finishf("made %s", text.Count(10_000, "grant"))
		want := []string{
			"eu-west-1: granting 1,500 of 10,000, about 2m50s left",
			"eu-west-1: granting 3,000 of 10,000, about 2m20s left",
			"eu-west-1: granting 4,500 of 10,000, about 1m50s left",
			"eu-west-1: granting 6,000 of 10,000, about 1m20s left",
			"eu-west-1: granting 7,500 of 10,000, about 50s left",
			"eu-west-1: granting 9,000 of 10,000, about 20s left",
		}
		if diff := cmp.Diff(want, l.meanwhile); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"eu-west-1: made 10,000 grants after 3m20s"}, l.said); diff != "" {
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
		stage := reporter.Start("eu-west-1")
		time.Sleep(10 * time.Minute)
		if stage.ShouldReport() {
			t.Error("something is due")
		}
		stage.Percent(50, "copying ami-1")
		stage.Count(2, "granting")
		stage.Logf("made %s", text.Count(1, "copy"))
		if diff := cmp.Diff([]string{"eu-west-1: made 1 copy"}, l.said); diff != "" {
			t.Error(diff)
		}
	})
}

// Text from AWS neither acts on a terminal nor adds a line.
func TestTextFromOutside(t *testing.T) {
	var l lines
	l.reporter().Start("eu-west-1").Logf("copying %s", "golden\x1b[31m\neu-west-1: done")
	if diff := cmp.Diff([]string{`eu-west-1: copying golden\x1b[31m\neu-west-1: done`}, l.said); diff != "" {
		t.Error(diff)
	}
}

func TestDurations(t *testing.T) {
	for _, test := range []struct {
		after time.Duration
		want  string
	}{
		{1234 * time.Microsecond, "1ms"},
		{59600 * time.Millisecond, "1m0s"},
		{90 * time.Second, "1m30s"},
		{2*time.Hour + 4*time.Minute + 40*time.Second, "2h5m"},
		{10 * time.Hour, "10h0m"},
	} {
		synctest.Test(t, func(t *testing.T) {
			var l lines
			stage := l.reporter().Start("eu-west-1")
			time.Sleep(test.after)
			stage.Finishf("done")
			if want := "eu-west-1: done after " + test.want; l.said[0] != want {
				t.Errorf("got %q, want %q", l.said[0], want)
			}
		})
	}
}
