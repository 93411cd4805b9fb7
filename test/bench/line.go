package bench

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"time"
)

// Variable names the environment variable that holds the file for the lines;
// without it only what `make test` runs is measured.
const Variable = "ORGAMI_BENCH"

// Line is one measurement. Exactly one of its fields is set.
type Line struct {
	Grid     *Grid     `json:"grid,omitempty"`
	PerGrant *PerGrant `json:"per_grant,omitempty"`
	Beside   *Beside   `json:"beside,omitempty"`
	Process  *Process  `json:"process,omitempty"`
	Chain    *Chain    `json:"chain,omitempty"`
	// Inspection is a measurement of the inspection of member accounts.
	Inspection *Inspection `json:"inspection,omitempty"`
}

// Grid is a publication in virtual time.
type Grid struct {
	Cell

	Makespan time.Duration `json:"makespan"`
	Bound    Bound         `json:"bound"`
	Cold     Calls         `json:"cold"`
	// Warm are the calls of a second run. None of them may change anything.
	Warm     Calls         `json:"warm"`
	WarmTime time.Duration `json:"warm_time"`
	Timeline Timeline      `json:"timeline"`
	Failures int           `json:"failures"`
}

// Inspection is a publication with all accounts inspected, and an audit of it, in
// virtual time.
type Inspection struct {
	Cell

	Makespan time.Duration `json:"makespan"`
	Audit    time.Duration `json:"audit"`
	Calls    Calls         `json:"calls"` // of the audit
}

// Ratio is the makespan over the bound.
func (g Grid) Ratio() float64 { return float64(g.Makespan) / float64(g.Bound.Total()) }

// Beside is several concurrent publications in virtual time, each with its own
// key and grants.
type Beside struct {
	Cell

	Builds   int           `json:"builds"`
	Shared   bool          `json:"shared"` // whether they share the quota
	First    time.Duration `json:"first"`  // when the first one completes
	Makespan time.Duration `json:"makespan"`
	// Bound is that of all builds at once.
	Bound time.Duration `json:"bound"`
	Calls Calls         `json:"calls"`
}

// PerGrant is a run of the model of a design with a resource for each grant.
type PerGrant struct {
	Cell

	Cold     Calls         `json:"cold"`
	Warm     Calls         `json:"warm"`
	Makespan time.Duration `json:"makespan"`
	WarmTime time.Duration `json:"warm_time"`
	// Ours is how long the plugin's second run takes in the same cell.
	Ours time.Duration `json:"ours"`
}

// PluginWay is the name of the plugin's chain, which the others are compared
// with.
const PluginWay = "amazon-ebs, then orgami-publish"

// Process is a publication by a process of its own over loopback.
type Process struct {
	Cell

	Run     string        `json:"run"`      // cold or warm
	PeakRSS int64         `json:"peak_rss"` // bytes
	UserCPU time.Duration `json:"user_cpu"`
	Wall    time.Duration `json:"wall"`
}

// Chain is one way to bring an image to all Regions, over loopback.
type Chain struct {
	Way      string        `json:"way"`
	Does     string        `json:"does"`
	Regions  int           `json:"regions"`
	CopyTime time.Duration `json:"copy_time"`
	Wall     time.Duration `json:"wall"`
	Calls    Calls         `json:"calls"`
	Skipped  string        `json:"skipped,omitempty"` // the reason if it wasn't run
}

// Timeline has the times of the stages since the start of a publication.
type Timeline struct {
	FirstChange   time.Duration `json:"first_change"`    // the end of looking
	FirstCopy     time.Duration `json:"first_copy"`      // the end of completing the key
	LastCopyStart time.Duration `json:"last_copy_start"` // its copy is available the copy time later
	LastGrant     time.Duration `json:"last_grant"`
	LastListed    time.Duration `json:"last_listed"` // the grants are read back
	FirstShared   time.Duration `json:"first_shared"`
	End           time.Duration `json:"end"`
}

// Read reads the lines of a file.
func Read(path string) ([]Line, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // the file is only read
	var lines []Line
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		var line Line
		if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
		lines = append(lines, line)
	}
	return lines, nil
}
