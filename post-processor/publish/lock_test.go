package publish

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gofrs/flock"

	"github.com/orgami/packer-plugin-orgami/internal/publish"
)

var someKey = publish.KeySpec{Alias: "alias/golden"}

// The cache can't be used in many environments, for example in containers. That is
// reported once and fails nothing.
func TestCacheInHostileEnvironments(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		environment map[string]string
		usable      bool
	}{
		"packer's folder":       {map[string]string{"PACKER_CACHE_DIR": filepath.Join(t.TempDir(), "a", "b")}, true},
		"the user's folder":     {map[string]string{"XDG_CACHE_HOME": t.TempDir()}, true},
		"the home folder":       {map[string]string{"HOME": t.TempDir()}, true},
		"HOME can't be written": {map[string]string{"HOME": "/proc"}, false},
		"HOME doesn't exist":    {map[string]string{"HOME": "/proc/absent"}, false},
		"HOME is a file":        {map[string]string{"HOME": file}, false},
		"a file in the way":     {map[string]string{"PACKER_CACHE_DIR": file}, false},
		"a file in its way":     {map[string]string{"PACKER_CACHE_DIR": withFile(t, "packer-plugin-orgami")}, false},
		"HOME is unset":         {map[string]string{}, true}, // Packer then uses the working folder
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			for _, variable := range []string{"PACKER_CACHE_DIR", "XDG_CACHE_HOME", "HOME"} {
				t.Setenv(variable, test.environment[variable])
			}
			var warnings []string
			c := openCache(func(warning string) { warnings = append(warnings, warning) })
			for range 2 {
				release, waited, err := c.keyLock(someKey, func(string) {})(t.Context(), publish.CompletingKey)
				if err != nil || waited {
					t.Fatalf("waited %v, %v", waited, err)
				}
				release()
				if err := c.claimDirectory(t.Context(), "orgami", "run", "build"); err != nil {
					t.Error(err)
				}
			}
			if usable := c.folder != ""; usable != test.usable {
				t.Errorf("folder is %q", c.folder)
			}
			if test.usable && len(warnings) > 0 || !test.usable && (len(warnings) != 1 || !strings.HasPrefix(warnings[0], "Can't coordinate with other builds on this machine: ")) {
				t.Errorf("warnings: %q", warnings)
			}
			if test.usable {
				if left, _ := filepath.Glob(filepath.Join(c.folder, ".probe*")); len(left) > 0 {
					t.Errorf("left %v", left)
				}
			}
		})
	}
}

// withFile returns a folder with a file.
func withFile(t *testing.T, name string) string {
	t.Helper()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, name), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return folder
}

// A folder that fails later fails nothing, either.
func TestCacheGoesAway(t *testing.T) {
	t.Setenv("PACKER_CACHE_DIR", t.TempDir())
	var warnings []string
	c := openCache(func(warning string) { warnings = append(warnings, warning) })
	if err := os.RemoveAll(c.folder); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.folder, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	release, _, err := c.keyLock(someKey, func(string) {})(t.Context(), publish.MakingGrants)
	if err != nil {
		t.Fatal(err)
	}
	release()
	if err := c.claimDirectory(t.Context(), "orgami", "run", "build"); err != nil {
		t.Error(err)
	}
	if len(warnings) != 1 {
		t.Errorf("warnings: %q", warnings)
	}
}

// Nor does a file that can't be written, as on a full disk.
func TestCacheIsFull(t *testing.T) {
	const readOnly = "/proc/version" // for root, too
	if _, err := os.Stat(readOnly); err != nil {
		t.Skip(err)
	}
	var warnings []string
	c := &cache{folder: t.TempDir(), warn: func(warning string) { warnings = append(warnings, warning) }}
	if err := os.Symlink(readOnly, c.claimsFile()); err != nil {
		t.Fatal(err)
	}
	if err := c.claimDirectory(t.Context(), "orgami", "run", "build"); err != nil {
		t.Error(err)
	}
	if len(warnings) != 1 {
		t.Errorf("warnings: %q", warnings)
	}
}

