package record_test

import (
	"strings"
	"testing"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/grant"
	"github.com/orgami/packer-plugin-orgami/internal/publish"
	"github.com/orgami/packer-plugin-orgami/internal/record"
)

// What AWS returned neither acts on a terminal nor adds a line to the summary or
// the advice.
func TestTextFromOutside(t *testing.T) {
	const outside = "x\x1b[31m\ny"
	image := ami.Image{Region: "eu-west-1", ID: outside, Name: outside, State: outside, CreationDate: outside}
	o := publish.Outcome{
		Images:      map[string]publish.Image{"eu-west-1": {Image: image}},
		Grants:      []grant.Grant{{Region: "eu-west-1", Account: outside, Role: "arn:aws:iam::111111111111:role/" + outside, Status: grant.Skipped, Reason: outside}},
		Unpublished: []ami.Unpublished{{Image: image}},
	}
	for name, got := range map[string]string{"summary": record.Summary(o), "advice": record.Advice(o, true)} {
		if strings.Contains(got, "\x1b") || strings.Contains(got, "\ny") || !strings.Contains(got, `x\x1b[31m\ny`) {
			t.Errorf("%s: %q", name, got)
		}
	}
}
