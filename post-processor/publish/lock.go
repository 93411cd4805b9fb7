package publish

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/packer-plugin-sdk/filelock"

	"github.com/orgami/packer-plugin-orgami/internal/publish"
)

// lockInterval is how often a run looks whether it is its turn.
const lockInterval = 200 * time.Millisecond

// keyLock is held while a run looks for the key and completes it. Packer runs
// each build of a template in a process of its own, so the lock is a file, one
// for each key, in the user's cache folder or else the temporary one.
func keyLock(key publish.KeySpec) publish.Lock {
	return func(ctx context.Context) (func(), error) {
		cache, err := os.UserCacheDir()
		if err != nil {
			cache = os.TempDir()
		}
		folder := filepath.Join(cache, "packer-plugin-orgami")
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return nil, fmt.Errorf("making the folder for locks: %w", err)
		}
		sum := sha256.Sum256([]byte(cmp.Or(key.Alias, key.ID)))
		lock := filelock.New(filepath.Join(folder, hex.EncodeToString(sum[:8])+".lock"))
		for {
			locked, err := lock.TryLock()
			if err != nil {
				return nil, fmt.Errorf("locking the key against other builds on this machine: %w", err)
			}
			if locked {
				return func() { _ = lock.Unlock() }, nil // the process's end unlocks it too
			}
			select {
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			case <-time.After(lockInterval):
			}
		}
	}
}
