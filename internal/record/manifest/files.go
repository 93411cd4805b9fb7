package manifest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

const (
	directoryMode = 0o755
	fileMode      = 0o644 // nothing in the files is secret
)

// Probe makes sure that files can be written to the directory, making it if
// need be: found out before anything is changed, not after.
func Probe(directory string) error {
	if err := os.MkdirAll(directory, directoryMode); err != nil {
		return fmt.Errorf("making the output directory %s: %w: set output_directory to one that can be written", directory, err)
	}
	probe, err := os.CreateTemp(directory, ".orgami-*")
	if err != nil {
		return fmt.Errorf("writing to the output directory %s: %w: set output_directory to one that can be written", directory, err)
	}
	name := probe.Name()
	if err := probe.Close(); err != nil {
		return fmt.Errorf("writing to the output directory %s: %w", directory, err)
	}
	if err := os.Remove(name); err != nil {
		return fmt.Errorf("clearing up in the output directory %s: %w", directory, err)
	}
	return nil
}

// A Page is a document that is not JSON, and writes itself.
type Page func(io.Writer) error

// Write writes the documents by the names of their files, as JSON unless they are
// a [Page], each whole or not at all: to a temporary file beside it, then renamed.
// A symbolic link under the name is replaced, not followed. It returns the paths
// in order.
func Write(directory string, documents map[string]any) ([]string, error) {
	if err := os.MkdirAll(directory, directoryMode); err != nil {
		return nil, fmt.Errorf("making the output directory %s: %w", directory, err)
	}
	var paths []string
	for name, document := range documents {
		path := filepath.Join(directory, name)
		if err := writeAtomically(path, document); err != nil {
			return paths, fmt.Errorf("writing %s: %w", path, err)
		}
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return paths, nil
}

func writeAtomically(path string, document any) (err error) {
	temporary, err := os.CreateTemp(filepath.Dir(path), ".orgami-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(temporary.Name()) // the first error is the one to report
		}
	}()
	buffered := bufio.NewWriter(temporary)
	write := func(w io.Writer) error { return stream(w, document) }
	if page, ok := document.(Page); ok {
		write = page
	}
	if err = errors.Join(write(buffered), buffered.Flush()); err != nil {
		_ = temporary.Close()
		return err
	}
	if err = temporary.Chmod(fileMode); err != nil {
		_ = temporary.Close()
		return err
	}
	if err = temporary.Close(); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), path)
}
