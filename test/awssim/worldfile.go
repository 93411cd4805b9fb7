package awssim

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/orgami/packer-plugin-orgami/test/awssim/authz"
)

// WorldFile describes a world to start from.
type WorldFile struct {
	Partition    string            `json:"partition,omitempty"` // default aws
	Organization *OrganizationFile `json:"organization,omitempty"`
	Accounts     []AccountFile     `json:"accounts"`
	Regions      []RegionFile      `json:"regions"`
	Keys         []KeyFile         `json:"keys,omitempty"`
	Images       []ImageFile       `json:"images,omitempty"`
	// Capacity lists what EC2 can't launch.
	Capacity []CapacityFile `json:"capacity,omitempty"`
	Physics  Physics        `json:"physics"`
}

// OrganizationFile is the organization.
type OrganizationFile struct {
	ID                      string     `json:"id"`      // o-…
	RootID                  string     `json:"root_id"` // r-…
	ManagementAccount       string     `json:"management_account"`
	DelegatedAdministrators []string   `json:"delegated_administrators,omitempty"`
	Units                   []UnitFile `json:"organizational_units,omitempty"`
	// ResourceSharing means that sharing with the organization is enabled in AWS RAM.
	// Defaults to false.
	ResourceSharing bool `json:"resource_sharing,omitempty"`
}

// UnitFile is an organizational unit.
type UnitFile struct {
	ID     string `json:"id"` // ou-…
	Name   string `json:"name"`
	Parent string `json:"parent"` // r-… or ou-…
}

// AccountFile is an account.
type AccountFile struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Parent is the organizational unit or root; empty for an account outside
	// the organization.
	Parent string `json:"parent,omitempty"`
	Status string `json:"status,omitempty"` // default ACTIVE
	// EnabledRegions are the opt-in Regions that the account has enabled. The account
	// can't be used in others: not for calls, sessions of its roles or launches.
	EnabledRegions     []string   `json:"enabled_regions,omitempty"`
	Roles              []RoleFile `json:"roles,omitempty"`
	ServiceLinkedRoles []string   `json:"service_linked_roles,omitempty"` // paths and names below "role/"
	// EncryptionByDefault lists the Regions in which EBS encryption by default
	// is on; "*" means all.
	EncryptionByDefault []string `json:"ebs_encryption_by_default,omitempty"`
	// EBSDefaultKey is the default key of EBS encryption by Region; "*" means all.
	// A key is named by ID, ARN or alias. Defaults to alias/aws/ebs.
	EBSDefaultKey map[string]string `json:"ebs_default_kms_key,omitempty"`
	// AllowedImages is the setting Allowed AMIs by Region; "*" means all. Defaults
	// to disabled.
	AllowedImages map[string]AllowedImagesFile `json:"allowed_images,omitempty"`
	// ServiceControlPolicies are the documents of all service control policies that
	// apply to the account. As in AWS, one of them must allow an action, and none
	// may deny it: a list of Denies starts with [FullAWSAccess]. Requires an account
	// of the organization. They have no effect on the management account. Defaults
	// to no restriction.
	ServiceControlPolicies []json.RawMessage `json:"service_control_policies,omitempty"`
	// NoDefaultVPC lists the Regions in which the account's only VPC isn't its
	// default VPC; "*" means all. Defaults to none.
	NoDefaultVPC []string `json:"no_default_vpc,omitempty"`
}

// CapacityFile is an instance type that EC2 can't launch in a zone.
type CapacityFile struct {
	Zone string `json:"zone"`
	// InstanceType defaults to all types.
	InstanceType string `json:"instance_type,omitempty"`
	// Unsupported means that the zone doesn't offer the type. Otherwise it offers the
	// type and is out of capacity.
	Unsupported bool `json:"unsupported,omitempty"`
}

// RoleFile is an IAM role.
type RoleFile struct {
	Name string `json:"name"`
	Path string `json:"path,omitempty"` // default /
	// Trust is the role's trust policy. Defaults to a policy that allows only
	// the account itself.
	Trust    json.RawMessage            `json:"trust,omitempty"`
	Policies map[string]json.RawMessage `json:"policies,omitempty"`
	// PermissionsBoundary is the document of the role's permissions boundary.
	// Defaults to none.
	PermissionsBoundary json.RawMessage `json:"permissions_boundary,omitempty"`
}

// RegionFile is a Region.
type RegionFile struct {
	Name  string `json:"name"`
	OptIn bool   `json:"opt_in,omitempty"`
}

