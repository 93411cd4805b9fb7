package e2e

import (
	"bytes"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/internal/record/manifest"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// Two processes of `packer build` publish one template. One of them is killed with
// all its plugins, as when its machine dies, right after a call of its own or of
// the other one. The other one completes and keeps its images. A third run
// has nothing to do.
func TestOneOfTwoBuildsIsKilled(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		// The killed build starts first, or a moment after the other.
		first bool
		// machines share no lock if there are two.
		machines int
		// operation is the call after which it dies: its own, or that of either build.
		operation string
		either    bool
	}{
		"first, creating the key":             {true, 2, "CreateKey", false},
		"first, copying":                      {true, 1, "CopyImage", false},
		"first, when one grants":              {true, 1, "CreateGrant", true}, // as the member's role
		"second, copying":                     {false, 2, "CopyImage", false},
		"first, when one shares":              {true, 2, "ModifyImageAttribute", true},
		"second, when one shares":             {false, 1, "ModifyImageAttribute", true},
		"second, when one marks as published": {false, 2, "CreateTags", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := awssim.DefaultWorld()
			builderBut("ec2:Nothing")(&file)
			// Each call takes a moment, so that the two builds overlap.
			aws := newAWSWith(t, file, awssim.Options{Latency: 20 * time.Millisecond, CopyTime: 3 * time.Second})
			survivor := newPacker(t, aws.environment...)
			survivor.mustBuild(template(t, fromEBS, keep))
			killed := survivor
			if test.machines == 2 {
				killed = newPacker(t, aws.environment...)
			}
			// The calls of the killed build are those of the role.
			killed.environment = append(slices.Clip(killed.environment), asBuilder(t, aws)...)

			folder := template(t, fromExisting, keep, publish)
			var once, begin sync.Once
			var pid atomic.Int64
			var dead atomic.Bool
			begun := make(chan struct{})
			// A build that dies after its own call makes that call even on a busy
			// machine, because the other build can't make it first.
			aws.Interpose(func(call awssim.Entry) *awssim.Fault {
				if test.either || dead.Load() || call.Operation != test.operation || isKilled(call) {
					return nil
				}
				return &awssim.Fault{Kind: awssim.Throttle}
			})
			aws.OnCall(func(call awssim.Entry) {
				if call.Operation == "GetCallerIdentity" && isKilled(call) == test.first { // by then it holds its machine's lock
					begin.Do(func() { close(begun) })
				}
				if call.Operation == test.operation && call.Error == "" && !call.DryRun && (isKilled(call) || test.either) && pid.Load() != 0 {
					once.Do(func() {
						_ = syscall.Kill(-int(pid.Load()), syscall.SIGKILL) // Packer and its plugins
						dead.Store(true)
					})
				}
			})
			dies, lives := killed.command(folder, "build", "-color=false", "."), survivor.command(folder, "build", "-color=false", ".")
			dies.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			var died, lived <-chan error
			startDying := func() {
				died = start(t, dies)
				pid.Store(int64(dies.Process.Pid))
			}
			if test.first {
				startDying()
				within(t, begun, time.Minute)
				lived = start(t, lives)
			} else {
				lived = start(t, lives)
				within(t, begun, time.Minute)
				startDying()
			}
			if err := <-lived; err != nil {
				t.Errorf("the other build: %v\n%s", err, lives.Stdout)
			}
			if err := <-died; err == nil {
				t.Errorf("nothing was killed:\n%s", dies.Stdout.(*bytes.Buffer))
			}
			aws.OnCall(nil)
			aws.ClearFaults()
			aws.checkPublished(t, "golden-shared", "us-east-1", "eu-west-1")
			m := readJSON[manifest.Manifest](t, folder, "orgami", manifest.File)
			published := map[string]string{}
			for region, image := range m.Images {
				published[region] = image.ImageID
			}
			if diff := cmp.Diff(aws.images("golden-shared"), published); diff != "" || !m.Complete {
				t.Errorf("complete %v, images of the manifest:\n%s", m.Complete, diff)
			}
			if state := aws.Snapshot(); len(state.Images) != 3 {
				t.Errorf("%d images", len(state.Images))
			}
			aws.ResetJournal()
			survivor.mustBuild(folder)
			if changed := aws.changed(); len(changed) > 0 {
				t.Errorf("the third run changed something: %v", changed)
			}
		})
	}
}

// isKilled reports whether the build that dies made the call.
func isKilled(call awssim.Entry) bool {
	return strings.Contains(call.Principal, "assumed-role/Builder")
}

// within waits for the channel to be closed.
func within(t *testing.T, done <-chan struct{}, limit time.Duration) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(limit):
		t.Fatal("the first build made no call")
	}
}
