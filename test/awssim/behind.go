package awssim

import (
	"fmt"
	"time"
)

// behind is the state of a lagging endpoint: a separate world with the changes up to a
// point in time.
type behind struct {
	at    time.Time
	world *World
}

// runBehind answers a read-only call from such an endpoint. EC2 and KMS are eventually
// consistent and document no bound. Fact: EC2-API-1, EC2-API-2, KMS-KEY-24.
func (w *World) runBehind(c *call, by time.Duration) (any, error) {
	past, err := w.asOf(c.now.Add(-by))
	if err != nil {
		return nil, err
	}
	stale := *c
	stale.w, stale.now = past, c.now.Add(-by)
	if problem := past.checkCaller(&stale); problem != nil {
		return w.run(c) // the endpoint doesn't know the credentials yet
	}
	return past.run(&stale)
}

// asOf returns the world as it was at a time. It caches the world of the latest
// requested time, because an endpoint that lags is called often.
func (w *World) asOf(at time.Time) (*World, error) {
	if w.behind.world != nil && w.behind.at.Equal(at) {
		return w.behind.world, nil
	}
	past, err := New(w.file, w.options)
	if err != nil {
		return nil, err
	}
	for _, e := range w.journal.changes {
		if e.Time.After(at) {
			break
		}
		if err := past.repeat(e); err != nil {
			return nil, fmt.Errorf("repeating call %d (%s %s): %w", e.Sequence, e.Service, e.Operation, err)
		}
	}
	w.behind = behind{at: at, world: past}
	return past, nil
}
