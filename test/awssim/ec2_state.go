package awssim

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
)

// ec2State is the state of EC2. Everything in it is regional.
type ec2State struct {
	regions map[string]*ec2Region // by name
	// capacity has the instance types that can't be launched.
	capacity []CapacityFile
}

func newEC2State() ec2State { return ec2State{regions: map[string]*ec2Region{}} }

// ec2Region is the state of EC2 in one Region, for all accounts.
type ec2Region struct {
	images         map[string]*image         // by id
	deregistered   map[string]*image         // by id
	snapshots      map[string]*snapshot      // by id
	volumes        map[string]*volume        // by id
	instances      map[string]*instance      // by id
	networks       map[string]*network       // by account
	securityGroups map[string]*securityGroup // by id
	keyPairs       map[string]*keyPair       // by id
	// launchTemplates by ID.
	launchTemplates map[string]*launchTemplate
	// usageReports by ID, and the reasons for which the next ones fail.
	usageReports   map[string]*usageReport
	reportFailures []string
	tags           map[tagged]map[string]string
	tokens         map[idempotency]madeBefore
	// failures are the reasons for which the next copies fail.
	failures []string
	// sharing holds, by account, whether images can be public: "unblocked", or
	// "block-new-sharing" where there is no entry.
	sharing map[string]string
}

// tagged is a resource and the account that tagged it. An account sees only its own
// tags, even on another account's resource. Fact: EC2-SHARE-16.
type tagged struct{ account, resource string }

// idempotency identifies a client token: its account, Region and operation.
type idempotency struct{ account, operation, token string }

// madeBefore is the result of an earlier call with a client token. It outlives the
// created resource.
type madeBefore struct {
	parameters string
	id         string
	at         time.Time
}

// ec2In returns EC2 in the Region.
func (w *World) ec2In(region string) *ec2Region {
	r := w.ec2.regions[region]
	if r == nil {
		r = &ec2Region{
			images: map[string]*image{}, deregistered: map[string]*image{}, snapshots: map[string]*snapshot{}, volumes: map[string]*volume{},
			instances: map[string]*instance{}, networks: map[string]*network{}, securityGroups: map[string]*securityGroup{},
			keyPairs: map[string]*keyPair{}, launchTemplates: map[string]*launchTemplate{}, usageReports: map[string]*usageReport{}, tags: map[tagged]map[string]string{}, tokens: map[idempotency]madeBefore{},
			sharing: map[string]string{},
		}
		w.ec2.regions[region] = r
		w.addBaseImages(region, r)
	}
	return r
}

// here is EC2 in the Region that is called.
func (c *call) here() *ec2Region { return c.w.ec2In(c.region) }

// account is the caller's account.
func (c *call) account() *account { return c.w.accounts[c.caller.Account] }

// image is an AMI in one Region.
type image struct {
	id, region, owner, name, description        string
	architecture, bootMode, rootDeviceType      string
	rootDeviceName, virtualizationType          string
	sriov, imds, tpm                            string
	ena                                         bool
	sourceImage, sourceRegion, sourceInstanceID string
	created                                     time.Time
	devices                                     []device
	// readyAt is when the state pending ends. The image is then available or, if
	// failure is set, failed.
	readyAt time.Time
	failure *stateReasonItem
	copied  bool
	// visibleFrom is when readers see the image, including those of its owner. Fact:
	// EC2-IMG-27.
	visibleFrom  time.Time
	disabled     bool
	deprecatedAt time.Time
	// deregisteredAt is zero while the image exists.
	deregisteredAt time.Time
	// productCodes are those of AWS Marketplace.
	productCodes []string
	protection   protection
	public       bool
	// shared has user IDs and ARNs of organizations and their units.
	shared map[string]bool
}

// protection is an image's deregistration protection. With a cooldown, it stays in
// force for a day after it is disabled.
type protection struct {
	enabled, cooldown bool
	until             time.Time
}

// device is a block device mapping of an image.
type device struct {
	name     string
	virtual  string // ephemeral0, … for instance store volumes
	snapshot *snapshot
	// size is in GiB.
	size                int
	volumeType          string
	deleteOnTermination bool
}

// snapshot is an EBS snapshot in one Region.
type snapshot struct {
	id, region, owner, description string
	volume                         string
	size                           int // GiB
	// key encrypts the snapshot. It is nil if the snapshot isn't encrypted. A failed
	// snapshot may have an unusable key.
	key              *kmsKey
	started, readyAt time.Time
	failure          string
	public           bool
	shared           map[string]bool // account IDs
}

// volume is an EBS volume.
type volume struct {
	id, region, owner, zone string
	volumeType              string
	size                    int // GiB
	snapshot                string
	key                     *kmsKey // nil if not encrypted
	created                 time.Time
	attachment              *attachment
}

// attachment is the attachment of a volume to an instance.
type attachment struct {
	instance, device    string
	deleteOnTermination bool
	// grant is the ID of EC2's grant on the volume's key, which holds while the
	// volume is attached; empty if the volume is not encrypted. Fact: GRANT-31.
	grant string
	at    time.Time
}

func (i *image) resourceID() string         { return i.id }
func (s *snapshot) resourceID() string      { return s.id }
func (v *volume) resourceID() string        { return v.id }
func (i *instance) resourceID() string      { return i.id }
func (g *securityGroup) resourceID() string { return g.id }
func (k *keyPair) resourceID() string       { return k.id }

// derivedID returns prefix and 17 hexadecimal digits that depend on the parts alone. It
// names resources that exist from the start, such as a default VPC, so that reading
// them takes no ID from the world's counter.
func derivedID(prefix string, parts ...string) string {
	sum := sha256.Sum256([]byte(prefix + strings.Join(parts, "\x00")))
	return prefix + hex.EncodeToString(sum[:])[:17]
}

// newEC2ID returns a new ID such as ami-0123456789abcdef0.
func (w *World) newEC2ID(prefix string) string { return w.newID(prefix+"-", 17) }
