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

	"github.com/gofrs/flock"

	"github.com/orgami/packer-plugin-orgami/internal/publish"
)

// lockInterval is how often a run looks whether it is its turn.
const lockInterval = 200 * time.Millisecond

// keyLock is held while a run completes the key, or makes its grants. Packer
// runs each build of a template in a process of its own, so the locks are files,
// one for each key and kind of work.
func keyLock(key publish.KeySpec, say func(string)) publish.Locker {
	return func(ctx context.Context, work publish.Section) (release func(), waited bool, err error) {
		path, err := machineFile(cmp.Or(key.Alias, key.ID), string(work))
		if err != nil {
			return nil, false, err
		}
		lock := flock.New(path + ".lock")
		for {
			locked, err := lock.TryLock()
			if err != nil {
				return nil, false, fmt.Errorf("locking the key against other builds on this machine: %w", err)
			}
			if locked {
				return func() { _ = lock.Unlock() }, waited, nil // the process's end unlocks it too
			}
			if !waited {
				waited = true
				say(waiting[work])
			}
			select {
			case <-ctx.Done():
				return nil, false, context.Cause(ctx)
			case <-time.After(lockInterval):
			}
		}
	}
}

var waiting = map[publish.Section]string{
	publish.CompletingKey: "Waiting for another build on this machine that completes the key",
	publish.MakingGrants:  "Waiting for another build on this machine that makes grants on the key",
}

// machineFile is where the builds on this machine keep something about a thing,
// known by a hash of its name.
func machineFile(name, purpose string) (string, error) {
	folder, err := machineFolder()
	if err != nil {
		return "", fmt.Errorf("making the folder for locks: %w", err)
	}
	sum := sha256.Sum256([]byte(name))
	return filepath.Join(folder, hex.EncodeToString(sum[:8])+"-"+purpose), nil
}

// machineFolder is what the builds on this machine share: in the user's cache
// folder or else the temporary one.
func machineFolder() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	folder := filepath.Join(cache, "packer-plugin-orgami")
	return folder, os.MkdirAll(folder, 0o700)
}
