package e2e

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// A plugin process is killed, without a chance to clean up, right after a call took
// effect and before it gets the response. The next run finishes its work and creates
// nothing twice.
func TestKilledPlugin(t *testing.T) {
	t.Parallel()
	for _, operation := range []string{"CreateKey", "ReplicateKey", "CopyImage", "CreateGrant", "ModifyImageAttribute"} {
		t.Run(operation, func(t *testing.T) {
			t.Parallel()
			aws := newAWS(t, awssim.Options{})
			p := newPacker(t, aws.environment...)
			p.mustBuild(template(t, fromEBS, keep))

			var once sync.Once
			killed := 0
			aws.OnCall(func(call awssim.Entry) {
				if call.Operation == operation && call.Error == "" {
					once.Do(func() { killed = p.killPlugin("packer-plugin-orgami") })
				}
			})
			if output, err := p.build(template(t, fromExisting, keep, publish)); err == nil {
				t.Errorf("the build with the killed plugin succeeded:\n%s", output)
			}
			if killed == 0 {
				t.Fatal("no process was killed")
			}
			aws.OnCall(nil)
			p.mustBuild(template(t, fromExisting, keep, publish))
			aws.checkPublished(t, "golden-shared", "us-east-1", "eu-west-1")
			state := aws.Snapshot()
			if len(state.Keys) != 2 || len(state.Images) != 3 || len(state.Snapshots) != 3 {
				t.Errorf("%d regional keys, %d images, %d snapshots", len(state.Keys), len(state.Images), len(state.Snapshots))
			}
			for _, key := range state.Keys {
				if len(key.Grants) != 2 || len(key.Aliases) != 1 {
					t.Errorf("key %s has %d grants and the aliases %v", key.ARN, len(key.Grants), key.Aliases)
				}
			}
		})
	}
}

// killPlugin kills the plugin's processes of this Packer, which it finds in
// /proc, and counts them.
func (p packer) killPlugin(name string) int {
	home := ""
	for _, variable := range p.environment {
		if path, ok := strings.CutPrefix(variable, "PACKER_PLUGIN_PATH="); ok {
			home = path
		}
	}
	killed := 0
	links, _ := filepath.Glob("/proc/[0-9]*/exe") // the pattern is valid
	for _, link := range links {
		path, err := os.Readlink(link)
		if err != nil || !strings.HasPrefix(path, home) || !strings.Contains(filepath.Base(path), name) {
			continue // another user's process, or another program
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link)))
		if err == nil && syscall.Kill(pid, syscall.SIGKILL) == nil {
			killed++
		}
	}
	return killed
}
