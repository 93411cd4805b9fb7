// Package manifest defines the files that a run writes for downstream deploys:
// the manifest, the list of grants, and the record of a failure. It is pure
// except for [Write], and doesn't depend on the time: the same publication
// always produces the same bytes.
package manifest

import (
	"iter"

	"github.com/orgami/packer-plugin-orgami/internal/change"
	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
)

// Names of the files in the output directory.
const (
	File              = "orgami.json"
	PlanFile          = "orgami-plan.json"    // the manifest of a run with plan_only
	FailureFile       = "orgami-failure.json" // what a failed run achieved
	KarpenterFile     = "karpenter-kms-policy.json"
	GrantsFile        = "kms-grants.json"
	GrantsScript      = "create-grants.sh"   // the grants that the accounts have to create
	ReportFile        = "orgami-report.html" // the report page, if asked for
	PlanReportFile    = "orgami-plan-report.html"
	FailureReportFile = "orgami-failure-report.html"
)

// SchemaVersion of the manifest and of the grants file. It changes when readers of an
// older version could misinterpret the file. docs/orgami.schema.json describes it.
const SchemaVersion = 1

// Manifest records a publication as AWS read it back.
type Manifest struct {
	SchemaVersion int `json:"schema_version"`
	// Complete means that every Region's image is verified, shared as configured and
	// read back. Don't deploy from a manifest that isn't complete. Grants may still
	// be pending.
	Complete bool `json:"complete"`
	// PlanOnly means that nothing was changed, and that the manifest describes
	// the planned state.
	PlanOnly     bool          `json:"plan_only,omitempty"`
	Partition    string        `json:"partition"`
	Account      string        `json:"account"` // the owner of key and images
	Organization *Organization `json:"organization,omitempty"`
	Sources      []Source      `json:"sources"`
	Key          Key           `json:"key"`
	// Images by Region.
	Images map[string]Image `json:"images"`
	// Parameters name the images, by Region. It is absent if the configuration sets
	// none.
	Parameters map[string]Parameter `json:"parameters,omitempty"`
	Grants     GrantCounts          `json:"grants"`
	Changes    []change.Change      `json:"changes"`
	// LaunchChecks counts the launch checks. It is absent if nothing was checked.
	LaunchChecks *LaunchChecks `json:"launch_checks,omitempty"`
	// PlannedChecks counts the launch checks as they will be once the plan is applied.
	// It is absent unless the run only plans, and something is to change.
	PlannedChecks *LaunchChecks `json:"planned_launch_checks,omitempty"`
	// MemberAccounts says what a role of each member account read for the launch
	// checks. It is absent if nothing was read.
	MemberAccounts *MemberAccounts `json:"member_accounts,omitempty"`
	// Launches are the results of the launch checks, which run before the
	// images are shared. It is absent if nothing was checked.
	Launches evaluate.Matrix `json:"launches,omitempty"`
	// Assumptions are what the launch checks assume because it wasn't read.
	Assumptions []evaluate.Assumption `json:"assumptions,omitempty"`
	// Canary are the launches before the image was shared. It is absent if none was
	// made or planned.
	Canary *Canary `json:"canary,omitempty"`
	// UnpublishedCopies are what failed or interrupted runs left.
	UnpublishedCopies []UnpublishedCopy `json:"unpublished_copies,omitempty"`
	Errors            []string          `json:"errors"`
}

// Canary has the launches in one account before the image was shared.
type Canary struct {
	Account string `json:"account"`
	// PlannedRegions are those that a run would launch in; only in a plan.
	PlannedRegions []string `json:"planned_regions,omitempty"`
	// Launches in the order of Regions.
	Launches []CanaryLaunch `json:"launches,omitempty"`
}