// ReadWorldFile reads a world file.
func ReadWorldFile(path string) (WorldFile, error) {
	var file WorldFile
	content, err := os.ReadFile(path)
	if err != nil {
		return file, err
	}
	decoder := json.NewDecoder(strings.NewReader(string(content)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&file); err != nil {
		return file, fmt.Errorf("reading the world file %s: %w", path, err)
	}
	return file, nil
}

// New creates the world that the file describes.
func New(file WorldFile, options Options) (*World, error) {
	w := &World{
		file: file, options: options, partition: cmp.Or(file.Partition, "aws"),
		accounts: map[string]*account{}, regions: map[string]*region{}, sessions: map[string]session{},
		kms: newKMSState(), ec2: newEC2State(), asg: newASGState(), ssm: ssmState{map[parameterName]*ssmParameter{}}, associationFailures: associationFailures{},
	}
	for _, r := range file.Regions {
		w.regions[r.Name] = &region{name: r.Name, optIn: r.OptIn}
	}
	if o := file.Organization; o != nil {
		w.organization = &organization{
			id: o.ID, rootID: o.RootID, managementAccount: o.ManagementAccount, delegatedAdmins: map[string]bool{}, resourceSharing: o.ResourceSharing,
			units: map[string]*organizationalUnit{},
		}
		for _, id := range o.DelegatedAdministrators {
			w.organization.delegatedAdmins[id] = true
		}
		for _, unit := range o.Units {
			w.organization.units[unit.ID] = &organizationalUnit{id: unit.ID, name: unit.Name, parent: unit.Parent}
		}
	}
	w.ec2.capacity = slices.Clone(file.Capacity)
	for _, a := range file.Accounts {
		if err := w.addAccount(a); err != nil {
			return nil, fmt.Errorf("account %s: %w", a.ID, err)
		}
	}
	for _, key := range file.Keys {
		if err := w.addKeyFile(key); err != nil {
			return nil, fmt.Errorf("key %s: %w", key.KeyID(), err)
		}
	}
	for _, a := range file.Accounts {
		if err := w.setEBSDefaultKeys(a); err != nil {
			return nil, fmt.Errorf("account %s: %w", a.ID, err)
		}
	}
	for _, image := range file.Images {
		if err := w.addImageFile(image); err != nil {
			return nil, fmt.Errorf("image %s: %w", image.Name, err)
		}
	}
	return w, nil
}

func (w *World) addAccount(file AccountFile) error {
	a := &account{
		id: file.ID, name: file.Name, status: cmp.Or(file.Status, "ACTIVE"), enabled: map[string]time.Time{}, roles: map[string]*role{}, managedPolicies: map[string]*managedPolicy{},
		ebsEncryptionByDefault: map[string]bool{}, ebsDefaultKey: map[string]string{}, withoutDefaultVPC: map[string]bool{},
	}
	for _, r := range file.EnabledRegions {
		a.enabled[r] = time.Time{}
	}
	for _, r := range file.NoDefaultVPC {
		a.withoutDefaultVPC[r] = true
		if r == "*" {
			for name := range w.regions {
				a.withoutDefaultVPC[name] = true
			}
		}
	}
	for _, r := range file.EncryptionByDefault {
		a.ebsEncryptionByDefault[r] = true
		if r == "*" {
			for name := range w.regions {
				a.ebsEncryptionByDefault[name] = true
			}
		}
	}
	if file.Parent != "" {
		path, err := w.organization.path(file.Parent)
		if err != nil {
			return err
		}
		a.organizationalUnits = path
	}
	w.accounts[a.id] = a
	if err := errors.Join(w.addAllowedImages(a, file), w.addControlPolicies(a, file)); err != nil {
		return err
	}
	for _, pathName := range file.ServiceLinkedRoles {
		slash := strings.LastIndexByte(pathName, '/') + 1
		if _, problem := w.addRole(a, "/"+pathName[:slash], pathName[slash:], "", time.Time{}); problem != nil {
			return problem
		}
	}
	for _, r := range file.Roles {
		if err := w.addRoleFile(a, r); err != nil {
			return fmt.Errorf("role %s: %w", r.Name, err)
		}
	}
	return nil
}

func (w *World) addRoleFile(a *account, file RoleFile) error {
	trust := string(file.Trust)
	if trust == "" {
		trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + w.arn("iam", "", a.id, "root") + `"},"Action":"sts:AssumeRole"}]}`
	}
	r, problem := w.addRole(a, cmp.Or(file.Path, "/"), file.Name, trust, time.Time{})
	if problem != nil {
		return problem
	}
	for _, name := range slices.Sorted(maps.Keys(file.Policies)) {
		text := string(file.Policies[name])
		parsed, err := authz.ParseIdentityPolicy(text)
		if err != nil {
			return fmt.Errorf("policy %s: %w", name, err)
		}
		r.setPolicy(name, identityPolicy{text, parsed}, time.Time{})
	}
	if len(file.PermissionsBoundary) > 0 {
		parsed, err := authz.ParseIdentityPolicy(string(file.PermissionsBoundary))
		if err != nil {
			return fmt.Errorf("permissions boundary: %w", err)
		}
		r.boundary = parsed
	}
	return nil
}

// path lists the units from the root down to the one with the ID.
func (o *organization) path(id string) ([]string, error) {
	if o == nil {
		return nil, errors.New("the world has no organization")
	}
	if id == o.rootID {
		return []string{id}, nil
	}
	unit := o.units[id]
	if unit == nil {
		return nil, fmt.Errorf("there is no organizational unit %s", id)
	}
	above, err := o.path(unit.parent)
	return append(above, id), err
}
