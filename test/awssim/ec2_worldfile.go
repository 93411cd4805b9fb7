package awssim

import (
	"cmp"
	"fmt"
	"time"
)

// ImageFile is an image of a world file, available from the start.
type ImageFile struct {
	// Account owns the image.
	Account string `json:"account"`
	Region  string `json:"region"`
	// ID by default depends on account, Region and name.
	ID          string `json:"id,omitempty"`
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	// Architecture is x86_64, the default, or arm64.
	Architecture string `json:"architecture,omitempty"`
	// BootMode is legacy-bios, uefi or uefi-preferred. Defaults to no boot
	// mode.
	BootMode string `json:"boot_mode,omitempty"`
	// IMDSSupport and TPMSupport are v2.0, SriovNetSupport is simple. Each
	// defaults to none.
	IMDSSupport     string `json:"imds_support,omitempty"`
	TPMSupport      string `json:"tpm_support,omitempty"`
	SriovNetSupport string `json:"sriov_net_support,omitempty"`
	// ENASupport defaults to true.
	ENASupport *bool `json:"ena_support,omitempty"`
	// ProductCodes are those of AWS Marketplace.
	ProductCodes []string `json:"product_codes,omitempty"`
	// RootDeviceType is ebs, the default, or instance-store.
	RootDeviceType string `json:"root_device_type,omitempty"`
	// Snapshots are the sizes of the snapshots in GiB; by default one of 8.
	Snapshots []int `json:"snapshots,omitempty"`
	// Encrypted means that the account's aws/ebs key encrypts the snapshots, or the
	// key that KMSKey names.
	Encrypted bool `json:"encrypted,omitempty"`
	// KMSKey is the ARN or alias of a key of the world file. Requires Encrypted.
	KMSKey string            `json:"kms_key,omitempty"`
	Tags   map[string]string `json:"tags,omitempty"`
	// LaunchPermissions are account IDs and ARNs of organizations and units.
	LaunchPermissions []string `json:"launch_permissions,omitempty"`
	// Public images can be launched and copied by everyone.
	Public bool `json:"public,omitempty"`
}

// baseRelease is the creation time of the images that exist from the start: before
// anything else, also where the clock is that of testing/synctest, which starts with
// the year 2000.
var baseRelease = time.Date(1999, time.December, 31, 0, 0, 0, 0, time.UTC)

// BaseImage is the ID of Amazon's public x86_64 image of Amazon Linux 2023 in every
// Region.
func BaseImage(region string) string { return baseImage(region, "x86_64").ID }

func baseImage(region, architecture string) ImageFile {
	file := ImageFile{
		Account: amazonAccount, Region: region, Name: "al2023-ami-2023.10.20260114.0-kernel-6.12-" + architecture, Architecture: architecture,
		Description: "Amazon Linux 2023 AMI", BootMode: "uefi-preferred", Public: true,
	}
	if architecture == "arm64" {
		file.BootMode = "uefi"
	}
	file.ID = derivedID("ami-", file.Account, file.Region, file.Name)
	return file
}

// addImageFile adds an image of a world file.
func (w *World) addImageFile(file ImageFile) error {
	if w.accounts[file.Account] == nil {
		return fmt.Errorf("there is no account %q", file.Account)
	}
	if w.regions[file.Region] == nil {
		return fmt.Errorf("there is no region %q", file.Region)
	}
	if problem := checkImageName(file.Name); problem != nil {
		return problem
	}
	file.ID = cmp.Or(file.ID, derivedID("ami-", file.Account, file.Region, file.Name))
	if !imageIDPattern.MatchString(file.ID) {
		return fmt.Errorf("the id %q is not that of an image", file.ID)
	}
	for _, name := range file.LaunchPermissions {
		permission := permissionsOf(map[string]bool{name: true}, false).Items[0]
		if problem := permission.check(w); problem != nil {
			return problem
		}
	}
	if file.KMSKey != "" {
		_, problem := w.resolveKey(file.Account, file.Region, file.KMSKey, baseRelease.Add(w.options.PropagationLag))
		if problem != nil || !file.Encrypted {
			return fmt.Errorf("kms_key %q requires a key of the region, and encrypted: %w", file.KMSKey, cmp.Or(problem, badRequest("NotEncrypted", "encrypted is not set")))
		}
	}
	r := w.ec2In(file.Region)
	if r.images[file.ID] != nil {
		return fmt.Errorf("there are two images %s in %s", file.ID, file.Region)
	}
	w.addFiledImage(r, file, baseRelease)
	return nil
}

// addFiledImage adds an image that has been checked.
func (w *World) addFiledImage(r *ec2Region, file ImageFile, created time.Time) {
	i := &image{
		id: file.ID, region: file.Region, owner: file.Account, name: file.Name, description: file.Description,
		architecture: cmp.Or(file.Architecture, "x86_64"), bootMode: file.BootMode, rootDeviceType: cmp.Or(file.RootDeviceType, "ebs"),
		virtualizationType: "hvm", ena: file.ENASupport == nil || *file.ENASupport, created: created,
		imds: file.IMDSSupport, tpm: file.TPMSupport, sriov: file.SriovNetSupport, productCodes: file.ProductCodes, public: file.Public, shared: map[string]bool{},
	}
	for _, name := range file.LaunchPermissions {
		i.shared[name] = true
	}
	r.images[i.id] = i
	r.tags[tagged{i.owner, i.id}] = file.Tags
	if i.rootDeviceType != "ebs" {
		i.devices = []device{{name: "/dev/sda1", virtual: "ephemeral0"}}
		return
	}
	i.rootDeviceName = "/dev/xvda"
	sizes := file.Snapshots
	if len(sizes) == 0 {
		sizes = []int{8}
	}
	for n, size := range sizes {
		name := fmt.Sprintf("/dev/xvd%c", 'a'+n)
		s := &snapshot{
			id: derivedID("snap-", i.id, name), region: i.region, owner: i.owner, size: size, volume: "vol-ffffffff",
			description: "Snapshot of " + i.name, started: created, readyAt: created, public: file.Public, shared: map[string]bool{},
		}
		if file.Encrypted {
			s.key = w.awsManagedKey(i.owner, i.region)
			if k, problem := w.resolveKey(i.owner, i.region, file.KMSKey, baseRelease.Add(w.options.PropagationLag)); file.KMSKey != "" && problem == nil {
				s.key = k
			}
		}
		r.snapshots[s.id] = s
		i.devices = append(i.devices, device{name: name, snapshot: s, size: size, volumeType: defaultVolumeType, deleteOnTermination: true})
	}
}

// addBaseImages adds what Amazon publishes in a Region.
func (w *World) addBaseImages(region string, r *ec2Region) {
	for _, architecture := range []string{"x86_64", "arm64"} {
		w.addFiledImage(r, baseImage(region, architecture), baseRelease)
	}
}
