// Package evaluate decides who can launch an image where, and why not, from what
// AWS reports: the launch permissions, the keys of the snapshots, and the state,
// the policy and the grants of these keys. It decides as AWS does (Fact: LAUNCH-1, KMS-KEY-15, GRANT-9),
// and asks AWS nothing. Absent information is never benign: what was not read or
// is not supported makes a verdict [Inconclusive], never [Launches].
package evaluate

import "encoding/json"

// Outcome is how a launch ends, and how one link of its chain stands.
type Outcome string

// Outcomes of a launch.
const (
	Launches Outcome = "launches"
	Fails    Outcome = "fails"
	// Inconclusive launches depend on something that was not read, that AWS does
	// not document, or that this package does not support.
	Inconclusive Outcome = "inconclusive"
	// Pending launches lack only a grant that has not been created yet. [Evaluate]
	// does not return it: whoever knows the plan sets it.
	Pending Outcome = "pending"
)

// Input is what is known of the images and of those who are to launch them.
type Input struct {
	// Partition is aws, aws-cn, aws-us-gov or another one. Without it, every
	// verdict is [Inconclusive].
	Partition string
	// Organization is the id of the images' owner's organization, o-…; empty if
	// it is not known.
	Organization string
	Accounts     []Account
	Launchers    []Launcher
	Regions      []Region
}

// Account is one in which instances are to be launched.
type Account struct {
	ID string // 12 digits
	// Organization is the id of the account's organization, "none" if it is in
	// none, empty if that is not known.
	Organization string
	// Path is where the account is in the organization, as aws:PrincipalOrgPaths
	// has it: o-…/r-…/ou-…/ou-…/, with the slash at the end. Empty if it is not
	// known. Fact: IAM-EVAL-3.
	Path string
}

// Launcher is a role that every account has, and that launches instances in it.
type Launcher struct {
	Name string // as people know it: Karpenter, EC2 Auto Scaling
	// Role is the role's path and name in each account: what follows role/ in
	// its ARN.
	Role string
	// ServiceLinked roles take no policy: what they may do with a customer
	// managed key they may by grants alone. Fact: IAM-ROLE-8.
	ServiceLinked bool
	// Policy is the identity policy that the role is assumed to have, empty if
	// none. EC2's own actions are taken for allowed; it is asked for KMS's only.
	Policy json.RawMessage
}

// Region is one region of a publication.
type Region struct {
	Name  string
	Image Image
	// Keys are the keys of the image's snapshots, by ARN.
	Keys map[string]Key
}

// Image is an image as its owner sees it.
type Image struct {
	ID    string // ami-…
	Owner string // account
	State string // available, pending, …; empty if it is not known
	// ProductCodes are those of AWS Marketplace and of EC2. An account needs a
	// subscription to launch an image with one.
	ProductCodes []string
	// Launch permissions, in addition to the owner. Fact: EC2-SHARE-4.
	Public              bool
	Accounts            []string // ids
	Organizations       []string // ARNs
	OrganizationalUnits []string // ARNs
	// Snapshots are those of the image's block devices. An image without any is
	// one of which they are not known.
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

// Key is a KMS key of one region.
type Key struct {
	ARN   string
	State string // Enabled, Disabled, PendingDeletion, …; empty if it could not be read
	// AWSManaged keys, such as aws/ebs, are of use to their own account only.
	AWSManaged bool
	Policy     json.RawMessage // empty if it could not be read
	// GrantsUnknown says that the grants could not be read.
	GrantsUnknown bool
	Grants        []Grant
}

// Grant is a grant on a key. Fact: GRANT-7.
type Grant struct {
	ID         string
	Name       string
	Grantee    string   // ARN of a role, or the id of one that was deleted
	Operations []string // Decrypt, CreateGrant, …
	// Constrained grants name an encryption context.
	Constrained bool
}
