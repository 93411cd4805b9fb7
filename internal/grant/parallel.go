package grant

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
)

// perRegion bounds the calls under way at once in a Region.
const perRegion = 16

// each calls f for 0 to n-1, at most perRegion at once, and returns the errors by
// index. A panic is an error of its call. The failure of one stops no other,
// unless its error is permanent: then the rest is not started, and only the
// permanent error counts.
func each(ctx context.Context, n int, permanent func(error) bool, f func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group sync.WaitGroup
	slots := make(chan struct{}, perRegion)
	failed := make([]error, n)
	for i := range n {
		slots <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		group.Go(func() {
			defer func() { <-slots }()
			failed[i] = recovered(func() error { return f(ctx, i) })
			if failed[i] != nil && permanent(failed[i]) {
				cancel(failed[i])
			}
		})
	}
	group.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return joinFew(failed)
}

// recovered returns f's error, or its panic as one.
func recovered(f func() error) (err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			err = fmt.Errorf("internal error; please report this issue: %v\n%s", panicked, debug.Stack())
		}
	}()
	return f()
}

// joinFew joins the first errors, and counts the others: what fails for one
// account often fails for hundreds.
func joinFew(failed []error) error {
	const few = 10
	failed = slices.DeleteFunc(failed, func(err error) bool { return err == nil })
	if more := len(failed) - few; more > 1 {
		return errors.Join(append(failed[:few:few], fmt.Errorf("and %d more errors like these", more))...)
	}
	return errors.Join(failed...)
}
