// Package ami describes, copies, verifies and shares the images of a publication,
// one in each Region.
//
// [ReadSource] and [Observe] only read, [Diff] is pure, and [Copy], [Share] and
// [MarkPublished] write. [Share] takes only [Verified] images, which only
// [Verify] returns. Nothing in this package deregisters, disables or unshares an
// image, except [Prune] and [Unshare], which remove launch permissions when asked to.
package ami

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// Clients returns a Region's EC2 client. It is a function, and EC2's paginators
// get functions too: converting a client to an interface makes the linker keep
// all of EC2's operations, which are 30 MB.
type Clients func(region string) *ec2.Client

// Image is what EC2 reports of an image, as far as publishing depends on it.
type Image struct {
	Region       string
	ID           string
	Name         string
	Description  string
	Owner        string // account id
	State        string
	StateReason  string
	CreationDate string // RFC 3339
	RootDevice   string // ebs or instance-store
	// Hardware holds the attributes that a copy must keep: architecture, boot mode,
	// TPM, ENA, virtualization.
	Hardware  Hardware
	Snapshots []Snapshot
	// Unresolved is how many EBS volumes of the image have no snapshot ID: it isn't
	// known which keys encrypt them.
	Unresolved int
	// ProductCodes are those of AWS Marketplace. Launching such an image requires a
	// subscription.
	ProductCodes []string
	Tags         map[string]string
	// Deprecation is when EC2 hides the image from accounts that it is shared with. It
	// is zero for never.
	Deprecation time.Time
	Protection  Protection
}

// Hardware describes the machines that can launch the image.
type Hardware struct {
	Architecture, BootMode, TPM, IMDS, Virtualization, RootDeviceName, SRIOV string
	ENA                                                                      bool
}

// Snapshot is one snapshot behind an image.
type Snapshot struct {
	ID        string
	Device    string
	Size      int32 // GiB
	Encrypted bool
	// Read is set if DescribeSnapshots returned the snapshot. Without it, the fields
	// below are unknown, not empty.
	Read     bool
	State    string // pending, completed, error
	KeyARN   string // "" when it is not encrypted
	Progress string // "37%"
}

func newImage(region string, described types.Image) Image {
	image := Image{
		Region:       region,
		ID:           aws.ToString(described.ImageId),
		Name:         aws.ToString(described.Name),
		Description:  aws.ToString(described.Description),
		Owner:        aws.ToString(described.OwnerId),
		State:        string(described.State),
		CreationDate: aws.ToString(described.CreationDate),
		RootDevice:   string(described.RootDeviceType),
		Hardware: Hardware{
			Architecture:   string(described.Architecture),
			BootMode:       string(described.BootMode),
			TPM:            string(described.TpmSupport),
			IMDS:           string(described.ImdsSupport),
			Virtualization: string(described.VirtualizationType),
			RootDeviceName: aws.ToString(described.RootDeviceName),
			SRIOV:          aws.ToString(described.SriovNetSupport),
			ENA:            aws.ToBool(described.EnaSupport),
		},
		Tags:       tagMap(described.Tags),
		Protection: Protection(aws.ToString(described.DeregistrationProtection)),
	}
	image.Deprecation, _ = time.Parse(time.RFC3339, aws.ToString(described.DeprecationTime)) // zero if the image has no deprecation time
	if described.StateReason != nil {
		image.StateReason = aws.ToString(described.StateReason.Message)
	}
	for _, code := range described.ProductCodes {
		image.ProductCodes = append(image.ProductCodes, aws.ToString(code.ProductCodeId))
	}
	for _, mapping := range described.BlockDeviceMappings {
		if mapping.Ebs == nil {
			continue // an instance-store volume
		}
		if aws.ToString(mapping.Ebs.SnapshotId) == "" {
			image.Unresolved++ // a pending copy has no snapshots yet
			continue
		}
		image.Snapshots = append(image.Snapshots, Snapshot{
			ID:        aws.ToString(mapping.Ebs.SnapshotId),
			Device:    aws.ToString(mapping.DeviceName),
			Size:      aws.ToInt32(mapping.Ebs.VolumeSize),
			Encrypted: aws.ToBool(mapping.Ebs.Encrypted),
		})
	}
	slices.SortFunc(image.Snapshots, func(a, b Snapshot) int { return strings.Compare(a.Device, b.Device) })
	return image
}

// DeprecationTime is the time of deprecation as RFC 3339, "" if there is none.
func (i Image) DeprecationTime() string {
	if i.Deprecation.IsZero() {
		return ""
	}
	return i.Deprecation.UTC().Format(time.RFC3339)
}

// SnapshotIDs lists the image's snapshots in the order of their devices.
func (i Image) SnapshotIDs() []string {
	ids := make([]string, len(i.Snapshots))
	for n, s := range i.Snapshots {
		ids[n] = s.ID
	}
	return ids
}

// KeyARN is the key of all snapshots, "" when they have none or several.
func (i Image) KeyARN() string {
	if len(i.Snapshots) == 0 || !i.UnderKey(i.Snapshots[0].KeyARN) {
		return ""
	}
	return i.Snapshots[0].KeyARN
}

// UnderKey reports whether the image has snapshots and EC2 reported each of
// them as encrypted with exactly this key. A single snapshot that is encrypted
// with another key makes the image unusable for other accounts.
func (i Image) UnderKey(keyARN string) bool {
	return len(i.Snapshots) > 0 && keyARN != "" && !slices.ContainsFunc(i.Snapshots, func(s Snapshot) bool {
		return !s.Read || !s.Encrypted || s.KeyARN != keyARN
	})
}

// contradicts reports whether EC2 reported a snapshot of the image that isn't encrypted
// with the key. A snapshot that wasn't returned doesn't count: it may not be visible
// yet.
func (i Image) contradicts(keyARN string) bool {
	return slices.ContainsFunc(i.Snapshots, func(s Snapshot) bool {
		return s.Read && (!s.Encrypted || s.KeyARN != "" && s.KeyARN != keyARN)
	})
}

// dead reports whether the image can never become available.
func (i Image) dead() bool {
	switch types.ImageState(i.State) {
	case types.ImageStateFailed, types.ImageStateError, types.ImageStateInvalid, types.ImageStateDeregistered:
		return true
	default:
		return false
	}
}

func (i Image) available() bool { return i.State == string(types.ImageStateAvailable) }

func (i Image) disabled() bool { return i.State == string(types.ImageStateDisabled) }

func tagMap(tags []types.Tag) map[string]string {
	if len(tags) == 0 {
		return nil
	}
	m := make(map[string]string, len(tags))
	for _, tag := range tags {
		m[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	return m
}

func tagList(tags map[string]string) []types.Tag {
	list := make([]types.Tag, 0, len(tags))
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, types.Tag{Key: aws.String(key), Value: aws.String(tags[key])})
	}
	return list
}

// age is the sort key of images, the oldest first.
func (i Image) age() string { return i.CreationDate + i.ID }

// imagesPerFilter bounds the values of one filter: EC2 allows 200.
const imagesPerFilter = 200
