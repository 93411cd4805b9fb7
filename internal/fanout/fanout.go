// Package fanout runs the same work in several Regions at the same time, or different
// work at the same time. A failure doesn't stop the rest, so a run reports the errors
// of all Regions at once. A panic becomes an error: in a goroutine it would end the
// process.
package fanout

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
)

// Collect calls f for every key at the same time and returns the results by
// key, without those of keys that failed. It joins the errors in key order.
func Collect[K cmp.Ordered, V any](ctx context.Context, keys []K, f func(context.Context, K) (V, error)) (map[K]V, error) {
	var (
		mu      sync.Mutex
		group   sync.WaitGroup
		results = make(map[K]V, len(keys))
		failed  = map[K]error{}
	)
	for _, key := range keys {
		group.Go(func() {
			var value V
			err := Guard(fmt.Sprint(key), func() (err error) {
				value, err = f(ctx, key)
				return err
			})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed[key] = err
				return
			}
			results[key] = value
		})
	}
	group.Wait()
	var joined []error
	for _, key := range slices.Sorted(maps.Keys(failed)) {
		joined = append(joined, failed[key])
	}
	return results, errors.Join(joined...)
}

// Each is [Collect] for work that has no result.
func Each[K cmp.Ordered](ctx context.Context, keys []K, f func(context.Context, K) error) error {
	_, err := Collect(ctx, keys, func(ctx context.Context, key K) (struct{}, error) {
		return struct{}{}, f(ctx, key)
	})
	return err
}

// Limit calls f for every item, at most n at the same time, and returns the
// errors in the order of the items. When the context ends, it starts no more
// calls, and the last error is the context's cause. name describes the items in
// the error of a panic, for example the Region.
func Limit[T any](ctx context.Context, n int, name string, items []T, f func(context.Context, T) error) []error {
	var (
		group  sync.WaitGroup
		slots  = make(chan struct{}, n)
		failed = make([]error, len(items)+1)
	)
	for i, item := range items {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			failed[len(items)] = context.Cause(ctx)
			break
		}
		group.Go(func() {
			defer func() { <-slots }()
			failed[i] = Guard(name, func() error { return f(ctx, item) })
		})
	}
	group.Wait()
	return slices.DeleteFunc(failed, func(err error) bool { return err == nil })
}

// Task is work with a name, which the error of a panic begins with.
type Task struct {
	Name string
	Run  func(context.Context) error
}

// Together runs the tasks at the same time and joins their errors in the order
// of the tasks. A failure doesn't stop the other tasks.
func Together(ctx context.Context, tasks ...Task) error {
	return errors.Join(Limit(ctx, len(tasks), "", tasks, func(ctx context.Context, task Task) error {
		return Guard(task.Name, func() error { return task.Run(ctx) })
	})...)
}

// PanicError is the error of a function that panicked.
type PanicError struct {
	Name  string // name of the work or the Region
	Value any    // of the panic
	Stack []byte
}

func (e *PanicError) Error() string {
	return fmt.Sprintf("%s: internal error; please report this issue: %v\n%s", e.Name, e.Value, e.Stack)
}

// Unwrap returns the panic's value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// Guard calls f and returns a [PanicError] if f panics.
func Guard(name string, f func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &PanicError{Name: name, Value: value, Stack: debug.Stack()}
		}
	}()
	return f()
}
