package e2e

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/internal/record/manifest"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// cacheWarning is what a build prints, once, if it can't use its cache.
const cacheWarning = "Can't coordinate with other builds on this machine"

// A build never fails because of its cache: neither for a user without a home
// directory, as is usual in containers, nor with an unusable cache folder.
func TestCacheInHostileEnvironments(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		// environment sets variables of Packer, "" to unset one. folder belongs to the
		// user that builds.
		environment func(t *testing.T, folder string) map[string]string
		unusable    bool
		needsRoot   bool // to create what another user owns
	}{
		"HOME unset":            {environment: home("")},
		"HOME is /":             {environment: home("/"), unusable: true},
		"HOME can't be written": {environment: home("/proc"), unusable: true},
		"cache is a file": {environment: func(t *testing.T, folder string) map[string]string {
			t.Helper()
			path := filepath.Join(folder, "cache-file")
			mustWrite(t, path, 0o666)
			return map[string]string{"PACKER_CACHE_DIR": path}
		}, unusable: true},
		"cache is read-only": {environment: func(t *testing.T, folder string) map[string]string {
			t.Helper()
			path := filepath.Join(folder, "read-only")
			mustMkdir(t, path, 0o555)
			return map[string]string{"PACKER_CACHE_DIR": path}
		}, unusable: true},
		"cache belongs to another user": {environment: func(t *testing.T, folder string) map[string]string {
			t.Helper()
			path := filepath.Join(folder, "root's")
			mustMkdir(t, path, 0o755)
			mustMkdir(t, filepath.Join(path, "packer-plugin-orgami"), 0o700)
			return map[string]string{"PACKER_CACHE_DIR": path}
		}, unusable: true, needsRoot: true},
		"cache files belong to another user": {environment: func(t *testing.T, folder string) map[string]string {
			t.Helper()
			path := filepath.Join(folder, "shared", "packer-plugin-orgami")
			mustMkdir(t, path, 0o777)
			mustWrite(t, filepath.Join(path, "directories.lock"), 0o600)
			mustWrite(t, filepath.Join(path, "directories.json"), 0o600)
			return map[string]string{"PACKER_CACHE_DIR": filepath.Dir(path)}
		}, unusable: true, needsRoot: true},
		"cache is on a full disk": {environment: func(t *testing.T, folder string) map[string]string {
			t.Helper()
			path := filepath.Join(folder, "full")
			mountFull(t, path)
			return map[string]string{"PACKER_CACHE_DIR": path}
		}, unusable: true, needsRoot: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if test.needsRoot && os.Getuid() != 0 {
				t.Skip("needs root")
			}
			aws := newAWSWith(t, withGolden(), awssim.Options{})
			p := newUnprivileged(t, aws)
			for variable, value := range test.environment(t, p.folder) {
				p.set(variable, value)
			}
			output := p.mustBuild(p.folder)
			aws.checkPublished(t, "golden-shared", "us-east-1", "eu-west-1")
			if m := readJSON[manifest.Manifest](t, p.folder, "orgami", manifest.File); !m.Complete {
				t.Errorf("the manifest: %+v", m)
			}
			want := 0
			if test.unusable {
				want = 1
			}
			if got := strings.Count(output, cacheWarning); got != want {
				t.Errorf("%d warnings, want %d:\n%s", got, want, output)
			}
		})
	}
}

func home(path string) func(*testing.T, string) map[string]string {
	return func(*testing.T, string) map[string]string {
		return map[string]string{"HOME": path, "XDG_CACHE_HOME": "", "PACKER_CACHE_DIR": ""}
	}
}

// An output directory that can't be written fails the build before anything is
// changed.
func TestOutputDirectoryIsReadOnly(t *testing.T) {
	t.Parallel()
	aws := newAWSWith(t, withGolden(), awssim.Options{})
	p := newUnprivileged(t, aws)
	mustMkdir(t, filepath.Join(p.folder, "orgami"), 0o555)
	output, err := p.build(p.folder)
	if err == nil || !strings.Contains(output, "output directory orgami") || !strings.Contains(output, "Set output_directory") {
		t.Errorf("the build ended with %v:\n%s", err, output)
	}
	if changed := aws.changed(); len(changed) > 0 {
		t.Errorf("it changed something: %v", changed)
	}
}

