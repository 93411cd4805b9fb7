package awsclient

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// Identity is the caller that AWS sees.
type Identity struct {
	Account   string // 12 digits
	ARN       string
	Partition string // aws, aws-cn, aws-us-gov
}

// Identity gets the caller's identity from STS.
func (c *Clients) Identity(ctx context.Context) (Identity, error) {
	if c.config.Region == "" {
		return Identity{}, errors.New("no AWS Region is configured. Set AWS_REGION or the Region of the profile")
	}
	answer, err := c.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return Identity{}, Wrap(err, "getting the caller's identity in %s", c.config.Region)
	}
	if aws.ToString(answer.Account) == "" || aws.ToString(answer.Arn) == "" {
		return Identity{}, Incomplete("STS GetCallerIdentity", c.config.Region, "the account or the ARN")
	}
	caller, err := arn.Parse(*answer.Arn)
	if err != nil {
		return Identity{}, fmt.Errorf("reading the caller's ARN %q: %w", *answer.Arn, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.account = *answer.Account
	return Identity{Account: *answer.Account, ARN: *answer.Arn, Partition: caller.Partition}, nil
}

// currentAccount returns the account whose quotas the clients use, or "" while
// it is unknown.
func (c *Clients) currentAccount() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.account
}

// Organization is an AWS organization.
type Organization struct {
	ID  string // o-…
	ARN string // arn:PARTITION:organizations::MANAGEMENT:organization/o-…
}

// organizationsRegion is the Region of each partition's Organizations service.
// Fact: ORG-11, ORG-12.
var organizationsRegion = map[string]string{
	"aws": "us-east-1", "aws-us-gov": "us-gov-west-1", "aws-cn": "cn-northwest-1",
}

// Organizations returns the client of the partition's Organizations service.
func (c *Clients) Organizations(partition string) *organizations.Client {
	return organizations.NewFromConfig(c.config, func(o *organizations.Options) {
		o.Region = cmp.Or(organizationsRegion[partition], o.Region)
	})
}

// Organization returns the organization of the caller's account. Every member account
// can call it. Fact: ORG-1.
func (c *Clients) Organization(ctx context.Context, partition string) (Organization, error) {
	client := c.Organizations(partition)
	answer, err := client.DescribeOrganization(ctx, &organizations.DescribeOrganizationInput{})
	if err != nil {
		return Organization{}, Wrap(err, "describing the organization of the caller's account")
	}
	if o := answer.Organization; o == nil || aws.ToString(o.Id) == "" || aws.ToString(o.Arn) == "" {
		return Organization{}, Incomplete("Organizations DescribeOrganization", client.Options().Region, "the organization's ID or ARN")
	}
	return Organization{ID: *answer.Organization.Id, ARN: *answer.Organization.Arn}, nil
}