// CanaryLaunch is one launch of a canary.
type CanaryLaunch struct {
	Region  string `json:"region"`
	ImageID string `json:"image_id"`
	// Launcher is RunInstances or Auto Scaling.
	Launcher string `json:"launcher"`
	// Outcome is launched, failed or inconclusive.
	Outcome          string `json:"outcome"`
	InstanceID       string `json:"instance_id,omitempty"`
	InstanceType     string `json:"instance_type,omitempty"`
	AvailabilityZone string `json:"availability_zone,omitempty"`
	// SecondsToRunning is the time from the request to the state running; 0 if the
	// instance never ran.
	SecondsToRunning float64 `json:"seconds_to_running,omitempty"`
	// Reason is AWS's state reason, activity message or error, of launches that weren't
	// successful.
	Reason string `json:"reason,omitempty"`
}

// UnpublishedCopy is a copy that a failed or interrupted run left, or that another
// run is still working on.
type UnpublishedCopy struct {
	Region        string `json:"region"`
	ImageID       string `json:"image_id"`
	Name          string `json:"name"`
	State         string `json:"state"`
	SourceImageID string `json:"source_image_id"`
	SourceRegion  string `json:"source_region"`
	CreationDate  string `json:"creation_date,omitempty"`
	SizeGiB       int32  `json:"size_gib"`
	// SharedWith lists the principals that can launch it although it isn't published.
	// It is absent if that couldn't be read.
	SharedWith *Permissions `json:"shared_with,omitempty"`
	// RemoveCommand is the AWS CLI command that removes the copy. It is empty
	// if the copy may be the only one of its original.
	RemoveCommand string `json:"remove_command,omitempty"`
}

// Failure records what a failed run achieved. The files of the last complete
// publication stay as they are.
type Failure struct {
	SchemaVersion int      `json:"schema_version"`
	Errors        []string `json:"errors"`
	Sources       []Source `json:"sources"`
	KeyID         string   `json:"key_id,omitempty"`
	// Images are those that the run created or found, by Region.
	Images            map[string]FailedImage `json:"images"`
	Launches          evaluate.Matrix        `json:"launches,omitempty"`
	Canary            *Canary                `json:"canary,omitempty"`
	UnpublishedCopies []UnpublishedCopy      `json:"unpublished_copies"`
	// Resume says how to finish; absent if no copy is available.
	Resume *Resume `json:"resume,omitempty"`
}

// FailedImage is the state of a Region's image in a failed run.
type FailedImage struct {
	ImageID  string `json:"image_id"`
	Name     string `json:"name"`
	State    string `json:"state"`
	Origin   string `json:"origin"` // copied, existing or adopted
	Verified bool   `json:"verified"`
	Shared   bool   `json:"shared"`
}

// Resume is the copy from which the publication can be finished, and the template
// that does so.
type Resume struct {
	Region   string `json:"region"`
	ImageID  string `json:"image_id"`
	AMIName  string `json:"ami_name"`
	Template string `json:"template"` // HCL
}

// Organization is the organization that the key and the images are shared with.
type Organization struct {
	ID  string `json:"id"`
	ARN string `json:"arn"`
}

// Source is an image to publish.
type Source struct {
	Region  string `json:"region"`
	ImageID string `json:"image_id"`
	Name    string `json:"name"`
}

// Key is the multi-Region key.
type Key struct {
	ID            string `json:"id,omitempty"`
	Alias         string `json:"alias,omitempty"`
	PrimaryRegion string `json:"primary_region"`
	// WildcardARN matches the key in every Region, for IAM policies.
	WildcardARN string                 `json:"wildcard_arn,omitempty"`
	Regions     map[string]RegionalKey `json:"regions"`
	// PlannedPolicies are the key policies that a plan would set, by Region: those of
	// keys to be created, and those that change.
	PlannedPolicies map[string]policy.Document `json:"planned_policies,omitempty"`
}

// RegionalKey is the key in one Region.
type RegionalKey struct {
	ARN string `json:"arn"`
	// Policy is the key policy as AWS returns it.
	Policy policy.Document `json:"policy"`
	// Digest is over the policy's meaning, not its text.
	Digest string `json:"digest"`
	// Grants counts all grants of this regional key when the run looked, also
	// those of AWS services; KMS allows 50,000.
	Grants int `json:"grants"`
}

