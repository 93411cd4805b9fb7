package bench

import (
	"encoding/json"
	"time"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/grant"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// Cell is one publication to measure: a new image, encrypted with a key that does
// not exist yet, and two grants in each Region for each account.
type Cell struct {
	Regions  int           `json:"regions"`
	Accounts int           `json:"accounts"`
	CopyTime time.Duration `json:"copy_time"`
}

// Roles is how many service-linked roles of each account get a grant. Every account
// of the simulated world has the first two of grant.DefaultRoles.
const Roles = 2

// Quotas and pages that bound a publication. CreateGrant counts for each member
// account, which needs far fewer than it allows. What binds is AssumeRole, at the
// simulator's quota, which is a sixth of AWS's. Fact: QUOTA-5, QUOTA-6, STS-3, STS-4,
// GRANT-19.
const (
	assumeRolePerSecond   = 100
	replicateKeyPerSecond = 5
	grantsPerPage         = 100
)

// Grants is how many grants the publication creates.
func (c Cell) Grants() int { return c.Regions * c.Accounts * Roles }

// Pages is how many pages of ListGrants one Region's grants fill.
func (c Cell) Pages() int { return (c.Accounts*Roles + grantsPerPage - 1) / grantsPerPage }

// Timing is that of all measurements in virtual time, with the cell's time of a
// copy: the simulator's quotas, and latencies and lags as they are seen on AWS.
func (c Cell) Timing() awssim.Options {
	return awssim.Options{
		Latency: 50 * time.Millisecond, PropagationLag: 3 * time.Second, KeyCreationTime: 7 * time.Second,
		CopyTime: c.CopyTime, ImageLag: 4 * time.Second, Quotas: true,
	}
}

// Bound is the least time in which the cell can be published with the stages of
// docs/contract.md. Within a stage, everything runs in parallel that doesn't need
// the response of another call. Each term is derived from the timing; nothing in it is
// measured.
type Bound struct {
	// Look: the source image and the key in parallel, then the images with the source's
	// name, then the dry runs: 3 latencies.
	Look time.Duration `json:"look"`
	// Sessions: in parallel with the dry runs, AssumeRole for each account, up to 600, at
	// STS's full quota after a burst of one second's.
	Sessions time.Duration `json:"sessions"`
	// Key: CreateKey; with more Regions ReplicateKey, at its quota, and the time
	// a replica is Creating; CreateAlias; and the alias reads back after the
	// propagation lag.
	Key time.Duration `json:"key"`
	// Copy: CopyImage, the copy, and verifying the image and then its snapshots'
	// keys.
	Copy time.Duration `json:"copy"`
	// Grants, in parallel with the copies: the other sessions likewise, the last account's
	// grants, then one pass over all pages, of which the last can't be right before the
	// propagation lag is over.
	Grants time.Duration `json:"grants"`
	// Calls, in parallel with the copies: all calls in the accounts, as many at once as
	// the plugin sends, and the same pass.
	Calls time.Duration `json:"calls"`
	// Check: the key's state and policy, and one pass over the pages of its grants,
	// in parallel. The image is the one that was verified.
	Check time.Duration `json:"check"`
	// Share: the last check for images that took the name, ModifyImageAttribute, and
	// reading back the permissions and the image's state, in parallel.
	Share time.Duration `json:"share"`
	// Mark: CreateTags, which marks the images as published, and reading the tags
	// back.
	Mark time.Duration `json:"mark"`
}

// Total is the critical path.
func (b Bound) Total() time.Duration {
	return b.Look + b.Sessions + b.Key + max(b.Copy, b.Grants, b.Calls) + b.Check + b.Share + b.Mark
}

// MarshalJSON adds the total, which tools/plot draws.
func (b Bound) MarshalJSON() ([]byte, error) {
	type terms Bound
	return json.Marshal(struct {
		terms

		Total time.Duration `json:"total"`
	}{terms(b), b.Total()})
}

// Binds names the longest term of the critical path.
func (b Bound) Binds() string {
	switch longest := max(b.Copy, b.Grants, b.Calls); {
	case b.Sessions > max(b.Key, longest):
		return "quotas"
	case b.Key > longest:
		return "key"
	case b.Copy == longest:
		return "copies"
	case b.Grants == longest:
		return "quotas"
	default:
		return "calls at once"
	}
}

// BoundOf derives the bound of that many concurrent publications of the cell
// from one account, each with its own key and grants. They share the quotas of
// AssumeRole and ReplicateKey, and each reads only its own grants.
func BoundOf(c Cell, publications int) Bound {
	p := c.Timing()
	b := Bound{Look: 3 * p.Latency, Key: 2*p.Latency + p.PropagationLag + p.Latency, Share: 3 * p.Latency, Mark: 2 * p.Latency}
	if c.Regions > 1 {
		b.Key += p.Latency + p.KeyCreationTime + atQuota(publications*(c.Regions-1), replicateKeyPerSecond)
	}
	b.Copy = p.Latency + p.CopyTime + 2*p.Latency
	pass := time.Duration(c.Pages()) * p.Latency
	listed := p.Latency + max(p.PropagationLag+p.Latency, pass)
	ahead := min(c.Accounts, grant.AssumedAhead)
	b.Sessions = atQuota(publications*ahead, assumeRolePerSecond)
	b.Grants = p.Latency + atQuota(publications*(c.Accounts-ahead), assumeRolePerSecond) + listed
	b.Calls = time.Duration(c.MemberCalls()-ahead)*p.Latency/awsclient.CallsAtOnce + listed
	b.Check = pass // at least one page, hence no shorter than reading the key
	return b
}

// atQuota is the least time that the calls take if the quota allows so many a second,
// with a burst of one second's.
func atQuota(calls, perSecond int) time.Duration {
	return time.Duration(max(0, calls-perSecond)) * time.Second / time.Duration(perSecond)
}
