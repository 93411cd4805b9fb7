package canary

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
)

// place is where a canary launches: subnets of one VPC, in different zones that
// offer the type.
type place struct {
	instanceType types.InstanceType
	vpc          string
	subnets      []subnet
}

type subnet struct{ id, zone string }

func (p place) subnetIDs() []string {
	var ids []string
	for _, s := range p.subnets {
		ids = append(ids, s.id)
	}
	return ids
}

// candidates are the types to choose from, the smallest first. The table keeps the
// canary's role without ec2:DescribeInstanceTypes; what a Region doesn't offer is
// passed over. Types without ENA need an image that doesn't, either.
// Fact: EC2-INST-7.
func candidates(image ami.Image) []string {
	switch {
	case image.Hardware.Architecture == "arm64":
		return []string{"t4g.nano", "t4g.micro", "t4g.small", "m6g.medium", "m7g.medium", "c6g.medium", "c7g.medium"}
	case image.Hardware.Architecture != "x86_64":
		return nil
	case image.Hardware.ENA:
		return []string{"t3.nano", "t3a.nano", "t3.micro", "t3a.micro", "t3.small", "m5.large", "m6i.large", "m7i.large"}
	case strings.HasPrefix(image.Hardware.BootMode, "uefi"):
		return nil
	default:
		return []string{"t2.nano", "t2.micro", "t2.small", "m4.large"}
	}
}

// place chooses the type and the subnets. inconclusive explains why nothing fits, and
// what to set.
func (r regional) place(ctx context.Context) (p place, inconclusive string, err error) {
	subnets, vpc, err := r.findSubnets(ctx)
	if err != nil {
		return place{}, "", err
	}
	if len(subnets) == 0 {
		return place{}, fmt.Sprintf("account %s has no default subnet in %s. Set canary.subnets", r.Account, r.region), nil
	}
	wanted := candidates(r.image)
	if r.InstanceType != "" {
		wanted = []string{r.InstanceType}
	}
	if len(wanted) == 0 {
		return place{}, fmt.Sprintf("no instance type is known for architecture %s. Set canary.instance_type", r.image.Hardware.Architecture), nil
	}
	offered, err := r.offerings(ctx, wanted)
	if err != nil {
		return place{}, "", err
	}
	for _, name := range wanted {
		zones := slices.DeleteFunc(slices.Clone(subnets), func(s subnet) bool { return !offered[name][s.zone] })
		if len(zones) > 0 {
			return place{types.InstanceType(name), vpc, zones}, "", nil
		}
	}
	var zones []string
	for _, s := range subnets {
		zones = append(zones, s.zone)
	}
	return place{}, fmt.Sprintf("%s doesn't offer %s in %s. Set canary.instance_type or canary.subnets", r.region, strings.Join(wanted, ", "), strings.Join(zones, ", ")), nil
}

// findSubnets are the configured subnet, or the default subnets in the order of
// zones.
func (r regional) findSubnets(ctx context.Context) ([]subnet, string, error) {
	input := &ec2.DescribeSubnetsInput{Filters: []types.Filter{
		{Name: aws.String("default-for-az"), Values: []string{"true"}}, {Name: aws.String("state"), Values: []string{"available"}},
	}}
	if id := r.Subnets[r.region]; id != "" {
		input = &ec2.DescribeSubnetsInput{SubnetIds: []string{id}}
	}
	var found []types.Subnet
	err := eachPage(func(token *string) (*string, error) {
		input.NextToken = token
		page, err := r.client.DescribeSubnets(ctx, input)
		if err != nil {
			return nil, awsclient.Wrap(err, "looking for a subnet in %s in account %s (canary.subnets)", r.region, r.Account)
		}
		found = append(found, page.Subnets...)
		return page.NextToken, nil
	})
	if err != nil {
		return nil, "", err
	}
	var subnets []subnet
	var vpc string
	slices.SortFunc(found, func(a, b types.Subnet) int {
		return cmp.Or(cmp.Compare(aws.ToString(a.AvailabilityZone), aws.ToString(b.AvailabilityZone)), cmp.Compare(aws.ToString(a.SubnetId), aws.ToString(b.SubnetId)))
	})
	for _, s := range found {
		if s.SubnetId == nil || s.AvailabilityZone == nil || s.VpcId == nil {
			return nil, "", awsclient.Incomplete("EC2 DescribeSubnets", r.region, "SubnetId, AvailabilityZone or VpcId")
		}
		if vpc = cmp.Or(vpc, *s.VpcId); vpc == *s.VpcId {
			subnets = append(subnets, subnet{*s.SubnetId, *s.AvailabilityZone})
		}
	}
	return subnets, vpc, nil
}

// offerings are the zones in which each type is offered.
func (r regional) offerings(ctx context.Context, names []string) (map[string]map[string]bool, error) {
	offered := map[string]map[string]bool{}
	err := eachPage(func(token *string) (*string, error) {
		page, err := r.client.DescribeInstanceTypeOfferings(ctx, &ec2.DescribeInstanceTypeOfferingsInput{
			LocationType: types.LocationTypeAvailabilityZone, NextToken: token,
			Filters: []types.Filter{{Name: aws.String("instance-type"), Values: names}},
		})
		if err != nil {
			return nil, awsclient.Wrap(err, "reading which zones of %s offer %s in account %s", r.region, strings.Join(names, ", "), r.Account)
		}
		for _, o := range page.InstanceTypeOfferings {
			name := string(o.InstanceType)
			if offered[name] == nil {
				offered[name] = map[string]bool{}
			}
			offered[name][aws.ToString(o.Location)] = true
		}
		return page.NextToken, nil
	})
	return offered, err
}

// eachPage calls list with the token of each page. The SDK's paginators would need
// the client as an interface, which makes the linker keep all of EC2's operations.
func eachPage(list func(token *string) (next *string, err error)) error {
	var token *string
	for {
		next, err := list(token)
		if err != nil || aws.ToString(next) == "" {
			return err
		}
		token = next
	}
}
