package awssim

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"
	"time"

	"github.com/orgami/packer-plugin-orgami/test/awssim/authz"
)

// Options are the timing and limits of a world. The zero value is a world in which
// everything happens at once and nothing is limited.
type Options struct {
	// Latency is how long every call takes, before it has any effect.
	Latency time.Duration
	// PropagationLag is how long KMS key policies, aliases, grants and IAM
	// policies take until readers and authorization see them. Fact: KMS-KEY-24,
	// GRANT-24.
	PropagationLag time.Duration
	// KeyCreationTime is how long a replica key is Creating. Fact: KMS-MRK-10.
	KeyCreationTime time.Duration
	// CopyTime is how long an image copy is pending; by Region where
	// CopyTimes has an entry.
	CopyTime  time.Duration
	CopyTimes map[string]time.Duration
	// ImageLag is how long a new copy is InvalidAMIID.NotFound to readers.
	// Fact: EC2-IMG-27.
	ImageLag time.Duration
	// BuildTime is how long instances take to run and stop, and how long
	// CreateImage is pending.
	BuildTime time.Duration
	// StatusCheckTime is how long the status checks of an instance are initializing
	// once it runs. Fact: EC2-INST-2.
	StatusCheckTime time.Duration
	// Quotas turns on AWS's documented request quotas. Fact: QUOTA-1 to QUOTA-6.
	Quotas bool
	// AcceptUnknownOrganizations makes EC2 accept launch permissions for organizations
	// and units that the world doesn't have. AWS documents that an image can be shared
	// with other organizations, but not what it does with an ARN that names none. Fact:
	// EC2-SHARE-6, EC2-SHARE-7. Defaults to false.
	AcceptUnknownOrganizations bool
	CopyOptions
}

// CopyOptions choose between behaviors of CopyImage and DeregisterImage that AWS
// doesn't document. A client must work with all of them. The zero value behaves as AWS
// documents or, where it documents nothing, as field reports say.
type CopyOptions struct {
	// RefuseTakenNames makes CopyImage reject the name of another image of the
	// account in the destination Region with InvalidAMIName.Duplicate, as
	// CreateImage does. AWS documents no such rule for CopyImage, and repeated
	// copies are known to create several images of one name
	// (openshift/openshift-tools#993). Defaults to false.
	RefuseTakenNames bool `json:"refuse_taken_names,omitempty"`
	// PendingCopiesNeedSource makes a pending copy fail when its source image is
	// deregistered. The EC2 guide ("Copy an Amazon EC2 AMI") says that you can
	// deregister the source with no effect on the target, but not that this holds
	// for a pending target. Defaults to false: the copy completes.
	PendingCopiesNeedSource bool `json:"pending_copies_need_source,omitempty"`
	// TokenMemory is how long a client token is remembered after its first use.
	// AWS documents at least 24 hours for RunInstances and nothing for CopyImage
	// ("Ensuring idempotency in Amazon EC2 API requests"). Defaults to 0: forever.
	TokenMemory time.Duration `json:"-"`
	// ConcurrentCopies is how many copies an account can have pending in a
	// destination Region. One more is rejected with ResourceLimitExceeded. Defaults
	// to 300, AWS's quota. Fact: EC2-COPY-31.
	ConcurrentCopies int `json:"concurrent_copies,omitempty"`
	// DeregisterLag is how long DescribeImages returns an image that was
	// deregistered, as it was. AWS documents "a short interval" without its length
	// or the image's state then. Defaults to 0.
	DeregisterLag time.Duration `json:"-"`
}

// World is one simulated AWS: an organization, its accounts, and their
// resources in every Region. It is safe for concurrent use.
type World struct {
	mu      sync.Mutex
	file    WorldFile
	options Options

	partition    string // aws, aws-cn, aws-us-gov
	organization *organization
	accounts     map[string]*account // by account id
	regions      map[string]*region  // by name
	sessions     map[string]session  // by access key id

	kms kmsState
	ssm ssmState
	ec2 ec2State
	asg asgState
	// shares are the resource shares of AWS RAM.
	shares              []*resourceShare
	associationFailures associationFailures

	journal journal
	behind  behind
	faults  faultPlan
	quotas  quotaState

	onCall func(Entry)

	nextID uint64
}

// region is a Region of the partition. Fact: KMS-MRK-5, NET-4.
type region struct {
	name string
	// optIn says that accounts must opt in before they can use the Region.
	optIn bool
}

// account is one AWS account.
type account struct {
	id   string
	name string
	// organizationalUnits is the path below the organization's root, the root
	// itself first: r-ab12, ou-ab12-11111111, … Empty for an account outside
	// the organization.
	organizationalUnits []string
	// status is ACTIVE, SUSPENDED or PENDING_CLOSURE. Fact: ORG-6.
	status string
	// enabled lists the opt-in Regions that this account has enabled, with the time from
	// which they can be used.
	enabled         map[string]time.Time
	roles           map[string]*role          // by path and name: "aws-service-role/autoscaling.amazonaws.com/AWSService…"
	managedPolicies map[string]*managedPolicy // by ARN
	// ebsEncryptionByDefault by Region. Fact: EC2-API-4.
	ebsEncryptionByDefault map[string]bool
	// ebsDefaultKey is a key's ARN by Region, "" for aws/ebs.
	ebsDefaultKey map[string]string
	// allowedImages is the setting Allowed AMIs by Region. Fact: EC2-ALLOW-1.
	allowedImages map[string]*allowedImages
	// controlPolicies are the service control policies that apply to the account.
	controlPolicies []*authz.Policy
	// withoutDefaultVPC lists the Regions where the account's VPC isn't the default
	// one.
	withoutDefaultVPC map[string]bool
}

// organization is the AWS organization that the accounts belong to.
type organization struct {
	id                string // o-…
	rootID            string // r-…
	managementAccount string
	delegatedAdmins   map[string]bool
	units             map[string]*organizationalUnit // by id
	// resourceSharing says that RAM shares with the organization. Fact: RAM-2.
	resourceSharing bool
}

type organizationalUnit struct {
	id, name, parent string
}

// newID returns prefix followed by n hexadecimal digits that no other resource of this
// world has. IDs depend only on the order of creation, so that a run can be repeated
// exactly.
func (w *World) newID(prefix string, n int) string {
	w.nextID++
	sum := sha256.Sum256(fmt.Appendf(nil, "%s-%d", prefix, w.nextID))
	return prefix + hex.EncodeToString(sum[:])[:n]
}

// enabledIn reports whether the account can use the Region.
func (a *account) enabledIn(r *region, now time.Time) bool {
	from, enabled := a.enabled[r.name]
	return !r.optIn || enabled && !from.After(now)
}
