package awssim

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// state is the snapshot's state.
func (s *snapshot) state(now time.Time) string {
	switch {
	case now.Before(s.readyAt):
		return "pending"
	case s.failure != "":
		return "error"
	default:
		return "completed"
	}
}

// progress is how much of the snapshot is done, as EC2 writes it.
func (s *snapshot) progress(now time.Time) string {
	if !now.Before(s.readyAt) {
		if s.failure != "" {
			return ""
		}
		return "100%"
	}
	return fmt.Sprintf("%d%%", 100*now.Sub(s.started)/s.readyAt.Sub(s.started))
}

// readableBy reports whether the account may create volumes and copies from the
// snapshot.
func (s *snapshot) readableBy(account string) bool {
	return s.owner == account || s.public || s.shared[account]
}

// underManagedKey reports whether aws/ebs encrypts it. Fact: EC2-SHARE-2.
func (s *snapshot) underManagedKey() bool { return s.key != nil && s.key.manager == "AWS" }

var snapshotIDPattern = regexp.MustCompile(`^snap-([0-9a-f]{8}|[0-9a-f]{17})$`)

// snapshotIn finds a snapshot that the caller sees in the Region.
func (c *call) snapshotIn(region, id string) (*snapshot, *Error) {
	if !snapshotIDPattern.MatchString(id) {
		return nil, badRequest("InvalidParameterValue", "Value (%s) for parameter snapshotId is invalid. Expected: 'snap-...'.", id)
	}
	s := c.w.ec2In(region).snapshots[id]
	if s == nil || !s.readableBy(c.caller.Account) {
		return nil, badRequest("InvalidSnapshot.NotFound", "The snapshot '%s' does not exist.", id)
	}
	return s, nil
}

// ownSnapshot finds a snapshot that the caller may change.
func (c *call) ownSnapshot(id string) (*snapshot, *Error) {
	s, problem := c.snapshotIn(c.region, id)
	if problem != nil {
		return nil, problem
	}
	if s.owner != c.caller.Account {
		return nil, badRequest("AuthFailure", "Not authorized for snapshot:%s", id)
	}
	return s, nil
}

// addSnapshot adds a new snapshot of the caller that is pending for the given time.
func (c *call) addSnapshot(s *snapshot, pending time.Duration) {
	s.id, s.region, s.owner = c.w.newEC2ID("snap"), c.region, c.caller.Account
	s.started, s.readyAt, s.shared = c.now, c.now.Add(pending), map[string]bool{}
	c.here().snapshots[s.id] = s
}

type describeSnapshotsRequest struct {
	SnapshotIDs  []string `param:"SnapshotId"`
	Owners       []string `param:"Owner"`
	RestorableBy []string
	Filters      []filter `param:"Filter"`
	paging
}

type describeSnapshotsAnswer struct {
	Snapshots set[snapshotItem] `xml:"snapshotSet"`
	NextToken string            `xml:"nextToken,omitempty"`
}

func describeSnapshots(c *call, r describeSnapshotsRequest) (any, error) {
	if problem := r.withoutIDs("snapshotId", r.SnapshotIDs); problem != nil {
		return nil, problem
	}
	var seen []*snapshot
	for _, id := range r.SnapshotIDs {
		s, problem := c.snapshotIn(c.region, id)
		if problem != nil {
			return nil, problem
		}
		seen = append(seen, s)
	}
	if len(r.SnapshotIDs) == 0 {
		for _, s := range c.here().snapshots {
			if s.readableBy(c.caller.Account) {
				seen = append(seen, s)
			}
		}
	}
	seen = slices.DeleteFunc(seen, func(s *snapshot) bool {
		return !ownedBy(s.owner, c.caller.Account, r.Owners) || !s.restorableBy(c.caller.Account, r.RestorableBy)
	})
	seen, problem := snapshotFilters.selectBy(c, r.Filters, seen)
	if problem != nil {
		return nil, problem
	}
	snapshots, next, problem := pageOf(r.paging, seen)
	if problem != nil {
		return nil, problem
	}
	return describeSnapshotsAnswer{Snapshots: setFrom(snapshots, c.snapshotItem), NextToken: next}, nil
}

