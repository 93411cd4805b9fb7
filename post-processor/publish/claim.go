package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gofrs/flock"
)

const (
	// claimLifetime is how long a claim is kept. A run of Packer is over by then.
	claimLifetime = 24 * time.Hour
	// claimPatience is how long a build waits to read the claims of others.
	claimPatience = 2 * time.Second
)

// claimed is a directory that a build of a run writes to.
type claimed struct {
	Run       string    `json:"run"`
	Directory string    `json:"directory"`
	Build     string    `json:"build"`
	Time      time.Time `json:"time"`
}

// claimDirectory returns an error if another build of the same run of Packer writes to
// the directory: the builds would overwrite each other's files, and which ones
// remain would be chance. Builds of other runs may write to it.
func (c *cache) claimDirectory(ctx context.Context, directory, run, build string) error {
	if c.folder == "" || run == "" || build == "" {
		return nil
	}
	absolute, err := filepath.Abs(directory)
	if err != nil {
		return fmt.Errorf("output_directory %s: %w", directory, err)
	}
	if resolved, err := filepath.EvalSymlinks(absolute); err == nil {
		absolute = resolved
	}
	lock := flock.New(filepath.Join(c.folder, "directories.lock"))
	locked, err := tryLock(ctx, lock, claimPatience)
	defer func() { _ = lock.Unlock() }() // the end of the process unlocks it too
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err == nil && !locked:
		err = errors.New("another build has locked " + lock.Path())
	}
	if err != nil {
		c.unusable(err)
		return nil
	}
	claims := c.claims()
	for _, other := range claims {
		if other.Run == run && other.Directory == absolute && other.Build != build {
			return fmt.Errorf(`output_directory: the build %s of this run writes its files to %s too. Give each build a directory of its own, for example output_directory = "orgami/${source.type}-${source.name}"`, other.Build, directory)
		}
	}
	content, err := json.Marshal(append(claims, claimed{run, absolute, build, time.Now()}))
	if err == nil {
		err = os.WriteFile(c.claimsFile(), content, 0o600)
	}
	if err != nil {
		c.unusable(err)
	}
	return nil
}

func (c *cache) claimsFile() string { return filepath.Join(c.folder, "directories.json") }

// claims returns the claims that may matter. A file that can't be read, or was
// left half written by a process that was killed, has none.
func (c *cache) claims() []claimed {
	var claims []claimed
	content, err := os.ReadFile(c.claimsFile())
	if err != nil || json.Unmarshal(content, &claims) != nil {
		return nil
	}
	return slices.DeleteFunc(claims, func(old claimed) bool { return time.Since(old.Time) > claimLifetime })
}
