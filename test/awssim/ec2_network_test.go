package awssim_test

import (
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// TestDefaultNetwork checks what Packer looks for: one default VPC, a subnet in each
// zone, a default group, and instance types that the zones offer.
func TestDefaultNetwork(t *testing.T) {
	inVirtualTime(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		client, other := ec2In(w, awssim.PublishingAccount, "us-east-1"), ec2In(w, factMember, "us-east-1")
		vpcs := must(client.DescribeVpcs(t.Context(), &ec2.DescribeVpcsInput{Filters: []types.Filter{filterBy("is-default", "true")}}))(t).Vpcs
		if len(vpcs) != 1 {
			t.Fatalf("%d default VPCs", len(vpcs))
		}
		inVPC := []types.Filter{filterBy("vpc-id", *vpcs[0].VpcId)}
		var zones, offered []string
		for _, s := range must(client.DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{Filters: append(inVPC, filterBy("state", "available"))}))(t).Subnets {
			zones = append(zones, aws.ToString(s.AvailabilityZone))
		}
		offerings := must(client.DescribeInstanceTypeOfferings(t.Context(), &ec2.DescribeInstanceTypeOfferingsInput{
			LocationType: types.LocationTypeAvailabilityZone, Filters: []types.Filter{filterBy("instance-type", "t3.micro"), filterBy("location", "us-east-1*")},
		}))(t).InstanceTypeOfferings
		for _, o := range offerings {
			offered = append(offered, aws.ToString(o.Location))
		}
		want := []string{"us-east-1a", "us-east-1b", "us-east-1c"}
		if slices.Sort(zones); !slices.Equal(zones, want) || !slices.Equal(offered, want) {
			t.Errorf("subnets in %v, t3.micro in %v", zones, offered)
		}
		if groups := must(client.DescribeSecurityGroups(t.Context(), &ec2.DescribeSecurityGroupsInput{Filters: inVPC}))(t).SecurityGroups; len(groups) != 1 || aws.ToString(groups[0].GroupName) != "default" {
			t.Errorf("groups are %v", groups)
		}
		if theirs := must(other.DescribeVpcs(t.Context(), nil))(t).Vpcs; len(theirs) != 1 || *theirs[0].VpcId == *vpcs[0].VpcId {
			t.Error("two accounts have one VPC")
		}
		_, err := other.DescribeVpcs(t.Context(), &ec2.DescribeVpcsInput{VpcIds: []string{*vpcs[0].VpcId}})
		wantCode(t, err, "InvalidVpcID.NotFound")
		arm := must(client.DescribeInstanceTypes(t.Context(), &ec2.DescribeInstanceTypesInput{InstanceTypes: []types.InstanceType{"t4g.micro"}}))(t).InstanceTypes
		if len(arm) != 1 || !slices.Equal(arm[0].ProcessorInfo.SupportedArchitectures, []types.ArchitectureType{types.ArchitectureTypeArm64}) {
			t.Errorf("t4g.micro is %v", arm)
		}
	})
}

// TestRegions checks which Regions exist, and which the account can use.
func TestRegions(t *testing.T) {
	inVirtualTime(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		client := ec2In(w, awssim.PublishingAccount, "us-east-1")
		list := func(input *ec2.DescribeRegionsInput) map[string]string {
			got := map[string]string{}
			for _, r := range must(client.DescribeRegions(t.Context(), input))(t).Regions {
				got[aws.ToString(r.RegionName)] = aws.ToString(r.OptInStatus)
			}
			return got
		}
		const free = "opt-in-not-required"
		for name, test := range map[string]struct {
			input *ec2.DescribeRegionsInput
			want  map[string]string
		}{
			"enabled": {nil, map[string]string{"us-east-1": free, "eu-west-1": free, "ap-southeast-2": free}},
			"all":     {&ec2.DescribeRegionsInput{AllRegions: aws.Bool(true)}, map[string]string{"us-east-1": free, "eu-west-1": free, "ap-southeast-2": free, "af-south-1": "not-opted-in"}},
			"named":   {&ec2.DescribeRegionsInput{RegionNames: []string{"eu-west-1"}}, map[string]string{"eu-west-1": free}},
			"filtered": {
				&ec2.DescribeRegionsInput{AllRegions: aws.Bool(true), Filters: []types.Filter{filterBy("opt-in-status", "not-*")}},
				map[string]string{"af-south-1": "not-opted-in"},
			},
		} {
			if diff := cmp.Diff(test.want, list(test.input)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
		_, err := client.DescribeRegions(t.Context(), &ec2.DescribeRegionsInput{RegionNames: []string{"eu-west-9"}})
		wantCode(t, err, "InvalidParameterValue")
		_, err = ec2In(w, awssim.PublishingAccount, "af-south-1").DescribeRegions(t.Context(), nil)
		wantCode(t, err, "AuthFailure")
		zones := must(client.DescribeAvailabilityZones(t.Context(), nil))(t).AvailabilityZones
		if len(zones) != 3 || aws.ToString(zones[2].ZoneName) != "us-east-1c" || aws.ToString(zones[2].ZoneId) != "use1-az3" {
			t.Errorf("zones are %v", zones)
		}
	})
}

// TestKeyPairs creates, imports, describes and deletes key pairs.
func TestKeyPairs(t *testing.T) {
	inVirtualTime(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		client := ec2In(w, awssim.PublishingAccount, "us-east-1")
		made := must(client.CreateKeyPair(t.Context(), &ec2.CreateKeyPairInput{KeyName: aws.String("made")}))(t)
		must(client.ImportKeyPair(t.Context(), &ec2.ImportKeyPairInput{KeyName: aws.String("imported"), PublicKeyMaterial: []byte("ssh-ed25519 AAAA")}))(t)
		_, err := client.CreateKeyPair(t.Context(), &ec2.CreateKeyPairInput{KeyName: aws.String("made")})
		wantCode(t, err, "InvalidKeyPair.Duplicate")
		if got := len(must(client.DescribeKeyPairs(t.Context(), nil))(t).KeyPairs); got != 2 {
			t.Errorf("%d key pairs", got)
		}
		must(client.DeleteKeyPair(t.Context(), &ec2.DeleteKeyPairInput{KeyPairId: made.KeyPairId}))(t)
		must(client.DeleteKeyPair(t.Context(), &ec2.DeleteKeyPairInput{KeyName: aws.String("made")}))(t) // twice isn't an error
		_, err = client.DescribeKeyPairs(t.Context(), &ec2.DescribeKeyPairsInput{KeyNames: []string{"made"}})
		wantCode(t, err, "InvalidKeyPair.NotFound")
	})
}
