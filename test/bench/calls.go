package bench

import "strings"

// Calls counts calls to AWS.
type Calls struct {
	Total     int `json:"total"`
	Mutating  int `json:"mutating"` // that succeeded
	Throttled int `json:"throttled"`
	// ByKind counts the calls that were not throttled by "kms CreateGrant".
	ByKind map[string]int `json:"by_kind"`
}

// Reads are the calls that change nothing and were not throttled.
func (c Calls) Reads() int {
	reads := c.Total - c.Throttled
	for kind, n := range c.ByKind {
		if mutates(kind) {
			reads -= n
		}
	}
	return reads
}

// ThrottledPercent is the percentage of all calls that were throttled.
func (c Calls) ThrottledPercent() float64 {
	if c.Total == 0 {
		return 0
	}
	return 100 * float64(c.Throttled) / float64(c.Total)
}

// dryRun is the suffix of the kind of dry-run calls.
const dryRun = " (dry run)"

// mutates decides by AWS's naming of operations.
func mutates(kind string) bool {
	if strings.HasSuffix(kind, dryRun) {
		return false
	}
	_, operation, _ := strings.Cut(kind, " ")
	for _, reading := range []string{"Describe", "List", "Get", "Simulate"} {
		if strings.HasPrefix(operation, reading) {
			return false
		}
	}
	return true
}
