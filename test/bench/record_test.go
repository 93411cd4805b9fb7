package bench

import (
	"encoding/json"
	"os"
	"sync"
	"testing"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

var writing sync.Mutex

// recordLine appends the line to the file that the environment names, if it does.
func recordLine(t *testing.T, line Line) {
	t.Helper()
	path := os.Getenv(Variable)
	if path == "" {
		return
	}
	writing.Lock()
	defer writing.Unlock()
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.NewEncoder(file).Encode(line); err != nil {
		t.Error(err)
	}
	if err := file.Close(); err != nil {
		t.Error(err)
	}
}

func (c *Calls) add(e awssim.Entry) {
	if c.ByKind == nil {
		c.ByKind = map[string]int{}
	}
	c.Total++
	switch {
	case e.Error == "ThrottlingException" || e.Error == "RequestLimitExceeded":
		c.Throttled++
		return
	case e.Mutating && e.Error == "":
		c.Mutating++
	}
	kind := e.Service + " " + e.Operation
	if e.DryRun {
		kind += dryRun
	}
	c.ByKind[kind]++
}

// counter counts the calls of a world and removes them from the journal, because
// hundreds of thousands would fill it.
type counter struct {
	mu    sync.Mutex
	calls Calls
	each  func(awssim.Entry)
}

func count(world *awssim.World) *counter {
	c := &counter{}
	world.OnCall(func(e awssim.Entry) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.calls.add(e)
		if c.each != nil {
			c.each(e)
		}
		world.ResetJournal()
	})
	return c
}

// take returns the calls since the last take and resets the counter. each
// receives every later call.
func (c *counter) take(each func(awssim.Entry)) Calls {
	c.mu.Lock()
	defer c.mu.Unlock()
	calls := c.calls
	c.calls, c.each = Calls{}, each
	return calls
}
