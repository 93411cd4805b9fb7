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
	const accepted = "orgami-publish accepts artifacts of amazon-ebs, amazon-ebssurrogate, amazon-chroot, amazon-import, orgami-existing and orgami-publish"
	switch builderID {
	case amazonEBS, amazonEBSSurrogate, amazonChroot, amazonImport, artifact.ExistingID, artifact.PublishID:
		return nil
	case amazonInstance:
		return fmt.Errorf("amazon-instance builds instance-store images, which can't be encrypted. Build with amazon-ebs or amazon-ebssurrogate: %s", accepted)
	case amazonEBSVolume:
		return fmt.Errorf("amazon-ebsvolume builds volumes, not an image. Build with amazon-ebs or amazon-ebssurrogate: %s", accepted)
	default:
		return fmt.Errorf("the artifact of %q can't be published: %s. Put orgami-publish directly after the component that builds the image. Between them, only post-processors that pass on its artifact, such as manifest, are possible", builderID, accepted)
	}
}
