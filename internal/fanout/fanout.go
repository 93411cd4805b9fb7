// Package fanout does the same in several regions side by side. All are tried
// before any failure counts: a run reports every region's error at once.
package fanout

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
)

// Collect calls f for every key at the same time and returns the results by
// key. Results of keys that failed are left out; the errors are joined in key
// order.
func Collect[K cmp.Ordered, V any](ctx context.Context, keys []K, f func(context.Context, K) (V, error)) (map[K]V, error) {
	var (
		mu      sync.Mutex
		group   sync.WaitGroup
		results = make(map[K]V, len(keys))
		failed  = map[K]error{}
	)
	for _, key := range keys {
		group.Go(func() {
			value, err := f(ctx, key)
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
