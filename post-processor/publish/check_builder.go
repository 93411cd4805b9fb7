package publish

import (
	"fmt"

	"github.com/orgami/packer-plugin-orgami/internal/artifact"
)

// Ids of the components of github.com/hashicorp/amazon.
const (
	amazonEBS          = "mitchellh.amazonebs"
	amazonEBSSurrogate = "mitchellh.amazon.ebssurrogate"
	amazonChroot       = "mitchellh.amazon.chroot"
	amazonInstance     = "mitchellh.amazon.instance"
	amazonEBSVolume    = "mitchellh.amazon.ebsvolume"
	amazonImport       = "packer.post-processor.amazon-import"
)

// checkBuilder returns an error if the artifacts of the component cannot be published.
func checkBuilder(builderID string) error {
	const accepted = "orgami-publish takes the images of amazon-ebs, amazon-ebssurrogate, amazon-chroot, amazon-import, orgami-existing and of orgami-publish itself"
	switch builderID {
	case amazonEBS, amazonEBSSurrogate, amazonChroot, amazonImport, artifact.ExistingID, artifact.PublishID:
		return nil
	case amazonInstance:
		return fmt.Errorf("amazon-instance makes instance-store images, which cannot be encrypted: build with amazon-ebs or amazon-ebssurrogate; %s", accepted)
	case amazonEBSVolume:
		return fmt.Errorf("amazon-ebsvolume makes volumes and no image: build with amazon-ebs or amazon-ebssurrogate; %s", accepted)
	default:
		return fmt.Errorf("the artifact was made by %q: %s; put orgami-publish right behind the one that makes the image, with only links between them that hand its artifact on, as manifest does", builderID, accepted)
	}
}
