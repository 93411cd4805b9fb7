package change

import (
	"errors"

	"github.com/orgami/packer-plugin-orgami/internal/text"
)

// Finding is a problem in AWS or in the configuration that a run doesn't fix itself.
type Finding struct {
	Kind   Kind
	Region string
	// ID is the resource's ID; empty if the finding belongs to none.
	ID string
	// Text describes the problem and how to fix it.
	Text string
	// Blocks means that a run can't continue until the user has fixed the
	// problem.
	Blocks bool
}

// Change is the finding as a line of the plan.
func (f Finding) Change() Change {
	c := Change{Kind: f.Kind, Action: Unmanaged, Region: f.Region, ID: f.ID, Detail: f.Text}
	if f.Blocks {
		c.Action = Skip
	}
	return c
}

// Blocking joins the findings that block a run into one error, in their order.
// It returns nil if none does.
func Blocking(findings []Finding) error {
	var problems []error
	for _, f := range findings {
		if f.Blocks {
			problems = append(problems, errors.New(text.Printable(f.Text)))
		}
	}
	return errors.Join(problems...)
}
