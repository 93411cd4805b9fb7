package publish

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
)

// What made the others stop is the first line of the error.
func TestCauseFirst(t *testing.T) {
	cause := errors.New("can't assume the role")
	err := causeFirst(errors.Join(
		fmt.Errorf("copying to eu-west-1: %w", context.Canceled),
		fmt.Errorf("waiting in us-east-1: %w", ami.ErrStopped),
		cause,
	))
	want := cause.Error() + "\ncopying to eu-west-1: context canceled\nwaiting in us-east-1: " + ami.ErrStopped.Error()
	if err.Error() != want {
		t.Errorf("error is %q, want %q", err, want)
	}
}
