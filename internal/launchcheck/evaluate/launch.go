// Package evaluate decides which roles can launch an image in which accounts and
// Regions, and why others can't, from what AWS reports: the launch permissions, the
// keys of the snapshots with their state, policy and grants, and settings of the
// launching accounts. It decides as AWS does (the section "Launching" of
// docs/aws-facts.md) and makes no requests. Absent information is never benign: a
// verdict is [Inconclusive], or it depends on an [Assumption] that the result names.
package evaluate

import (
	"encoding/json"
	"time"
)

// Outcome is the result of a launch, and the state of one link of its chain.
type Outcome string

// Outcomes of a launch.
const (
	Launches Outcome = "launches"
	Fails    Outcome = "fails"
	// Inconclusive launches depend on something that was not read, that AWS does
	// not document, or that this package does not support.
	Inconclusive Outcome = "inconclusive"
	// Pending launches lack only a grant that has not been created yet.
	// [Evaluate] doesn't return it. Callers that know the plan set it.
	Pending Outcome = "pending"
)

// Input is the information about the images and their launchers.
type Input struct {
	// Partition is aws, aws-cn, aws-us-gov or another one. Without it, every
	// verdict is [Inconclusive].
	Partition string
	// Organization is the ID of the images' owner's organization, o-…; empty if
	// it is not known.
	Organization string
	// ManagementAccount is the organization's management account, which service
	// control policies don't affect; empty if it is not known.
	ManagementAccount string
	// Now is the time of the launches. Ages of images count from it.
	Now       time.Time
	Accounts  []Account
	Launchers []Launcher
	Regions   []Region
}

// Account is one in which instances are to be launched.
//
// Its settings are optional. For each that is absent, the verdicts that depend on
// it assume that it doesn't prevent the launch, and the result names the
// [Assumption].
type Account struct {
	ID string // 12 digits
	// Organization is the ID of the account's organization, "none" if it is in
	// none, empty if that is not known.
	Organization string
	// MembershipAssumed means that Organization and Path weren't read.
	MembershipAssumed bool
	// Path is where the account is in the organization, as aws:PrincipalOrgPaths
	// has it: o-…/r-…/ou-…/ou-…/, with the slash at the end. Empty if it is not
	// known. Fact: IAM-EVAL-3.
	Path string
	// DefaultEBSKeys are the account's default keys of EBS encryption by Region. A
	// volume that is restored from the encrypted snapshot of another account gets
	// this key. Fact: LAUNCH-11.
	DefaultEBSKeys map[string]Key
	// AllowedAMIs are the account's settings Allowed AMIs by Region. Fact:
	// EC2-ALLOW-1.
	AllowedAMIs map[string]AllowedAMIs
	// SeesImage says of Regions whether EC2 returns the image to the account. Fact:
	// EC2-ALLOW-2, EC2-IMG-26.
	SeesImage map[string]bool
	// SCPs are the service control policies of each level: the root, the OUs down to
	// the account, and the account. Nil if they are not known; empty, and not nil,
	// if there are none. Fact: IAM-EVAL-13.
	SCPs [][]ControlPolicy
	// Simulations are of the account's roles, by Region and then by path and name. For a
	// role without one, the identity policy of the launcher is assumed.
	Simulations map[string]map[string]Simulation `json:"-"`
	// RegionEnabled says of Regions whether the account has enabled them. Fact:
	// KMS-KEY-16.
	RegionEnabled map[string]bool
}

// ControlPolicy is a service control policy.
type ControlPolicy struct {
	Name     string
	Document json.RawMessage
}

// Launcher is a role that every account has, and that launches instances in it.
type Launcher struct {
	Name string // the usual name, for example Karpenter or EC2 Auto Scaling
	// Role is the role's path and name in each account: what follows role/ in
	// its ARN.
	Role string
	// ServiceLinked roles take no policy. Only grants let them use a customer managed
	// key of another account. Fact: IAM-ROLE-8, GRANT-10.
	ServiceLinked bool
	// Fleet means that it launches with CreateFleet, as Karpenter does.
	Fleet bool
	// Policy is the identity policy that the role is assumed to have, empty if
	// none. Only its statements on KMS count: EC2's actions are assumed to be
	// allowed.
	Policy json.RawMessage
	// Assumed means that the role may have other policies, too: what it may do with
	// the default EBS key of its account isn't known.
	Assumed bool
}

// Region is one Region of a publication.
type Region struct {
	Name  string
	Image Image
	// Keys are the keys of the image's snapshots, by ARN.
	Keys map[string]Key
}

// Image is an image as its owner sees it.
type Image struct {
	ID    string // ami-…
	Name  string // empty if it is not known
	Owner string // account
	State string // available, pending, …; empty if it is not known
	// ProductCodes are those of AWS Marketplace and of EC2. An account needs a
	// subscription to launch an image with one.
	ProductCodes []string
	// Created is when the image was created; zero if it is not known. Deprecated is
	// when other accounts no longer find it; zero for never.
	Created, Deprecated time.Time
	// Launch permissions, in addition to the owner. Fact: EC2-SHARE-1.
	Public              bool
	Accounts            []string // IDs
	Organizations       []string // ARNs
	OrganizationalUnits []string // ARNs
	// Snapshots are those of the image's block devices. If there are none, the
	// snapshots are not known.
	Snapshots []Snapshot
}

// Snapshot is one that the image's volumes are restored from. The zero value is
// one that was not read.
type Snapshot struct {
	ID        string
	Read      bool // DescribeSnapshots returned it
	Encrypted bool
	Key       string // ARN of its KMS key, empty if it is not encrypted or AWS did not return it
}

// Key is a KMS key of one Region.
type Key struct {
	ARN   string
	State string // Enabled, Disabled, PendingDeletion, …; empty if it could not be read
	// AWSManaged keys, such as aws/ebs, can only be used by their own account.
	AWSManaged bool
	Policy     json.RawMessage // empty if it could not be read
	// GrantsUnknown means that the grants could not be read.
	GrantsUnknown bool
	Grants        []Grant
}

// Grant is a grant on a key.
type Grant struct {
	ID      string
	Name    string
	Grantee string // ARN of a role, or the ID of one that was deleted
	// IssuingAccount is the ID of the account whose credentials created the grant;
	// empty if it is not known. Fact: GRANT-18.
	IssuingAccount string
	Operations     []string // Decrypt, CreateGrant, …
	// Constrained grants name an encryption context.
	Constrained bool
}
