package grant

import (
	"context"
	"errors"
	"fmt"

	"github.com/orgami/packer-plugin-orgami/internal/fanout"
)

// perRegion bounds the calls under way at once in a Region.
const perRegion = 16

// each calls f for every item in the Region, at most perRegion at once, and joins
// the errors in the order of the items. A panic is an error of its call. The
// failure of one stops no other, unless its error is permanent: then the rest is
// not started, and only the permanent error counts.
func each[T any](ctx context.Context, region string, items []T, permanent func(error) bool, f func(context.Context, T) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	failed := fanout.Limit(ctx, perRegion, region, items, func(ctx context.Context, item T) error {
		err := f(ctx, item)
		if err != nil && permanent(err) {
			cancel(err)
		}
		return err
	})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return joinFew(failed)
}

// joinFew joins the first errors, and counts the others: what fails for one
// account often fails for hundreds.
func joinFew(failed []error) error {
	const few = 10
	if more := len(failed) - few; more > 1 {
		return errors.Join(append(failed[:few:few], fmt.Errorf("and %d more errors like these", more))...)
	}
	return errors.Join(failed...)
}
