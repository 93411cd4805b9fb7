package evaluate_test

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// No test may leave a goroutine behind.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if err := writeFigures(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
		os.Exit(code)
	}))
}

// writeFigures writes the line that `make test` prints of the comparison, if it
// is wanted and took place. Other packages write theirs to the same file.
func writeFigures() error {
	path, f := os.Getenv("ORGAMI_FIGURES"), &figures
	if path == "" || f.worlds == 0 {
		return nil
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(file, "worlds launched in %d, verdicts compared %d (launches %d, fails %d, inconclusive %d), disagreements %d\n",
		f.worlds, f.verdicts, f.launches, f.fails, f.inconclusive, f.disagreements)
	return errors.Join(err, file.Close())
}
