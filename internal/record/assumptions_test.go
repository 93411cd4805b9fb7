package record_test

import (
	"strings"
	"testing"

	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
	"github.com/orgami/packer-plugin-orgami/internal/publish"
	"github.com/orgami/packer-plugin-orgami/internal/record"
)

// The summary and the manifest name each assumption of the launch checks once.
func TestAssumptions(t *testing.T) {
	o := publish.Outcome{Complete: true}
	o.Checks = publish.Checks{
		Matrix: evaluate.Matrix{
			{Region: "eu-west-1", Launcher: "Karpenter", Outcome: evaluate.Launches, Accounts: []string{"222222222222"}},
			{Region: "us-east-1", Launcher: "Karpenter", Outcome: evaluate.Launches, Accounts: []string{"222222222222"}},
		},
		Assumptions: []evaluate.Assumption{{Link: "volume-key", Text: "the default EBS key allows it"}},
	}
	if got := record.Summary(o); strings.Count(got, "assumed, because it couldn't be read: volume-key (") != 1 || !strings.Contains(got, "2 passed") {
		t.Error(got)
	}
	if got := record.Manifest(o).Assumptions; len(got) != 1 || got[0].Link != "volume-key" {
		t.Errorf("%+v", got)
	}
}
