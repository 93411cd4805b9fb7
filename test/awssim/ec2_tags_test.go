package awssim_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

func tag(key, value string) types.Tag { return types.Tag{Key: &key, Value: &value} }

// tagsOf reads the tags that the client's account has on a resource.
func tagsOf(t *testing.T, client *ec2.Client, resource string) map[string]string {
	t.Helper()
	tags := map[string]string{}
	pages := ec2.NewDescribeTagsPaginator(client, &ec2.DescribeTagsInput{Filters: []types.Filter{filterBy("resource-id", resource)}, MaxResults: aws.Int32(5)})
	for pages.HasMorePages() {
		for _, d := range must(pages.NextPage(t.Context()))(t).Tags {
			tags[aws.ToString(d.Key)] = aws.ToString(d.Value)
		}
	}
	return tags
}

// TestTags checks that each account has its own tags, also on an image that both see.
func TestTags(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		owner, other := ec2In(w, factMember, "us-east-1"), ec2In(w, awssim.PublishingAccount, "us-east-1")
		resources := []string{theirImage}
		must(other.CreateTags(t.Context(), &ec2.CreateTagsInput{Resources: resources, Tags: []types.Tag{tag("seen", "yes"), tag("b", "1"), tag("c", "1"), tag("d", "1"), tag("e", "1"), tag("f", "1")}}))(t)
		must(other.CreateTags(t.Context(), &ec2.CreateTagsInput{Resources: resources, Tags: []types.Tag{tag("b", "2")}}))(t)
		must(other.DeleteTags(t.Context(), &ec2.DeleteTagsInput{Resources: resources, Tags: []types.Tag{{Key: aws.String("c")}, tag("d", "other"), tag("e", "1")}}))(t)
		want := map[string]string{"seen": "yes", "b": "2", "d": "1", "f": "1"}
		if diff := cmp.Diff(want, tagsOf(t, other, theirImage)); diff != "" {
			t.Errorf("tags of the other (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(map[string]string{"owner": "me"}, tagsOf(t, owner, theirImage)); diff != "" {
			t.Errorf("tags of the owner (-want +got):\n%s", diff)
		}
		must(other.DeleteTags(t.Context(), &ec2.DeleteTagsInput{Resources: resources}))(t)
		if left := tagsOf(t, other, theirImage); len(left) > 0 {
			t.Errorf("left are %v", left)
		}
	})
}

func TestTagsRefuse(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		client := ec2In(w, awssim.PublishingAccount, "us-east-1")
		many := func(prefix string, n int) []types.Tag {
			var tags []types.Tag
			for i := range n {
				tags = append(tags, tag(prefix+strings.Repeat("x", i), "v"))
			}
			return tags
		}
		for name, test := range map[string]struct {
			resource string
			tags     []types.Tag
			code     string
		}{
			"reserved":       {plainImage, []types.Tag{tag("AWS:x", "v")}, "InvalidParameterValue"},
			"twice":          {plainImage, []types.Tag{tag("a", "1"), tag("a", "2")}, "InvalidParameterValue"},
			"long key":       {plainImage, []types.Tag{tag(strings.Repeat("k", 129), "v")}, "InvalidParameterValue"},
			"long value":     {plainImage, []types.Tag{tag("k", strings.Repeat("v", 257))}, "InvalidParameterValue"},
			"too many":       {plainImage, many("a", 51), "TagLimitExceeded"},
			"too many added": {plainImage, many("a", 50), "TagLimitExceeded"}, // the image has one already
			"no image":       {"ami-0123456789abcdef0", many("a", 1), "InvalidAMIID.NotFound"},
			"no snapshot":    {"snap-0123456789abcdef0", many("a", 1), "InvalidSnapshot.NotFound"},
			"no instance":    {"i-0123456789abcdef0", many("a", 1), "InvalidInstanceID.NotFound"},
			"nothing":        {"x", many("a", 1), "InvalidID"},
		} {
			_, err := client.CreateTags(t.Context(), &ec2.CreateTagsInput{Resources: []string{plainImage, test.resource}, Tags: test.tags})
			if err == nil {
				t.Errorf("no error about %s", name)
				continue
			}
			wantCode(t, err, test.code)
		}
		if diff := cmp.Diff(map[string]string{"owner": "me"}, tagsOf(t, client, plainImage)); diff != "" {
			t.Errorf("a refused call changed tags (-want +got):\n%s", diff)
		}
	})
}

// TestTaggingNeedsPermission checks that creating a resource with tags requires
// ec2:CreateTags, too.
func TestTaggingNeedsPermission(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		role := newRole(t, w, awssim.PublishingAccount, "Copier", `{"Effect":"Allow","Action":["ec2:CopyImage","ec2:Describe*"],"Resource":"*"}`)
		client := ec2.NewFromConfig(sessionOf(t, config(w, awssim.PublishingAccount, "us-east-1"), role, "us-east-1"))
		input := func() *ec2.CopyImageInput {
			in := copyOf(plainImage)
			in.Encrypted, in.KmsKeyId = nil, nil
			return in
		}
		must(client.CopyImage(t.Context(), input()))(t)
		with := input()
		with.TagSpecifications = []types.TagSpecification{{ResourceType: types.ResourceTypeImage, Tags: []types.Tag{tag("a", "1")}}}
		_, err := client.CopyImage(t.Context(), with)
		wantCode(t, err, "UnauthorizedOperation")
	})
}
