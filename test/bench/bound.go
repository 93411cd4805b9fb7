package bench

import (
	"time"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// Cell is one publication to measure: a new image under a key that does not
// exist yet, two grants in each region for each account.
type Cell struct {
	Regions  int           `json:"regions"`
	Accounts int           `json:"accounts"`
	CopyTime time.Duration `json:"copy_time"`
}

// Roles is how many service-linked roles of each account get a grant.
const Roles = 2

// Quotas and pages that bound a publication. CreateGrant counts for each member
// account, which needs far fewer than it allows. What binds is AssumeRole, at the
// simulator's quota. Fact: QUOTA-5, QUOTA-6, STS-4, GRANT-19.
const (
	assumeRolePerSecond   = 100
	replicateKeyPerSecond = 5
	grantsPerPage         = 100
)

// Grants is how many grants the publication makes.
func (c Cell) Grants() int { return c.Regions * c.Accounts * Roles }

// Pages is how many pages of ListGrants one region's grants fill.
func (c Cell) Pages() int { return (c.Accounts*Roles + grantsPerPage - 1) / grantsPerPage }

// Timing are those of all measurements in virtual time but for the time of a
// copy: AWS's documented quotas, and latencies and lags as they are seen on AWS.
func (c Cell) Timing() awssim.Options {
	return awssim.Options{
		Latency: 50 * time.Millisecond, PropagationLag: 3 * time.Second, KeyCreationTime: 7 * time.Second,
		CopyTime: c.CopyTime, ImageLag: 4 * time.Second, Quotas: true,
	}
}

// Bound is the least time in which anybody can publish the cell and keep the
// contract, stage by stage. Each term is derived from the timing; nothing in it
// is measured.
type Bound struct {
	// Look: the source image and the key side by side, then the images of the
	// name that the source gives: 2 latencies.
	Look time.Duration `json:"look"`
	// Key: CreateKey; with more regions ReplicateKey, at its quota, and the time
	// a replica is Creating; CreateAlias; and the alias reads back after the
	// propagation lag.
	Key time.Duration `json:"key"`
	// Copy: CopyImage, the copy, and reading back the image and then its
	// snapshots' keys.
	Copy time.Duration `json:"copy"`
	// Grants, in parallel with the copies: AssumeRole for each account at STS's full
	// quota after a burst of one second's, the last account's grants, then one pass
	// over all pages, of which the last can't be right before the propagation lag is
	// over.
	Grants time.Duration `json:"grants"`
	// Share: ModifyImageAttribute, and reading it back.
	Share time.Duration `json:"share"`
	// Check: reading again, in parallel, all that launches depend on: the
	// image and then its snapshots' keys; one pass over the pages of a region's
	// grants.
	Check time.Duration `json:"check"`
}

// Total is the critical path.
func (b Bound) Total() time.Duration {
	return b.Look + b.Key + max(b.Copy, b.Grants) + b.Share + b.Check
}

// Binds names the longest term of the critical path.
func (b Bound) Binds() string {
	switch {
	case b.Key > max(b.Copy, b.Grants):
		return "key"
	case b.Copy >= b.Grants:
		return "copies"
	default:
		return "quotas"
	}
}

// BoundOf derives the cell's bound.
func BoundOf(c Cell) Bound {
	p := c.Timing()
	b := Bound{Look: 2 * p.Latency, Key: 2*p.Latency + p.PropagationLag + p.Latency, Share: 2 * p.Latency}
	if c.Regions > 1 {
		b.Key += p.Latency + p.KeyCreationTime + atQuota(c.Regions-1, replicateKeyPerSecond)
	}
	b.Copy = p.Latency + p.CopyTime + 2*p.Latency
	pass := time.Duration(c.Pages()) * p.Latency
	b.Grants = atQuota(c.Accounts, assumeRolePerSecond) + 2*p.Latency + max(p.PropagationLag+p.Latency, pass)
	b.Check = max(2*p.Latency, pass)
	return b
}

// atQuota is how long so many calls take at the least when so many a second are
// allowed and the first second's may come at once.
func atQuota(calls, perSecond int) time.Duration {
	return time.Duration(max(0, calls-perSecond)) * time.Second / time.Duration(perSecond)
}