// If the files can't be written after the images were shared, the build fails,
// the images stay, and the manifest stays unchanged. The next run writes it.
func TestFilesCannotBeWritten(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		prepare   func(t *testing.T, directory string)
		spoil     func(t *testing.T, directory string) (undo func())
		needsRoot bool
	}{
		"read-only": {
			prepare: func(t *testing.T, directory string) { t.Helper(); mustMkdir(t, directory, 0o777) },
			spoil: func(t *testing.T, directory string) func() {
				t.Helper()
				mustChmod(t, directory, 0o555)
				return func() { mustChmod(t, directory, 0o777) }
			},
		},
		"full": {
			prepare: func(t *testing.T, directory string) { t.Helper(); mountSmall(t, directory) },
			spoil: func(t *testing.T, directory string) func() {
				t.Helper()
				fill(t, directory)
				return func() {
					if err := os.Remove(filepath.Join(directory, filler)); err != nil {
						t.Error(err)
					}
				}
			}, needsRoot: true,
		},
		"a folder has the manifest's name": {
			prepare: func(t *testing.T, directory string) { t.Helper(); mustMkdir(t, directory, 0o777) },
			spoil: func(t *testing.T, directory string) func() {
				t.Helper()
				path := filepath.Join(directory, manifest.File)
				if err := os.Rename(path, path+".moved"); err != nil {
					t.Error(err)
				}
				mustMkdir(t, path, 0o777)
				return func() {
					if err := errors.Join(os.Remove(path), os.Rename(path+".moved", path)); err != nil {
						t.Error(err)
					}
				}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if test.needsRoot && os.Getuid() != 0 {
				t.Skip("needs root")
			}
			aws := newAWSWith(t, withGolden(), awssim.Options{})
			p := newUnprivileged(t, aws)
			directory := filepath.Join(p.folder, "orgami")
			test.prepare(t, directory)
			mustWriteText(t, filepath.Join(directory, manifest.File), "the last good manifest")
			undo := func() {}
			aws.OnCall(func(call awssim.Entry) {
				if call.Operation == "CreateTags" && call.Error == "" && !call.DryRun { // the images are shared
					aws.OnCall(nil)
					undo = test.spoil(t, directory)
				}
			})
			output, err := p.build(p.folder)
			if err == nil || !strings.Contains(output, "writing orgami/") {
				t.Errorf("the build ended with %v:\n%s", err, output)
			}
			undo()
			aws.checkPublished(t, "golden-shared", "us-east-1", "eu-west-1")
			if content, err := os.ReadFile(filepath.Join(directory, manifest.File)); err != nil || string(content) != "the last good manifest" {
				t.Errorf("the manifest is %q, %v", content, err)
			}
			if left, _ := filepath.Glob(filepath.Join(directory, ".orgami-*")); len(left) > 0 {
				t.Errorf("left %v", left)
			}
			aws.ResetJournal()
			p.mustBuild(p.folder)
			if m := readJSON[manifest.Manifest](t, directory, manifest.File); !m.Complete || len(m.Images) != 2 {
				t.Errorf("the manifest of the next run: %+v", m)
			}
			if changed := aws.changed(); len(changed) > 0 {
				t.Errorf("the next run changed something: %v", changed)
			}
		})
	}
}

