package limiter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/gofrs/flock"
)

const (
	// lockPatience is how long a call waits for the file's lock. Other processes
	// hold it for less than a millisecond, unless one of them is suspended.
	lockPatience = 2 * time.Second
	lockInterval = 2 * time.Millisecond
	// pause is how long a file isn't used after it failed.
	pause = time.Minute
	// clockDrift is how far ahead of this process's clock another process's clock
	// may be. A later time was written by a clock that has been corrected since.
	clockDrift = time.Second
	// longestQueue limits the effect of a damaged file. At the slowest rate, the calls
	// that one run has in flight need less.
	longestQueue = time.Hour
)

// file keeps the state of a limiter for all processes on a machine, next to a
// lock file. It isn't safe for concurrent use.
type file struct {
	path   string
	report func(error)
	unused time.Time // don't use the file before then
}

// change applies f to the state in the file, or to the given one while the file
// can't be used. It fails only when the context ends.
func (f *file) change(ctx context.Context, s *state, apply func(s *state, now time.Time)) error {
	if time.Now().Before(f.unused) {
		apply(s, time.Now())
		return nil
	}
	lock := flock.New(f.path + ".lock")
	err := acquire(ctx, lock)
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	defer func() { _ = lock.Unlock() }() // the end of the process unlocks it too
	if err == nil {
		if shared, ok := f.read(); ok {
			*s = shared
		}
	}
	apply(s, time.Now())
	if err == nil {
		err = f.write(*s)
	}
	if err != nil {
		f.unused = time.Now().Add(pause)
		f.report(err)
	}
	return nil
}

func acquire(ctx context.Context, lock *flock.Flock) error {
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	_, err := lock.TryLockContext(ctx, lockInterval)
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("another process has held the lock %s for more than %s", lock.Path(), lockPatience)
	}
	return err
}

func (f *file) write(s state) error {
	s.Written = time.Now()
	content, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return os.WriteFile(f.path, content, 0o600)
}

// read returns the state in the file. A missing file, one that a killed process left
// half written, and one written with a wrong clock have no state.
func (f *file) read() (state, bool) {
	var s state
	content, err := os.ReadFile(f.path)
	if err != nil || json.Unmarshal(content, &s) != nil {
		return state{}, false
	}
	now := time.Now()
	return s, s.Written.Sub(now) <= clockDrift && s.Empty.Sub(now) <= longestQueue
}