// Builds take turns; one that waits reports it, reminds of it, and ends when it
// is canceled.
func TestKeyLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cache{folder: t.TempDir(), warn: func(warning string) { t.Error(warning) }}
		var said []string
		lock := c.keyLock(someKey, func(message string) { said = append(said, message) })
		release, waited, err := lock(t.Context(), publish.CompletingKey)
		if err != nil || waited {
			t.Fatalf("waited %v, %v", waited, err)
		}
		// Another key or section isn't locked.
		for _, other := range []publish.Locker{c.keyLock(publish.KeySpec{Alias: "alias/other"}, nil), c.keyLock(publish.KeySpec{ID: "mrk-1"}, nil)} {
			free, waited, err := other(t.Context(), publish.CompletingKey)
			if err != nil || waited {
				t.Fatalf("waited %v, %v", waited, err)
			}
			free()
		}
		if free, waited, err := lock(t.Context(), publish.MakingGrants); err != nil || waited {
			t.Fatalf("waited %v, %v", waited, err)
		} else {
			free()
		}

		stop := errors.New("stop")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(150*time.Second, func() { cancel(stop) })
		start := time.Now()
		if _, _, err := lock(ctx, publish.CompletingKey); !errors.Is(err, stop) || time.Since(start) != 150*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if len(said) != 2 || !strings.HasPrefix(said[0], "Waiting for another build") || !strings.Contains(said[1], ", for 1m0s. If it is suspended, resume it") {
			t.Errorf("said %q", said)
		}

		time.AfterFunc(90*time.Second, release)
		start = time.Now()
		release, waited, err = lock(t.Context(), publish.CompletingKey)
		if took := time.Since(start); err != nil || !waited || took < 90*time.Second || took > 91*time.Second {
			t.Errorf("waited %v for %v, %v", waited, took, err)
		}
		release()
	})
}

// Two builds of one run must not write to one directory. Builds of other runs, and the
// same build again, may.
func TestClaim(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("PACKER_CACHE_DIR", t.TempDir())
	c := openCache(func(warning string) { t.Error(warning) })
	if err := os.Mkdir("other", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("other", "link"); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		directory, run, build string
		refused               string
	}{
		{"orgami", "run1", "a", ""},
		{"orgami", "run1", "a", ""},
		{"orgami", "run1", "b", "the build a of this run writes its files to orgami too. Give each build"},
		{"./orgami/", "run1", "b", "the build a of this run"},
		{"other", "run1", "b", ""},
		{"link", "run1", "c", "the build b of this run writes its files to link too"},
		{"orgami", "run2", "b", ""},
		{"orgami", "run1", "c", "the build a of this run"}, // although run2 came between
		{"orgami", "", "b", ""},
		{"orgami", "run1", "", ""},
	} {
		err := c.claimDirectory(t.Context(), test.directory, test.run, test.build)
		if (err == nil) != (test.refused == "") || err != nil && !strings.Contains(err.Error(), test.refused) {
			t.Errorf("%v: %v", test, err)
		}
	}
}

// Old claims are removed, and no content of the file makes a build fail.
func TestClaimsAreRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cache{folder: t.TempDir(), warn: func(warning string) { t.Error(warning) }}
		for n := range 100 {
			if err := c.claimDirectory(t.Context(), "/orgami", fmt.Sprint("run", n), "a"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour)
		}
		if n := len(c.claims()); n > 25 {
			t.Errorf("%d claims", n)
		}
		files, err := os.ReadDir(c.folder)
		if err != nil || len(files) != 2 {
			t.Errorf("files: %v, %v", files, err)
		}
		if err := os.WriteFile(c.claimsFile(), []byte(`[{"run":"`), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := c.claimDirectory(t.Context(), "/orgami", "run", "a"); err != nil {
			t.Error(err)
		}
		if err := c.claimDirectory(t.Context(), "/orgami", "run", "b"); err == nil {
			t.Error("not refused after a damaged file")
		}
	})
}

// A suspended build that holds the lock of the claims delays others only shortly.
func TestClaimWithSuspendedSibling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var warnings []string
		c := &cache{folder: t.TempDir(), warn: func(warning string) { warnings = append(warnings, warning) }}
		if err := flock.New(filepath.Join(c.folder, "directories.lock")).Lock(); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if err := c.claimDirectory(t.Context(), "/orgami", "run", "a"); err != nil || time.Since(start) != claimPatience || len(warnings) != 1 {
			t.Errorf("%v after %v, %q", err, time.Since(start), warnings)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start = time.Now()
		if err := c.claimDirectory(ctx, "/orgami", "run", "a"); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// Only one of several concurrent builds gets the directory.
func TestClaimsAtTheSameTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder := t.TempDir()
		var mu sync.Mutex
		refused := 0
		var group sync.WaitGroup
		for n := range 5 {
			group.Go(func() {
				c := &cache{folder: folder, warn: func(warning string) { t.Error(warning) }}
				if err := c.claimDirectory(t.Context(), "/orgami", "run", fmt.Sprint("build", n)); err != nil {
					mu.Lock()
					defer mu.Unlock()
					refused++
				}
			})
		}
		group.Wait()
		if refused != 4 {
			t.Errorf("%d of 5 refused", refused)
		}
	})
}
