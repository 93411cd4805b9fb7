package manifest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

const (
	directoryMode = 0o755
	fileMode      = 0o644 // nothing in the files is secret
)

// Probe checks that files can be written to the directory, and creates it if
// needed. Call it before changing anything, so that an unusable directory is
// found in time.
func Probe(directory string) error {
	if err := os.MkdirAll(directory, directoryMode); err != nil {
		return fmt.Errorf("creating the output directory %s: %w. Set output_directory to a writable directory", directory, err)
	}
	probe, err := os.CreateTemp(directory, ".orgami-*")
	if err != nil {
		return fmt.Errorf("writing to the output directory %s: %w. Set output_directory to a writable directory", directory, err)
	}
	name := probe.Name()
	if err := probe.Close(); err != nil {
		return fmt.Errorf("writing to the output directory %s: %w", directory, err)
	}
	if err := os.Remove(name); err != nil {
		return fmt.Errorf("removing a test file from the output directory %s: %w", directory, err)
	}
	return nil
}

// A Page is a document that is not JSON, and writes itself.
type Page func(io.Writer) error

// Document is a file to write.
type Document struct {
	Name    string
	Content any // a [Page], or what is encoded as JSON
}

// Write writes the documents in order and stops at the first failure. Each file
// is written completely or not at all: Write creates a temporary file in the
// directory and renames it. It replaces a symbolic link of that name instead of
// following it. It returns the paths of the written files.
func Write(directory string, documents ...Document) ([]string, error) {
	if err := os.MkdirAll(directory, directoryMode); err != nil {
		return nil, fmt.Errorf("creating the output directory %s: %w", directory, err)
	}
	var paths []string
	for _, document := range documents {
		path := filepath.Join(directory, document.Name)
		if err := writeAtomically(path, document.Content); err != nil {
			return paths, fmt.Errorf("writing %s: %w. Free some space or set `output_directory`, and run again", path, err)
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// Remove removes files that an earlier run wrote. A file that isn't there is no
// error.
func Remove(directory string, names ...string) error {
	var problems []error
	for _, name := range names {
		if err := os.Remove(filepath.Join(directory, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
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
