package e2e

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/internal/record/manifest"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// Without manifest first, Packer deletes the AMI that it built when the
// publication fails. The copies are kept, and the template that the failure prints
// finishes the publication from them.
func TestFailureWithoutManifestIsFinishedFromTheCopies(t *testing.T) {
	t.Parallel()
	aws := newAWS(t, awssim.Options{})
	p := newPacker(t, aws.environment...)
	aws.Inject(denied)
	folder := template(t, fromEBS, publish)
	output, err := p.build(folder)
	if err == nil {
		t.Fatalf("the build succeeded:\n%s", output)
	}
	if built := aws.images("golden"); len(built) > 0 {
		t.Fatalf("the source AMI still exists, so the message is wrong: %v", built)
	}
	aws.checkUnshared(t, "golden-shared")
	kept := aws.images("golden-shared")
	failure := readJSON[manifest.Failure](t, folder, "orgami", manifest.FailureFile)
	if failure.Resume == nil || failure.Resume.ImageID != kept["us-east-1"] {
		t.Fatalf("%s doesn't say how to resume from %v: %+v", manifest.FailureFile, kept, failure)
	}
	if !strings.Contains(output, failure.Resume.Template) || !strings.Contains(output, "Packer now deletes the source AMI") {
		t.Errorf("the message lacks the template of %s:\n%s\nthe output is:\n%s", manifest.FailureFile, failure.Resume.Template, output)
	}

	aws.ResetJournal()
	p.mustBuild(resumed(t, failure.Resume.Template))
	aws.checkPublished(t, "golden-shared", "us-east-1", "eu-west-1")
	if got := aws.images("golden-shared"); got["us-east-1"] != kept["us-east-1"] {
		t.Errorf("it didn't use the copy %s: %v", kept["us-east-1"], got)
	}
	if copies := aws.called("CopyImage"); copies != 1 || len(aws.Snapshot().Images) != 2 {
		t.Errorf("%d copies, %d images: %v", copies, len(aws.Snapshot().Images), aws.changed())
	}
	aws.ResetJournal()
	p.mustBuild(resumed(t, failure.Resume.Template))
	if changed := aws.changed(); len(changed) > 0 {
		t.Errorf("resuming again changed something: %v", changed)
	}
}

// resumed writes the template that a failure printed, with the options of
// [publish] where it says to copy them.
func resumed(t *testing.T, text string) string {
	t.Helper()
	_, options, _ := strings.Cut(strings.TrimSuffix(publish, "}"), "{")
	filled := regexp.MustCompile(`(?m)^ *# Copy the other options.*\n`).ReplaceAllLiteralString(text, options)
	if filled == text {
		t.Fatalf("the template doesn't say where the options go:\n%s", text)
	}
	return write(t, filled)
}

// If no copy is available when Packer deletes the source AMI, the failure
// reports it. If the copy becomes available later, the template in the failure
// publishes it.
func TestFailureWithPendingCopies(t *testing.T) {
	t.Parallel()
	aws := newAWS(t, awssim.Options{CopyTime: 6 * time.Second})
	p := newPacker(t, aws.environment...)
	aws.Inject(denied)
	folder := template(t, fromEBS, publish)
	output, err := p.build(folder)
	if err == nil || !strings.Contains(output, "No copy is available yet") {
		t.Fatalf("the build ended with %v:\n%s", err, output)
	}
	kept := aws.images("golden-shared")
	failure := readJSON[manifest.Failure](t, folder, "orgami", manifest.FailureFile)
	if failure.Resume == nil || len(kept) != 1 || failure.Resume.ImageID != kept["us-east-1"] {
		t.Fatalf("copies %v, and the failure is %+v", kept, failure)
	}
	time.Sleep(6 * time.Second)
	p.mustBuild(resumed(t, failure.Resume.Template))
	aws.checkPublished(t, "golden-shared", "us-east-1", "eu-west-1")
}

// cancelTime is how long a canceled build may take to end.
const cancelTime = 30 * time.Second

// A canceled build ends soon. It keeps its copies, unshared, records the failure,
// and leaves the files of the last publication as they are.
func TestCanceledBuildKeepsItsCopies(t *testing.T) {
	t.Parallel()
	earlier := newAWS(t, awssim.Options{})
	folder := template(t, fromEBS, keep, publish)
	newPacker(t, earlier.environment...).mustBuild(folder)
	published := files(t, folder)

	aws := newAWS(t, awssim.Options{CopyTime: time.Hour})
	p := newPacker(t, aws.environment...)
	output := cancel(t, p, aws, folder, func() {})
	if copies := aws.images("golden-shared"); len(copies) != 2 || len(aws.images("golden")) != 1 {
		t.Errorf("copies %v, built %v\n%s", copies, aws.images("golden"), output)
	}
	aws.checkUnshared(t, "golden-shared")
	checkFailureRecorded(t, folder, published)
}