// Image is the published image of one Region.
type Image struct {
	ImageID string `json:"image_id"`
	Name    string `json:"name"`
	// Origin is copied (by this run), existing (a copy of an earlier run) or adopted
	// (the source, already encrypted with the key).
	Origin        string      `json:"origin"`
	SourceImageID string      `json:"source_image_id"`
	SourceRegion  string      `json:"source_region"`
	Architecture  string      `json:"architecture"`
	SnapshotIDs   []string    `json:"snapshot_ids"`
	KMSKeyARN     string      `json:"kms_key_arn"`
	Verified      bool        `json:"verified"`
	Shared        bool        `json:"shared"`
	Permissions   Permissions `json:"launch_permissions"`
	// SnapshotAccounts may use the snapshots themselves.
	SnapshotAccounts []string `json:"snapshot_accounts,omitempty"`
	// Family, DeprecationTime (RFC 3339) and DeregistrationProtection are there
	// where the configuration asks for them.
	Family                   string `json:"family,omitempty"`
	DeprecationTime          string `json:"deprecation_time,omitempty"`
	DeregistrationProtection string `json:"deregistration_protection,omitempty"`
}

// Permissions are the principals that an image is shared with.
type Permissions struct {
	Organizations       []string `json:"organizations,omitempty"`
	OrganizationalUnits []string `json:"organizational_units,omitempty"`
	Accounts            []string `json:"accounts,omitempty"`
	Public              bool     `json:"public,omitempty"`
}

// LaunchChecks are the numbers of launch checks, each of one launcher in an account
// and a Region.
type LaunchChecks struct {
	Passed int `json:"passed"`
	Failed int `json:"failed"`
	// Pending checks wait for a grant that is still to be created.
	Pending      int `json:"pending"`
	Inconclusive int `json:"inconclusive"`
	// Seen, Simulated and Assumed count the passed checks by evidence.
	Seen      int `json:"seen"`
	Simulated int `json:"simulated"`
	Assumed   int `json:"assumed"`
}

// MemberAccounts is what was read in member accounts, and what wasn't.
type MemberAccounts struct {
	// Inspected is the number of accounts of which something was read.
	Inspected int      `json:"inspected"`
	Unread    []Unread `json:"unread"`
}

// Unread is something that couldn't be read in some accounts.
type Unread struct {
	Action   string   `json:"action"` // of IAM
	Denied   bool     `json:"denied"`
	Accounts []string `json:"accounts"`
	Error    string   `json:"error"` // in one of the accounts
}

// GrantCounts are the numbers of grants by status.
type GrantCounts struct {
	Created int `json:"created"`
	Exists  int `json:"exists"`
	Skipped int `json:"skipped"`
	// Planned grants would be created by a run that isn't only a plan.
	Planned int `json:"planned"`
	// ToCreate are the grants that their accounts have to create.
	ToCreate int `json:"to_create"`
	// Revoked are grants of earlier runs that this run revoked, LeftOver those that
	// it kept although they're no longer in the configuration or don't count.
	Revoked  int `json:"revoked,omitempty"`
	LeftOver int `json:"left_over,omitempty"`
}

// Grants is the grants file.
type Grants struct {
	SchemaVersion int    `json:"schema_version"`
	KeyID         string `json:"key_id"`
	// Grants in the order of Region, account and role.
	Grants iter.Seq[Grant] `json:"grants"`
}

// Grant is one grant with everything that CreateGrant takes.
type Grant struct {
	Account    string   `json:"account"` // the account whose credentials create the grant
	Role       string   `json:"grantee_principal"`
	Region     string   `json:"region"`
	KeyARN     string   `json:"key_arn"`
	Name       string   `json:"name"`
	Operations []string `json:"operations"`
	Status     string   `json:"status"` // created, exists, skipped, planned, to_create
	Reason     string   `json:"reason,omitempty"`
	GrantID    string   `json:"grant_id,omitempty"`
	Command    string   `json:"command"` // creates the grant, with credentials of the account
}
