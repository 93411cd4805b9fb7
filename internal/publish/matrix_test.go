package publish_test

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/internal/publish"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// The matrices make a run fail at each of its calls. In `make test` they try a sample
// of the calls, in `make test-exhaustive` every one.
func exhaustive() bool { return os.Getenv("ORGAMI_EXHAUSTIVE") != "" }

// every returns the distance between the calls of a sample of about n.
func every(calls, n int) int {
	if exhaustive() {
		return 1
	}
	return max(calls/n, 1)
}

// figures count the cases of the matrices in this process.
var figures struct {
	sync.Mutex
	calls, crashes, faults, hands, twoRuns, modes, answers, preconditions, worlds, violations int
}

// cell runs one cell of a matrix in a separate world, in parallel with the
// others, and adds it to the figures.
func cell(t *testing.T, of *int, name string, test func(*testing.T, *world)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		defer count(t, of)
		inMatrix(t, test)
	})
}

// count adds a cell that has ended to the figures.
func count(t *testing.T, of *int) {
	t.Helper()
	figures.Lock()
	defer figures.Unlock()
	*of++
	figures.worlds++
	if t.Failed() {
		figures.violations++
	}
}

// writeFigures writes the one line that `make test` prints, if it is wanted and
// any matrix ran. Other packages write theirs to the same file.
func writeFigures() error {
	path := os.Getenv("ORGAMI_FIGURES")
	if path == "" || figures.worlds == 0 {
		return nil
	}
	line := fmt.Sprintf("calls %d, crash points tried %d, faults tried %d, interferences tried %d, pairs of runs tried %d, modes tried %d, answers altered %d, preconditions tried %d, worlds compared %d, violations %d\n",
		figures.calls, figures.crashes, figures.faults, figures.hands, figures.twoRuns, figures.modes, figures.answers, figures.preconditions, figures.worlds, figures.violations)
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(line)
	return errors.Join(err, file.Close())
}

// undisturbed is an undisturbed run: its calls and the resulting world.
type undisturbed struct {
	calls []awssim.Entry
	world []string // without IDs
}

// matrixWorld has one more account that launches, with the roles of a member.
func matrixWorld() awssim.WorldFile {
	file := defaultWorld()
	member := file.Accounts[slices.IndexFunc(file.Accounts, func(a awssim.AccountFile) bool { return a.ID == awssim.MemberAccounts()[0] })]
	for i := range file.Accounts {
		if file.Accounts[i].ID == awssim.ManagementAccount {
			file.Accounts[i].Roles, file.Accounts[i].ServiceLinkedRoles = member.Roles, member.ServiceLinkedRoles
		}
	}
	return file
}

// inMatrix is [inVirtualTime] for a world in which copies take little longer than
// endpoints are behind: what a run does while it waits is the same each time.
func inMatrix(t *testing.T, test func(*testing.T, *world)) {
	t.Helper()
	quick := timing
	quick.CopyTime = 90 * time.Second
	synctest.Test(t, func(t *testing.T) { test(t, newWorldWith(t, matrixWorld(), quick)) })
}

// matrixSpec creates a key in three Regions and grants for two roles in four
// accounts.
func (w *world) matrixSpec() publish.Spec {
	spec := w.spec()
	spec.Grants.Accounts = append(awssim.MemberAccounts(), awssim.ManagementAccount)
	return spec
}

// undisturbedRun publishes in a new world, after prepare.
func undisturbedRun(t *testing.T, prepare func(*testing.T, *world)) undisturbed {
	t.Helper()
	var u undisturbed
	inMatrix(t, func(t *testing.T, w *world) {
		prepare(t, w)
		w.sim.ResetJournal()
		w.mustPublish(t, w.matrixSpec())
		u = undisturbed{w.sim.Journal(), withoutIDs(t, w.state())}
		if state := w.state(); len(state.Keys) != 3 || len(state.Keys[0].Grants) != 8 {
			t.Errorf("%d keys, the first with %d grants", len(state.Keys), len(state.Keys[0].Grants))
		}
	})
	figures.Lock()
	defer figures.Unlock()
	figures.calls = cmp.Or(figures.calls, len(u.calls))
	return u
}

// compare reports how a state differs from that after an undisturbed run.
func (u undisturbed) compare(t *testing.T, state awssim.State) {
	t.Helper()
	if diff := gocmp.Diff(u.world, withoutIDs(t, state)); diff != "" {
		t.Errorf("the world differs from that of an undisturbed run:\n%s", diff)
	}
}

// watch checks after every call that each image that others can see belongs to a
// complete set. stop ends it.
func (w *world) watch(t *testing.T) (stop func()) {
	t.Helper()
	w.sim.OnCall(func(call awssim.Entry) {
		if err := incomplete(w.state()); err != nil {
			t.Errorf("after %s %s in %s: %v", call.Service, call.Operation, call.Region, err)
		}
	})
	return func() { w.sim.OnCall(nil) }
}

// incomplete returns what is missing in a publication that others can see: in each
// Region an available image with its snapshots, all grants, and an enabled key.
func incomplete(state awssim.State) error {
	visible, grants, admitting := 0, 0, 0
	available := map[string]bool{}
	for _, image := range state.Images {
		if image.Name != "golden-shared" {
			continue
		}
		if image.State == "available" && slices.ContainsFunc(state.Snapshots, func(s awssim.SnapshotState) bool { return slices.Contains(image.Snapshots, s.ID) }) {
			available[image.Region] = true
		}
		if len(image.LaunchPermissions) > 0 {
			visible++
		}
	}
	for _, key := range state.Keys {
		grants += len(key.Grants)
		if key.State == "Enabled" && len(key.Aliases) == 1 {
			admitting++
		}
	}
	if visible > 0 && (len(available) != 3 || grants != 3*8 || admitting != 3) {
		return fmt.Errorf("%d images are visible, with images in %d of 3 Regions available, %d of 24 grants, %d of 3 keys", visible, len(available), grants, admitting)
	}
	return nil
}
