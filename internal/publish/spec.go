package publish

import (
	"time"

	"github.com/orgami/packer-plugin-orgami/internal/kmskey"
	"github.com/orgami/packer-plugin-orgami/internal/record/downstream"
	"github.com/orgami/packer-plugin-orgami/internal/retention"
)

// Spec is what a publication shall achieve: the validated configuration, as
// plain values, without Packer and without AWS. Everything that AWS has to be
// asked for (the organisation, the account, the source image's name) is absent
// and found out by the look stage.
type Spec struct {
	// Sources are the images of the artifact, one per region at most.
	Sources []Source
	// Regions in which the image is to be published, without duplicates, in
	// the user's order.
	Regions      []string
	Key          KeySpec
	Organization OrganizationSpec
	Share        ShareSpec
	Grants       GrantsSpec
	Image        ImageSpec
	Lifecycle    retention.Lifecycle
	// Retire says what becomes of older generations; nil leaves them alone.
	Retire      *retention.RetentionPolicy
	WaitTimeout time.Duration
	PlanOnly    bool
	// FailOnDrift makes a plan that is not empty, or under which somebody cannot
	// launch, an error. Set only with PlanOnly.
	FailOnDrift bool
	Check       Check
	// CheckRoles are roles, below "role/", that launch instances in the accounts
	// as Karpenter's does.
	CheckRoles []string
	// Report asks for the report as a page.
	Report bool
	// Parameter is the name of the parameter that is to name the image in each
	// region, with templates as tags have; empty sets none.
	Parameter string
	// Outputs are further documents, for the deploys downstream.
	Outputs []downstream.Kind
}

// Source is one image that the artifact brings.
type Source struct {
	Region  string
	ImageID string
}

// KeySpec describes the multi-Region key. Exactly one of Alias and ID is set.
type KeySpec struct {
	Alias string // alias/…
	ID    string // mrk-… or the ARN of the primary or of a replica
	// PrimaryRegion is where the primary is made. PrimaryRegionSet says that
	// the user named it, so that a primary elsewhere is an error; otherwise it
	// is the first of Regions and only used when the key is created.
	PrimaryRegion    string
	PrimaryRegionSet bool
	Create           bool
	// Policy is "open" or "hardened".
	Policy string
	// ExtraStatements is the JSON of the statements that extra_statements_file
	// holds: a list of statement objects; nil when there are none.
	ExtraStatements []byte
	Administrators  []string // ARNs
	// KeepOwnerAccess leaves an adopted policy without the statement that gives the
	// owner's account full access.
	KeepOwnerAccess bool
	Rotation        kmskey.Rotation
	Tags            map[string]string
}

// OrganizationSpec names the organisation; empty fields are asked of AWS.
type OrganizationSpec struct {
	ID  string // o-…
	ARN string // arn:PARTITION:organizations::MANAGEMENT:organization/o-…
}

// ShareSpec says with whom the image is shared.
type ShareSpec struct {
	Organization        bool
	OrganizationalUnits []string // ARNs
	Accounts            []string // ids
	// Snapshots says to share the copies' snapshots with Accounts as well.
	Snapshots bool
	// Prune takes away the permissions of everybody else.
	Prune bool
}

// GrantsSpec says which KMS grants are needed. With no Accounts, and none that are
// discovered, there are none.
type GrantsSpec struct {
	Accounts []string
	// Discover adds the organisation's active accounts, of the units only if
	// there are any (ids), without those excluded.
	Discover bool
	// DiscoverRoleARN is a role that is assumed to list them; empty means the
	// caller does.
	DiscoverRoleARN     string
	OrganizationalUnits []string
	Exclude             []string
	// Roles are paths and names below "role/":
	// "aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling".
	Roles []string
	// RolesListed says that the configuration lists them: they are expected to
	// exist in every account.
	RolesListed bool
	// MemberRole is the path and name of the role that is assumed in each account
	// to create its grants. If it is empty, the accounts create them.
	MemberRole string
	// MissingRole is "skip" or "fail".
	MissingRole string
	// Prune revokes grants of earlier runs that are no longer configured, and those
	// that grants of the role's own account replaced.
	Prune bool
}

// ImageSpec describes the copies.
type ImageSpec struct {
	// Name of every copy; empty means the source image's name with "-shared", or
	// as it is if the source is a copy of an earlier publication.
	Name           string
	Tags           map[string]string
	SnapshotTags   map[string]string
	CopySourceTags bool
	// Family groups images that are generations of each other; empty if the image
	// belongs to none.
	Family string
	// CopyDuration, in minutes, makes the copies time-based ones; 0 does not.
	CopyDuration int64
}
