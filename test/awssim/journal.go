package awssim

import (
	"encoding/json"
	"slices"
	"time"
)

// Entry is one call in the journal.
type Entry struct {
	Sequence  int       `json:"sequence"`
	Time      time.Time `json:"time"`
	Service   string    `json:"service"`
	Operation string    `json:"operation"`
	Region    string    `json:"region"`
	Account   string    `json:"account"`
	Principal string    `json:"principal"`
	// Mutating means that the operation changes the world.
	Mutating bool `json:"mutating"`
	// DryRun means that the call only asked what would happen.
	DryRun bool `json:"dry_run,omitempty"`
	// Error is the error code that was returned, "" for a success.
	Error string `json:"error,omitempty"`
	// AccessKey and Body are needed for a replay.
	AccessKey string `json:"access_key"`
	Body      string `json:"body"`
}

type journal struct {
	entries []Entry
	next    int
	// changes are the entries that changed the world, since its beginning.
	changes []Entry
	// encoder, if set, receives every entry as a line of JSON.
	encoder *json.Encoder
	// failure is the first error of the encoder.
	failure error
}

func (j *journal) add(e Entry) Entry {
	j.next++
	e.Sequence = j.next
	j.entries = append(j.entries, e)
	if e.Mutating && e.Error == "" {
		j.changes = append(j.changes, e)
	}
	if j.encoder != nil && j.failure == nil {
		j.failure = j.encoder.Encode(e)
	}
	return e
}

// Journal returns all calls since the start or the last [World.ResetJournal].
func (w *World) Journal() []Entry {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.journal.entries)
}

// Mutations returns the calls of the journal that succeeded and changed the
// world.
func (w *World) Mutations() []Entry {
	return slices.DeleteFunc(w.Journal(), func(e Entry) bool { return !e.Mutating || e.Error != "" })
}

// ResetJournal forgets the calls so far. Sequence numbers continue.
func (w *World) ResetJournal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.journal.entries = nil
}

// OnCall registers f to run after every call, outside the world's mutex, so
// that f can read and change the world. It replaces an earlier f.
func (w *World) OnCall(f func(Entry)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.onCall = f
}
