package change_test

import (
	"strings"
	"testing"

	"github.com/orgami/packer-plugin-orgami/internal/change"
)

// Text from AWS neither acts on a terminal nor adds a line to the plan or the error.
func TestTextFromOutside(t *testing.T) {
	const outside = "golden\x1b[31m\n= eu-west-1 key"
	f := change.Finding{Kind: change.KeyPolicy, Region: "eu-west-1", ID: outside, Text: "statement " + outside, Blocks: true}
	for name, got := range map[string]string{
		"ID":      change.Change{Kind: change.Image, Action: change.Create, Region: "eu-west-1", ID: outside}.String(),
		"detail":  change.Change{Kind: change.ImageTags, Action: change.Update, Region: "eu-west-1", Detail: "sets " + outside}.String(),
		"region":  change.Change{Kind: change.Key, Action: change.NoOp, Region: outside}.String(),
		"finding": f.Change().String(),
		"error":   change.Blocking([]change.Finding{f}).Error(),
	} {
		if strings.ContainsAny(got, "\x1b\n") || !strings.Contains(got, `golden\x1b[31m\n= eu-west-1 key`) {
			t.Errorf("%s: %q", name, got)
		}
	}
	if err := change.Blocking([]change.Finding{f, f}); strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("two findings are not two lines: %q", err)
	}
}

func TestString(t *testing.T) {
	c := change.Change{Kind: change.Image, Action: change.Create, Region: "eu-west-1", ID: "ami-1", Detail: `copy of ami-2, named "größer"`}
	if got, want := c.String(), `+ eu-west-1      image ami-1: copy of ami-2, named "größer"`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
