package evaluate

import (
	"cmp"
	"slices"
)

// Result contains the verdicts on all launches.
type Result struct {
	// Verdicts in the order of Region, account and launcher.
	Verdicts []Verdict
	// Assumptions are what the verdicts depend on and was not read, each once.
	Assumptions []Assumption
}

// Evidence says how well something is known that a verdict depends on.
type Evidence string

// Evidence, the strongest first.
const (
	// Seen is what AWS returned.
	Seen Evidence = "seen"
	// Simulated is what IAM's policy simulator returned. It doesn't know every
	// condition of a real request. Fact: IAM-SIM-9.
	Simulated Evidence = "simulated"
	// Assumed is what wasn't read. The result names the [Assumption].
	Assumed Evidence = "assumed"
)

func (e Evidence) weaker(than Evidence) bool {
	order := []Evidence{Seen, Simulated, Assumed, ""} // no evidence is the weakest
	return slices.Index(order, e) > slices.Index(order, than)
}

// Assumption is something that verdicts take for true because it is not known.
type Assumption struct {
	// Link is the name of the link that would decide if it were known.
	Link string `json:"link"`
	// Text continues the sentence "Assumes that".
	Text string `json:"text"`
}

// The assumptions. Facts: LAUNCH-12, EC2-ALLOW-2, IAM-EVAL-13, IAM-EVAL-15,
// KMS-KEY-16.
var (
	assumedVolumeKey = Assumption{LinkVolumeKey, "the default EBS key of each account is aws/ebs or allows the launching role"}
	assumedAllowed   = Assumption{LinkAllowedAMIs, "the setting Allowed AMIs of the accounts doesn't exclude the image"}
	assumedControls  = Assumption{LinkSCP, "no service control policy denies the launch or the use of the keys"}
	assumedRegion    = Assumption{LinkRegionEnabled, "the accounts have enabled the opt-in Regions"}
	assumedIdentity  = Assumption{LinkIdentityPolicy, "the launching roles have the identity policy that the plugin writes, and no policy or permissions boundary denies what it allows"}
)

// MergeAssumptions returns the assumptions of several results, each once, in a
// fixed order.
func MergeAssumptions(lists ...[]Assumption) []Assumption {
	all := slices.Concat(lists...)
	slices.SortFunc(all, func(a, b Assumption) int { return cmp.Or(cmp.Compare(a.Link, b.Link), cmp.Compare(a.Text, b.Text)) })
	return slices.Compact(all)
}
