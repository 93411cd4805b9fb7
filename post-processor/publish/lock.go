package publish

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofrs/flock"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/orgami/packer-plugin-orgami/internal/publish"
)

const (
	lockInterval = 200 * time.Millisecond // between two attempts to take a lock
	lockReminder = time.Minute            // until the first reminder; the intervals double
)

// cache is the folder in which the builds on a machine coordinate. It is
// Packer's cache folder, which is one per user on Unix and one per working
// folder on Windows, or PACKER_CACHE_DIR.
//
// Coordination makes concurrent builds cheaper, but their results don't depend
// on it. So nothing fails if the folder can't be used. Packer runs each build
// in a separate process, so builds then don't wait for each other.
type cache struct {
	folder string // "" if it can't be used
	warn   func(message string)
	once   sync.Once
}

// openCache opens the cache, and calls warn if it can't be used, now or later.
func openCache(warn func(message string)) *cache {
	c := &cache{warn: warn}
	folder, err := packersdk.CachePath("packer-plugin-orgami")
	if err == nil {
		err = writable(folder)
	}
	if err != nil {
		c.unusable(err)
		return c
	}
	c.folder = folder
	return c
}

// writable creates the folder, and writes and removes a file in it.
func writable(folder string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	file, err := os.CreateTemp(folder, ".probe-*")
	if err != nil {
		return err
	}
	_, err = file.WriteString("packer-plugin-orgami")
	return errors.Join(err, file.Close(), os.Remove(file.Name()))
}

// unusable warns once.
func (c *cache) unusable(err error) {
	c.once.Do(func() {
		c.warn(fmt.Sprintf("Can't coordinate with other builds on this machine: %v. This build continues without a lock. To coordinate, set PACKER_CACHE_DIR to a writable folder.", err))
	})
}

// keyLock returns a lock that is held while a run completes the key or creates
// its grants. There is one lock file for each key and section.
func (c *cache) keyLock(key publish.KeySpec, say func(message string)) publish.Locker {
	return func(ctx context.Context, section publish.Section) (release func(), waited bool, err error) {
		if c.folder == "" {
			return func() {}, false, nil
		}
		sum := sha256.Sum256([]byte(cmp.Or(key.Alias, key.ID)))
		lock := flock.New(filepath.Join(c.folder, hex.EncodeToString(sum[:8])+"-"+string(section)+".lock"))
		waited, err = acquire(ctx, lock, func(since time.Duration) {
			if since < lockReminder {
				say(waiting[section])
				return
			}
			say(fmt.Sprintf("%s, for %s. If it is suspended, resume it or stop it (%s)", waiting[section], since.Round(time.Second), lock.Path()))
		})
		if ctx.Err() != nil {
			_ = lock.Unlock()
			return nil, false, context.Cause(ctx)
		}
		if err != nil {
			c.unusable(err)
		}
		return func() { _ = lock.Unlock() }, waited, nil // the end of the process unlocks it too
	}
}

// acquire takes the lock and reports whether it had to wait. It calls remind when
// the wait begins, and then at growing intervals.
func acquire(ctx context.Context, lock *flock.Flock, remind func(since time.Duration)) (waited bool, err error) {
	start := time.Now()
	locked, err := lock.TryLock()
	for patience := lockReminder; err == nil && !locked && ctx.Err() == nil; patience *= 2 {
		waited = true
		remind(time.Since(start))
		locked, err = tryLock(ctx, lock, patience)
	}
	return waited, err
}

// tryLock takes the lock and reports whether it could within the time.
func tryLock(ctx context.Context, lock *flock.Flock, patience time.Duration) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	locked, err := lock.TryLockContext(ctx, lockInterval)
	if err != nil && errors.Is(err, ctx.Err()) {
		return false, nil
	}
	return locked, err
}

var waiting = map[publish.Section]string{
	publish.CompletingKey: "Waiting for another build on this machine to complete the key",
	publish.MakingGrants:  "Waiting for another build on this machine to create grants for the key",
}