// restorableBy reports whether one of the requested users has read permission.
func (s *snapshot) restorableBy(caller string, asked []string) bool {
	if len(asked) == 0 {
		return true
	}
	return slices.ContainsFunc(asked, func(who string) bool {
		return who == "all" && s.public || who == "self" && s.readableBy(caller) || s.shared[who]
	})
}

var snapshotFilters = filterTable[*snapshot]{
	"description": func(_ *call, s *snapshot) []string { return []string{s.description} },
	"encrypted":   func(_ *call, s *snapshot) []string { return []string{strconv.FormatBool(s.key != nil)} },
	"owner-alias": func(_ *call, s *snapshot) []string { return some(s.owner == amazonAccount, "amazon") },
	"owner-id":    func(_ *call, s *snapshot) []string { return []string{s.owner} },
	"progress":    func(c *call, s *snapshot) []string { return []string{s.progress(c.now)} },
	"snapshot-id": func(_ *call, s *snapshot) []string { return []string{s.id} },
	"start-time":  func(_ *call, s *snapshot) []string { return []string{timestamp(s.started)} },
	"status":      func(c *call, s *snapshot) []string { return []string{s.state(c.now)} },
	"volume-id":   func(_ *call, s *snapshot) []string { return []string{s.volume} },
	"volume-size": func(_ *call, s *snapshot) []string { return []string{strconv.Itoa(s.size)} },
}

// snapshotItem is how EC2 describes a snapshot.
type snapshotItem struct {
	SnapshotID    string       `xml:"snapshotId"`
	VolumeID      string       `xml:"volumeId"`
	Status        string       `xml:"status"`
	StatusMessage string       `xml:"statusMessage,omitempty"`
	StartTime     string       `xml:"startTime"`
	Progress      string       `xml:"progress"`
	OwnerID       string       `xml:"ownerId"`
	OwnerAlias    string       `xml:"ownerAlias,omitempty"`
	VolumeSize    int          `xml:"volumeSize"`
	Description   string       `xml:"description"`
	Encrypted     bool         `xml:"encrypted"`
	KmsKeyID      string       `xml:"kmsKeyId,omitempty"`
	StorageTier   string       `xml:"storageTier"`
	Tags          set[tagItem] `xml:"tagSet"`
}

func (c *call) snapshotItem(s *snapshot) snapshotItem {
	item := snapshotItem{
		SnapshotID: s.id, VolumeID: s.volume, Status: s.state(c.now), StartTime: timestamp(s.started), Progress: s.progress(c.now),
		OwnerID: s.owner, VolumeSize: s.size, Description: s.description, Encrypted: s.key != nil, StorageTier: "standard",
		Tags: tagSet(c.tags(s.id)),
	}
	if s.state(c.now) == "error" {
		item.StatusMessage = s.failure
	}
	if s.key != nil {
		item.KmsKeyID = s.key.arn
	}
	if s.owner == amazonAccount {
		item.OwnerAlias = "amazon"
	}
	return item
}

type snapshotRequest struct {
	SnapshotID string `param:"SnapshotId,required"`
}

// deleteSnapshot rejects the snapshot of an image.
// Fact: EC2-IMG-20.
func deleteSnapshot(c *call, r snapshotRequest) (any, error) {
	s, problem := c.ownSnapshot(r.SnapshotID)
	if problem != nil {
		return nil, problem
	}
	if i := c.imageOf(s); i != nil {
		return nil, badRequest("InvalidSnapshot.InUse", "The snapshot %s is currently in use by %s", s.id, i.id)
	}
	c.removeSnapshot(s)
	return done{true}, nil
}

// imageOf finds an image that uses the snapshot; nil if there is none.
func (c *call) imageOf(s *snapshot) *image {
	var user *image
	for _, i := range c.here().images {
		if slices.Contains(i.snapshots(), s) && (user == nil || i.id < user.id) {
			user = i
		}
	}
	return user
}

func (c *call) removeSnapshot(s *snapshot) {
	delete(c.here().snapshots, s.id)
	delete(c.here().tags, tagged{c.caller.Account, s.id})
}
