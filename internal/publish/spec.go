package publish

import (
	"time"

	"github.com/orgami/packer-plugin-orgami/internal/kmskey"
	"github.com/orgami/packer-plugin-orgami/internal/record/downstream"
	"github.com/orgami/packer-plugin-orgami/internal/retention"
)

// Spec is the validated configuration of a publication as plain values, without
// Packer and without AWS. It omits everything that only AWS knows (the
// organization, the account, the source image's name). The observe stage reads
// that.
type Spec struct {
	// Sources are the images of the artifact, at most one in each Region.
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
	// Retire configures what happens to older generations; nil keeps them.
	Retire      *retention.RetentionPolicy
	WaitTimeout time.Duration
	PlanOnly    bool
	// FailOnDrift returns an error if the plan isn't empty, or if a launch
	// check fails. Set only with PlanOnly.
	FailOnDrift bool
	Check       Check
	// CheckRoles are roles, below "role/", that launch instances in the
	// accounts the way Karpenter's role does.
	CheckRoles []string
	// Canary launches the image in one account before it is shared; nil launches
	// nothing.
	Canary *CanarySpec
	// Report also writes the report as an HTML page.
	Report    bool
	Parameter ParameterSpec
	// Outputs are additional documents for downstream deploys.
	Outputs []downstream.Kind
	// NodeClass is for the output "ec2nodeclass".
	NodeClass downstream.NodeClass
}

// Source is one image of the artifact.
type Source struct {
	Region  string
	ImageID string
}

// KeySpec describes the multi-Region key. Exactly one of Alias and ID is set.
type KeySpec struct {
	Alias string // alias/…
	ID    string // mrk-… or the ARN of the primary or of a replica
	// PrimaryRegion is where the primary is created. PrimaryRegionSet means
	// that the user set it, so a primary in another Region is an error.
	// Otherwise PrimaryRegion is the first of Regions, and is only used when
	// the key is created.
	PrimaryRegion    string
	PrimaryRegionSet bool
	Create           bool
	// Policy is "open" or "hardened".
	Policy string
	// ExtraStatements is the JSON list of statement objects in
	// extra_statements_file. It is nil if there are none.
	ExtraStatements []byte
	Administrators  []string // ARNs
	// KeepOwnerAccess leaves an adopted policy without the statement that gives the
	// owner's account full access.
	KeepOwnerAccess bool
	Rotation        kmskey.Rotation
	Tags            map[string]string
}

// OrganizationSpec names the organization. Empty fields are read from AWS.
type OrganizationSpec struct {
	ID  string // o-…
	ARN string // arn:PARTITION:organizations::MANAGEMENT:organization/o-…
}

// ShareSpec lists the principals that the image is shared with.
type ShareSpec struct {
	Organization        bool
	OrganizationalUnits []string // ARNs
	Accounts            []string // IDs
	// Snapshots also shares the copies' snapshots with Accounts.
	Snapshots bool
	// Prune removes all permissions that aren't configured.
	Prune bool
}

// GrantsSpec describes the required KMS grants. If no accounts are listed or
// discovered, no grants are required.
type GrantsSpec struct {
	Accounts []string
	// Discover adds the organization's active accounts, of the units only if
	// there are any (IDs), without those excluded.
	Discover bool
	// DiscoverRoleARN is the role to assume for listing them. If it is empty,
	// the caller's own credentials are used.
	DiscoverRoleARN     string
	OrganizationalUnits []string
	Exclude             []string
	// Roles are paths and names below "role/":
	// "aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling".
	Roles []string
	// RolesListed means that the configuration lists them: they are expected to
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

// ParameterSpec describes the parameters to set to the image's ID, one in each Region.
type ParameterSpec struct {
	// Name can contain templates, as tags can. If it is empty, no parameter is set.
	Name string
	// Share moves the parameters to the advanced tier, and shares them with the
	// principals that the image is shared with.
	Share bool
	// ExternalAccounts allows accounts outside the organization among them.
	ExternalAccounts bool
}

// CanarySpec says how to launch the image before other accounts can see it.
type CanarySpec struct {
	Account string
	// Role is the path and name of the role that is assumed in the account.
	Role string
	// Regions to launch in. If it is empty, all Regions of the publication.
	Regions []string
	// InstanceType is empty for the smallest type that fits the image.
	InstanceType string
	// Subnets and SecurityGroups are IDs by Region. A Region without one uses a default
	// subnet, and a temporary group.
	Subnets, SecurityGroups map[string]string
	// AutoScaling also launches through an Auto Scaling group.
	AutoScaling bool
	// Timeout bounds the launches of each Region.
	Timeout time.Duration
	// TolerateInconclusive publishes after an inconclusive launch.
	TolerateInconclusive bool
}

// ImageSpec describes the copies.
type ImageSpec struct {
	// Name is the name of every copy. If it is empty, the copies get the source
	// image's name with "-shared" appended, or the unchanged name if the source
	// is a copy of an earlier publication.
	Name           string
	Tags           map[string]string
	SnapshotTags   map[string]string
	CopySourceTags bool
	// Family groups images that are generations of each other; empty if the image
	// belongs to none.
	Family string
	// CopyDuration is the duration of time-based copies in minutes. 0 starts
	// standard copies.
	CopyDuration int64
}
