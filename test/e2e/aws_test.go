package e2e

import (
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// simulated is an AWS of the test's own, behind a socket.
type simulated struct {
	*awssim.World

	environment []string
}

func newAWS(t *testing.T, timing awssim.Options) simulated {
	t.Helper()
	return newAWSWith(t, awssim.DefaultWorld(), timing)
}

func newAWSWith(t *testing.T, file awssim.WorldFile, timing awssim.Options) simulated {
	t.Helper()
	world, err := awssim.New(file, timing)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(world)
	t.Cleanup(server.Close)
	id, secret := world.AccessKey(awssim.PublishingAccount)
	return simulated{world, []string{
		"AWS_ENDPOINT_URL=" + server.URL, "AWS_ACCESS_KEY_ID=" + id, "AWS_SECRET_ACCESS_KEY=" + secret, "AWS_REGION=" + file.Regions[0].Name,
	}}
}

// images are the IDs of the publisher's images of that name, by Region.
func (s simulated) images(name string) map[string]string {
	images := map[string]string{}
	for _, image := range s.Snapshot().Images {
		if image.Owner == awssim.PublishingAccount && image.Name == name {
			images[image.Region] = image.ID
		}
	}
	return images
}

// called counts the calls of an operation that succeeded, since the journal was
// last reset.
func (s simulated) called(operation string) int {
	count := 0
	for _, call := range s.Journal() {
		if call.Operation == operation && call.Error == "" {
			count++
		}
	}
	return count
}

// changed lists the operations that changed the world since the journal was last
// reset. Assuming a role changes nothing.
func (s simulated) changed() []string {
	var operations []string
	for _, call := range s.Mutations() {
		if call.Service != "sts" {
			operations = append(operations, call.Service+" "+call.Operation+" "+call.Region)
		}
	}
	slices.Sort(operations)
	return operations
}

// checkUnshared checks that no image of the name is shared, and that each is
// marked as unpublished.
func (s simulated) checkUnshared(t *testing.T, name string) {
	t.Helper()
	for _, image := range s.Snapshot().Images {
		if image.Name != name || image.Owner != awssim.PublishingAccount {
			continue
		}
		if len(image.LaunchPermissions) > 0 || image.Tags[ami.TagState] != ami.StateUnpublished {
			t.Errorf("%s in %s is shared with %v, and has the tags %v", image.ID, image.Region, image.LaunchPermissions, image.Tags)
		}
	}
}

// checkPublished checks that the images are those of a complete publication, and that
// only members can launch them through auto scaling.
func (s simulated) checkPublished(t *testing.T, name string, regions ...string) {
	t.Helper()
	images := s.images(name)
	if len(images) != len(regions) {
		t.Errorf("%s is in %d regions, want %v: %v", name, len(images), regions, images)
	}
	for _, region := range regions {
		for _, role := range []string{"AWSServiceRoleForAutoScaling", "AWSServiceRoleForApplicationAutoScaling_ECSService"} {
			launch, err := s.LaunchAsServiceLinkedRole(awssim.MemberAccounts()[0], role, region, images[region])
			if err != nil || launch.Reason != "" {
				t.Errorf("launch of %q by %s in %s: %+v, %v", images[region], role, region, launch, err)
			}
		}
		if launch, err := s.LaunchAsServiceLinkedRole(awssim.OutsideAccount, "AWSServiceRoleForAutoScaling", region, images[region]); err == nil && launch.Reason == "" {
			t.Errorf("an account outside the organization launches %q in %s", images[region], region)
		}
	}
}