// The output directory can be a symbolic link. A link in place of a file is replaced,
// and its target stays.
func TestOutputDirectoryIsALink(t *testing.T) {
	t.Parallel()
	aws := newAWSWith(t, withGolden(), awssim.Options{})
	p := newUnprivileged(t, aws)
	target := filepath.Join(p.folder, "elsewhere")
	mustMkdir(t, target, 0o777)
	mustWriteText(t, filepath.Join(p.folder, "precious"), "precious")
	for from, to := range map[string]string{filepath.Join(p.folder, "orgami"): "elsewhere", filepath.Join(target, manifest.File): "../precious"} {
		if err := os.Symlink(to, from); err != nil {
			t.Fatal(err)
		}
	}
	p.mustBuild(p.folder)
	if m := readJSON[manifest.Manifest](t, target, manifest.File); !m.Complete {
		t.Errorf("the manifest: %+v", m)
	}
	if link, err := os.Readlink(filepath.Join(p.folder, "orgami")); err != nil || link != "elsewhere" {
		t.Errorf("the link to the directory: %q, %v", link, err)
	}
	if content, err := os.ReadFile(filepath.Join(p.folder, "precious")); err != nil || string(content) != "precious" {
		t.Errorf("the file behind the link: %q, %v", content, err)
	}
	var found []string
	for name := range files(t, p.folder) {
		found = append(found, name)
	}
	slices.Sort(found)
	if diff := cmp.Diff([]string{manifest.KarpenterFile, manifest.GrantsFile, manifest.File}, found); diff != "" {
		t.Errorf("files:\n%s", diff)
	}
}

// nobody is a user without a home directory or privileges.
const nobody = 65534

// unprivileged is a Packer that doesn't run as root, because root can write almost
// everywhere. Its folder has a template that publishes.
type unprivileged struct {
	packer

	folder string
}

func newUnprivileged(t *testing.T, aws simulated) *unprivileged {
	t.Helper()
	p := &unprivileged{packer: newPacker(t, aws.environment...), folder: template(t, fromExisting, publish)}
	if os.Getuid() != 0 {
		return p
	}
	shared := t.TempDir()
	binary := filepath.Join(shared, "packer")
	if err := linkOrCopy(p.binary, binary); err != nil {
		t.Fatal(err)
	}
	p.binary, p.user = binary, nobody
	// The temporary folders of a test have a parent that only root can enter.
	mustChmod(t, filepath.Dir(shared), 0o755)
	for _, folder := range []string{p.home, p.folder} {
		err := filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
			return errors.Join(err, os.Lchown(path, nobody, nobody))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// set sets a variable of Packer's environment, or unsets it if the value is empty.
func (p *unprivileged) set(variable, value string) {
	p.environment = slices.DeleteFunc(slices.Clone(p.environment), func(v string) bool { return strings.HasPrefix(v, variable+"=") })
	if value != "" {
		p.environment = append(p.environment, variable+"="+value)
	}
}

func linkOrCopy(from, to string) error {
	if os.Link(from, to) == nil {
		return nil
	}
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}

func mustMkdir(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	if err := os.MkdirAll(path, 0o777); err != nil {
		t.Error(err)
	}
	mustChmod(t, path, mode)
}

func mustChmod(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Error(err)
	}
	if mode&0o200 == 0 {
		t.Cleanup(func() { _ = os.Chmod(path, 0o755) }) // so that it can be removed
	}
}

func mustWrite(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, nil, mode); err != nil {
		t.Error(err)
	}
}

// mountSmall mounts a file system of a few pages.
func mountSmall(t *testing.T, path string) {
	t.Helper()
	mustMkdir(t, path, 0o777)
	if err := syscall.Mount("tmpfs", path, "tmpfs", 0, "size=256k,mode=777"); err != nil {
		t.Skipf("can't mount a small file system: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(path, 0) })
}

// mountFull mounts a file system without space.
func mountFull(t *testing.T, path string) {
	t.Helper()
	mountSmall(t, path)
	fill(t, path)
}

// filler is a file that takes all the space of a file system.
const filler = "filler"

func fill(t *testing.T, directory string) {
	t.Helper()
	file, err := os.Create(filepath.Join(directory, filler))
	if err != nil {
		t.Error(err)
		return
	}
	defer file.Close()
	for err == nil {
		_, err = file.Write(make([]byte, 1024))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Error(err)
	}
}