// A canceled build ends just as soon if AWS no longer responds.
func TestCanceledBuildWithDeadEndpoint(t *testing.T) {
	t.Parallel()
	aws := newAWS(t, awssim.Options{CopyTime: time.Hour})
	folder := template(t, fromExisting, keep, publish)
	newPacker(t, aws.environment...).mustBuild(template(t, fromEBS, keep))
	endpoint := newEndpoint(t, aws)
	p := newPacker(t, append(aws.environment, "AWS_ENDPOINT_URL="+endpoint.url)...)
	output := cancel(t, p, aws, folder, func() {
		endpoint.dead.Store(true)
		time.Sleep(3 * time.Second) // the build now waits for a response
	})
	if copies := aws.images("golden-shared"); len(copies) != 2 {
		t.Errorf("copies %v\n%s", copies, output)
	}
	aws.checkUnshared(t, "golden-shared")
	checkFailureRecorded(t, folder, nil)
	if failure := readJSON[manifest.Failure](t, folder, "orgami", manifest.FailureFile); len(failure.UnpublishedCopies) != 2 {
		t.Errorf("the copies aren't listed: %+v", failure)
	}
}

// cancel builds, calls before when both copies are in progress, cancels the build
// and returns its output.
func cancel(t *testing.T, p packer, aws simulated, folder string, before func()) string {
	t.Helper()
	copying := make(chan struct{}, 2)
	aws.OnCall(func(call awssim.Entry) {
		if call.Operation == "CopyImage" && call.Error == "" && !call.DryRun {
			copying <- struct{}{}
		}
	})
	build := p.command(folder, "build", "-color=false", ".")
	ended := start(t, build)
	for range 2 {
		select {
		case <-copying:
		case err := <-ended:
			t.Fatalf("the build ended before it copied: %v\n%s", err, build.Stdout)
		}
	}
	time.Sleep(time.Second) // the responses arrive
	before()
	canceled := time.Now()
	if err := build.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	err := <-ended
	output := build.Stdout.(*bytes.Buffer).String()
	if took := time.Since(canceled); err == nil || took > cancelTime {
		t.Errorf("the canceled build ended with %v after %s:\n%s", err, took, output)
	}
	return output
}

// start starts a command, and sends its result when it ends.
func start(t *testing.T, command *exec.Cmd) <-chan error {
	t.Helper()
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	return ended
}

// files are the contents of the output directory, by name.
func files(t *testing.T, folder string) map[string]string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(folder, "orgami", "*"))
	if err != nil || len(found) == 0 {
		t.Fatalf("files: %v, %v", found, err)
	}
	contents := map[string]string{}
	for _, path := range found {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		contents[filepath.Base(path)] = string(content)
	}
	return contents
}

// checkFailureRecorded checks that a failed run recorded its failure and left the
// files of the last publication as they were.
func checkFailureRecorded(t *testing.T, folder string, published map[string]string) {
	t.Helper()
	now := files(t, folder)
	if now[manifest.FailureFile] == "" {
		t.Errorf("no %s: %v", manifest.FailureFile, now)
	}
	delete(now, manifest.FailureFile)
	if published == nil {
		published = map[string]string{}
	}
	if diff := cmp.Diff(published, now); diff != "" {
		t.Errorf("the failed run changed the files of the last publication:\n%s", diff)
	}
	if _, err := os.Stat(filepath.Join(folder, "orgami", manifest.File)); len(published) == 0 && !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the failed run wrote %s: %v", manifest.File, err)
	}
}

// endpoint is a proxy for the simulated AWS. Once it is dead, it accepts requests and
// never responds.
type endpoint struct {
	url  string
	dead atomic.Bool
}

func newEndpoint(t *testing.T, aws simulated) *endpoint {
	t.Helper()
	target, err := url.Parse(strings.TrimPrefix(aws.environment[0], "AWS_ENDPOINT_URL="))
	if err != nil {
		t.Fatal(err)
	}
	e := new(endpoint)
	closing := make(chan struct{})
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host }}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if e.dead.Load() {
			select {
			case <-r.Context().Done():
			case <-closing:
			}
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(closing) })
	e.url = server.URL
	return e
}
