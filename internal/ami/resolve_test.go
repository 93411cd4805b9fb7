package ami_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

const region = "us-east-1"

// inWorld runs a test in virtual time, with clients of the publishing account
// of a simulated AWS.
func inWorld(t *testing.T, timing awssim.Options, test func(t *testing.T, clients *awsclient.Clients, world *awssim.World)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		world, err := awssim.New(awssim.DefaultWorld(), timing)
		if err != nil {
			t.Fatal(err)
		}
		id, secret := world.AccessKey(awssim.PublishingAccount)
		test(t, awsclient.New(aws.Config{
			Region: region, Credentials: credentials.NewStaticCredentialsProvider(id, secret, ""), HTTPClient: world.Client(),
		}), world)
	})
}

// makeImage creates an image of the publishing account and returns its ID.
func makeImage(t *testing.T, clients *awsclient.Clients, name string) string {
	t.Helper()
	answer, err := clients.EC2(region).CopyImage(t.Context(), &ec2.CopyImageInput{
		Name: &name, SourceImageId: aws.String(awssim.BaseImage(region)), SourceRegion: aws.String(region),
	})
	if err != nil {
		t.Fatal(err)
	}
	return aws.ToString(answer.ImageId)
}

func named(name string, mostRecent bool) ami.Query {
	return ami.Query{Region: region, Filters: map[string]string{"name": name}, Owners: []string{"self"}, MostRecent: mostRecent}
}

// checkRefused checks that the query finds no image, and why.
func checkRefused(t *testing.T, clients *awsclient.Clients, query ami.Query, want ...string) {
	t.Helper()
	image, err := ami.Resolve(t.Context(), clients.EC2, query)
	if err == nil {
		t.Fatalf("found %s", image.ID)
	}
	for _, want := range want {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in:\n%v", want, err)
		}
	}
}

func TestResolve(t *testing.T) {
	inWorld(t, awssim.Options{}, func(t *testing.T, clients *awsclient.Clients, world *awssim.World) {
		older := makeImage(t, clients, "golden-1")
		time.Sleep(time.Hour)
		newer := makeImage(t, clients, "golden-2")
		tests := map[string]struct {
			query ami.Query
			want  string
		}{
			"by id":              {ami.Query{Region: region, ID: older}, older},
			"by name":            {named("golden-1", false), older},
			"by pattern, newest": {named("golden-*", true), newer},
			"of Amazon, by id":   {ami.Query{Region: region, ID: awssim.BaseImage(region)}, awssim.BaseImage(region)},
			"of Amazon, by name": {ami.Query{
				Region: region, Owners: []string{"amazon"},
				Filters: map[string]string{"name": "al2023-*", "architecture": "x86_64"},
			}, awssim.BaseImage(region)},
		}
		for name, test := range tests {
			image, err := ami.Resolve(t.Context(), clients.EC2, test.query)
			if err != nil || image.ID != test.want {
				t.Errorf("%s: found %s, %v; want %s", name, image.ID, err, test.want)
			}
		}
		if mutations := world.Mutations(); len(mutations) != 2 {
			t.Errorf("looking changed something: %+v", mutations[2:])
		}
	})
}

func TestResolveRefuses(t *testing.T) {
	inWorld(t, awssim.Options{}, func(t *testing.T, clients *awsclient.Clients, world *awssim.World) {
		checkRefused(t, clients, ami.Query{Region: region, ID: "ami-0123456789abcdef0"}, "ami-0123456789abcdef0", region, "Check image_id", "InvalidAMIID.NotFound")
		checkRefused(t, clients, named("golden-*", true), "no image in us-east-1 matches", `name = "golden-*"`, "Check region, owners and filters")

		first, second := makeImage(t, clients, "golden-1"), makeImage(t, clients, "golden-2")
		checkRefused(t, clients, named("golden-*", false),
			"2 images in us-east-1", "set most_recent", first+` "golden-1", owner 111111111111, created`, second+` "golden-2"`)
		checkRefused(t, clients, named("golden-*", true), "the same creation time", first, second)

		for i := range 10 {
			time.Sleep(time.Minute)
			makeImage(t, clients, fmt.Sprintf("golden-late-%d", i))
		}
		checkRefused(t, clients, named("golden-*", false), "12 images", "golden-late-9", "and 2 more")
		if _, err := ami.Resolve(t.Context(), clients.EC2, named("golden-*", true)); err != nil {
			t.Error(err)
		}

		world.Inject(awssim.Fault{Service: "ec2", Operation: "DescribeImages", Kind: awssim.Denied})
		checkRefused(t, clients, named("golden-1", false), "looking for an image of self", "UnauthorizedOperation", "IAM policy")
	})
}

func TestResolveRefusesWhatIsNotAvailable(t *testing.T) {
	inWorld(t, awssim.Options{CopyTime: time.Hour}, func(t *testing.T, clients *awsclient.Clients, _ *awssim.World) {
		id := makeImage(t, clients, "golden-1")
		checkRefused(t, clients, ami.Query{Region: region, ID: id}, id, "is pending, not available")
		checkRefused(t, clients, named("golden-1", false), "no matching image in us-east-1 is available", id, "pending")
		time.Sleep(2 * time.Hour)
		if image, err := ami.Resolve(t.Context(), clients.EC2, named("golden-1", false)); err != nil || image.ID != id {
			t.Errorf("once it is there: %s, %v", image.ID, err)
		}
	})
}
