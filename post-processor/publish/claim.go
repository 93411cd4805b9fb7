package publish

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"
)

// claim makes sure that no other build of the same run of Packer writes its files
// to the directory: each would overwrite those of the other, and which remain
// would be chance. Builds of other runs may.
func claim(directory, run, build string) error {
	if run == "" || build == "" {
		return nil
	}
	absolute, err := filepath.Abs(directory)
	if err != nil {
		return fmt.Errorf("output_directory %s: %w", directory, err)
	}
	path, err := machineFile(absolute, "directory")
	if err != nil {
		return err
	}
	lock := flock.New(path + ".lock")
	if err := lock.Lock(); err != nil {
		return fmt.Errorf("locking output_directory %s: %w", directory, err)
	}
	defer func() { _ = lock.Unlock() }() // the process's end unlocks it too
	// What cannot be read is nobody's.
	content, _ := os.ReadFile(path)
	if by, other, _ := strings.Cut(string(content), "\n"); by == run && other != build {
		return fmt.Errorf(`output_directory: the build %s of this run writes its files to %s too: give each build its own, as output_directory = "orgami/${source.type}-${source.name}"`, other, directory)
	}
	if err := os.WriteFile(path, []byte(run+"\n"+build), 0o600); err != nil { //nolint:gosec // a file below our own folder, named by a hash
		return fmt.Errorf("claiming output_directory %s: %w", directory, err)
	}
	return nil
}
